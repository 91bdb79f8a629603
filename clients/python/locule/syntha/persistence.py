"""What meshes are kept in, by the names and calls that programs for ``syntha`` know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import quote

from ._store import Entry, MemoryStore, Store
from ._values import text_of, value_of
from .exceptions import SynthaConfigurationError, SynthaPermissionError, SynthaPersistenceError, SynthaValidationError

__all__ = ["DatabaseBackend", "SQLiteBackend", "PostgreSQLBackend", "create_database_backend"]

#: Value, audience, time to live, and since when.
Item = Tuple[Any, List[str], Optional[float], float]

#: How an audience of nobody is written where an empty list is one of everybody.
_NOBODY = ["__NO_SUBSCRIBERS__"]

_IN_MEMORY = ":memory:"


class DatabaseBackend(ABC):
    """What a mesh may be kept in. Each call has a twin that names the user; where a backend knows no users, that is the same."""

    @abstractmethod
    def connect(self) -> None:
        """Opens it."""

    @abstractmethod
    def close(self) -> None:
        """Closes it; closing what is not open is nothing."""

    @abstractmethod
    def initialize_schema(self) -> None:
        """Makes what has to be there."""

    @abstractmethod
    def save_context_item(
        self, key: str, value: Any, subscribers: List[str], ttl: Optional[float], created_at: float
    ) -> None:
        """Keeps an item under its key."""

    @abstractmethod
    def get_context_item(self, key: str) -> Optional[Item]:
        """An item."""

    @abstractmethod
    def delete_context_item(self, key: str) -> bool:
        """Removes an item; says whether it was there."""

    @abstractmethod
    def get_all_context_items(self) -> Dict[str, Item]:
        """Every item."""

    @abstractmethod
    def cleanup_expired(self, current_time: float) -> int:
        """Removes what has expired by then; says how many."""

    @abstractmethod
    def clear_all(self) -> None:
        """Removes everything."""

    @abstractmethod
    def save_agent_topics(self, agent_name: str, topics: List[str]) -> None:
        """Keeps which topics an agent follows."""

    @abstractmethod
    def get_agent_topics(self, agent_name: str) -> List[str]:
        """Which topics an agent follows."""

    @abstractmethod
    def remove_agent_topics(self, agent_name: str) -> None:
        """Ends everything an agent follows."""

    @abstractmethod
    def get_all_agent_topics(self) -> Dict[str, List[str]]:
        """Which topics each agent follows."""

    @abstractmethod
    def save_agent_permissions(self, agent_name: str, allowed_topics: List[str]) -> None:
        """Keeps which topics an agent may post to."""

    @abstractmethod
    def get_agent_permissions(self, agent_name: str) -> List[str]:
        """Which topics an agent may post to."""

    @abstractmethod
    def get_all_agent_permissions(self) -> Dict[str, List[str]]:
        """Which topics each agent may post to."""

    def save_context_item_for_user(
        self, user_id: Optional[str], key: str, value: Any, subscribers: List[str], ttl: Optional[float], created_at: float
    ) -> None:
        self.save_context_item(key, value, subscribers, ttl, created_at)

    def get_context_item_for_user(self, user_id: Optional[str], key: str) -> Optional[Item]:
        return self.get_context_item(key)

    def delete_context_item_for_user(self, user_id: Optional[str], key: str) -> bool:
        return self.delete_context_item(key)

    def get_all_context_items_for_user(self, user_id: Optional[str]) -> Dict[str, Item]:
        return self.get_all_context_items()

    def cleanup_expired_for_user(self, user_id: Optional[str], current_time: float) -> int:
        return self.cleanup_expired(current_time)

    def clear_all_for_user(self, user_id: Optional[str]) -> None:
        self.clear_all()

    def save_agent_topics_for_user(self, user_id: Optional[str], agent_name: str, topics: List[str]) -> None:
        self.save_agent_topics(agent_name, topics)

    def get_agent_topics_for_user(self, user_id: Optional[str], agent_name: str) -> List[str]:
        return self.get_agent_topics(agent_name)

    def remove_agent_topics_for_user(self, user_id: Optional[str], agent_name: str) -> None:
        self.remove_agent_topics(agent_name)

    def get_all_agent_topics_for_user(self, user_id: Optional[str]) -> Dict[str, List[str]]:
        return self.get_all_agent_topics()

    def save_agent_permissions_for_user(self, user_id: Optional[str], agent_name: str, allowed_topics: List[str]) -> None:
        self.save_agent_permissions(agent_name, allowed_topics)

    def get_agent_permissions_for_user(self, user_id: Optional[str], agent_name: str) -> List[str]:
        return self.get_agent_permissions(agent_name)

    def get_all_agent_permissions_for_user(self, user_id: Optional[str]) -> Dict[str, List[str]]:
        return self.get_all_agent_permissions()

    def delete_topic_data_for_user(self, user_id: Optional[str], topic: str) -> int:
        raise NotImplementedError("this backend knows no topics of items")


class _Stores(DatabaseBackend):
    """A backend over stores, one for each user: nothing of one is in another's. One that belongs to a mesh serves the mesh's
    user and nobody else."""

    def __init__(self) -> None:
        self._stores: Dict[Optional[str], Store] = {}
        self._connected = False
        self._bound = False
        self._owner: Optional[str] = None

    def _open_store(self, user_id: Optional[str]) -> Store:
        raise NotImplementedError

    def bind(self, user_id: Optional[str]) -> Store:
        """Opens it for this user alone; their store."""
        self._owner, self._bound = _person(user_id), True
        self.connect()
        return self._own

    def _of(self, user_id: Optional[str]) -> Store:
        person = _person(user_id)
        if self._bound and person != self._owner:
            raise SynthaPermissionError("This store is of another user's mesh, and serves that user alone")
        if not self._connected:
            raise SynthaPersistenceError("The store is not connected: call connect() first", operation="use")
        if person not in self._stores:
            self._stores[person] = self._open_store(person)
        return self._stores[person]

    @property
    def _own(self) -> Store:
        return self._of(self._owner)

    def connect(self) -> None:
        self._connected = True
        self._own  # noqa: B018  (what cannot be opened is told now)

    def close(self) -> None:
        self._connected = False
        for store in self._stores.values():
            store.close()
        self._stores.clear()

    def initialize_schema(self) -> None:
        self._own  # noqa: B018  (a store is whole when it is open)

    def save_context_item(
        self, key: str, value: Any, subscribers: List[str], ttl: Optional[float], created_at: float
    ) -> None:
        self._own.put(key, _entry(value, subscribers, ttl, created_at))

    def get_context_item(self, key: str) -> Optional[Item]:
        return _item(self._own.entry(key))

    def delete_context_item(self, key: str) -> bool:
        return self._own.remove(key)

    def get_all_context_items(self) -> Dict[str, Item]:
        return _items(self._own)

    def cleanup_expired(self, current_time: float) -> int:
        return self._own.remove_expired(current_time)

    def clear_all(self) -> None:
        self._own.clear()

    def save_agent_topics(self, agent_name: str, topics: List[str]) -> None:
        self._own.subscribe(agent_name, topics)

    def get_agent_topics(self, agent_name: str) -> List[str]:
        return self._own.subscriptions().get(agent_name, [])

    def remove_agent_topics(self, agent_name: str) -> None:
        self._own.subscribe(agent_name, [])

    def get_all_agent_topics(self) -> Dict[str, List[str]]:
        return self._own.subscriptions()

    def save_agent_permissions(self, agent_name: str, allowed_topics: List[str]) -> None:
        self._own.permit(agent_name, allowed_topics)

    def get_agent_permissions(self, agent_name: str) -> List[str]:
        return self._own.permissions().get(agent_name, [])

    def get_all_agent_permissions(self) -> Dict[str, List[str]]:
        return self._own.permissions()

    def save_context_item_for_user(
        self, user_id: Optional[str], key: str, value: Any, subscribers: List[str], ttl: Optional[float], created_at: float
    ) -> None:
        self._of(user_id).put(key, _entry(value, subscribers, ttl, created_at))

    def get_context_item_for_user(self, user_id: Optional[str], key: str) -> Optional[Item]:
        return _item(self._of(user_id).entry(key))

    def delete_context_item_for_user(self, user_id: Optional[str], key: str) -> bool:
        return self._of(user_id).remove(key)

    def get_all_context_items_for_user(self, user_id: Optional[str]) -> Dict[str, Item]:
        return _items(self._of(user_id))

    def cleanup_expired_for_user(self, user_id: Optional[str], current_time: float) -> int:
        return self._of(user_id).remove_expired(current_time)

    def clear_all_for_user(self, user_id: Optional[str]) -> None:
        self._of(user_id).clear()

    def save_agent_topics_for_user(self, user_id: Optional[str], agent_name: str, topics: List[str]) -> None:
        self._of(user_id).subscribe(agent_name, topics)

    def get_agent_topics_for_user(self, user_id: Optional[str], agent_name: str) -> List[str]:
        return self._of(user_id).subscriptions().get(agent_name, [])

    def remove_agent_topics_for_user(self, user_id: Optional[str], agent_name: str) -> None:
        self._of(user_id).subscribe(agent_name, [])

    def get_all_agent_topics_for_user(self, user_id: Optional[str]) -> Dict[str, List[str]]:
        return self._of(user_id).subscriptions()

    def save_agent_permissions_for_user(self, user_id: Optional[str], agent_name: str, allowed_topics: List[str]) -> None:
        self._of(user_id).permit(agent_name, allowed_topics)

    def get_agent_permissions_for_user(self, user_id: Optional[str], agent_name: str) -> List[str]:
        return self._of(user_id).permissions().get(agent_name, [])

    def get_all_agent_permissions_for_user(self, user_id: Optional[str]) -> Dict[str, List[str]]:
        return self._of(user_id).permissions()

    def delete_topic_data_for_user(self, user_id: Optional[str], topic: str) -> int:
        return self._of(user_id).delete_topic(topic)


class SQLiteBackend(_Stores):
    """Meshes in files, one for each user."""

    def __init__(self, db_path: str = "syntha_context.db") -> None:
        super().__init__()
        self.db_path = db_path

    def _open_store(self, user_id: Optional[str]) -> Store:
        if self.db_path == _IN_MEMORY:
            return MemoryStore()
        raise _not_yet("db_path")


class PostgreSQLBackend(_Stores):
    """Meshes in a PostgreSQL."""

    def __init__(self, connection_string: str) -> None:
        super().__init__()
        self.connection_string = connection_string

    def _open_store(self, user_id: Optional[str]) -> Store:
        raise _not_yet("connection_string")


def _not_yet(key: str) -> SynthaConfigurationError:
    return SynthaConfigurationError(
        "A mesh is kept in the memory of its process so far: say enable_persistence=False, or db_path=':memory:'",
        config_key=key,
    )


def create_database_backend(backend_type: str = "sqlite", **config: Any) -> DatabaseBackend:
    """A backend by its name: ``sqlite`` (``db_path``) or ``postgresql`` (``connection_string``, or its parts)."""
    return _backend(backend_type, config)


def _backend(backend_type: str, config: Mapping[str, Any]) -> _Stores:
    kind = backend_type.lower() if isinstance(backend_type, str) else backend_type
    if kind == "sqlite":
        return SQLiteBackend(config.get("db_path", "syntha_context.db"))
    if kind == "postgresql":
        return PostgreSQLBackend(config.get("connection_string") or _connection_string(config))
    raise ValueError(f"Unsupported backend type {backend_type!r}: it is sqlite or postgresql")


def _connection_string(config: Mapping[str, Any]) -> str:
    parts = {
        "database": config.get("database") or config.get("db_name"),
        "user": config.get("user") or config.get("username"),
        "password": config.get("password"),
    }
    for name, part in parts.items():
        if not part:
            raise ValueError(f"PostgreSQL needs '{name}', or a connection_string")
    user, password, database = (quote(str(parts[name]), safe="") for name in ("user", "password", "database"))
    url = f"postgresql://{user}:{password}@{config.get('host', 'localhost')}:{config.get('port', 5432)}/{database}"
    return f"{url}?sslmode={config['sslmode']}" if config.get("sslmode") else url


class Opened(NamedTuple):
    """A user's store, and the backend that it is of."""

    backend: DatabaseBackend
    store: Store


def open_for(user_id: Optional[str], backend_type: str, config: Mapping[str, Any]) -> Opened:
    """Opens one user's store, whose backend serves that user alone."""
    backend = _backend(backend_type, config)
    return Opened(backend, backend.bind(user_id))


def _person(user_id: object) -> Optional[str]:
    """Whose it is: nobody in particular, who is one person like any other, or a user."""
    if user_id is None or user_id == "":
        return None
    if not isinstance(user_id, str) or "\x00" in user_id:
        raise SynthaValidationError("A user id is a text without U+0000: nothing else stands for a user", field="user_id")
    return user_id


def _entry(value: Any, subscribers: List[str], ttl: Optional[float], created_at: float) -> Entry:
    audience = None if not subscribers else [] if list(subscribers) == _NOBODY else list(subscribers)
    return Entry(text_of(value), audience, ttl, created_at)


def _item(entry: Optional[Entry]) -> Optional[Item]:
    if entry is None:
        return None
    subscribers = [] if entry.audience is None else list(entry.audience or _NOBODY)
    return value_of(entry.text), subscribers, entry.ttl, entry.created_at


def _items(store: Store) -> Dict[str, Item]:
    return {key: item for key, entry in store.entries().items() if (item := _item(entry)) is not None}
