"""A context whose calls are awaited: they run in threads, and the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import copy
import inspect
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, AsyncIterator, Awaitable, Callable, Iterable, List, Mapping, Optional, Sequence, TypeVar, Union

from .beside import Direction, Jobs, Relationships, Runs
from .context import Changes, Context, pause
from .errors import ConflictError
from .records import (
    Agent,
    Change,
    ContextStatistics,
    DeletedTopic,
    Entry,
    Job,
    JobPage,
    Json,
    Neighbours,
    Relationship,
    RelationshipPage,
    Results,
    Run,
    RunPage,
    Topic,
)

__all__ = ["AsyncChanges", "AsyncContext", "AsyncJobs", "AsyncRelationships", "AsyncRuns", "awaited", "walked"]

#: How many things a walk brings over from its thread at once: as many as a page has.
_AT_ONCE = 1000

Answer = TypeVar("Answer")


async def awaited(executor: Optional[Executor], call: Callable[..., Answer], *arguments: Any, **fields: Any) -> Answer:
    """What a call answers, made in a thread."""
    return await asyncio.get_running_loop().run_in_executor(executor, partial(call, *arguments, **fields))


async def walked(executor: Optional[Executor], items: Iterable[Answer]) -> AsyncIterator[Answer]:
    """All of what is read a page at a time, in a thread."""
    iterator = iter(items)
    while True:
        some = await awaited(executor, lambda: list(islice(iterator, _AT_ONCE)))
        for item in some:
            yield item
        if len(some) < _AT_ONCE:
            return


class AsyncChanges(AsyncIterator[Change]):
    """Changes of a context, as they happen: see :meth:`Context.changes`."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        # It waits in a thread of its own, so that those who follow keep no other call waiting.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="locule-changes")

    async def __anext__(self) -> Change:
        if self._changes.is_closed():
            raise StopAsyncIteration
        try:
            change: Optional[Change] = await awaited(self._thread, next, self._changes, None)
        except asyncio.CancelledError:
            # The thread may get a change yet, which nobody would hear of.
            self._end()
            raise
        if change is None:
            self._end()
            raise StopAsyncIteration
        return change

    async def aclose(self) -> None:
        """End it, also while another task waits for a change."""
        self._end()

    async def __aenter__(self) -> "AsyncChanges":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        self._changes.close()
        self._thread.shutdown(wait=False)

    def __del__(self) -> None:
        # If nobody follows any more, nothing is held open for them.
        if hasattr(self, "_thread"):
            self._end()


