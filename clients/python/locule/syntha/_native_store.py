"""A mesh kept by the engine: in a file of its own for each user, or in PostgreSQL.

Names and values go over as ASCII-escaped JSON text, so that they come back to the letter from every database.
"""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from .. import errors
from .._native import Space
from ._store import Denied, Entry
from .exceptions import (
    SynthaConnectionError,
    SynthaPersistenceError,
    SynthaQuotaError,
    SynthaSecurityError,
    SynthaValidationError,
)

__all__ = ["NativeStore", "told"]


@contextlib.contextmanager
def told(operation: str) -> Iterator[None]:
    """The engine's errors in the words of this package."""
    try:
        yield
    except errors.NotAllowedError as error:
        raise Denied(error.detail, resource=operation, cause=error) from error
    except errors.LimitError as error:
        detail = f"{error.detail} (a limit of size)"
        raise SynthaQuotaError(detail, operation=operation, cause=error) from error
    except errors.InvalidError as error:
        raise SynthaValidationError(error.detail, field=operation, cause=error) from error
    except errors.AuthenticationError as error:
        raise SynthaSecurityError(error.detail, security_event=operation, cause=error) from error
    except errors.TemporaryError as error:
        if error.code == "storage_full":
            raise SynthaPersistenceError(error.detail, operation=operation, cause=error) from error
        raise SynthaConnectionError(error.detail, service="store", cause=error) from error
    except errors.LoculeError as error:
        raise SynthaPersistenceError(error.detail, operation=operation, cause=error) from error


class NativeStore:
    """One user's mesh: see :class:`Store`."""

    def __init__(self, space: Space, release: Callable[[], None]) -> None:
        self._space = space
        self._release: Optional[Callable[[], None]] = release

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
        rest = json.dumps(
            {
                "key": key,
                "agents": list(subscribers),
                "topics": list(topics),
                "ttl_s": ttl,
                "sender": sender,
                "include_sender": include_sender,
                "metadata": metadata,
            }
        )
        with told("push"):
            self._space.context_push(f'{rest[:-1]},"value":{text}}}')

    def put(self, key: str, entry: Entry) -> None:
        with told("put"):
            self._space.context_put(_written(key, entry))

    def entry(self, key: str) -> Optional[Entry]:
        with told("get"):
            found = self._space.context_entry(json.dumps(key))
        return None if found is None else _entry(json.loads(found))

    def entries(self) -> Dict[str, Entry]:
        with told("list"):
            found = json.loads(self._space.context_entries())
        return {each["key"]: _entry(each) for each in found}

    def value(self, key: str, agent: Optional[str]) -> Optional[str]:
        with told("get"):
            return self._space.context_value(json.dumps(key), None if agent is None else json.dumps(agent))

    def values(self, agent: str) -> Dict[str, Any]:
        with told("list"):
            found: Dict[str, Any] = json.loads(self._space.context_values(json.dumps(agent)))
        return found

    def keys(self, agent: str) -> List[str]:
        with told("list"):
            found: List[str] = json.loads(self._space.context_keys(json.dumps(agent)))
        return found

    def listed(self, agent: str) -> List[Tuple[str, List[str]]]:
        with told("list"):
            listed: List[Mapping[str, Any]] = json.loads(self._space.context_listed(json.dumps(agent)))
        return [(each["key"], each["topics"]) for each in listed]

    def topics(self) -> List[str]:
        with told("topics"):
            return [topic["name"] for topic in json.loads(self._space.context_topics())]

    def remove(self, key: str, agent: Optional[str] = None) -> bool:
        with told("remove"):
            return self._space.context_remove(json.dumps(key), None if agent is None else json.dumps(agent))

    def remove_expired(self, now: Optional[float] = None) -> int:
        if now is None:
            with told("cleanup"):
                return self._space.context_remove_expired()
        expired = [key for key, entry in self.entries().items() if entry.is_expired(now)]
        return sum(1 for key in expired if self.remove(key))

    def clear(self) -> None:
        with told("clear"):
            self._space.context_clear()

    def statistics(self) -> Dict[str, int]:
        with told("statistics"):
            figures: Dict[str, int] = json.loads(self._space.context_statistics())
        return figures

    def _agents(self) -> List[Mapping[str, Any]]:
        with told("agents"):
            agents: List[Mapping[str, Any]] = json.loads(self._space.context_agents())
        return agents

    def subscriptions(self) -> Dict[str, List[str]]:
        return {agent["name"]: agent["topics"] for agent in self._agents() if agent["topics"]}

    def subscribe(self, agent: str, topics: List[str]) -> None:
        with told("subscribe"):
            self._space.context_subscribe(json.dumps(agent), json.dumps(list(dict.fromkeys(topics))))

    def unsubscribe(self, agent: str, topics: List[str]) -> None:
        with told("unsubscribe"):
            self._space.context_unsubscribe(json.dumps(agent), json.dumps(topics))

    def delete_topic(self, topic: str) -> int:
        with told("delete_topic"):
            return self._space.context_delete_topic(json.dumps(topic))

    def permissions(self) -> Dict[str, List[str]]:
        return {agent["name"]: agent["posts"] for agent in self._agents() if agent["posts"] is not None}

    def permit(self, agent: str, topics: List[str]) -> None:
        with told("permit"):
            self._space.context_permit(json.dumps(agent), json.dumps(topics))

    def update(self, key: str, change: Callable[[Optional[Entry]], Entry]) -> Entry:
        # The program's code runs outside of the transaction: if somebody has written meanwhile, it runs again on that.
        while True:
            with told("update"):
                found = self._space.context_live(json.dumps(key))
            there = None if found is None else json.loads(found)
            changed = change(None if there is None else _entry(there))
            revision = None if there is None else there["revision"]
            with told("update"):
                if self._space.context_swap(_written(key, changed), revision):
                    return changed

    def note(self, act: str, agent: Optional[str], keys: Sequence[str], denied: bool) -> None:
        """Puts on record what an agent has read, or was refused."""
        with told("note"):
            self._space.context_note(json.dumps({"act": act, "agent": agent, "keys": list(keys), "is_denied": denied}))

    def close(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release()


def _written(key: str, entry: Entry) -> str:
    rest = json.dumps(
        {
            "key": key,
            "audience": entry.audience,
            "topics": entry.topics,
            "ttl_s": entry.ttl,
            "created_at_s": entry.created_at if math.isfinite(entry.created_at) else 0.0,
            "writer": entry.writer,
            "metadata": entry.metadata,
        }
    )
    return f'{rest[:-1]},"value":{entry.text}}}'


def _entry(told: Mapping[str, Any]) -> Entry:
    return Entry(
        text=told["value"],
        audience=told["audience"],
        ttl=told["ttl_s"],
        created_at=told["created_at_s"],
        topics=told["topics"],
        writer=told["writer"],
        metadata=told["metadata"],
    )
