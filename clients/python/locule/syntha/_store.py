"""What a mesh is kept in: one user's entries, topics and permissions, as a narrow interface.

Values are JSON text with everything beyond ASCII escaped: so integers of any size, U+0000 and halves of surrogate pairs come
out as they went in. A store does each call whole or not at all, whoever else is in it at the moment.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Optional, Protocol, Tuple

from ._values import value_of
from .exceptions import SynthaPermissionError

__all__ = ["Entry", "Store", "MemoryStore", "Denied"]


class Denied(SynthaPermissionError):
    """An agent may not write this: to that topic, or over that entry."""


@dataclass
class Entry:
    """One key's value, and who may read it."""

    text: str
    #: Which agents may read it: all of them when ``None``, nobody when there are none.
    audience: Optional[List[str]]
    ttl: Optional[float]
    created_at: float
    topics: List[str] = field(default_factory=list)
    #: Who wrote it, where that is known: they may write it again.
    writer: Optional[str] = None
    #: What the program keeps beside it; it has no effect on who may read it.
    metadata: Optional[Dict[str, Any]] = None

    def is_expired(self, now: float) -> bool:
        return self.ttl is not None and now > self.created_at + self.ttl

    def is_open_to(self, agent: Optional[str]) -> bool:
        """Without an agent it is the program that asks, and nothing is closed to it."""
        return agent is None or self.audience is None or agent in self.audience


class Store(Protocol):
    """One user's mesh. No call here names a user."""

    def push(
        self,
        key: str,
        text: str,
        *,
        subscribers: Iterable[str],
        topics: Iterable[str],
        ttl: Optional[float],
        sender: Optional[str] = None,
        include_sender: bool = False,
        metadata: Optional[Dict[str, Any]] = None,
    ) -> None: ...
    def put(self, key: str, entry: Entry) -> None: ...
    def entry(self, key: str) -> Optional[Entry]: ...
    def entries(self) -> Dict[str, Entry]: ...
    def value(self, key: str, agent: Optional[str]) -> Optional[str]: ...
    def values(self, agent: str) -> Dict[str, Any]: ...
    def keys(self, agent: str) -> List[str]: ...
    def listed(self, agent: str) -> List[Tuple[str, List[str]]]: ...
    def topics(self) -> List[str]: ...
    def remove(self, key: str, agent: Optional[str] = None) -> bool: ...
    def remove_expired(self, now: Optional[float] = None) -> int: ...
    def clear(self) -> None: ...
    def statistics(self) -> Dict[str, int]: ...
    def subscriptions(self) -> Dict[str, List[str]]: ...
    def subscribe(self, agent: str, topics: List[str]) -> None: ...
    def unsubscribe(self, agent: str, topics: List[str]) -> None: ...
    def delete_topic(self, topic: str) -> int: ...
    def permissions(self) -> Dict[str, List[str]]: ...
    def permit(self, agent: str, topics: List[str]) -> None: ...
    def update(self, key: str, change: Callable[[Optional[Entry]], Entry]) -> Entry: ...
    def close(self) -> None: ...


