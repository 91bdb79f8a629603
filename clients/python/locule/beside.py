"""What stands beside the memories of a space: relationships between them, the runs they are of, and jobs."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Literal, Mapping, Optional, Protocol, Sequence, cast

from .errors import InvalidError
from .records import (
    Job,
    JobPage,
    Json,
    Neighbours,
    Relationship,
    RelationshipPage,
    Results,
    Run,
    RunPage,
    decode,
    encode,
    text_id,
)

__all__ = ["BesideBackend", "Direction", "Jobs", "Relationships", "Runs"]

#: Which way relationships are followed, seen from a memory.
Direction = Literal["out", "in", "both"]

#: How many one page brings when everything is asked for.
_PAGE = 1000


class BesideBackend(Protocol):
    """What carries the calls out: see :class:`locule.space.Backend`, of which this is a part."""

    def relate(self, relationships: str, named: List[str]) -> str: ...
    def relationships(self, page: str, named: List[str]) -> str: ...
    def relationship(self, id: str, named: List[str]) -> str: ...
    def unrelate(self, id: str, named: List[str]) -> None: ...
    def neighbours(self, id: str, walk: str, named: List[str]) -> str: ...
    def runs(self, page: str, named: List[str]) -> str: ...
    def end_run(self, run_id: str, named: List[str]) -> int: ...
    def jobs(self, page: str, named: List[str]) -> str: ...
    def job(self, id: str, named: List[str]) -> str: ...
    def replay_job(self, id: str, named: List[str]) -> str: ...
    def delete_job(self, id: str, named: List[str]) -> None: ...


class _Beside:
    __slots__ = ("_backend", "_named")

    def __init__(self, backend: BesideBackend, named: Sequence[str] = ()) -> None:
        self._backend = backend
        self._named = list(named)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of one user>"


class Relationships(_Beside):
    """The relationships between a user's memories. Get them as :attr:`Space.relationships`.

    >>> alice.relationships.add(allergy["id"], "explains", diet["id"])
    >>> [memory["memory"] for memory in alice.relationships.neighbours(allergy["id"])["neighbours"]]
    """

    __slots__ = ()

    def add(
        self,
        source_memory_id: str,
        relationship_type: str,
        target_memory_id: str,
        *,
        strength: float = 1.0,
        metadata: Optional[Mapping[str, Any]] = None,
    ) -> Relationship:
        """Say how one memory stands to another, and how strongly, 0 to 1. If it stands so already that comes back as it is, with
        ``existing`` true."""
        return self.add_all(
            [
                {
                    "source_memory_id": source_memory_id,
                    "relationship_type": relationship_type,
                    "target_memory_id": target_memory_id,
                    "strength": strength,
                    "metadata": dict(metadata or {}),
                }
            ]
        )[0]

    def add_all(self, relationships: Sequence[Mapping[str, Any]]) -> Results[Relationship]:
        """Add up to 1,000 at once, all or none: mappings of what :meth:`add` takes."""
        if isinstance(relationships, (str, Mapping)) or not all(isinstance(each, Mapping) for each in relationships):
            raise InvalidError("`relationships` is a list of mappings.", code="invalid")
        given = encode([dict(each) for each in relationships])
        return Results(cast(List[Relationship], decode(self._backend.relate(given, self._named))))

    def page(
        self,
        *,
        memory_id: Optional[str] = None,
        direction: Optional[Direction] = None,
        relationship_type: Optional[str] = None,
        limit: int = 100,
        cursor: Optional[str] = None,
    ) -> RelationshipPage:
        """One page, newest first, up to 1,000: all of them, or those that lead from a memory (``out``), to it (``in``) or
        either."""
        page = {"memory_id": memory_id, "direction": direction, "relationship_type": relationship_type}
        asked = encode({**page, "limit": limit, "cursor": cursor})
        return cast(RelationshipPage, decode(self._backend.relationships(asked, self._named)))

    def __iter__(self) -> Iterator[Relationship]:
        """All of them, newest first, a page at a time."""
        return walk(lambda cursor: cast(Json, self.page(limit=_PAGE, cursor=cursor)), "relationships")

    def get(self, id: str) -> Relationship:
        """One of them, or :class:`NotFoundError`."""
        return cast(Relationship, decode(self._backend.relationship(text_id("id", id), self._named)))

    def delete(self, id: str) -> None:
        """Delete a relationship; its memories stay."""
        self._backend.unrelate(text_id("id", id), self._named)

    def neighbours(
        self,
        memory_id: str,
        *,
        direction: Direction = "both",
        hops: int = 1,
        relationship_type: Optional[str] = None,
        limit: int = 100,
    ) -> Neighbours:
        """The memories that relationships lead to from one, one or two ``hops`` away: the nearer first, and of equally near ones
        the more strongly related."""
        walk = {"direction": direction, "hops": hops, "relationship_type": relationship_type, "limit": limit}
        told = self._backend.neighbours(text_id("memory_id", memory_id), encode(walk), self._named)
        return cast(Neighbours, decode(told))


class Runs(_Beside):
    """The runs (conversations, tasks) that memories are of. Get them as :attr:`Space.runs`."""

    __slots__ = ()

    def page(self, *, limit: int = 100, cursor: Optional[str] = None) -> RunPage:
        """One page, those that were added to last first, up to 1,000."""
        asked = encode({"limit": limit, "cursor": cursor})
        return cast(RunPage, decode(self._backend.runs(asked, self._named)))

    def __iter__(self) -> Iterator[Run]:
        """All of them, a page at a time."""
        return walk(lambda cursor: cast(Json, self.page(limit=_PAGE, cursor=cursor)), "runs")

    def end(self, run_id: str) -> int:
        """Delete all memories of a run, in one transaction; says how many. What is to stay is promoted first
        (:meth:`Space.promote`)."""
        return self._backend.end_run(text_id("run_id", run_id), self._named)


class Jobs(_Beside):
    """What was asked for and is done behind the answer. Get them as :attr:`Space.jobs`."""

    __slots__ = ()

    def page(
        self, *, kind: Optional[str] = None, status: Optional[str] = None, limit: int = 100, cursor: Optional[str] = None
    ) -> JobPage:
        """One page, newest first, up to 1,000; those of a kind, and of a status."""
        asked = encode({"kind": kind, "status": status, "limit": limit, "cursor": cursor})
        return cast(JobPage, decode(self._backend.jobs(asked, self._named)))

    def __iter__(self) -> Iterator[Job]:
        """All of them, newest first, a page at a time. What is done goes after seven days."""
        return walk(lambda cursor: cast(Json, self.page(limit=_PAGE, cursor=cursor)), "jobs")

    def get(self, id: str) -> Job:
        """One of them, with the memories that came of it (``found``), or :class:`NotFoundError`."""
        return cast(Job, decode(self._backend.job(text_id("id", id), self._named)))

    def replay(self, id: str) -> Job:
        """Have one that failed be tried again, from the beginning."""
        return cast(Job, decode(self._backend.replay_job(text_id("id", id), self._named)))

    def delete(self, id: str) -> None:
        """Remove one, whatever has become of it. If it is under way, nothing comes of it."""
        self._backend.delete_job(text_id("id", id), self._named)


def walk(page: Callable[[Optional[str]], Json], what: str) -> Iterator[Any]:
    """Everything, a page at a time."""
    cursor: Optional[str] = None
    while True:
        found = page(cursor)
        yield from found[what]
        cursor = found["next_cursor"]
        if cursor is None:
            return
