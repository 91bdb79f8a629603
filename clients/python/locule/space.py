"""One user's space, in this process or on a server: the same calls, the same answers."""

from __future__ import annotations

import copy
import json
import time
from typing import (
    Any,
    BinaryIO,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    TypeVar,
    Union,
    cast,
    overload,
)

from .beside import BesideBackend, Jobs, Relationships, Runs, walk
from .context import Context, ContextBackend, pause
from .errors import InvalidError
from .records import (
    Event,
    Feedback,
    Found,
    Json,
    MemoryRecord,
    Page,
    Receipt,
    Remembered,
    Results,
    Settings,
    Usage,
    encode,
    text_id,
)

__all__ = ["Space", "NewMemory"]

#: A memory to add: its text, or a mapping with ``memory`` and any of ``agent_id``, ``run_id``, ``app_id``, ``categories``,
#: ``metadata``, ``expiration``, ``ttl_s`` and ``embedding``.
NewMemory = Union[str, Mapping[str, Any]]

#: How many memories one page brings when everything is asked for.
_PAGE = 1000

#: How long to wait at first before looking again whether a model is done.
LOOK_S = 0.02


Own = TypeVar("Own", bound="Space")


class Backend(BesideBackend, Protocol):
    """What carries the calls out: the native module, or HTTP. Texts are JSON; ``named`` is every user the call names."""

    def user_id(self) -> str: ...
    def confirm(self, named: List[str]) -> None: ...
    def add(self, memories: str, named: List[str]) -> str: ...
    def search(self, query: str, named: List[str]) -> str: ...
    def list(self, page: str, named: List[str]) -> str: ...
    def get(self, id: str, named: List[str]) -> str: ...
    def history(self, id: str, named: List[str]) -> str: ...
    def update(self, id: str, change: str, named: List[str]) -> str: ...
    def delete(self, id: str, named: List[str]) -> None: ...
    def delete_all(self, filters: Optional[str], named: List[str]) -> int: ...
    def promote(self, id: str, named: List[str]) -> str: ...
    def usage(self, named: List[str]) -> str: ...
    def export(self, file: BinaryIO, named: List[str]) -> int: ...
    def erase(self, named: List[str]) -> str: ...
    def remember(self, conversation: str, named: List[str]) -> str: ...
    def delete_expired(self, named: List[str]) -> int: ...
    def settings(self, named: List[str]) -> str: ...
    def change_settings(self, change: str, named: List[str]) -> str: ...
    def feedback(self, id: str, named: List[str]) -> str: ...
    def give_feedback(self, id: str, feedback: str, named: List[str]) -> None: ...
    def context(self) -> ContextBackend: ...


