"""The calls of mem0's ``Memory``, over spaces that cannot leak.

A program written for ``from mem0 import Memory`` goes on with ``from locule import Memory``. What differs: every memory belongs
to a user, so every call says whose (``user_id=``), or the whole ``Memory`` is bound to one (``token=``).
"""

from __future__ import annotations

import asyncio
import logging
from datetime import date
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .errors import InvalidError, NotAllowedError, NotFoundError, TemporaryError
from ._filters import split
from .local import LocalSpace, Locule
from ._mem0 import placed
from .records import Json, MemoryRecord, Results

__all__ = ["Memory", "AsyncMemory"]

_log = logging.getLogger("locule")

Messages = Union[str, Mapping[str, Any], Sequence[Union[str, Mapping[str, Any]]]]

#: How many hits a search brings when nobody says.
_HITS = 20


class Memory:
    """Memories of users, with the calls of mem0.

    Without ``token`` this process is the trusted host: each call names its user. With one, everything is of the token's user:
    ``user_id`` may be left out, and naming anybody else raises ``PermissionError``.
    """

    def __init__(
        self, config: Optional[Mapping[str, Any]] = None, *, token: Optional[str] = None, patience_s: float = 60.0, **setup: Any
    ) -> None:
        """``config`` is what mem0 takes; ``setup`` is what :class:`Locule` takes, or ``locule=`` one that is open already.
        ``patience_s`` is how long :meth:`add` waits for a model."""
        opened = setup.pop("locule", None)
        if opened is None:
            # Where the data is comes from one place: what is said here, or else what the configuration says.
            self._app, self._owns = Locule(**{**placed(config or {}), **setup}), True
        elif setup or config:
            raise InvalidError("Give `locule=` or how to open it, not both.", code="invalid")
        else:
            self._app, self._owns = opened, False
        self._bound = self._app.as_user(token) if token is not None else None
        self._patience_s = patience_s
        self._said_so = False

    @classmethod
    def from_config(cls, config_dict: Mapping[str, Any], **setup: Any) -> "Memory":
        """As with mem0: a dictionary with ``vector_store``, ``embedder`` and so on."""
        return cls(config_dict, **setup)

    def add(
        self,
        messages: Messages,
        *,
        user_id: Union[str, int, None] = None,
        agent_id: Optional[str] = None,
        run_id: Optional[str] = None,
        app_id: Optional[str] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        infer: bool = True,
        expiration_date: Union[str, date, None] = None,
        memory_type: Optional[str] = None,
        prompt: Optional[str] = None,
    ) -> Json:
        """Remember what was said. With ``infer`` the configured model finds out what is worth it, and this waits for it
        (``patience_s``); without a model, or without ``infer``, each message is kept word for word, and the answer says so:
        ``inferred`` is false."""
        space = self._space(user_id)
        turns = _turns(messages)
        fields: Json = {
            "agent_id": agent_id,
            "run_id": run_id,
            "app_id": app_id,
            "metadata": None if metadata is None else dict(metadata),
            "expiration": _end_of(expiration_date),
        }
        if not turns:
            return {"results": [], "inferred": False}
        if not infer:
            added = space.add([turn["content"] for turn in turns], **fields)
            return {"results": [_event(memory) for memory in added], "inferred": False}
        procedural = memory_type == "procedural_memory"
        told = space.remember(turns, **fields, instructions=prompt, procedural=procedural, wait_s=self._patience_s)
        if not told["inferred"] and not self._said_so:
            self._said_so = True
            _log.info("no model draws conclusions here: memories are kept word for word")
        if told["status"] == "failed":
            raise TemporaryError(
                f"The model came to nothing: {told['error']} What was said is kept, as job {told['job']}.",
                code="provider_unavailable",
            )
        answer: Json = {"results": [_event(memory) for memory in told["found"]], "inferred": told["inferred"]}
        if told["status"] != "succeeded":
            answer.update(status="PENDING", event_id=told["job"])
        return answer

    def search(
        self,
        query: str,
        *,
        user_id: Union[str, int, None] = None,
        agent_id: Optional[str] = None,
        run_id: Optional[str] = None,
        app_id: Optional[str] = None,
        limit: Optional[int] = None,
        top_k: Optional[int] = None,
        filters: Optional[Mapping[str, Any]] = None,
        threshold: Optional[float] = None,
        rerank: bool = False,
    ) -> Results[Json]:
        """What fits best, best first. The answer is a list, and ``answer["results"]`` is the same list."""
        space, wanted = self._among(user_id, filters, agent_id, run_id, app_id)
        count = top_k if top_k is not None else limit if limit is not None else _HITS
        # As with mem0, the threshold is for the meaning alone, and zero cuts nothing off.
        asked: Json = {"query": query, "limit": count, "filters": wanted, "cosine_min": threshold or None}
        return self._shown(space, space._found(asked))

    def get_all(
        self,
        *,
        user_id: Union[str, int, None] = None,
        agent_id: Optional[str] = None,
        run_id: Optional[str] = None,
        app_id: Optional[str] = None,
        limit: Optional[int] = None,
        top_k: Optional[int] = None,
        filters: Optional[Mapping[str, Any]] = None,
    ) -> Results[Json]:
        """Every memory that matches, newest first; the newest ``limit`` if that is given."""
        space, wanted = self._among(user_id, filters, agent_id, run_id, app_id)
        count = top_k if top_k is not None else limit
        return self._shown(space, space.get_all(filters=wanted, limit=count))

    def get(self, memory_id: str, *, user_id: Union[str, int, None] = None) -> Optional[Json]:
        """One memory, or ``None``: the same for one of somebody else as for one of nobody."""
        try:
            space, memory = self._find(memory_id, user_id, lambda space: space.get(memory_id))
        except NotFoundError:
            return None
        return _shown(space.user_id, memory)

    def update(
        self,
        memory_id: str,
        data: Optional[str] = None,
        *,
        text: Optional[str] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        expiration_date: Union[str, date, None] = None,
        user_id: Union[str, int, None] = None,
    ) -> Json:
        """Change a memory's text, metadata (merged) or expiration."""
        changes: Json = {}
        if (text if data is None else data) is not None:
            changes["memory"] = text if data is None else data
        if metadata is not None:
            changes["metadata"] = dict(metadata)
        if expiration_date is not None:
            changes["expiration"] = _end_of(expiration_date)
        self._find(memory_id, user_id, lambda space: space.update(memory_id, **changes))
        return {"message": "Memory updated successfully!"}

    def delete(self, memory_id: str, *, user_id: Union[str, int, None] = None) -> Json:
        """Delete a memory, and its texts from its history."""
        self._find(memory_id, user_id, lambda space: space.delete(memory_id))
        return {"message": "Memory deleted successfully!"}

    def delete_all(
        self,
        *,
        user_id: Union[str, int, None] = None,
        agent_id: Optional[str] = None,
        run_id: Optional[str] = None,
        app_id: Optional[str] = None,
    ) -> Json:
        """Delete a user's memories, or those of an agent, run or application of theirs, in one transaction."""
        space, wanted = self._among(user_id, None, agent_id, run_id, app_id)
        space.delete_all(filters=wanted)
        return {"message": "Memories deleted successfully!"}

    def history(self, memory_id: str, *, user_id: Union[str, int, None] = None) -> List[Json]:
        """What happened to a memory, oldest first; nothing for one that is not here."""
        try:
            _, events = self._find(memory_id, user_id, lambda space: space.history(memory_id))
        except NotFoundError:
            return []
        return [
            {
                "memory_id": memory_id,
                "old_memory": event["old_memory"],
                "new_memory": event["new_memory"],
                "event": event["event"],
                "created_at": event["at"],
                "updated_at": event["at"],
                "is_deleted": event["event"] == "DELETE",
            }
            for event in events
        ]

    def erase(self, user_id: Union[str, int, None] = None) -> Json:
        """Destroy a user's space and its key, for good; answers the receipt."""
        return dict(self._space(user_id).erase())

    def close(self) -> None:
        """Close what this opened."""
        if self._owns:
            self._app.close()

    def __enter__(self) -> "Memory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _space(self, user_id: Union[str, int, None]) -> LocalSpace:
        """Whose space a call is about. A user who is not named is nobody: never everybody."""
        if self._bound is not None:
            return self._bound if user_id is None else self._bound.user(_user(user_id))
        if user_id is None:
            raise InvalidError("Say whose memory it is: user_id=…", code="invalid")
        return self._app.user(_user(user_id))

    def _among(
        self,
        user_id: Union[str, int, None],
        filters: Optional[Mapping[str, Any]],
        agent_id: Optional[str],
        run_id: Optional[str],
        app_id: Optional[str],
    ) -> Tuple[LocalSpace, Optional[Json]]:
        """A call's space, and which of its memories are meant."""
        named, condition = split(filters or {})
        whose = [user_id] if user_id is not None else []
        whose += named
        for other in whose[1:]:
            if _user(other) != _user(whose[0]):
                raise NotAllowedError("One call is about one user, and this one names two.", code="not_your_space")
        space = self._space(whose[0] if whose else None)
        labels = {"agent_id": agent_id, "run_id": run_id, "app_id": app_id}
        every = [{name: label} for name, label in labels.items() if label is not None]
        if condition:
            every.append(condition)
        return space, {"AND": every} if every else None

    def _find(
        self, memory_id: str, user_id: Union[str, int, None], ask: Callable[[LocalSpace], Any]
    ) -> Tuple[LocalSpace, Any]:
        """Asks for a memory by its id alone: the id leads its host to the few whose it may be."""
        if self._bound is not None or user_id is not None:
            space = self._space(user_id)
            return space, ask(space)
        for owner in self._app._owners(memory_id):
            space = self._app.user(owner)
            try:
                return space, ask(space)
            except NotFoundError:
                continue
        raise NotFoundError("There is nothing with this id.", code="not_found")

    def _shown(self, space: LocalSpace, memories: List[MemoryRecord]) -> Results[Json]:
        owner = space.user_id
        return Results(_shown(owner, memory) for memory in memories)


