"""The same calls in process, on a server, and awaited: a program that is run on each side answers alike."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import threading
from contextlib import ExitStack, contextmanager
from typing import Any, AsyncIterator, Dict, Iterator

from locule import AsyncClient, AsyncContext, AsyncSpace, Client, Locule

#: Every way in.
SIDES = ("process", "server", "process, awaited", "server, awaited")

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
        if isinstance(found, (AsyncContext, AsyncSpace)):
            return Waiting(self._loop, found)
        if not callable(found):
            return found

        def call(*arguments: Any, **fields: Any) -> Any:
            answer = found(*arguments, **fields)
            if inspect.isasyncgen(answer):
                return self._walk(answer)
            answer = self._loop.run(answer)
            return Waiting(self._loop, answer) if isinstance(answer, AsyncSpace) else answer

        return call

    def _walk(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._loop.run(items.__anext__())
                except StopAsyncIteration:
                    return
        finally:
            self._loop.run(items.aclose())  # type: ignore[attr-defined]


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
