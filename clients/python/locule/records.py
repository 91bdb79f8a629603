"""What goes in and comes out, as types: plain dictionaries, in the words of the HTTP interface."""

from __future__ import annotations

import json
from typing import Any, Dict, Generic, List, Literal, Optional, TypedDict, TypeVar, Union, overload

from .errors import InvalidError, LimitError

__all__ = [
    "Agent",
    "Category",
    "Change",
    "ContextStatistics",
    "DeletedTopic",
    "Entry",
    "EntryChange",
    "Event",
    "Feedback",
    "Found",
    "Job",
    "JobPage",
    "Json",
    "KeysChange",
    "MemoryRecord",
    "Neighbour",
    "Neighbours",
    "Page",
    "Receipt",
    "Relationship",
    "RelationshipPage",
    "Remembered",
    "RemovedChange",
    "Results",
    "Run",
    "RunPage",
    "Settings",
    "Topic",
    "Usage",
    "decode",
    "encode",
    "text_id",
]

Json = Dict[str, Any]

Item = TypeVar("Item")


class _Memory(TypedDict):
    id: str
    memory: str
    agent_id: Optional[str]
    run_id: Optional[str]
    app_id: Optional[str]
    categories: List[str]
    metadata: Json
    hash: str
    expiration: Optional[str]
    created_at: str
    updated_at: str


class MemoryRecord(_Memory, total=False):
    """A memory. ``score`` and ``score_parts`` are in answers to a search, ``existing`` in those to an add."""

    score: float
    score_parts: Dict[str, float]
    existing: bool


class Event(TypedDict):
    """One line of a memory's history: ``event`` is ``ADD``, ``UPDATE`` or ``DELETE``."""

    event: str
    old_memory: Optional[str]
    new_memory: Optional[str]
    at: str


class Page(TypedDict):
    """One page of memories, newest first; ``next_cursor`` is ``None`` on the last."""

    memories: List[MemoryRecord]
    total: int
    next_cursor: Optional[str]


class Usage(TypedDict, total=False):
    """How full a space is."""

    memories: int
    memories_max: int
    entries: int
    entries_max: int
    agents: int
    agents_max: int
    size_bytes: int
    size_bytes_max: int
    model: Optional[str]
    dimension: Optional[int]
    memory_count: int


class Found(TypedDict):
    """A memory that came of a conversation; ``memory`` is ``None`` if it is there no more, and with ``existing`` it was there
    before."""

    id: str
    memory: Optional[str]
    existing: bool


class Remembered(TypedDict):
    """What has become of a conversation. Unless a model was asked ``inferred`` is false, and it was kept word for word.

    ``status`` is ``succeeded``, ``pending``, ``running`` or ``failed``; ``error`` says why it failed, or why the last attempt
    did; ``job`` is for :meth:`Space.remembered`; ``found`` is what came of it.
    """

    inferred: bool
    status: str
    job: Optional[str]
    error: Optional[str]
    found: List[Found]


class _Relationship(TypedDict):
    id: str
    source_memory_id: str
    target_memory_id: str
    relationship_type: str
    strength: float
    metadata: Json
    created_at: str


class Relationship(_Relationship, total=False):
    """How one memory stands to another. ``existing`` is in answers to an add."""

    existing: bool


class RelationshipPage(TypedDict):
    """One page of relationships, newest first; ``next_cursor`` is ``None`` on the last."""

    relationships: List[Relationship]
    total: int
    next_cursor: Optional[str]


class Neighbour(_Memory):
    """A memory that relationships lead to: ``path`` is those of the shortest way, and ``distance`` how many they are."""

    distance: int
    path: List[Relationship]


class Neighbours(TypedDict):
    """The nearer first; ``more`` says whether there are more than were asked for."""

    neighbours: List[Neighbour]
    more: bool


class _Job(TypedDict):
    id: str
    kind: str
    status: str
    payload: Json
    results: Optional[Json]
    error: Optional[str]
    attempts: int
    due_at: Optional[str]
    created_at: str
    updated_at: str
    started_at: Optional[str]
    completed_at: Optional[str]


class Job(_Job, total=False):
    """Work that was asked for and is done behind the answer: ``kind`` is ``extract``, ``export``, ``summarize`` or ``deliver``,
    ``status`` is ``pending``, ``running``, ``succeeded`` or ``failed``. ``found`` is in the answer for one job."""

    found: List[Found]


class JobPage(TypedDict):
    """One page of jobs, newest first; ``next_cursor`` is ``None`` on the last."""

    jobs: List[Job]
    total: int
    next_cursor: Optional[str]