class AsyncMemory:
    """The same for asyncio: every call runs in a thread, and the loop goes on meanwhile."""

    def __init__(self, config: Optional[Mapping[str, Any]] = None, **setup: Any) -> None:
        self._memory = Memory(config, **setup)

    @classmethod
    async def from_config(cls, config_dict: Mapping[str, Any], **setup: Any) -> "AsyncMemory":
        return await asyncio.to_thread(cls, config_dict, **setup)

    async def add(self, messages: Messages, **fields: Any) -> Json:
        return await asyncio.to_thread(self._memory.add, messages, **fields)

    async def search(self, query: str, **fields: Any) -> Results[Json]:
        return await asyncio.to_thread(self._memory.search, query, **fields)

    async def get_all(self, **fields: Any) -> Results[Json]:
        return await asyncio.to_thread(self._memory.get_all, **fields)

    async def get(self, memory_id: str, **fields: Any) -> Optional[Json]:
        return await asyncio.to_thread(self._memory.get, memory_id, **fields)

    async def update(self, memory_id: str, data: Optional[str] = None, **fields: Any) -> Json:
        return await asyncio.to_thread(self._memory.update, memory_id, data, **fields)

    async def delete(self, memory_id: str, **fields: Any) -> Json:
        return await asyncio.to_thread(self._memory.delete, memory_id, **fields)

    async def delete_all(self, **fields: Any) -> Json:
        return await asyncio.to_thread(self._memory.delete_all, **fields)

    async def history(self, memory_id: str, **fields: Any) -> List[Json]:
        return await asyncio.to_thread(self._memory.history, memory_id, **fields)

    async def erase(self, user_id: Union[str, int, None] = None) -> Json:
        return await asyncio.to_thread(self._memory.erase, user_id)

    async def close(self) -> None:
        await asyncio.to_thread(self._memory.close)

    async def __aenter__(self) -> "AsyncMemory":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _user(user_id: object) -> str:
    """A user's id. Whole numbers stand for themselves, as primary keys often do; nothing stands for everybody."""
    if isinstance(user_id, int) and not isinstance(user_id, bool):
        return str(user_id)
    if isinstance(user_id, str) and user_id == "*":
        raise InvalidError("One call is about one user: name them in place of `*`.", code="invalid")
    if not isinstance(user_id, str) or not user_id:
        raise InvalidError(f"`user_id` is a text with something in it, not {user_id!r}.", code="invalid")
    return user_id


