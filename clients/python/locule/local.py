"""Locule in process: a data directory or a PostgreSQL, and no server."""

from __future__ import annotations

import json
import os
from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Type, Union

from . import _native
from .errors import InvalidError
from .records import Json, encode, text_id
from .space import Space

__all__ = ["LocalSpace", "Locule"]

_POSTGRES = ("postgres://", "postgresql://")


class LocalSpace(Space):
    """A space in this process."""

    __slots__ = ()


class Locule:
    """An open installation.

    >>> app = Locule("./locule-data")            # an encrypted file for every user
    >>> app.user("alice").add("I'm allergic to peanuts")
    >>> app.user("alice").search("what food should I avoid?")[0]["memory"]

    This process is the trusted host: :meth:`user` opens whomever it names, and it is for the program to have made sure who is
    there. Where a credential is at hand, :meth:`as_user` opens what that credential opens, and nothing else.

    It may be used from any number of threads, and from asyncio with :func:`asyncio.to_thread`. A server and other processes
    may have the same directory open. In a forked child it refuses to work: open it there, or start processes with ``spawn``.
    """

    def __init__(
        self,
        data: Union[str, "os.PathLike[str]"] = "./locule-data",
        *,
        keys: Union[str, "os.PathLike[str]"] = "./locule-data",
        layout: str = "rls",
        set_up: bool = False,
        create: bool = True,
        encrypted: bool = True,
        durability: str = "full",
        memories_max: Optional[int] = None,
        bytes_max: Optional[int] = None,
        entries_max: Optional[int] = None,
        agents_max: Optional[int] = None,
        context_trail: bool = False,
        provision: bool = True,
        embedding: Union[str, int, Mapping[str, Any], None] = None,
        chat: Optional[Mapping[str, Any]] = None,
        jwt_secret: Union[str, List[str], None] = None,
        tokens: Optional[Mapping[str, Any]] = None,
        postgres: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Open the installation in the directory ``data``, made if it is not there (unless ``create`` is false), or in a
        PostgreSQL, if ``data`` is a URL: then ``keys`` is the directory with the master key, ``layout`` is ``rls``, ``schema``
        or ``database``, and with ``set_up`` the URL's user makes the roles and tables, and nothing else runs as them.

        ``embedding`` makes vectors: ``"local"`` (the built-in model), a number (callers bring vectors of that dimension), or
        an OpenAI-compatible endpoint, ``{"url": …, "model": …, "dimension": …, "key": …}``. ``chat`` is the model that
        :meth:`Space.remember` asks, ``{"url": …, "model": …, "key": …}``, likewise OpenAI-compatible. ``jwt_secret`` verifies users'
        tokens (HS256); ``tokens`` says more: ``key_set_url``, ``issuer``, ``audiences``. Without either, tokens are those that
        :meth:`mint_token` or ``locule token`` made here. ``durability`` is what an acknowledged write survives: ``full`` a
        power cut, ``normal`` the end of the process. ``context_trail`` has users' audit chains tell which agent did what to
        which key.
        """
        setup: Json = {
            "create": create,
            "encrypted": encrypted,
            "durability": durability,
            "memories_max": memories_max,
            "bytes_max": bytes_max,
            "entries_max": entries_max,
            "agents_max": agents_max,
            "context_trail": context_trail,
            "provision": provision,
            "embedding": _embedding(embedding),
            "chat": None if chat is None else dict(chat),
            "tokens": _tokens(jwt_secret, tokens),
        }
        place = os.fspath(data)
        if place.startswith(_POSTGRES):
            setup["data"] = os.fspath(keys)
            setup["postgres"] = {**(postgres or {}), "url": place, "layout": layout, "set_up": set_up}
        else:
            setup["data"] = place
        self._native = _native.Installation(encode(setup))

    def user(self, user_id: str) -> LocalSpace:
        """The space of this user, on the word of this program. It comes into being with its first write."""
        return LocalSpace(self._native.user(text_id("user_id", user_id)))

    def as_user(self, token: str, *, user_id: Optional[str] = None) -> LocalSpace:
        """The space that a user's token or key opens, and no other: naming another user raises ``PermissionError``.

        The credential is verified now and in every call, so that one that expires opens nothing from then on. ``user_id`` is
        for a service's key, which says whom it acts for; beside a user's own token it must be that user.
        """
        credential = text_id("token", token)
        bound = LocalSpace(self._native.bearer(credential, None))
        if user_id is None:
            bound.user_id  # noqa: B018  (a service's key is asked whom it acts for)
            return bound
        named = text_id("user_id", user_id)
        chosen = self._native.bearer(credential, named)
        chosen.confirm([named])
        return LocalSpace(chosen)

    def mint_token(self, user_id: str, *, ttl_s: int = 3600) -> str:
        """A token for a user, signed by this installation."""
        return self._native.mint_token(text_id("user_id", user_id), ttl_s)

    def users(self) -> List[Dict[str, str]]:
        """Everybody who has a space here: ``user_id``, ``state``, ``created_at``."""
        users: List[Dict[str, str]] = json.loads(self._native.users())
        return users

    def _context(self, subject: str) -> _native.Space:
        """Whose context it is, as the engine calls them."""
        return self._native.user(subject)

    def _owners(self, memory_id: str) -> List[str]:
        """Whose memory this may be: one person nearly always."""
        return self._native.owners(text_id("memory_id", memory_id))

    def close(self) -> None:
        """Close it. Closing twice is closing once; whoever is in a call finishes it."""
        self._native.close()

    def __enter__(self) -> "Locule":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


def _embedding(given: Union[str, int, Mapping[str, Any], None]) -> Optional[Json]:
    if given is None or given == "local":
        return None
    if isinstance(given, Mapping):
        return {"kind": "endpoint", **given}
    if isinstance(given, int) and not isinstance(given, bool):
        return {"kind": "supplied", "dimension": given}
    raise InvalidError(
        '`embedding` is "local", a number of dimensions, or a mapping with `url`, `model` and `dimension`.', code="invalid"
    )


def _tokens(secret: Union[str, List[str], None], given: Optional[Mapping[str, Any]]) -> Optional[Json]:
    tokens = dict(given or {})
    if secret is not None:
        tokens["secrets"] = [secret] if isinstance(secret, str) else list(secret)
    return tokens or None
