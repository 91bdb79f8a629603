"""What meshes are kept in, by the names and calls that programs for ``syntha`` know."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import quote

from ..local import Locule
from ._import import kept
from ._native_store import NativeStore, told
from ._places import Lease, lease, prepare, subject
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
    """Meshes in files, one for each user. See :mod:`locule.syntha._places` for what is at ``db_path``."""

    def __init__(
        self, db_path: str = "syntha_context.db", encrypted: bool = True, durability: str = "full"
    ) -> None:
        super().__init__()
        self.db_path = db_path
        self._setup: Dict[str, Any] = {"encrypted": encrypted, "durability": durability}

    def _open_store(self, user_id: Optional[str]) -> Store:
        if self.db_path == _IN_MEMORY:
            return MemoryStore()
        path = os.path.realpath(self.db_path)
        data, found = prepare(path)
        with told("open"):
            held = lease(("file", data, *self._setup.values()), lambda: Locule(data, **self._setup), rests=True)
        try:
            if found is not None:
                take_in(found, data, held)
            return native_store(held, user_id)
        except BaseException:
            held.end()
            raise


class PostgreSQLBackend(_Stores):
    """Meshes in a PostgreSQL: ``isolation`` is ``schema`` (a schema for each user), ``rls`` or ``database``. The user of the
    connection string sets it up, and nothing else runs as them; ``keys`` is the directory with the installation's key."""

    def __init__(
        self, connection_string: str, isolation: str = "schema", keys: str = "./locule-data", **options: Any
    ) -> None:
        super().__init__()
        self.connection_string = connection_string
        self._isolation = isolation
        self._keys = keys
        self._options = options

    def _open_store(self, user_id: Optional[str]) -> Store:
        def make() -> Locule:
            return Locule(
                self.connection_string, layout=self._isolation, keys=self._keys, set_up=True, postgres=self._options
            )

        with told("connect"):
            held = lease(("postgresql", self.connection_string, self._isolation, os.path.realpath(self._keys)), make)
        try:
            return native_store(held, user_id)
        except BaseException:
            held.end()
            raise


def native_store(held: Lease, user_id: Optional[str]) -> Store:
    """A user's mesh in an installation."""
    with told("open"):
        return NativeStore(held.space(subject(user_id)), held.end)


#: One database is read in at a time.
_taking_in = threading.Lock()


def take_in(path: str, data: str, held: Lease) -> None:
    """Reads a database of ``syntha`` into an installation, once: each user's into a space of their own."""
    done = f"{data}/imported-from-syntha"
    with _taking_in:
        if os.path.exists(done):
            return
        for of in kept(path):
            store = NativeStore(held.space(subject(of.user_id)), lambda: None)
            for key, entry in of.entries.items():
                store.put(key, entry)
            for agent, topics in of.topics.items():
                store.subscribe(agent, topics)
            for agent, topics in of.permissions.items():
                store.permit(agent, topics)
        with open(done, "x", encoding="ascii"):
            pass


def create_database_backend(backend_type: str = "sqlite", **config: Any) -> DatabaseBackend:
    """A backend by its name: ``sqlite`` (``db_path``) or ``postgresql`` (``connection_string``, or its parts)."""
    return _backend(backend_type, config)


def _backend(backend_type: str, config: Mapping[str, Any]) -> _Stores:
    kind = backend_type.lower() if isinstance(backend_type, str) else backend_type
    if kind == "sqlite":
        return SQLiteBackend(**_known(kind, config, ("db_path", "encrypted", "durability")))
    if kind == "postgresql":
        options = _known(kind, config, ("isolation", "keys", "prefix", "connections", "transaction_pooler", "sealed"), _PARTS)
        return PostgreSQLBackend(config.get("connection_string") or _connection_string(config), **options)
    raise ValueError(f"Unsupported backend type {backend_type!r}: it is sqlite or postgresql")


_PARTS = ("connection_string", "host", "port", "database", "db_name", "user", "username", "password", "sslmode")


def _known(
    kind: str, config: Mapping[str, Any], names: Tuple[str, ...], others: Tuple[str, ...] = ()
) -> Dict[str, Any]:
    """The settings of a backend; one that it does not have is told and not passed over."""
    unknown = sorted(set(config) - set(names) - set(others))
    if unknown:
        raise SynthaConfigurationError(f"A {kind} backend has no {', '.join(unknown)}", config_key=unknown[0])
    return {name: config[name] for name in names if name in config}


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
