"""What a configuration written for mem0 says of where the data is, and of what makes vectors."""

from __future__ import annotations

import logging
import os
from typing import Any, List, Mapping, Optional, Tuple
from urllib.parse import quote

from .errors import InvalidError
from .records import Json

__all__ = ["placed"]

_log = logging.getLogger("locule")

#: Dimensions of OpenAI's models, for configurations that do not say.
_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}

#: Providers that are asked as OpenAI is.
_COMPATIBLE = ("openai", "lmstudio", "together", "ollama")

#: Sections that have nothing to do here: what they set up is not used.
_UNUSED = ("graph_store", "reranker", "history_db_path", "custom_fact_extraction_prompt", "custom_instructions",
           "custom_update_memory_prompt")  # fmt: skip


def placed(config: Mapping[str, Any]) -> Json:
    """The keywords of :class:`Locule` for a configuration."""
    if not isinstance(config, Mapping):
        raise InvalidError("The configuration is a dictionary.", code="invalid")
    unknown = set(config) - {*_UNUSED, "vector_store", "embedder", "llm", "version", "locule"}
    if unknown:
        raise InvalidError(f"The configuration has sections that are not known: {sorted(unknown)}.", code="invalid")
    unused = [name for name in _UNUSED if name in config]
    if unused:
        _log.info("not used here: %s", ", ".join(unused))
    setup: Json = {}
    setup.update(_store(config.get("vector_store") or {}))
    setup.update(_embedder(config.get("embedder") or {}))
    setup.update(_llm(config.get("llm") or {}))
    setup.update(config.get("locule") or {})
    return setup


def _store(section: Mapping[str, Any]) -> Json:
    provider, config = section.get("provider", "locule"), dict(section.get("config") or {})
    if provider == "locule":
        place = config.pop("path", None) or config.pop("url", None) or _directory()
        return {"data": place, **_keys(), **config}
    if provider in ("pgvector", "supabase"):
        url = config.get("connection_string") or _url(config)
        # mem0 makes its table as whoever it is given; here they make the roles and tables, and nothing else runs as them.
        return {"data": url, "set_up": True, **_keys()}
    _log.warning("`%s` is not used: Locule keeps its data in %s (LOCULE_DATA says where else)", provider, _directory())
    return {"data": _directory()}


def _directory() -> str:
    return os.environ.get("LOCULE_DATA", "./locule-data")


def _keys() -> Json:
    return {"keys": _directory()}


def _url(config: Mapping[str, Any]) -> str:
    missing: List[str] = [name for name in ("user", "password", "host") if not config.get(name)]
    if missing:
        raise InvalidError(f"`vector_store` lacks {', '.join(missing)}, or a `connection_string`.", code="invalid")
    user, password = quote(str(config["user"]), safe=""), quote(str(config["password"]), safe="")
    return f"postgresql://{user}:{password}@{config['host']}:{config.get('port', 5432)}/{config.get('dbname', 'postgres')}"


def _embedder(section: Mapping[str, Any]) -> Json:
    provider, config = section.get("provider"), dict(section.get("config") or {})
    if provider is None or provider in ("locule", "huggingface", "fastembed"):
        return {}
    if provider not in _COMPATIBLE:
        raise InvalidError(
            f"The embedder `{provider}` is not known: leave it out for the built-in model, or give an OpenAI-compatible one.",
            code="invalid",
        )
    model = config.get("model", "text-embedding-3-small")
    dimension = config.get("embedding_dims") or _DIMENSIONS.get(model)
    if dimension is None:
        raise InvalidError(f"Say how many numbers the vectors of `{model}` have: `embedding_dims`.", code="invalid")
    url, key = _endpoint(provider, config)
    if provider == "openai" and not key:
        raise InvalidError("The embedder `openai` needs a key: `api_key`, or OPENAI_API_KEY.", code="invalid")
    return {"embedding": {"url": url, "model": model, "dimension": dimension, "key": key}}


def _llm(section: Mapping[str, Any]) -> Json:
    """The model that finds out what is worth remembering. One that cannot be asked is told, and not asked."""
    provider, config = section.get("provider"), dict(section.get("config") or {})
    if provider is None:
        return {}
    url, key = _endpoint(provider, config)
    if provider not in _COMPATIBLE or not config.get("model") or (provider == "openai" and not key):
        _log.warning("the model `%s` is not used: it needs a `model` and a key; memories are kept word for word", provider)
        return {}
    return {"chat": {"url": url, "model": config["model"], "key": key}}


def _endpoint(provider: str, config: Mapping[str, Any]) -> Tuple[str, Optional[str]]:
    """Where an OpenAI-compatible provider is asked, and with which key."""
    url = config.get(f"{provider}_base_url") or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
    if provider == "ollama" and not url.rstrip("/").endswith("/v1"):
        url = url.rstrip("/") + "/v1"
    return url, config.get("api_key") or os.environ.get("OPENAI_API_KEY")