class AsyncContext:
    """:class:`Context` for asyncio: the same calls, awaited.

    >>> async for change in alice.context.changes(agent="writer"):
    ...     ...
    """

    __slots__ = ("_context", "_executor")

    def __init__(self, context: Context, executor: Optional[Executor] = None) -> None:
        self._context = context
        self._executor = executor

    async def push(
        self,
        key: str,
        value: Any,
        *,
        agents: Sequence[str] = (),
        topics: Sequence[str] = (),
        ttl_s: Optional[float] = None,
        sender: Optional[str] = None,
        include_sender: bool = False,
        metadata: Optional[Mapping[str, Any]] = None,
        expected_revision: Optional[int] = None,
    ) -> Entry:
        """See :meth:`Context.push`."""
        return await awaited(
            self._executor,
            self._context.push,
            key,
            value,
            agents=agents,
            topics=topics,
            ttl_s=ttl_s,
            sender=sender,
            include_sender=include_sender,
            metadata=metadata,
            expected_revision=expected_revision,
        )

    async def append(
        self,
        key: str,
        item: Any,
        *,
        agents: Sequence[str] = (),
        topics: Sequence[str] = (),
        ttl_s: Optional[float] = None,
        sender: Optional[str] = None,
        include_sender: bool = False,
        metadata: Optional[Mapping[str, Any]] = None,
    ) -> Entry:
        """See :meth:`Context.append`."""
        return await awaited(
            self._executor,
            self._context.append,
            key,
            item,
            agents=agents,
            topics=topics,
            ttl_s=ttl_s,
            sender=sender,
            include_sender=include_sender,
            metadata=metadata,
        )

    async def edit(
        self,
        key: str,
        value: Any,
        *,
        agents: Sequence[str] = (),
        topics: Sequence[str] = (),
        ttl_s: Optional[float] = None,
        sender: Optional[str] = None,
        include_sender: bool = False,
        metadata: Optional[Mapping[str, Any]] = None,
        expected_revision: Optional[int] = None,
    ) -> Entry:
        """See :meth:`Context.edit`."""
        return await awaited(
            self._executor,
            self._context.edit,
            key,
            value,
            agents=agents,
            topics=topics,
            ttl_s=ttl_s,
            sender=sender,
            include_sender=include_sender,
            metadata=metadata,
            expected_revision=expected_revision,
        )

    async def update(
        self,
        key: str,
        change: Callable[[Any], Union[Any, Awaitable[Any]]],
        *,
        default: Any = None,
        agents: Sequence[str] = (),
        topics: Sequence[str] = (),
        ttl_s: Optional[float] = None,
        sender: Optional[str] = None,
        include_sender: bool = False,
        metadata: Optional[Mapping[str, Any]] = None,
    ) -> Entry:
        """See :meth:`Context.update`. ``change`` is called in the event loop, and may be a coroutine function."""
        attempt = 0
        while True:
            there = await self.find(key)
            value = change(copy.deepcopy(default) if there is None else there["value"])
            if inspect.isawaitable(value):
                value = await value
            try:
                return await self.edit(
                    key,
                    value,
                    agents=agents,
                    topics=topics,
                    ttl_s=ttl_s,
                    sender=sender,
                    include_sender=include_sender,
                    metadata=metadata,
                    expected_revision=0 if there is None else there["revision"],
                )
            except ConflictError as error:
                if error.code != "conflict":
                    raise
            await asyncio.sleep(pause(attempt))
            attempt += 1

    async def get(self, key: str, *, agent: Optional[str] = None) -> Entry:
        """See :meth:`Context.get`."""
        return await awaited(self._executor, self._context.get, key, agent=agent)

    async def find(self, key: str, *, agent: Optional[str] = None) -> Optional[Entry]:
        """See :meth:`Context.find`."""
        return await awaited(self._executor, self._context.find, key, agent=agent)

    async def entries(
        self, *, keys: Optional[Sequence[str]] = None, agent: Optional[str] = None, topic: Optional[str] = None
    ) -> List[Entry]:
        """See :meth:`Context.entries`."""
        return await awaited(self._executor, self._context.entries, keys=keys, agent=agent, topic=topic)

    async def keys(self, *, agent: Optional[str] = None, topic: Optional[str] = None) -> List[str]:
        """See :meth:`Context.keys`."""
        return await awaited(self._executor, self._context.keys, agent=agent, topic=topic)

    async def remove(self, key: str, *, agent: Optional[str] = None) -> bool:
        """See :meth:`Context.remove`."""
        return await awaited(self._executor, self._context.remove, key, agent=agent)

    async def remove_expired(self) -> int:
        """See :meth:`Context.remove_expired`."""
        return await awaited(self._executor, self._context.remove_expired)

    async def clear(self) -> None:
        """See :meth:`Context.clear`."""
        return await awaited(self._executor, self._context.clear)

    async def topics(self) -> List[Topic]:
        """See :meth:`Context.topics`."""
        return await awaited(self._executor, self._context.topics)

    async def delete_topic(self, topic: str) -> DeletedTopic:
        """See :meth:`Context.delete_topic`."""
        return await awaited(self._executor, self._context.delete_topic, topic)

    async def agents(self) -> List[Agent]:
        """See :meth:`Context.agents`."""
        return await awaited(self._executor, self._context.agents)

    async def subscribe(self, agent: str, topics: Sequence[str]) -> Agent:
        """See :meth:`Context.subscribe`."""
        return await awaited(self._executor, self._context.subscribe, agent, topics)

    async def unsubscribe(self, agent: str, topics: Sequence[str]) -> Agent:
        """See :meth:`Context.unsubscribe`."""
        return await awaited(self._executor, self._context.unsubscribe, agent, topics)

    async def permit(self, agent: str, topics: Sequence[str]) -> Agent:
        """See :meth:`Context.permit`."""
        return await awaited(self._executor, self._context.permit, agent, topics)

    async def statistics(self) -> ContextStatistics:
        """See :meth:`Context.statistics`."""
        return await awaited(self._executor, self._context.statistics)

    async def tools(self, framework: str = "openai", *, role: str = "admin") -> List[Json]:
        """See :meth:`Context.tools`."""
        return await awaited(self._executor, self._context.tools, framework, role=role)

    async def call_tool(
        self, tool: str, arguments: Optional[Mapping[str, Any]] = None, *, agent: str, role: str = "admin"
    ) -> Json:
        """See :meth:`Context.call_tool`."""
        return await awaited(self._executor, self._context.call_tool, tool, arguments, agent=agent, role=role)

    def changes(
        self, *, after: int = 0, agent: Optional[str] = None, wait_s: Optional[float] = None, patience_s: float = 60.0
    ) -> AsyncChanges:
        """See :meth:`Context.changes`. It ends with the task that follows it, or with ``aclose()``."""
        return AsyncChanges(self._context.changes(after=after, agent=agent, wait_s=wait_s, patience_s=patience_s))

    def __repr__(self) -> str:
        return repr(self._context)


