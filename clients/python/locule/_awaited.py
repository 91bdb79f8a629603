"""A context whose calls are awaited: they run in threads, and the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import copy
import inspect
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any, AsyncIterator, Awaitable, Callable, List, Mapping, Optional, Sequence, TypeVar, Union

from .context import Context, pause
from .errors import ConflictError
from .records import Agent, Change, ContextStatistics, DeletedTopic, Entry, Json, Topic

__all__ = ["AsyncContext", "awaited"]

Answer = TypeVar("Answer")


async def awaited(executor: Optional[Executor], call: Callable[..., Answer], *arguments: Any, **fields: Any) -> Answer:
    """What a call answers, made in a thread."""
    return await asyncio.get_running_loop().run_in_executor(executor, partial(call, *arguments, **fields))


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

    async def changes(
        self, *, after: int = 0, agent: Optional[str] = None, wait_s: Optional[float] = None, patience_s: float = 60.0
    ) -> AsyncIterator[Change]:
        """See :meth:`Context.changes`. It ends with the task that follows it, or with ``aclose()``."""
        changes = self._context.changes(after=after, agent=agent, wait_s=wait_s, patience_s=patience_s)
        # It waits in a thread of its own, so that those who follow keep no other call waiting.
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="locule-changes")
        try:
            while True:
                change = await awaited(thread, next, changes, None)
                if change is None:
                    return
                yield change
        finally:
            changes.close()
            thread.shutdown(wait=False)

    def __repr__(self) -> str:
        return repr(self._context)
