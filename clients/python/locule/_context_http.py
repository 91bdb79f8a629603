"""A context on a server, over its HTTP interface: see :class:`locule.context.ContextBackend`."""

from __future__ import annotations

import json
import threading
import time
from typing import Dict, List, Optional, Tuple, cast
from urllib.parse import urlencode

from ._http import Http, Stream, path
from .records import decode

__all__ = ["RemoteContext"]

#: No sooner than this after it began is a stream that ended taken up again.
_AGAIN_S = 0.5


class RemoteContext:
    """Carries a context's calls to a server."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def push(self, push: str, named: List[str]) -> str:
        return self._http.ask("POST", path(named, "/context"), push)

    def append(self, push: str, named: List[str]) -> str:
        return self._http.ask("POST", path(named, "/context/append"), push)

    def edit(self, push: str, named: List[str]) -> str:
        return self._http.ask("PATCH", path(named, "/context"), push)

    def read(self, which: str, named: List[str]) -> str:
        # The keys stand in a body, since they may be any text, and long.
        answer = self._http.ask("POST", path(named, "/context/read"), which, repeatable=True)
        return _within(answer, "entries")

    def remove(self, which: str, named: List[str]) -> bool:
        return cast(bool, json.loads(self._http.ask("POST", path(named, "/context/remove"), which))["removed"])

    def remove_expired(self, named: List[str]) -> int:
        return cast(int, json.loads(self._http.ask("DELETE", path(named, "/context/expired")))["removed"])

    def clear(self, named: List[str]) -> None:
        self._http.ask("DELETE", path(named, "/context") + "?all=true")

    def topics(self, named: List[str]) -> str:
        return _within(self._http.ask("GET", path(named, "/context/topics")), "topics")

    def delete_topic(self, topic: str, named: List[str]) -> str:
        return self._http.ask("DELETE", f"{path(named, '/context/topics')}?{urlencode({'topic': topic})}")

    def agents(self, named: List[str]) -> str:
        return _within(self._http.ask("GET", path(named, "/context/agents")), "agents")

    def change_agent(self, agent: str, named: List[str]) -> str:
        return self._http.ask("PUT", path(named, "/context/agents"), agent)

    def statistics(self, named: List[str]) -> str:
        return self._http.ask("GET", path(named, "/context/statistics"))

    def tools(self, framework: str, role: str, named: List[str]) -> str:
        query = urlencode({"framework": framework, "role": role})
        return _within(self._http.ask("GET", f"{path(named, '/context/tools')}?{query}"), "tools")

    def call_tool(self, call: str, named: List[str]) -> str:
        said = json.loads(call)
        return self._http.ask("POST", path(named, "/context/tools/", said.pop("tool")), json.dumps(said))

    def follow(self, after: int, agent: Optional[str], named: List[str]) -> "RemoteFollower":
        return RemoteFollower(self._http, path(named, "/context/changes"), after, agent)


def _within(answer: str, what: str) -> str:
    """The text of the one thing in an answer's object: the server writes no blanks."""
    start, end = f'{{"{what}":', "}"
    if answer.startswith(start) and answer.endswith(end):
        return answer[len(start) : -len(end)]
    return json.dumps(decode(answer)[what])


class RemoteFollower:
    """Reads the server's streams, one after the other: each goes on where the one before broke off."""

    def __init__(self, http: Http, place: str, after: int, agent: Optional[str]) -> None:
        self._http, self._place, self._after, self._agent = http, place, after, agent
        self._stream: Optional[Stream] = None
        self._began = float("-inf")
        self._rest = bytearray()
        #: The keys that were told of, each with the revision of its entry as far as that was told.
        self._known: Optional[Dict[str, int]] = None
        #: Held by whoever reads, who also closes the stream: others only end it.
        self._reading = threading.Lock()
        self._closed = False

    def look(self, wait_s: Optional[float]) -> Tuple[List[Tuple[str, int, str]], bool]:
        if self._stream is not None and self._stream.is_inherited():
            # A forked child follows on a stream of its own; the parent's lock may be held here for ever.
            self._reading = threading.Lock()
            self._end()
        with self._reading:
            stream = self._stream if self._stream is not None else self._begin(wait_s)
            try:
                chunk = stream.read()
            except BaseException:
                self._end()
                raise
            if not chunk:
                self._end()
                return [], False
            return [news for event in self._events(chunk) for news in self._hear(*event)], True

    def _begin(self, wait_s: Optional[float]) -> Stream:
        time.sleep(max(0.0, self._began + _AGAIN_S - time.monotonic()))
        query: Dict[str, object] = {"after": self._after}
        if self._agent is not None:
            query["agent"] = self._agent
        if wait_s is not None:
            query["wait_s"] = wait_s
        self._began = time.monotonic()
        self._stream = stream = self._http.stream(f"{self._place}?{urlencode(query)}")
        if self._closed:
            stream.end()
        return stream

    def _end(self) -> None:
        stream, self._stream = self._stream, None
        self._rest.clear()
        if stream is not None:
            stream.close()

    def _events(self, chunk: bytes) -> List[Tuple[str, int, str]]:
        """The events that a piece of the stream completes."""
        seen = max(0, len(self._rest) - 1)
        self._rest += chunk
        if self._rest.find(b"\n\n", seen) < 0:
            return []
        *whole, rest = bytes(self._rest).split(b"\n\n")
        self._rest = bytearray(rest)
        events = []
        for lines in whole:
            fields = dict(line.split(": ", 1) for line in lines.decode().split("\n") if not line.startswith(":") and ": " in line)
            if {"event", "id", "data"} <= fields.keys():
                events.append((fields["event"], int(fields["id"]), fields["data"]))
        return events

    def _hear(self, event: str, after: int, said: str) -> List[Tuple[str, int, str]]:
        """What of an event is news: a stream that goes on says again what keys there are, and perhaps an entry that it had not
        told to the end of its transaction."""
        if after < self._after and self._known is not None:
            # The space was put back to what it once was, and is told from its beginning.
            self._known = dict.fromkeys(self._known, -1)
        self._after = after
        try:
            what = json.loads(said, parse_int=str)
        except (ValueError, RecursionError):
            # What this Python does not read is for whoever gets it to hear of.
            return [(event, after, said)]
        if event == "keys":
            known, self._known = self._known, dict.fromkeys(what["keys"], -1)
            if known is None:
                return [(event, after, said)]
            self._known.update((key, known[key]) for key in self._known if key in known)
            return [("removed", after, json.dumps({"key": key})) for key in known if key not in self._known]
        known = self._known if self._known is not None else {}
        if event == "removed":
            return [(event, after, said)] if known.pop(what["key"], None) is not None else []
        if event == "entry":
            revision = int(what["revision"])
            told = known.get(what["key"]) == revision
            known[what["key"]] = revision
            return [] if told else [(event, after, said)]
        return []

    def close(self) -> None:
        self._closed = True
        stream = self._stream
        if stream is not None:
            stream.end()
        if self._reading.acquire(blocking=False):
            self._end()
            self._reading.release()