class AsyncRelationships:
    """:class:`Relationships` for asyncio: the same calls, awaited."""

    __slots__ = ("_relationships", "_executor")

    def __init__(self, relationships: Relationships, executor: Optional[Executor] = None) -> None:
        self._relationships = relationships
        self._executor = executor

    async def add(
        self,
        source_memory_id: str,
        relationship_type: str,
        target_memory_id: str,
        *,
        strength: float = 1.0,
        metadata: Optional[Mapping[str, Any]] = None,
    ) -> Relationship:
        """See :meth:`Relationships.add`."""
        add = self._relationships.add
        given = (source_memory_id, relationship_type, target_memory_id)
        return await awaited(self._executor, add, *given, strength=strength, metadata=metadata)

    async def add_all(self, relationships: Sequence[Mapping[str, Any]]) -> Results[Relationship]:
        """See :meth:`Relationships.add_all`."""
        return await awaited(self._executor, self._relationships.add_all, relationships)

    async def page(
        self,
        *,
        memory_id: Optional[str] = None,
        direction: Optional[Direction] = None,
        relationship_type: Optional[str] = None,
        limit: int = 100,
        cursor: Optional[str] = None,
    ) -> RelationshipPage:
        """See :meth:`Relationships.page`."""
        return await awaited(
            self._executor,
            self._relationships.page,
            memory_id=memory_id,
            direction=direction,
            relationship_type=relationship_type,
            limit=limit,
            cursor=cursor,
        )

    def __aiter__(self) -> AsyncIterator[Relationship]:
        """All of them, newest first, a page at a time."""
        return walked(self._executor, self._relationships)

    async def get(self, id: str) -> Relationship:
        """See :meth:`Relationships.get`."""
        return await awaited(self._executor, self._relationships.get, id)

    async def delete(self, id: str) -> None:
        """See :meth:`Relationships.delete`."""
        return await awaited(self._executor, self._relationships.delete, id)

    async def neighbours(
        self,
        memory_id: str,
        *,
        direction: Direction = "both",
        hops: int = 1,
        relationship_type: Optional[str] = None,
        limit: int = 100,
    ) -> Neighbours:
        """See :meth:`Relationships.neighbours`."""
        return await awaited(
            self._executor,
            self._relationships.neighbours,
            memory_id,
            direction=direction,
            hops=hops,
            relationship_type=relationship_type,
            limit=limit,
        )


class AsyncRuns:
    """:class:`Runs` for asyncio: the same calls, awaited."""

    __slots__ = ("_runs", "_executor")

    def __init__(self, runs: Runs, executor: Optional[Executor] = None) -> None:
        self._runs = runs
        self._executor = executor

    async def page(self, *, limit: int = 100, cursor: Optional[str] = None) -> RunPage:
        """See :meth:`Runs.page`."""
        return await awaited(self._executor, self._runs.page, limit=limit, cursor=cursor)

    def __aiter__(self) -> AsyncIterator[Run]:
        """All of them, a page at a time."""
        return walked(self._executor, self._runs)

    async def end(self, run_id: str) -> int:
        """See :meth:`Runs.end`."""
        return await awaited(self._executor, self._runs.end, run_id)


class AsyncJobs:
    """:class:`Jobs` for asyncio: the same calls, awaited."""

    __slots__ = ("_jobs", "_executor")

    def __init__(self, jobs: Jobs, executor: Optional[Executor] = None) -> None:
        self._jobs = jobs
        self._executor = executor

    async def page(
        self, *, kind: Optional[str] = None, status: Optional[str] = None, limit: int = 100, cursor: Optional[str] = None
    ) -> JobPage:
        """See :meth:`Jobs.page`."""
        return await awaited(self._executor, self._jobs.page, kind=kind, status=status, limit=limit, cursor=cursor)

    def __aiter__(self) -> AsyncIterator[Job]:
        """All of them, newest first, a page at a time."""
        return walked(self._executor, self._jobs)

    async def get(self, id: str) -> Job:
        """See :meth:`Jobs.get`."""
        return await awaited(self._executor, self._jobs.get, id)

    async def replay(self, id: str) -> Job:
        """See :meth:`Jobs.replay`."""
        return await awaited(self._executor, self._jobs.replay, id)

    async def delete(self, id: str) -> None:
        """See :meth:`Jobs.delete`."""
        return await awaited(self._executor, self._jobs.delete, id)
