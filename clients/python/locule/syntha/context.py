"""The context mesh of one user: what their agents share."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from . import persistence
from ._store import Entry, MemoryStore, Store
from ._values import names_of, seconds_of, text_of, value_of
from .exceptions import SynthaPersistenceError, SynthaValidationError

__all__ = ["ContextItem", "ContextMesh"]

#: After how many seconds a push or a reading of everything first removes what has expired.
_CLEANUP_INTERVAL_S = 300.0


class ContextItem:
    """A value, who may read it, and until when."""

    def __init__(self, value: Any, subscribers: Optional[List[str]] = None, ttl: Optional[float] = None) -> None:
        self.value = value
        self.subscribers: List[str] = list(subscribers or [])
        self.ttl = ttl
        self.created_at = time.time()

    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.ttl is not None and time.time() > self.created_at + self.ttl

    def is_accessible_by(self, agent_name: str) -> bool:
        """Whether this agent may read it: every agent, if none is named."""
        return not self.subscribers or agent_name in self.subscribers


class ContextMesh:
    """One user's context: keys with values, read by all agents of that user, by some, or by those who follow a topic.

    ``user_id`` is fixed when the mesh is made, and with it whose data this is. Without one it is the anonymous user's, who is
    nobody else's and sees nobody else's.
    """

    def __init__(
        self,
        enable_indexing: bool = True,
        auto_cleanup: bool = True,
        enable_persistence: bool = True,
        db_backend: Optional[str] = "sqlite",
        user_id: Optional[str] = None,
        **db_config: Any,
    ) -> None:
        if user_id is not None and not isinstance(user_id, str):
            raise SynthaValidationError("A user id is a text: no number, and nothing else, stands for a user", field="user_id")
        self.enable_indexing = enable_indexing
        self.auto_cleanup = auto_cleanup
        self.enable_persistence = enable_persistence
        self._user_id = user_id
        self._cleanup_interval = _CLEANUP_INTERVAL_S
        self._last_cleanup = time.time()
        self._closed = False
        #: Puts on record what was read or refused, where somebody wants that: act, agent, keys, and whether it was refused.
        self._recorder: Optional[Callable[[str, Optional[str], Sequence[str], bool], None]] = None
        self._listeners: Dict[str, List[Callable[[str, str, Any], None]]] = {}
        self.db_backend: Optional[persistence.DatabaseBackend] = None
        self._store: Store = MemoryStore()
        if enable_persistence:
            opened = persistence.open_for(user_id, db_backend or "sqlite", db_config)
            self.db_backend, self._store = opened.backend, opened.store

    @property
    def user_id(self) -> Optional[str]:
        """Whose mesh it is."""
        return self._user_id

    @property
    def _data(self) -> Dict[str, Entry]:
        return self._open().entries()

    def _open(self) -> Store:
        if self._closed:
            raise SynthaPersistenceError("This mesh was closed: make another", operation="use after close")
        return self._store

    def _record(self, act: str, agent: Optional[str], keys: Sequence[str] = (), denied: bool = False) -> None:
        if self._recorder is not None:
            self._recorder(act, agent, keys, denied)

    # --- Entries ----------------------------------------------------------------------------------------------------------

    def push(
        self,
        key: str,
        value: Any,
        subscribers: Optional[Iterable[str]] = None,
        topics: Optional[Iterable[str]] = None,
        ttl: Optional[float] = None,
    ) -> None:
        """Keeps a value under a key, in place of what was there: for these agents and those who follow these topics now, or
        for every agent of the user if neither is given. With ``ttl`` it is gone after so many seconds."""
        self._push(key, value, subscribers, topics, ttl)

    def _push(
        self,
        key: str,
        value: Any,
        subscribers: Optional[Iterable[str]],
        topics: Optional[Iterable[str]],
        ttl: Optional[float],
        sender: Optional[str] = None,
        include_sender: bool = False,
        metadata: Optional[Mapping[str, Any]] = None,
    ) -> None:
        store = self._open()
        _check_key(key)
        text = text_of(value)
        beside = None if metadata is None else value_of(text_of(dict(metadata)))
        named, routed = names_of("subscribers", subscribers), names_of("topics", topics)
        if topics is not None and not routed and not named:
            raise ValueError("topics is an empty list: leave it out for every agent, or name a topic")
        ttl = seconds_of("ttl", ttl)
        self._clean_up_in_passing()
        store.push(
            key,
            text,
            subscribers=named,
            topics=routed,
            ttl=ttl,
            sender=sender,
            include_sender=include_sender,
            metadata=beside,
        )
        for topic in routed:
            for callback in self._listeners.get(topic, ()):
                callback(topic, key, value_of(text))

    def get(self, key: str, agent_name: Optional[str] = None) -> Any:
        """A copy of the value, or ``None`` where there is none that this agent may read. Without an agent it is the program
        that asks, and may read everything of its user."""
        _check_key(key)
        return self._read([key], agent_name).get(key)

    def _read(self, keys: Iterable[str], agent_name: Optional[str]) -> Dict[str, Any]:
        """What an agent may read of these keys."""
        store = self._open()
        found: Dict[str, Any] = {}
        for key in keys:
            text = store.value(key, agent_name)
            if text is not None:
                found[key] = value_of(text)
            if self._recorder is not None:
                self._record("get_context", agent_name, [key], text is None and store.value(key, None) is not None)
        return found

    def update(
        self, key: str, change: Callable[[Any], Any], default: Any = None, ttl: Optional[float] = None
    ) -> Any:
        """Changes a value in one piece: ``change`` gets it (``default`` where there is none) and answers the new one, and no
        other writer comes between. Who may read it stays as it is."""
        _check_key(key)
        seconds = seconds_of("ttl", ttl)

        def changed(there: Optional[Entry]) -> Entry:
            text = text_of(change(default if there is None else value_of(there.text)))
            if there is None:
                return Entry(text, None, seconds, time.time())
            kept = there.ttl if seconds is None else seconds
            return Entry(text, there.audience, kept, time.time(), list(there.topics), there.writer, there.metadata)

        return value_of(self._open().update(key, changed).text)

    def append(self, key: str, item: Any) -> int:
        """Appends to the list under a key, which comes into being with its first item; says how long it is."""

        def longer(there: Any) -> List[Any]:
            if not isinstance(there, list):
                raise TypeError(f"what is under the key is {type(there).__name__}, and no list")
            return [*there, item]

        return len(self.update(key, longer, default=[]))

    def get_all_for_agent(self, agent_name: str) -> Dict[str, Any]:
        """Copies of all that this agent may read."""
        self._clean_up_in_passing()
        found = self._open().values(_whoever(agent_name))
        self._record("get_context", agent_name, list(found))
        return found

    def get_keys_for_agent(self, agent_name: str) -> List[str]:
        """The keys that this agent may read, in the order of writing."""
        keys = self._open().keys(_whoever(agent_name))
        self._record("list_context", agent_name)
        return keys

    def _listed(self, agent_name: Optional[str]) -> List[Tuple[str, List[str]]]:
        listed = self._open().listed(_whoever(agent_name))
        self._record("list_context", agent_name)
        return listed

    def remove(self, key: str) -> bool:
        """Removes a key; says whether it was there."""
        _check_key(key)
        return self._open().remove(key)

    def _remove_as(self, agent_name: str, key: str) -> bool:
        """Removes a key for an agent that may read it or has written it."""
        _check_key(key)
        return self._open().remove(key, agent_name)

    def cleanup_expired(self) -> int:
        """Removes what has expired; says how many of this user's."""
        self._last_cleanup = time.time()
        return self._open().remove_expired()

    def _clean_up_in_passing(self) -> None:
        if self.auto_cleanup and time.time() - self._last_cleanup > self._cleanup_interval:
            self.cleanup_expired()

    def clear(self) -> None:
        """Removes everything of this user: entries, topics, permissions."""
        self._open().clear()

    def size(self) -> int:
        """How many entries there are, with those that have expired and are not removed yet."""
        return self._open().statistics()["total_items"]

    def get_stats(self) -> Dict[str, int]:
        """Figures over this user's entries and topics."""
        return self._open().statistics()

    # --- Topics -----------------------------------------------------------------------------------------------------------

    def register_agent_topics(self, agent_name: str, topics: Iterable[str]) -> None:
        """Says which topics an agent follows, in place of those before."""
        self._open().subscribe(_name(agent_name), names_of("topics", topics))

    def get_topics_for_agent(self, agent_name: str) -> List[str]:
        """Which topics an agent follows."""
        return self._open().subscriptions().get(agent_name, [])

    def get_subscribers_for_topic(self, topic: str) -> List[str]:
        """Which agents follow a topic."""
        return [agent for agent, topics in self._open().subscriptions().items() if topic in topics]

    def get_all_topics(self) -> List[str]:
        """Every topic that somebody follows."""
        return list(dict.fromkeys(topic for topics in self._open().subscriptions().values() for topic in topics))

    def _known_topics(self) -> List[str]:
        """Every topic that somebody follows or that has an entry."""
        return self._open().topics()

    def unsubscribe_from_topics(self, agent_name: str, topics: Iterable[str]) -> None:
        """Ends what an agent follows of these."""
        self._open().unsubscribe(agent_name, names_of("topics", topics))

    def delete_topic(self, topic: str) -> int:
        """Ends a topic for every agent, and removes the entries that were in no other; says how many."""
        return self._open().delete_topic(topic)

    def get_available_keys_by_topic(self, agent_name: str) -> Dict[str, List[str]]:
        """The keys that an agent may read, by the topics it follows; what is in none of them under ``other``."""
        followed = self.get_topics_for_agent(agent_name)
        by_topic: Dict[str, List[str]] = {topic: [] for topic in followed}
        other: List[str] = []
        for key, topics in self._listed(agent_name):
            theirs = [topic for topic in topics if topic in followed]
            for topic in theirs:
                by_topic[topic].append(key)
            if not theirs:
                other.append(key)
        if other:
            by_topic.setdefault("other", []).extend(other)
        return by_topic

    def _listen(self, topic: str, callback: Callable[[str, str, Any], None]) -> None:
        self._open()
        self._listeners.setdefault(topic, []).append(callback)

    def set_agent_post_permissions(self, agent_name: str, topics: Iterable[str]) -> None:
        """Says which topics an agent may post to."""
        self._open().permit(_name(agent_name), names_of("topics", topics))

    def get_agent_post_permissions(self, agent_name: str) -> List[str]:
        """Which topics an agent may post to, where that was said."""
        return self._open().permissions().get(agent_name, [])

    def can_agent_post_to_topic(self, agent_name: str, topic: str) -> bool:
        """Whether an agent may post to a topic: to any, where nothing was said."""
        permitted = self.get_agent_post_permissions(agent_name)
        return not permitted or topic in permitted

    # --- The end ----------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes it. Closing twice is closing once."""
        if not self._closed:
            self._closed = True
            self._store.close()
            if self.db_backend is not None:
                self.db_backend.close()

    def __enter__(self) -> "ContextMesh":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_key(key: object) -> None:
    if not isinstance(key, str):
        raise TypeError(f"a key is a string, not {type(key).__name__}")


def _whoever(agent_name: Optional[str]) -> str:
    """Who has no name reads what is for everybody."""
    return "" if agent_name is None else agent_name


def _name(agent_name: object) -> str:
    if not isinstance(agent_name, str):
        raise TypeError(f"an agent's name is a string, not {type(agent_name).__name__}")
    return agent_name