class Run(TypedDict):
    """A run (conversation, task), as its memories tell of it; ``expiration`` is ``None`` if some of them are to stay."""

    run_id: str
    memories: int
    first_memory: str
    latest_memory: str
    expiration: Optional[str]


class RunPage(TypedDict):
    """One page of runs, those that were added to last first; ``next_cursor`` is ``None`` on the last."""

    runs: List[Run]
    total: int
    next_cursor: Optional[str]


class Category(TypedDict, total=False):
    """A label that a model may give to memories, and what it is for."""

    name: str
    description: Optional[str]


class Settings(TypedDict, total=False):
    """How what a user tells is to be remembered, as far as it is set."""

    custom_instructions: str
    agent_custom_instructions: str
    custom_categories: List[Category]


class Feedback(TypedDict):
    """What was said of a memory: ``POSITIVE``, ``NEGATIVE``, ``VERY_NEGATIVE`` or nothing, and why."""

    feedback: Optional[str]
    feedback_reason: Optional[str]


class Receipt(TypedDict, total=False):
    """What an erasure did."""

    erased: bool
    erased_at: str
    key_destroyed: bool
    files_removed: int
    residue: int
    tokens_refused_until: str
    note: str


class Entry(TypedDict):
    """What stands under one key of the context. ``audience`` names the agents that may read it, and is ``None`` for all of them;
    ``writer`` is the agent that wrote it, ``ttl_s`` after how many seconds it is gone, and ``revision`` rises with every
    change."""

    key: str
    value: Any
    audience: Optional[List[str]]
    topics: List[str]
    writer: Optional[str]
    metadata: Optional[Json]
    ttl_s: Optional[float]
    created_at: str
    revision: int


class Agent(TypedDict):
    """An agent: the ``topics`` that it follows, and those that it ``posts`` to, which is any if there are none or ``None``."""

    name: str
    topics: List[str]
    posts: Optional[List[str]]


class Topic(TypedDict):
    """A topic: the agents that follow it, and how many entries it has."""

    name: str
    subscribers: List[str]
    entries: int


class DeletedTopic(TypedDict):
    """How many agents had followed a topic, and how many entries went with it."""

    subscribers: int
    entries: int


class ContextStatistics(TypedDict):
    """Figures over the context."""

    total_items: int
    active_items: int
    expired_items: int
    global_items: int
    private_items: int
    total_topics: int
    agents_with_topics: int


class KeysChange(TypedDict):
    """What changes begin with: all the ``keys`` there are."""

    event: Literal["keys"]
    after: int
    keys: List[str]


class EntryChange(TypedDict):
    """An ``entry`` was written."""

    event: Literal["entry"]
    after: int
    entry: Entry


class RemovedChange(TypedDict):
    """The entry of a ``key`` is gone."""

    event: Literal["removed"]
    after: int
    key: str


#: A piece of news, told apart by its ``event``. ``changes(after=change["after"])`` goes on behind it, in whatever process.
Change = Union[KeysChange, EntryChange, RemovedChange]


class Results(List[Item], Generic[Item]):
    """A list that is also ``{"results": …}``: ``for hit in found`` and ``found["results"]`` both work."""

    __slots__ = ()

    @overload  # type: ignore[override]
    def __getitem__(self, key: int) -> Item: ...
    @overload
    def __getitem__(self, key: slice) -> List[Item]: ...
    @overload
    def __getitem__(self, key: str) -> "Results[Item]": ...
    def __getitem__(self, key: Union[int, slice, str]) -> Any:
        if isinstance(key, str):
            if key == "results":
                return self
            raise KeyError(key)
        return super().__getitem__(key)

    def __contains__(self, item: object) -> bool:
        return item == "results" or super().__contains__(item)

    def get(self, key: str, default: Any = None) -> Any:
        return self if key == "results" else default

    def keys(self) -> List[str]:
        return ["results"]


def text_id(name: str, value: object) -> str:
    """An id that is a text with something in it. Nothing, zero and the empty text never stand for everything."""
    if not isinstance(value, str) or not value:
        raise InvalidError(f"`{name}` is a text with something in it, not {value!r}.", code="invalid")
    return value


def decode(text: str) -> Any:
    """What JSON says."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LimitError(
            f"The answer has a value that this Python does not read: {error}. For whole numbers of very many digits raise "
            "sys.set_int_max_str_digits.",
            code="too_large",
        ) from error


def encode(value: object) -> str:
    """JSON, or a clear word about what is none."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidError(f"This cannot be kept: {error}.", code="invalid") from error
