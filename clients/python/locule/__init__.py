"""Locule: a private, isolated space for every user of an AI application.

``Locule`` opens a data directory or a PostgreSQL in this process, ``Client`` and ``AsyncClient`` talk to a server, ``Memory`` has
the calls of mem0, and ``locule.syntha`` is a drop-in for the package of that name.
"""

from ._awaited import AsyncContext
from .client import AsyncClient, AsyncSpace, Client
from .context import Changes, Context
from .errors import (
    AuthenticationError,
    ClosedError,
    ConflictError,
    FaultError,
    ForkedError,
    InvalidError,
    LimitError,
    LoculeError,
    NotAllowedError,
    NotFoundError,
    TemporaryError,
)
from .local import LocalSpace, Locule
from .memory import AsyncMemory, Memory
from .records import (
    Agent,
    Change,
    ContextStatistics,
    DeletedTopic,
    Entry,
    EntryChange,
    Event,
    Found,
    KeysChange,
    MemoryRecord,
    Page,
    Receipt,
    Remembered,
    RemovedChange,
    Results,
    Topic,
    Usage,
)
from .space import Space
from .syntha import ContextMesh, ToolHandler
from .syntha.isolation import UserManager

__all__ = [
    "Agent",
    "AsyncClient",
    "AsyncContext",
    "AsyncMemory",
    "AsyncSpace",
    "AuthenticationError",
    "Change",
    "Changes",
    "Client",
    "ClosedError",
    "ConflictError",
    "Context",
    "ContextMesh",
    "ContextStatistics",
    "DeletedTopic",
    "Entry",
    "EntryChange",
    "Event",
    "FaultError",
    "ForkedError",
    "Found",
    "InvalidError",
    "KeysChange",
    "LimitError",
    "LocalSpace",
    "Locule",
    "LoculeError",
    "Memory",
    "MemoryRecord",
    "NotAllowedError",
    "NotFoundError",
    "Page",
    "Receipt",
    "Remembered",
    "RemovedChange",
    "Results",
    "Space",
    "TemporaryError",
    "ToolHandler",
    "Topic",
    "Usage",
    "UserManager",
]