class Space:
    """All of one user's data. It is bound to its owner: there is no call here that names anybody else.

    Get one from :meth:`Locule.user`, :meth:`Locule.as_user` or :class:`Client`.
    """

    __slots__ = ("_backend", "_named")

    def __init__(self, backend: Backend, named: Sequence[str] = ()) -> None:
        self._backend = backend
        self._named = list(named)

    @property
    def user_id(self) -> str:
        """Whose space it is."""
        return self._backend.user_id()

    @property
    def context(self) -> Context:
        """What this user's agents share: see :class:`Context`."""
        return Context(self._backend.context(), self._named)

    def user(self: Own, user_id: str) -> Own:
        """This space again, for code that names its user each time. Anybody but its owner is a ``PermissionError``."""
        named = [text_id("user_id", user_id)]
        self._backend.confirm(named)
        again = copy.copy(self)
        again._named = named
        return again

    @property
    def relationships(self) -> Relationships:
        """How memories stand to each other: see :class:`Relationships`."""
        return Relationships(self._backend, self._named)

    @property
    def runs(self) -> Runs:
        """The runs that memories are of: see :class:`Runs`."""
        return Runs(self._backend, self._named)

    @property
    def jobs(self) -> Jobs:
        """What is done behind the answer: see :class:`Jobs`."""
        return Jobs(self._backend, self._named)

    # A text is a sequence of texts to a type checker, and one memory here.
    @overload
    def add(  # type: ignore[overload-overlap]
        self,
        memory: Union[str, Mapping[str, Any]],
        *,
        agent_id: Optional[str] = ...,
        run_id: Optional[str] = ...,
        app_id: Optional[str] = ...,
        categories: Optional[Sequence[str]] = ...,
        metadata: Optional[Mapping[str, Any]] = ...,
        expiration: Optional[str] = ...,
        ttl_s: Optional[int] = ...,
        embedding: Optional[Sequence[float]] = ...,
    ) -> MemoryRecord: ...
    @overload
    def add(
        self,
        memory: Sequence[NewMemory],
        *,
        agent_id: Optional[str] = ...,
        run_id: Optional[str] = ...,
        app_id: Optional[str] = ...,
        categories: Optional[Sequence[str]] = ...,
        metadata: Optional[Mapping[str, Any]] = ...,
        expiration: Optional[str] = ...,
        ttl_s: Optional[int] = ...,
    ) -> Results[MemoryRecord]: ...
    def add(self, memory: Union[NewMemory, Sequence[NewMemory]], **fields: Any) -> Any:
        """Add one memory, or up to 1,000 at once, all or none; they are durable when this returns.

        What is given beside a list goes for each of its memories. A text that is there already with the same agent, run and
        app comes back as it is, with ``existing`` true.
        """
        fields = {name: value for name, value in fields.items() if value is not None}
        one = isinstance(memory, (str, Mapping))
        given = cast(List[NewMemory], [memory] if one else list(cast(Sequence[NewMemory], memory)))
        added = json.loads(self._backend.add(encode([_new(each, fields) for each in given]), self._named))
        return added[0] if one else Results(added)

    def remember(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        agent_id: Optional[str] = None,
        run_id: Optional[str] = None,
        app_id: Optional[str] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        expiration: Optional[str] = None,
        instructions: Optional[str] = None,
        procedural: bool = False,
        wait_s: float = 60.0,
    ) -> Remembered:
        """Have a model (``chat`` of :class:`Locule`, ``[chat]`` of a server) find out what of a conversation is worth
        remembering; without one it is kept word for word. ``messages`` are ``{"role": "user" or "assistant", "content": …}``.

        >>> told = alice.remember([{"role": "user", "content": "I moved to Rome"}])
        >>> [each["memory"] for each in told["found"]]
        ['Lives in Rome']

        The conversation is durable before the model is asked, and ``wait_s`` is how long this waits for it: if it is not done by
        then, :meth:`remembered` tells later. ``instructions`` say what to remember and what not. With ``procedural`` the messages
        are the record of an agent's work (``agent_id``), of which one memory is made: how to go on with it.
        """
        conversation = _conversation(
            messages,
            agent_id=agent_id,
            run_id=run_id,
            app_id=app_id,
            metadata=metadata,
            expiration=expiration,
            custom_instructions=instructions,
            procedural=procedural,
        )
        told = json.loads(self._backend.remember(conversation, self._named))
        if "added" not in told:
            return self.remembered(told["job"], wait_s=wait_s)
        found = [cast(Found, {name: memory[name] for name in ("id", "memory", "existing")}) for memory in told["added"]]
        return {"inferred": False, "status": "succeeded", "job": None, "error": None, "found": found}

    def remembered(self, job: str, *, wait_s: float = 0.0) -> Remembered:
        """What has become of a conversation; ``wait_s`` is how long to wait until that is over. A job that is not of this space
        is a :class:`NotFoundError`, and so is one that was done a week ago."""
        end, attempt = time.monotonic() + wait_s, 0
        while True:
            said = json.loads(self._backend.job(text_id("job", job), self._named))
            told: Remembered = {
                "inferred": True,
                "status": said["status"],
                "job": said["id"],
                "error": said["error"],
                "found": said["found"],
            }
            left = end - time.monotonic()
            if told["status"] in ("succeeded", "failed") or left <= 0:
                return told
            time.sleep(min(left, pause(attempt, LOOK_S)))
            attempt += 1

    def search(
        self,
        query: Optional[str] = None,
        *,
        embedding: Optional[Sequence[float]] = None,
        limit: int = 10,
        threshold: Optional[float] = None,
        filters: Optional[Mapping[str, Any]] = None,
        explain: bool = False,
    ) -> Results[MemoryRecord]:
        """What fits best, by meaning and by words, best first; ``score`` says how well, within this answer.

        ``filters`` says among which: ``{"agent_id": "chef", "metadata.kind": {"in": ["food", "drink"]}}``.
        """
        asked: Json = {"query": query, "limit": limit, "threshold": threshold, "explain": explain}
        if embedding is not None:
            asked["embedding"] = [float(number) for number in embedding]
        if filters is not None:
            asked["filters"] = dict(filters)
        return self._found(asked)

    def _found(self, asked: Json) -> Results[MemoryRecord]:
        return Results(json.loads(self._backend.search(encode(asked), self._named)))

    def page(
        self, *, limit: int = 100, cursor: Optional[str] = None, filters: Optional[Mapping[str, Any]] = None
    ) -> Page:
        """One page of memories, newest first, up to 1,000. ``total`` counts all that match, exactly."""
        asked: Json = {"limit": limit, "cursor": cursor}
        if filters is not None:
            asked["filters"] = dict(filters)
        return cast(Page, json.loads(self._backend.list(encode(asked), self._named)))

    def __iter__(self) -> Iterator[MemoryRecord]:
        """Every memory, newest first, a page at a time."""
        return self.iterate()

    def iterate(self, *, filters: Optional[Mapping[str, Any]] = None) -> Iterator[MemoryRecord]:
        """Every memory that matches, newest first, a page at a time."""
        return walk(lambda cursor: cast(Json, self.page(limit=_PAGE, cursor=cursor, filters=filters)), "memories")

    def get_all(
        self, *, filters: Optional[Mapping[str, Any]] = None, limit: Optional[int] = None
    ) -> Results[MemoryRecord]:
        """Every memory that matches, newest first; the newest ``limit`` if that is given."""
        found: Results[MemoryRecord] = Results()
        if limit is not None and limit <= _PAGE:
            found.extend(self.page(limit=limit, filters=filters)["memories"])
            return found
        for memory in self.iterate(filters=filters):
            if limit is not None and len(found) == limit:
                break
            found.append(memory)
        return found

    def get(self, id: str) -> MemoryRecord:
        """One memory, or :class:`NotFoundError`: the same for one of somebody else as for one of nobody."""
        return cast(MemoryRecord, json.loads(self._backend.get(text_id("id", id), self._named)))

    def history(self, id: str) -> List[Event]:
        """What happened to a memory, oldest first."""
        return cast(List[Event], json.loads(self._backend.history(text_id("id", id), self._named)))

    def update(self, id: str, memory: Optional[str] = None, **changes: Any) -> MemoryRecord:
        """Change a memory: its text, or ``agent_id``, ``run_id``, ``app_id``, ``categories``, ``metadata``, ``expiration``,
        ``embedding``. What is not given stays; ``None`` removes. Metadata is merged, as RFC 7396 says."""
        if memory is not None:
            changes["memory"] = memory
        changed = self._backend.update(text_id("id", id), encode(changes), self._named)
        return cast(MemoryRecord, json.loads(changed))

    def delete(self, id: str) -> None:
        """Delete a memory, and its texts from its history."""
        self._backend.delete(text_id("id", id), self._named)

    def delete_all(self, *, filters: Optional[Mapping[str, Any]] = None) -> int:
        """Delete all memories that match, all of them without a filter, in one transaction; says how many."""
        text = None if filters is None else encode(dict(filters))
        return self._backend.delete_all(text, self._named)

    def promote(self, id: str) -> MemoryRecord:
        """Keep a memory of a run for good: it is of no run any more, and does not expire."""
        return cast(MemoryRecord, json.loads(self._backend.promote(text_id("id", id), self._named)))

    def delete_expired(self) -> int:
        """Remove the memories that have expired, at once and for good; says how many. They are seen nowhere as it is, and go bit
        by bit with the next writes."""
        return self._backend.delete_expired(self._named)

    def settings(self) -> Settings:
        """How what this user tells is to be remembered, as far as they say; where they do not, their project's settings count."""
        return cast(Settings, json.loads(self._backend.settings(self._named)))

    def change_settings(self, **changes: Any) -> Settings:
        """Change ``custom_instructions`` (what to remember and what not, in words for the model), ``agent_custom_instructions`` or
        ``custom_categories`` (``[{"name": …, "description": …}]``). What is not given stays; ``None`` takes away. Answers what
        the settings are then."""
        return cast(Settings, json.loads(self._backend.change_settings(encode(changes), self._named)))

    def feedback(self, id: str) -> Feedback:
        """What was said of a memory."""
        return cast(Feedback, json.loads(self._backend.feedback(text_id("id", id), self._named)))

    def give_feedback(self, id: str, feedback: Optional[str], reason: Optional[str] = None) -> None:
        """Say what you think of a memory, in place of what was said before: ``"POSITIVE"``, ``"NEGATIVE"``, ``"VERY_NEGATIVE"``,
        or ``None`` to take it back; and why."""
        said = encode({"feedback": feedback, "feedback_reason": reason})
        self._backend.give_feedback(text_id("id", id), said, self._named)

    def usage(self) -> Usage:
        """How full the space is."""
        return cast(Usage, json.loads(self._backend.usage(self._named)))

    def export(self, file: BinaryIO) -> int:
        """Write everything in the space to a binary file as one JSON object; says how many memories there are."""
        return self._backend.export(file, self._named)

    def erase(self) -> Receipt:
        """Destroy the space and its key, for good. Tokens from before open nothing afterwards."""
        return cast(Receipt, json.loads(self._backend.erase(self._named)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of one user>"


def _conversation(
    messages: Sequence[Mapping[str, str]], *, metadata: Optional[Mapping[str, Any]], **fields: Any
) -> str:
    if isinstance(messages, (str, Mapping)) or not all(isinstance(message, Mapping) for message in messages):
        raise InvalidError('`messages` is a list of {"role": "user", "content": "…"}.', code="invalid")
    conversation = {**fields, "messages": [dict(message) for message in messages], "metadata": dict(metadata or {})}
    return encode({name: value for name, value in conversation.items() if value is not None})


def _new(memory: NewMemory, fields: Dict[str, Any]) -> Json:
    if isinstance(memory, str):
        return {**fields, "memory": memory}
    if not isinstance(memory, Mapping):
        raise InvalidError(f"A memory is a text or a mapping, not {type(memory).__name__}.", code="invalid")
    return {**fields, **memory}
