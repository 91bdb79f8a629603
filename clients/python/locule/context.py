"""What the agents of one user share, in this process or on a server: the same calls, the same answers."""

from __future__ import annotations

import copy
import math
import random
import threading
import time
from typing import Any, Callable, Iterator, List, Mapping, Optional, Protocol, Sequence, Tuple, cast

from .errors import ConflictError, InvalidError, LoculeError, NotFoundError, TemporaryError
from .records import Agent, Change, ContextStatistics, DeletedTopic, Entry, Json, Topic, decode, encode

__all__ = ["Changes", "Context"]

#: How long whoever lost a race to change an entry waits at most before trying again: little at first, and never much.
_AGAIN_S, _AGAIN_MAX_S = 0.002, 0.25

#: The same for a server that was followed and is away.
_AWAY_S, _AWAY_MAX_S = 0.2, 5.0


class Follower(Protocol):
    """Follows changes, for :class:`Changes`."""

    def look(self, wait_s: Optional[float]) -> Tuple[List[Tuple[str, int, str]], bool]:
        """What is new, each with its kind, from where to go on, and what it says as JSON; if nothing is, this waits a while,
        and no longer than ``wait_s``. Also says whether there is more to be asked for, though the time be over."""

    def close(self) -> None:
        """Ends a look of another thread."""


class ContextBackend(Protocol):
    """What carries the calls out: the native module, or HTTP. Texts are JSON in the words of the HTTP interface, but for a name
    that is a text; ``named`` is every user the call names."""

    def push(self, push: str, named: List[str]) -> str: ...
    def append(self, push: str, named: List[str]) -> str: ...
    def edit(self, push: str, named: List[str]) -> str: ...
    def read(self, which: str, named: List[str]) -> str: ...
    def remove(self, which: str, named: List[str]) -> bool: ...
    def remove_expired(self, named: List[str]) -> int: ...
    def clear(self, named: List[str]) -> None: ...
    def topics(self, named: List[str]) -> str: ...
    def delete_topic(self, topic: str, named: List[str]) -> str: ...
    def agents(self, named: List[str]) -> str: ...
    def change_agent(self, agent: str, named: List[str]) -> str: ...
    def statistics(self, named: List[str]) -> str: ...
    def tools(self, framework: str, role: str, named: List[str]) -> str: ...
    def call_tool(self, call: str, named: List[str]) -> str: ...
    def follow(self, after: int, agent: Optional[str], named: List[str]) -> Follower: ...