def _turns(messages: Messages) -> List[Dict[str, str]]:
    """What users and assistants said, in their words; what the system said, and what is no text, is not remembered."""
    if isinstance(messages, (str, Mapping)):
        messages = [messages]
    turns = []
    for message in messages:
        if isinstance(message, str):
            message = {"content": message}
        if not isinstance(message, Mapping):
            raise InvalidError('A message is a text, or {"role": "user", "content": "…"}.', code="invalid")
        role, content, name = message.get("role", "user"), message.get("content"), message.get("name")
        if isinstance(content, Sequence) and not isinstance(content, str):
            parts = [part for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
            content = "\n".join(str(part.get("text", "")) for part in parts)
        if role in ("user", "assistant") and isinstance(content, str) and content.strip():
            turns.append({"role": role, "content": content, **({"name": name} if isinstance(name, str) else {})})
    return turns


def _event(memory: Mapping[str, Any]) -> Json:
    """What became of a memory."""
    return {"id": memory["id"], "memory": memory["memory"], "event": "NOOP" if memory["existing"] else "ADD"}


def _end_of(day: Union[str, date, None]) -> Optional[str]:
    """A memory is seen through its expiration date: it goes with the first moment of the next day."""
    if day is None:
        return None
    try:
        last = day if isinstance(day, date) else date.fromisoformat(day)
        return f"{date.fromordinal(last.toordinal() + 1).isoformat()}T00:00:00Z"
    except (TypeError, ValueError) as error:
        raise InvalidError("`expiration_date` is a date, such as 2026-12-31.", code="invalid") from error


def _last_day(moment: Optional[str]) -> Optional[str]:
    if moment is None:
        return None
    day, _, rest = moment.partition("T")
    whole = rest in ("00:00:00Z", "00:00:00+00:00")
    return date.fromordinal(date.fromisoformat(day).toordinal() - 1).isoformat() if whole else day


def _shown(owner: str, memory: MemoryRecord) -> Json:
    """A memory as mem0 shows it."""
    shown: Dict[str, Any] = dict(memory)
    shown["expiration_date"] = _last_day(shown.pop("expiration"))
    shown["user_id"] = owner
    return shown
