"""Locule on a server, over its HTTP interface: the calls of a space, with or without waiting."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from ssl import SSLContext
from typing import Any, AsyncIterator, BinaryIO, Callable, List, Mapping, Optional, Sequence, TypeVar, Union, cast
from urllib.parse import quote, urlencode

from .context import pause
from .errors import InvalidError
from ._awaited import AsyncContext, AsyncJobs, AsyncRelationships, AsyncRuns, awaited, walked
from ._context_http import RemoteContext
from ._http import Http, path
from .records import (
    Event,
    Feedback,
    Json,
    MemoryRecord,
    Page,
    Receipt,
    Remembered,
    Results,
    Settings,
    Usage,
    text_id,
)
from .space import LOOK_S, NewMemory, Space

__all__ = ["Client", "AsyncClient", "AsyncSpace"]

_URL = "http://127.0.0.1:7400"

#: How many calls of one AsyncClient are under way at once; others wait for their turn.
_CALLS = 32

Answer = TypeVar("Answer")


class Client(Space):
    """The space of whoever the token is of, on a server.

    >>> me = Client("https://memory.example.com", token=token)
    >>> me.add("I'm allergic to peanuts")
    >>> me.search("what food should I avoid?")

    A service's key is no user: ``Client(url, token=key).user("alice")`` acts for Alice. It may be used from any number of
    threads, which share its connections.
    """

    __slots__ = ("_http",)

    def __init__(
        self, url: str = _URL, *, token: str, timeout_s: float = 30.0, ssl_context: Optional[SSLContext] = None
    ) -> None:
        self._http = Http(url, text_id("token", token), timeout_s, ssl_context)
        super().__init__(Remote(self._http, token))

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Remote:
    """Carries a space's calls to a server: see :class:`locule.space.Backend`."""

    def __init__(self, http: Http, token: str) -> None:
        self._http = http
        self._token = token

    def user_id(self) -> str:
        subject = _subject(self._token)
        if subject is None:
            raise InvalidError("A key does not say whose it is: name the user, with client.user(…).", code="invalid")
        return subject

    def confirm(self, named: List[str]) -> None:
        self._http.ask("GET", path(named, "/usage"))

    def add(self, memories: str, named: List[str]) -> str:
        # One is sent as one and several as a list, and either way a list comes back.
        body = f'{{"memories":{memories}}}'
        return json.dumps(json.loads(self._http.ask("POST", path(named, "/memories"), body))["memories"])

    def remember(self, conversation: str, named: List[str]) -> str:
        body = json.dumps({"infer": True, **json.loads(conversation)})
        answer = json.loads(self._http.ask("POST", path(named, "/memories"), body))
        return json.dumps({"added": answer["memories"]} if "memories" in answer else {"job": answer["id"]})

    def context(self) -> RemoteContext:
        return RemoteContext(self._http)

    def search(self, query: str, named: List[str]) -> str:
        answer = self._http.ask("POST", path(named, "/memories/search"), query, repeatable=True)
        return json.dumps(json.loads(answer)["results"])

    def list(self, page: str, named: List[str]) -> str:
        asked = json.loads(page)
        if "filters" in asked:
            asked["filters"] = json.dumps(asked["filters"])
        return self._page(named, "/memories", asked)

    def _page(self, named: List[str], rest: str, asked: Json) -> str:
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return self._http.ask("GET", f"{path(named, rest)}?{query}")

    def get(self, id: str, named: List[str]) -> str:
        return self._http.ask("GET", path(named, "/memories/", id))

    def history(self, id: str, named: List[str]) -> str:
        answer = self._http.ask("GET", f"{path(named, '/memories/', id)}/history")
        return json.dumps(json.loads(answer)["history"])

    def update(self, id: str, change: str, named: List[str]) -> str:
        return self._http.ask("PATCH", path(named, "/memories/", id), change)

    def delete(self, id: str, named: List[str]) -> None:
        self._http.ask("DELETE", path(named, "/memories/", id))

    def delete_all(self, filters: Optional[str], named: List[str]) -> int:
        query = "" if filters is None else "?" + urlencode({"filters": filters})
        return cast(int, json.loads(self._http.ask("DELETE", path(named, "/memories") + query))["deleted"])

    def delete_expired(self, named: List[str]) -> int:
        return cast(int, json.loads(self._http.ask("DELETE", path(named, "/memories/expired")))["deleted"])

    def feedback(self, id: str, named: List[str]) -> str:
        return self._http.ask("GET", f"{path(named, '/memories/', id)}/feedback")

    def give_feedback(self, id: str, feedback: str, named: List[str]) -> None:
        self._http.ask("PUT", f"{path(named, '/memories/', id)}/feedback", feedback)

    def settings(self, named: List[str]) -> str:
        return self._http.ask("GET", path(named, "/settings"))

    def change_settings(self, change: str, named: List[str]) -> str:
        return self._http.ask("PATCH", path(named, "/settings"), change)

    def relate(self, relationships: str, named: List[str]) -> str:
        answer = self._http.ask("POST", path(named, "/relationships"), f'{{"relationships":{relationships}}}')
        return json.dumps(json.loads(answer)["relationships"])

    def relationships(self, page: str, named: List[str]) -> str:
        return self._page(named, "/relationships", json.loads(page))

    def relationship(self, id: str, named: List[str]) -> str:
        return self._http.ask("GET", path(named, "/relationships/", id))

    def unrelate(self, id: str, named: List[str]) -> None:
        self._http.ask("DELETE", path(named, "/relationships/", id))

    def neighbours(self, id: str, walk: str, named: List[str]) -> str:
        return self._page(named, f"/memories/{quote(id, safe='')}/neighbours", json.loads(walk))

    def runs(self, page: str, named: List[str]) -> str:
        return self._page(named, "/runs", json.loads(page))

    def end_run(self, run_id: str, named: List[str]) -> int:
        return cast(int, json.loads(self._http.ask("DELETE", path(named, "/runs/", run_id)))["deleted"])

    def jobs(self, page: str, named: List[str]) -> str:
        return self._page(named, "/jobs", json.loads(page))

    def job(self, id: str, named: List[str]) -> str:
        return self._http.ask("GET", path(named, "/jobs/", id))

    def replay_job(self, id: str, named: List[str]) -> str:
        return self._http.ask("POST", f"{path(named, '/jobs/', id)}/replay")

    def delete_job(self, id: str, named: List[str]) -> None:
        self._http.ask("DELETE", path(named, "/jobs/", id))

    def promote(self, id: str, named: List[str]) -> str:
        return self._http.ask("POST", f"{path(named, '/memories/', id)}/promote")

    def usage(self, named: List[str]) -> str:
        return self._http.ask("GET", path(named, "/usage"))

    def export(self, file: BinaryIO, named: List[str]) -> int:
        head = self._http.download(path(named, "/export"), file)
        found = re.search(rb'"total_memories":(\d+)', head)
        return int(found.group(1)) if found else 0

    def erase(self, named: List[str]) -> str:
        return self._http.ask("DELETE", path(named, ""))


