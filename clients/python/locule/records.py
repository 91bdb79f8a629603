"""What goes in and comes out, as types: plain dictionaries, in the words of the HTTP interface."""

from __future__ import annotations

import json
from typing import Any, Dict, Generic, List, Optional, TypedDict, TypeVar, Union, overload

from .errors import InvalidError

__all__ = ["MemoryRecord", "Event", "Page", "Usage", "Receipt", "Results", "Json"]

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
    size_bytes: int
    size_bytes_max: int
    model: Optional[str]
    dimension: Optional[int]
    memory_count: int


class Receipt(TypedDict, total=False):
    """What an erasure did."""

    erased: bool
    erased_at: str
    key_destroyed: bool
    files_removed: int
    residue: int
    tokens_refused_until: str
    note: str


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


def encode(value: object) -> str:
    """JSON, or a clear word about what is none."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidError(f"This cannot be kept: {error}.", code="invalid") from error