class MemoryStore:
    """A mesh that ends with the process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entries: Dict[str, Entry] = {}
        self._subscriptions: Dict[str, List[str]] = {}
        self._permissions: Dict[str, List[str]] = {}

    def push(
        self,
        key: str,
        text: str,
        *,
        subscribers: Iterable[str],
        topics: Iterable[str],
        ttl: Optional[float],
        sender: Optional[str] = None,
        include_sender: bool = False,
        metadata: Optional[Dict[str, Any]] = None,
    ) -> None:
        now = time.time()
        named, routed = list(subscribers), list(topics)
        with self._lock:
            if sender is not None:
                self._check(key, sender, routed, now)
            audience: Optional[List[str]] = None
            if named or routed:
                followers = [agent for agent, followed in self._subscriptions.items() if set(followed) & set(routed)]
                own = [sender] if include_sender and sender is not None else []
                audience = list(dict.fromkeys([*named, *followers, *own]))
            self.put(key, Entry(text, audience, ttl, now, routed, sender, metadata))

    def _check(self, key: str, sender: str, topics: List[str], now: float) -> None:
        permitted = self._permissions.get(sender)
        refused = [topic for topic in topics if permitted and topic not in permitted]
        if refused:
            raise Denied(
                f"Permission denied: agent '{sender}' may not post to: {', '.join(refused)}", agent=sender, resource=refused[0]
            )
        there = self._entries.get(key)
        if there is not None and not there.is_expired(now) and not there.is_open_to(sender) and there.writer != sender:
            raise Denied(
                f"Permission denied: the key '{key}' is taken by an entry that agent '{sender}' cannot read",
                agent=sender,
                resource=key,
            )

    def put(self, key: str, entry: Entry) -> None:
        with self._lock:
            # Last in the order of writing, also when it was there before.
            self._entries.pop(key, None)
            self._entries[key] = entry

    def entry(self, key: str) -> Optional[Entry]:
        with self._lock:
            return self._entries.get(key)

    def entries(self) -> Dict[str, Entry]:
        with self._lock:
            return dict(self._entries)

    def value(self, key: str, agent: Optional[str]) -> Optional[str]:
        """The text of a value that has not expired and that this agent may read."""
        entry = self.entry(key)
        return None if entry is None or entry.is_expired(time.time()) or not entry.is_open_to(agent) else entry.text

    def _readable(self, agent: str) -> List[Tuple[str, Entry]]:
        now = time.time()
        with self._lock:
            entries = list(self._entries.items())
        return [(key, entry) for key, entry in entries if not entry.is_expired(now) and entry.is_open_to(agent)]

    def values(self, agent: str) -> Dict[str, Any]:
        """Copies of all that an agent may read, in the order of writing."""
        return {key: value_of(entry.text) for key, entry in self._readable(agent)}

    def keys(self, agent: str) -> List[str]:
        """The keys that an agent may read, in the order of writing."""
        return [key for key, _ in self._readable(agent)]

    def listed(self, agent: str) -> List[Tuple[str, List[str]]]:
        """The same with their topics."""
        return [(key, entry.topics) for key, entry in self._readable(agent)]

    def topics(self) -> List[str]:
        """Every topic that is followed or has an entry."""
        now = time.time()
        with self._lock:
            tagged = [entry.topics for entry in self._entries.values() if not entry.is_expired(now)]
            return list(dict.fromkeys(topic for topics in [*self._subscriptions.values(), *tagged] for topic in topics))

    def remove(self, key: str, agent: Optional[str] = None) -> bool:
        """For an agent only if it may read the entry or has written it."""
        with self._lock:
            there = self._entries.get(key)
            if there is not None and agent is not None:
                if there.is_expired(time.time()) or (not there.is_open_to(agent) and there.writer != agent):
                    return False
            return self._entries.pop(key, None) is not None

    def remove_expired(self, now: Optional[float] = None) -> int:
        """Removes what has expired, by this clock or by whatever time it is to somebody else; says how many."""
        now = time.time() if now is None else now
        with self._lock:
            expired = [key for key, entry in self._entries.items() if entry.is_expired(now)]
            for key in expired:
                del self._entries[key]
            return len(expired)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._subscriptions.clear()
            self._permissions.clear()

    def statistics(self) -> Dict[str, int]:
        """Figures over entries and topics; what has expired counts until it is removed."""
        now = time.time()
        with self._lock:
            entries, followed = list(self._entries.values()), list(self._subscriptions.values())
        active = [entry for entry in entries if not entry.is_expired(now)]
        for_all = sum(1 for entry in active if entry.audience is None)
        return {
            "total_items": len(entries),
            "active_items": len(active),
            "expired_items": len(entries) - len(active),
            "global_items": for_all,
            "private_items": len(active) - for_all,
            "total_topics": len({topic for topics in followed for topic in topics}),
            "agents_with_topics": len(followed),
        }

    def subscriptions(self) -> Dict[str, List[str]]:
        with self._lock:
            return {agent: list(topics) for agent, topics in self._subscriptions.items()}

    def subscribe(self, agent: str, topics: List[str]) -> None:
        with self._lock:
            if topics:
                self._subscriptions[agent] = list(dict.fromkeys(topics))
            else:
                self._subscriptions.pop(agent, None)

    def unsubscribe(self, agent: str, topics: List[str]) -> None:
        with self._lock:
            left = [topic for topic in self._subscriptions.get(agent, []) if topic not in topics]
            self.subscribe(agent, left)

    def delete_topic(self, topic: str) -> int:
        with self._lock:
            for agent in list(self._subscriptions):
                self.unsubscribe(agent, [topic])
            tagged = [(key, entry) for key, entry in self._entries.items() if topic in entry.topics]
            for key, entry in tagged:
                entry.topics = [other for other in entry.topics if other != topic]
                if not entry.topics:
                    del self._entries[key]
            return sum(1 for _, entry in tagged if not entry.topics)

    def permissions(self) -> Dict[str, List[str]]:
        with self._lock:
            return {agent: list(topics) for agent, topics in self._permissions.items()}

    def permit(self, agent: str, topics: List[str]) -> None:
        with self._lock:
            self._permissions[agent] = list(topics)

    def update(self, key: str, change: Callable[[Optional[Entry]], Entry]) -> Entry:
        with self._lock:
            there = self._entries.get(key)
            changed = change(None if there is None or there.is_expired(time.time()) else there)
            self.put(key, changed)
            return changed

    def close(self) -> None:
        """Nothing is open."""
