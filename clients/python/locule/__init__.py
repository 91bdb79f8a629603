"""Locule: a private, isolated space for every user of an AI application.

``Locule`` opens a data directory or a PostgreSQL in this process, ``Client`` and ``AsyncClient`` talk to a server, ``Memory`` has
the calls of mem0, and ``locule.syntha`` is a drop-in for the package of that name.
"""

from .client import AsyncClient, AsyncSpace, Client
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
from .records import Event, MemoryRecord, Page, Receipt, Results, Usage
from .space import Space
from .syntha import ContextMesh, ToolHandler
from .syntha.isolation import UserManager

__all__ = [
    "AsyncClient",
    "AsyncMemory",
    "AsyncSpace",
    "AuthenticationError",
    "Client",
    "ClosedError",
    "ConflictError",
    "ContextMesh",
    "Event",
    "FaultError",
    "ForkedError",
    "InvalidError",
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
    "Results",
    "Space",
    "TemporaryError",
    "ToolHandler",
    "Usage",
    "UserManager",
]