def _subject(token: str) -> Optional[str]:
    """Whom a token says it is of. The server is who believes it or not."""
    try:
        claims = token.split(".")[1]
        subject = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"]
    except (IndexError, KeyError, TypeError, ValueError):
        return None
    return subject if isinstance(subject, str) else None


class AsyncSpace:
    """A space whose calls do not hold the event loop up: they run in threads."""

    def __init__(self, space: Space, executor: Optional[Executor] = None) -> None:
        self._space = space
        self._executor = executor

    @property
    def user_id(self) -> str:
        """Whose space it is."""
        return self._space.user_id

    @property
    def context(self) -> AsyncContext:
        """What this user's agents share: see :class:`AsyncContext`."""
        return AsyncContext(self._space.context, self._executor)

    @property
    def relationships(self) -> AsyncRelationships:
        """How memories stand to each other: see :class:`Relationships`."""
        return AsyncRelationships(self._space.relationships, self._executor)

    @property
    def runs(self) -> AsyncRuns:
        """The runs that memories are of: see :class:`Runs`."""
        return AsyncRuns(self._space.runs, self._executor)

    @property
    def jobs(self) -> AsyncJobs:
        """What is done behind the answer: see :class:`Jobs`."""
        return AsyncJobs(self._space.jobs, self._executor)

    async def _run(self, call: Callable[..., Answer], *arguments: Any, **fields: Any) -> Answer:
        return await awaited(self._executor, call, *arguments, **fields)

    async def user(self, user_id: str) -> "AsyncSpace":
        """See :meth:`Space.user`."""
        return AsyncSpace(await self._run(self._space.user, user_id), self._executor)

    async def add(self, memory: Union[NewMemory, Sequence[NewMemory]], **fields: Any) -> Any:
        """See :meth:`Space.add`."""
        add = cast(Callable[..., Any], self._space.add)
        return await self._run(add, memory, **fields)

    async def remember(
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
        """See :meth:`Space.remember`."""
        told = await self._run(
            self._space.remember,
            messages,
            agent_id=agent_id,
            run_id=run_id,
            app_id=app_id,
            metadata=metadata,
            expiration=expiration,
            instructions=instructions,
            procedural=procedural,
            wait_s=0.0,
        )
        return told if told["job"] is None else await self.remembered(told["job"], wait_s=wait_s)

    async def remembered(self, job: str, *, wait_s: float = 0.0) -> Remembered:
        """See :meth:`Space.remembered`. No thread waits meanwhile."""
        end, attempt = time.monotonic() + wait_s, 0
        while True:
            told = await self._run(self._space.remembered, job)
            left = end - time.monotonic()
            if told["status"] in ("succeeded", "failed") or left <= 0:
                return told
            await asyncio.sleep(min(left, pause(attempt, LOOK_S)))
            attempt += 1

    async def search(self, query: Optional[str] = None, **fields: Any) -> Results[MemoryRecord]:
        """See :meth:`Space.search`."""
        return await self._run(self._space.search, query, **fields)

    async def page(self, **fields: Any) -> Page:
        """See :meth:`Space.page`."""
        return await self._run(self._space.page, **fields)

    async def get_all(self, **fields: Any) -> Results[MemoryRecord]:
        """See :meth:`Space.get_all`."""
        return await self._run(self._space.get_all, **fields)

    async def __aiter__(self) -> AsyncIterator[MemoryRecord]:
        """Every memory, newest first, a page at a time."""
        async for memory in walked(self._executor, self._space):
            yield memory

    async def get(self, id: str) -> MemoryRecord:
        """See :meth:`Space.get`."""
        return await self._run(self._space.get, id)

    async def history(self, id: str) -> List[Event]:
        """See :meth:`Space.history`."""
        return await self._run(self._space.history, id)

    async def update(self, id: str, memory: Optional[str] = None, **changes: Any) -> MemoryRecord:
        """See :meth:`Space.update`."""
        return await self._run(self._space.update, id, memory, **changes)

    async def delete(self, id: str) -> None:
        """See :meth:`Space.delete`."""
        return await self._run(self._space.delete, id)

    async def delete_all(self, *, filters: Optional[Mapping[str, Any]] = None) -> int:
        """See :meth:`Space.delete_all`."""
        return await self._run(self._space.delete_all, filters=filters)

    async def promote(self, id: str) -> MemoryRecord:
        """See :meth:`Space.promote`."""
        return await self._run(self._space.promote, id)

    async def delete_expired(self) -> int:
        """See :meth:`Space.delete_expired`."""
        return await self._run(self._space.delete_expired)

    async def settings(self) -> Settings:
        """See :meth:`Space.settings`."""
        return await self._run(self._space.settings)

    async def change_settings(self, **changes: Any) -> Settings:
        """See :meth:`Space.change_settings`."""
        return await self._run(self._space.change_settings, **changes)

    async def feedback(self, id: str) -> Feedback:
        """See :meth:`Space.feedback`."""
        return await self._run(self._space.feedback, id)

    async def give_feedback(self, id: str, feedback: Optional[str], reason: Optional[str] = None) -> None:
        """See :meth:`Space.give_feedback`."""
        return await self._run(self._space.give_feedback, id, feedback, reason)

    async def usage(self) -> Usage:
        """See :meth:`Space.usage`."""
        return await self._run(self._space.usage)

    async def export(self, file: BinaryIO) -> int:
        """See :meth:`Space.export`."""
        return await self._run(self._space.export, file)

    async def erase(self) -> Receipt:
        """See :meth:`Space.erase`."""
        return await self._run(self._space.erase)


class AsyncClient(AsyncSpace):
    """:class:`Client` for asyncio."""

    def __init__(self, url: str = _URL, *, token: str, calls_max: int = _CALLS, **options: Any) -> None:
        self._client = Client(url, token=token, **options)
        self._pool = ThreadPoolExecutor(max_workers=calls_max, thread_name_prefix="locule")
        super().__init__(self._client, self._pool)

    async def close(self) -> None:
        """Close its connections, when what is under way is done."""
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)
        self._client.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