class Context:
    """The context that a user's agents share: entries with a key and a JSON value, for everybody or for some agents.

    >>> context = alice.context
    >>> context.subscribe("writer", ["plan"])                       # what is pushed to a topic reaches who follows it then
    >>> context.push("outline", ["intro", "proof"], topics=["plan"], sender="planner")
    >>> context.get("outline", agent="writer")["value"]
    ['intro', 'proof']
    >>> context.update("visits", lambda count: count + 1, default=0)  # however many do so at once, each of them counts

    ``agent`` says for which agent something is asked: what is not for it is not there. Without one it is your application that
    asks, and nothing is closed to it; an agent called ``""`` is an agent like any other. All of it is in one user's space, and no
    other user's agents see any of it. Get one as :attr:`Space.context`.
    """

    __slots__ = ("_backend", "_named")

    def __init__(self, backend: ContextBackend, named: Sequence[str] = ()) -> None:
        self._backend = backend
        self._named = list(named)

    def push(
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
        """Write an entry, in place of the one of its key: value, audience, topics and time to live.

        With neither ``agents`` nor ``topics`` every agent may read it; otherwise the agents that are named and those that follow
        one of the topics now (and with ``include_sender`` the sender too). After ``ttl_s`` seconds it is gone. A ``sender`` is
        held to what it may: posting to a topic that is not its own, or over an entry that it can neither read nor has written,
        is a ``PermissionError``. With ``expected_revision`` it is written only if the entry there has that revision (0: if there
        is none), and is a :class:`ConflictError` otherwise: :meth:`update` does that for you.
        """
        push = _push(key, value, agents, topics, ttl_s, sender, include_sender, metadata, expected_revision)
        return cast(Entry, decode(self._backend.push(encode(push), self._named)))

    def append(
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
        """Append an item to the list under a key, or begin one, as :meth:`push` would. However many append at once, none of it is
        lost. An entry that is there keeps its audience, topics and time to live; one that is no list is a
        :class:`ConflictError`."""
        push = _push(key, item, agents, topics, ttl_s, sender, include_sender, metadata)
        return cast(Entry, decode(self._backend.append(encode(push), self._named)))

    def edit(
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
        """Change the value of an entry, which keeps its audience, topics and time to live; or begin one, as :meth:`push` would.
        With ``expected_revision`` only if the entry has that revision, as there."""
        push = _push(key, value, agents, topics, ttl_s, sender, include_sender, metadata, expected_revision)
        return cast(Entry, decode(self._backend.edit(encode(push), self._named)))

    def update(
        self,
        key: str,
        change: Callable[[Any], Any],
        *,
        default: Any = None,
        agents: Sequence[str] = (),
        topics: Sequence[str] = (),
        ttl_s: Optional[float] = None,
        sender: Optional[str] = None,
        include_sender: bool = False,
        metadata: Optional[Mapping[str, Any]] = None,
    ) -> Entry:
        """Change the value under a key, so that no other writer comes between: ``change`` gets a copy of it (of ``default``, if
        there is no entry) and answers the new one. If somebody has written meanwhile it is called again with what they wrote, so
        it should do nothing else. If it raises, nothing is written.

        The entry keeps its audience, topics and time to live; where there is none, one begins as :meth:`push` would write it.
        """
        attempt = 0
        while True:
            there = self.find(key)
            value = change(copy.deepcopy(default) if there is None else there["value"])
            try:
                return self.edit(
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
            time.sleep(pause(attempt))
            attempt += 1

    def get(self, key: str, *, agent: Optional[str] = None) -> Entry:
        """The entry of a key, or :class:`NotFoundError`; for an agent, if it may read it."""
        found = self.find(key, agent=agent)
        if found is None:
            raise NotFoundError("There is no entry of this key, or none that this agent may read.", code="not_found")
        return found

    def find(self, key: str, *, agent: Optional[str] = None) -> Optional[Entry]:
        """The entry of a key, or ``None``; for an agent, if it may read it."""
        found = self.entries(keys=[name("key", key)], agent=agent)
        return found[0] if found else None

    def entries(
        self, *, keys: Optional[Sequence[str]] = None, agent: Optional[str] = None, topic: Optional[str] = None
    ) -> List[Entry]:
        """All entries, in the order in which they were last written; or those of up to 1,000 ``keys``, in their order; those that
        an agent may read; those that were pushed to a topic. Values of more than 64 MiB are a :class:`LimitError`: ask for
        fewer keys."""
        return cast(List[Entry], self._read(keys, agent, topic, values=True))

    def keys(self, *, agent: Optional[str] = None, topic: Optional[str] = None) -> List[str]:
        """The keys of the entries, without reading their values."""
        return [listed["key"] for listed in self._read(None, agent, topic, values=False)]

    def _read(self, keys: Optional[Sequence[str]], agent: Optional[str], topic: Optional[str], *, values: bool) -> List[Json]:
        which: Json = {"values": values, "agent": maybe_name("agent", agent), "topic": maybe_name("topic", topic)}
        if keys is not None:
            which["keys"] = names("keys", keys)
        return cast(List[Json], decode(self._backend.read(encode(which), self._named)))

    def remove(self, key: str, *, agent: Optional[str] = None) -> bool:
        """Remove an entry; for an agent, if it may read it or has written it. Says whether it was there."""
        which = {"key": name("key", key), "agent": maybe_name("agent", agent)}
        return self._backend.remove(encode(which), self._named)

    def remove_expired(self) -> int:
        """Remove what has expired, at once; says how many entries that were. Nobody could read it, and it goes by itself."""
        return self._backend.remove_expired(self._named)

    def clear(self) -> None:
        """Remove all entries, and forget all agents with what they follow and where they may post."""
        self._backend.clear(self._named)

    def topics(self) -> List[Topic]:
        """The topics that are followed or have entries. None has to be declared."""
        return cast(List[Topic], decode(self._backend.topics(self._named)))

    def delete_topic(self, topic: str) -> DeletedTopic:
        """End a topic: nobody follows it any more, and entries that were pushed to it alone are gone; others just lose it. One
        that is not there is a :class:`NotFoundError`."""
        return cast(DeletedTopic, decode(self._backend.delete_topic(in_address("topic", topic), self._named)))

    def agents(self) -> List[Agent]:
        """The agents that have written, follow topics, or were told where they may post."""
        return cast(List[Agent], decode(self._backend.agents(self._named)))

    def subscribe(self, agent: str, topics: Sequence[str]) -> Agent:
        """Have an agent follow these topics, and no others: what is pushed to them from now on it may read."""
        return self._change_agent(agent, "topics", topics)

    def unsubscribe(self, agent: str, topics: Sequence[str]) -> Agent:
        """Have an agent follow these topics no longer. What it could read it still can."""
        return self._change_agent(agent, "leaves", topics)

    def permit(self, agent: str, topics: Sequence[str]) -> Agent:
        """Say to which topics an agent may post, as the ``sender`` of a push and with its tools; with none, to any."""
        return self._change_agent(agent, "posts", topics)

    def _change_agent(self, agent: str, what: str, topics: Sequence[str]) -> Agent:
        change = {"name": name("agent", agent), what: names("topics", topics)}
        return cast(Agent, decode(self._backend.change_agent(encode(change), self._named)))

    def statistics(self) -> ContextStatistics:
        """How many entries, topics and agents there are."""
        return cast(ContextStatistics, decode(self._backend.statistics(self._named)))

    def tools(self, framework: str = "openai", *, role: str = "admin") -> List[Json]:
        """The schemas of the tools with which a model shares context, as a framework takes them (``openai``, ``anthropic``,
        ``langchain`` or ``langgraph``): those of a role, which is ``readonly``, ``contributor``, ``moderator`` or ``admin``."""
        return cast(List[Json], decode(self._backend.tools(name("framework", framework), name("role", role), self._named)))

    def call_tool(
        self, tool: str, arguments: Optional[Mapping[str, Any]] = None, *, agent: str, role: str = "admin"
    ) -> Json:
        """Do what a model called a tool for, as this agent, whatever the model says its name is; the answer is for the model to
        read. A call that is wrong answers ``{"success": False, "error": …}``; one of a tool that is not the role's is a
        ``PermissionError``."""
        given = {} if arguments is None else arguments
        if not isinstance(given, Mapping):
            raise InvalidError("`arguments` is a mapping: read the model's text with json.loads first.", code="invalid")
        call = {"tool": name("tool", tool), "agent": name("agent", agent), "arguments": dict(given), "role": name("role", role)}
        return cast(Json, decode(self._backend.call_tool(encode(call), self._named)))

    def changes(
        self, *, after: int = 0, agent: Optional[str] = None, wait_s: Optional[float] = None, patience_s: float = 60.0
    ) -> "Changes":
        """Follow what changes, as it happens: all the ``keys`` there are, once; each ``entry`` that is written, and each key that
        is ``removed``.

        >>> for change in context.changes(agent="writer"):
        ...     if change["event"] == "entry":
        ...         print(change["entry"]["key"], change["entry"]["value"])

        ``after`` is from where to go on: the ``after`` of the last change that was heard of, and the beginning if it is left out.
        With ``agent`` it is only what that agent may read. After ``wait_s`` seconds it ends, and with 0 when it has told what is
        there; never, if that is left out. A server that is followed and is away is tried again for ``patience_s`` seconds, and
        nothing that happened meanwhile is missed. ``close()``, from any thread, ends it.
        """
        revision("after", after)
        if wait_s is not None and not wait_s >= 0:
            raise InvalidError("`wait_s` is a number of seconds, 0 or more.", code="invalid")
        agent = None if agent is None else in_address("agent", agent)
        return Changes(self._backend.follow(after, agent, self._named), wait_s, patience_s)

    def __repr__(self) -> str:
        return "<Context of one user>"


class Changes(Iterator[Change]):
    """Changes of a context, as they happen: see :meth:`Context.changes`."""

    def __init__(self, follower: Follower, wait_s: Optional[float], patience_s: float) -> None:
        self._follower = follower
        self._end = None if wait_s is None else time.monotonic() + wait_s
        self._patience_s = patience_s
        self._news: List[Tuple[str, int, str]] = []
        self._more = True
        self._followed = False
        self._closed = threading.Event()

    def __next__(self) -> Change:
        while not self._news and not self._closed.is_set() and (self._more or self._left() > 0):
            self._look()
        if self._closed.is_set() or not self._news:
            self.close()
            raise StopIteration
        event, after, said = self._news.pop()
        what = decode(said)
        return cast(Change, {"event": event, "after": after, **({"entry": what} if event == "entry" else what)})

    def _look(self) -> None:
        away_since: Optional[float] = None
        attempt = 0
        while not self._closed.is_set():
            try:
                self._news, self._more = self._follower.look(None if self._end is None else self._left())
                self._news.reverse()
                self._followed = True
                return
            except LoculeError as error:
                # Whoever was let go hears of nothing more.
                if self._closed.is_set():
                    return
                now = time.monotonic()
                away_since = now if away_since is None else away_since
                # A server that was never there is told of at once.
                is_patient = self._followed and now - away_since < self._patience_s
                if not (isinstance(error, TemporaryError) and is_patient):
                    self.close()
                    raise
                self._closed.wait(min(pause(attempt, _AWAY_S, _AWAY_MAX_S), error.retry_after_s or _AWAY_MAX_S))
                attempt += 1

    def _left(self) -> float:
        return float("inf") if self._end is None else max(0.0, self._end - time.monotonic())

    def close(self) -> None:
        """End it, also while another thread waits for a change."""
        self._closed.set()
        self._follower.close()

    def is_closed(self) -> bool:
        """Whether it is over."""
        return self._closed.is_set()

    def __enter__(self) -> "Changes":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # If nobody follows any more, nothing is held open for them.
        if hasattr(self, "_closed"):
            self.close()


def pause(attempt: int, first_s: float = _AGAIN_S, most_s: float = _AGAIN_MAX_S) -> float:
    """How long to wait after an attempt: longer each time, and by chance, so that those who collided do not collide again."""
    return random.uniform(0.5, 1.0) * min(most_s, first_s * 2.0 ** min(attempt, 16))


def name(what: str, value: object) -> str:
    """A key, an agent, a topic: any text, the empty one too."""
    if not isinstance(value, str):
        raise InvalidError(f"`{what}` is a text, not {value!r}.", code="invalid")
    return value


def revision(what: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise InvalidError(f"`{what}` is a revision, a whole number from 0 on, not {value!r}.", code="invalid")
    return value


def maybe_name(what: str, value: object) -> Optional[str]:
    return None if value is None else name(what, value)


def in_address(what: str, value: object) -> str:
    """A name that stands in an address, where halves of surrogate pairs cannot."""
    text = name(what, value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidError(f"`{what}` cannot be said in UTF-8: {error.reason}.", code="invalid") from error
    return text


def names(what: str, value: object) -> List[str]:
    # A text is a sequence of texts, and no list of names.
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise InvalidError(f"`{what}` is a list of texts, not {value!r}.", code="invalid")
    return [name(what, each) for each in value]


def _push(
    key: str,
    value: Any,
    agents: Sequence[str],
    topics: Sequence[str],
    ttl_s: Optional[float],
    sender: Optional[str],
    include_sender: bool,
    metadata: Optional[Mapping[str, Any]],
    expected_revision: Optional[int] = None,
) -> Json:
    if ttl_s is not None and (isinstance(ttl_s, bool) or not isinstance(ttl_s, (int, float)) or not math.isfinite(ttl_s)):
        raise InvalidError(f"`ttl_s` is a number of seconds, not {ttl_s!r}.", code="invalid")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise InvalidError(f"`metadata` is a mapping, not {metadata!r}.", code="invalid")
    if not isinstance(include_sender, bool):
        raise InvalidError(f"`include_sender` is true or false, not {include_sender!r}.", code="invalid")
    if expected_revision is not None:
        revision("expected_revision", expected_revision)
    return {
        "key": name("key", key),
        "value": value,
        "agents": names("agents", agents),
        "topics": names("topics", topics),
        "ttl_s": ttl_s,
        "sender": maybe_name("sender", sender),
        "include_sender": include_sender,
        "metadata": None if metadata is None else dict(metadata),
        "expected_revision": expected_revision,
    }
