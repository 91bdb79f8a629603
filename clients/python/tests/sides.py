"""The same calls in process, on a server, and awaited: a program that is run on each side answers alike."""

from __future__ import annotations

import asyncio
import itertools
import threading
from contextlib import ExitStack, contextmanager
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List

from locule import (
    AsyncClient,
    AsyncContext,
    AsyncJobs,
    AsyncRelationships,
    AsyncRuns,
    AsyncSpace,
    Client,
    Locule,
)

#: Every way in.
SIDES = ("process", "server", "process, awaited", "server, awaited")

_PARTS = (AsyncContext, AsyncJobs, AsyncRelationships, AsyncRuns, AsyncSpace)

_numbers = itertools.count()


class Loop:
    """An event loop in a thread of its own, for programs that do not wait."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, call: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(120)

    def close(self) -> None:
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Waiting:
    """An asynchronous space or context whose calls are waited for."""

    def __init__(self, loop: Loop, awaited: Any) -> None:
        self._loop, self._awaited = loop, awaited

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._awaited, name)
        if isinstance(found, _PARTS):
            return Waiting(self._loop, found)
        if not callable(found):
            return found

        def call(*arguments: Any, **fields: Any) -> Any:
            answer = found(*arguments, **fields)
            if isinstance(answer, AsyncIterator):
                return Walking(self._loop, answer)
            answer = self._loop.run(answer)
            return Waiting(self._loop, answer) if isinstance(answer, AsyncSpace) else answer

        return call

    def __iter__(self) -> Iterator[Any]:
        return Walking(self._loop, self._awaited.__aiter__())


class Walking(Iterator[Any]):
    """An asynchronous iterator whose items are waited for."""

    def __init__(self, loop: Loop, items: AsyncIterator[Any]) -> None:
        self._loop, self._items = loop, items

    def __next__(self) -> Any:
        try:
            return self._loop.run(self._items.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        self._loop.run(self._items.aclose())  # type: ignore[attr-defined]


@contextmanager
def spaces(side: str, app: Locule, server: Dict[str, Any]) -> Iterator[Any]:
    """What gives anybody's space on a side, by a name that nobody has had before."""
    number = next(_numbers)
    with ExitStack() as stack:
        loop = Loop()
        stack.callback(loop.close)
        if side.startswith("process"):

            def space(name: str) -> Any:
                space = app.user(f"{name}-{number}")
                return Waiting(loop, AsyncSpace(space)) if side.endswith("awaited") else space

        elif side.endswith("awaited"):
            awaited = Waiting(loop, AsyncClient(server["url"], token=server["service_key"]))
            stack.callback(awaited.close)

            def space(name: str) -> Any:
                return awaited.user(f"{name}-{number}")

        else:
            client = stack.enter_context(Client(server["url"], token=server["service_key"]))

            def space(name: str) -> Any:
                return client.user(f"{name}-{number}")

        yield space


#: What is the same only where it is read, in the order in which it was first told.
_NAMES = ("id", "source_memory_id", "target_memory_id")

#: What is another moment whenever it is told.
_MOMENTS = ("created_at", "updated_at", "started_at", "completed_at", "due_at", "first_memory", "latest_memory", "at",
            "expiration")  # fmt: skip


def plain(told: Any, ids: Dict[str, int]) -> Any:
    """What is told with the same words for the same things, whoever tells it."""
    if isinstance(told, dict):
        return {name: _said(name, each, ids) for name, each in told.items()}
    return [plain(each, ids) for each in told] if isinstance(told, (list, tuple)) else told


def _said(name: str, told: Any, ids: Dict[str, int]) -> Any:
    if isinstance(told, str) and name in _NAMES:
        return ids.setdefault(told, len(ids))
    return "then" if isinstance(told, str) and name in _MOMENTS else plain(told, ids)


def everywhere(program: Callable[[Any, Any], List[Any]], app: Locule, server: Dict[str, Any]) -> List[Any]:
    """What a program says with two people's spaces, if it says the same on every side."""
    first: Any = None
    for side in SIDES:
        with spaces(side, app, server) as space:
            said = plain(program(space("alice"), space("bob")), {})
        first = said if first is None else first
        assert len(first) == len(said), side
        for number, (here, there) in enumerate(zip(first, said)):
            assert here == there, (side, number)
    return first
