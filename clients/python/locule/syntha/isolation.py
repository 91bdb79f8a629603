"""Users of an application, each with a mesh of their own."""

from __future__ import annotations

import json
import threading
from typing import Any, Dict, List, Mapping, Optional

from ..local import Locule
from ._native_store import NativeStore, told
from ._places import lease, person_of, subject
from .context import ContextMesh
from .exceptions import SynthaConfigurationError, SynthaPersistenceError, SynthaValidationError
from .persistence import _Stores, _person

__all__ = ["UserManager"]

_LIMITS = ("max_contexts", "max_agents", "storage_limit_mb")

#: A megabyte, as disks are sold.
_MB = 1_000_000


class UserManager:
    """Opens meshes for users: what one has, no other reaches, counts or destroys.

    ``resource_limits`` holds for each user: ``max_contexts`` live keys, ``max_agents`` names that have written, follow topics or
    have been permitted something, and ``storage_limit_mb`` million bytes of stored keys and values.

    With ``audit_logging`` each user's audit chain tells of every reading, writing and refusal which agent it was of and to which
    key: see :meth:`audit_log`. A reading is then answered when it is durably on record, and takes as long as a write.
    """

    def __init__(
        self,
        encryption_enabled: bool = False,
        audit_logging: bool = False,
        resource_limits: Optional[Mapping[str, float]] = None,
        data_dir: str = "./data",
        db_backend: str = "sqlite",
        connection_string: Optional[str] = None,
        isolation: Optional[str] = None,
        keys: str = "./locule-data",
    ) -> None:
        limits = dict(resource_limits or {})
        unknown = sorted(set(limits) - set(_LIMITS))
        if unknown:
            raise SynthaConfigurationError(f"There is no limit called {unknown[0]}", config_key=unknown[0])
        for name, limit in limits.items():
            if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit >= 0:
                raise SynthaConfigurationError(f"{name} is a number from 0", config_key=name)
        self.encryption_enabled = encryption_enabled
        self.audit_logging = audit_logging
        self.resource_limits = limits
        self._sessions: Dict[str, ContextMesh] = {}
        self._lock = threading.RLock()
        self._closed = False
        setup: Dict[str, Any] = {
            "entries_max": _whole(limits.get("max_contexts")),
            "agents_max": _whole(limits.get("max_agents")),
            "bytes_max": None if "storage_limit_mb" not in limits else int(limits["storage_limit_mb"] * _MB),
        }
        setup = {name: limit for name, limit in setup.items() if limit is not None}
        setup["context_trail"] = audit_logging
        backend = db_backend.lower()
        if backend == "sqlite" and isolation in (None, "file"):
            place, setup["encrypted"] = data_dir, encryption_enabled
        elif backend == "postgresql" and connection_string:
            place = connection_string
            setup.update(layout=isolation or "schema", keys=keys, set_up=True, postgres={"sealed": encryption_enabled})
        else:
            raise SynthaConfigurationError(
                "Users are kept in files (db_backend='sqlite'), or in a PostgreSQL: give its connection_string",
                config_key="db_backend",
            )
        key = ("users", place, json.dumps(setup, sort_keys=True))
        with told("open"):
            self._held = lease(key, lambda: Locule(place, **setup))

    def create_user_session(self, user_id: str) -> ContextMesh:
        """The mesh of a user; the same one as long as it is open."""
        person = _named(user_id)
        with self._lock:
            self._check()
            mesh = self._sessions.get(person)
            if mesh is None or mesh._closed:
                mesh = self._sessions[person] = self._open(person)
            return mesh

    def _open(self, person: str) -> ContextMesh:
        mesh = ContextMesh(user_id=person, enable_persistence=False)
        backend = _Session(self._held.app)
        mesh.enable_persistence = True
        mesh.db_backend, mesh._store = backend, backend.bind(person)
        if self.audit_logging:
            mesh._recorder = backend.native(person).note
        return mesh

    def get_user_session(self, user_id: str) -> Optional[ContextMesh]:
        """The mesh of a user, if it is open."""
        with self._lock:
            mesh = self._sessions.get(_named(user_id))
            return None if mesh is None or mesh._closed else mesh

    def close_user_session(self, user_id: str) -> bool:
        """Closes a user's mesh; says whether it was open."""
        with self._lock:
            mesh = self._sessions.pop(_named(user_id), None)
        if mesh is None or mesh._closed:
            return False
        mesh.close()
        return True

    def list_users(self) -> List[str]:
        """Everybody who has anything here."""
        self._check()
        with told("list"):
            return [person_of(user["user_id"]) for user in self._held.app.users()]

    def delete_user(self, user_id: str) -> Dict[str, Any]:
        """Erases a user: their key is destroyed and their data removed; answers the receipt."""
        person = _named(user_id)
        self._check()
        self.close_user_session(person)
        with told("delete"):
            receipt: Dict[str, Any] = json.loads(self._held.app._context(subject(person)).erase([]))
        return receipt

    def audit_log(self, user_id: str) -> List[Dict[str, Any]]:
        """What was done in a user's mesh, oldest first: ``time``, ``user``, ``agent`` (``None``: the program itself),
        ``operation``, ``key`` (``None``: no single one), ``topics`` and ``outcome`` (``ok``, or why it was refused). Without
        ``audit_logging`` neither agents nor keys are told, and no readings."""
        person = _named(user_id)
        self._check()
        with told("audit"):
            trail = json.loads(self._held.app._context(subject(person)).trail())
        log = []
        for entry in trail:
            text = entry["object"] or ""
            about = json.loads(text) if text.startswith("{") else {}
            for key in about.get("keys") or [None]:
                log.append(
                    {
                        "time": entry["time"],
                        "user": person,
                        "agent": about.get("agent"),
                        "operation": entry["act"],
                        "key": key,
                        "topics": about.get("topics", []),
                        "outcome": entry["outcome"],
                    }
                )
        return log

    def export_user(self, user_id: str) -> Dict[str, Any]:
        """Everything of a user's mesh, and of their audit log."""
        mesh = self.create_user_session(user_id)
        entries = mesh._open().entries()
        return {
            "user_id": user_id,
            "contexts": {
                key: {
                    "value": json.loads(entry.text),
                    "subscribers": entry.audience,
                    "topics": entry.topics,
                    "ttl": entry.ttl,
                    "created_at": entry.created_at,
                    "metadata": entry.metadata,
                }
                for key, entry in entries.items()
            },
            "agent_topics": mesh._open().subscriptions(),
            "agent_permissions": mesh._open().permissions(),
            "audit_log": self.audit_log(user_id),
        }

    def close(self) -> None:
        """Closes every mesh that it opened."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            meshes, self._sessions = list(self._sessions.values()), {}
        for mesh in meshes:
            mesh.close()
        self._held.end()

    def _check(self) -> None:
        if self._closed:
            raise SynthaPersistenceError("This manager was closed: make another", operation="use after close")

    def __enter__(self) -> "UserManager":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Session(_Stores):
    """The backend of one user's session."""

    def __init__(self, app: Locule) -> None:
        super().__init__()
        self._app = app

    def _open_store(self, user_id: Optional[str]) -> NativeStore:
        return self.native(user_id)

    def native(self, user_id: Optional[str]) -> NativeStore:
        with told("open"):
            return NativeStore(self._app._context(subject(user_id)), lambda: None)


def _named(user_id: object) -> str:
    person = _person(user_id)
    if person is None:
        raise SynthaValidationError("A user has an id: a text with something in it", field="user_id")
    return person


def _whole(limit: Optional[float]) -> Optional[int]:
    return None if limit is None else int(limit)
