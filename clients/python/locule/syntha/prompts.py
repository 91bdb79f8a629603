"""Context put into prompts. Only the placeholders are replaced: any other brace in a template is text."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Optional

__all__ = [
    "SYSTEM_PROMPT_TEMPLATES",
    "MESSAGE_PROMPT_TEMPLATES",
    "build_system_prompt",
    "build_message_prompt",
    "build_custom_prompt",
    "inject_context_into_prompt",
]

SYSTEM_PROMPT_TEMPLATES: Dict[str, str] = {
    "basic": "You are an AI assistant. This is the shared context that you work with:\n\n{context}\n\nLet it inform what you do.",
    "agent_specific": "You are {agent_name}, one of several agents. This is what is shared with you:\n\n{context}\n\nDo your part with it.",
    "context_aware": "Before you answer, go by what is known:\n\n{context}\n\nIf something is not in it, say so and do not make it up.",
}

MESSAGE_PROMPT_TEMPLATES: Dict[str, str] = {
    "update": "This is new since you last looked:\n\n{context}",
    "reminder": "Bear in mind:\n\n{context}",
    "context_only": "{context}",
}


def build_system_prompt(
    agent_name: str,
    context_mesh: Any,
    template: Optional[str] = None,
    include_context_header: bool = True,
    prepend_to_existing: bool = False,
    existing_prompt: Optional[str] = None,
) -> str:
    """A system prompt with all that the agent may read."""
    block = _block(agent_name, context_mesh, "[Context]" if include_context_header else None)
    if not block:
        if prepend_to_existing and existing_prompt:
            return existing_prompt
        return _filled(template, "", agent_name) if template else existing_prompt or ""
    if prepend_to_existing and existing_prompt:
        return f"{block}\n\n{existing_prompt}"
    if template:
        return _filled(template, block, agent_name)
    return f"{existing_prompt}\n\n{block}" if existing_prompt else block


def build_message_prompt(
    agent_name: str,
    context_mesh: Any,
    template: Optional[str] = None,
    include_context_header: bool = True,
    recent_only: bool = False,
    max_age_seconds: Optional[float] = None,
) -> str:
    """A message with all that the agent may read. The last two are taken for the sake of callers who give them."""
    block = _block(agent_name, context_mesh, "[Context Update]" if include_context_header else None)
    return _filled(template, block, agent_name) if template else block


def inject_context_into_prompt(
    existing_prompt: str,
    agent_name: str,
    context_mesh: Any,
    placement: str = "prepend",
    separator: str = "\n\n",
) -> str:
    """A prompt with the context before it, after it, or in place of ``{context}`` or ``{{context}}``."""
    if placement not in ("prepend", "append", "replace_placeholder"):
        raise ValueError(f"Invalid placement {placement!r}: it is prepend, append or replace_placeholder")
    block = _block(agent_name, context_mesh, "[Shared Context]")
    if not block:
        return existing_prompt
    if placement == "append":
        return f"{existing_prompt}{separator}{block}"
    if placement == "replace_placeholder":
        for placeholder in ("{{context}}", "{context}"):
            if placeholder in existing_prompt:
                return existing_prompt.replace(placeholder, block)
    return f"{block}{separator}{existing_prompt}"


def build_custom_prompt(
    agent_name: str,
    context_mesh: Any,
    keys: List[str],
    template: str,
    fallback_text: str = "",
) -> str:
    """A template with the values of these keys in their places, and the fallback where one cannot be read."""
    values = {}
    for key in keys:
        value = context_mesh.get(key, agent_name)
        values[key] = fallback_text if value is None else _text(value)
    for name in re.findall(r"\{([A-Za-z_]\w*)\}", template):
        if name not in values:
            raise ValueError(f"The template has a placeholder {{{name}}} that is not among the keys")
    return _replaced(template, values)


def _filled(template: str, block: str, agent_name: str) -> str:
    return _replaced(template, {"context": block, "agent_name": agent_name})


def _replaced(template: str, values: Dict[str, str]) -> str:
    """In one go, so that a brace in a value is text like everything else in it."""
    names = "|".join(re.escape(name) for name in sorted(values, key=len, reverse=True))
    return re.sub(rf"\{{({names})\}}", lambda found: values[found.group(1)], template) if names else template


def _block(agent_name: str, context_mesh: Any, header: Optional[str]) -> str:
    items = context_mesh.get_all_for_agent(agent_name)
    if not items:
        return ""
    lines = [f"{key.replace('_', ' ').title()}: {_text(value)}" for key, value in items.items()]
    return "\n".join(([header] if header else []) + lines)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        return json.dumps(value, indent=2, ensure_ascii=False)
    return str(value)
