"""A drop-in for the package ``syntha``: a context mesh for the agents of one user, kept apart from everybody else's.

Change the import, and go on: ``from locule.syntha import ContextMesh, ToolHandler``.
"""

from .context import ContextMesh
from .exceptions import (
    ErrorHandler,
    SynthaConfigurationError,
    SynthaConnectionError,
    SynthaContextError,
    SynthaError,
    SynthaFrameworkError,
    SynthaPerformanceError,
    SynthaPermissionError,
    SynthaPersistenceError,
    SynthaSecurityError,
    SynthaTimeoutError,
    SynthaToolError,
    SynthaValidationError,
    handle_syntha_error,
)
from .framework_adapters import FRAMEWORK_ADAPTERS, create_framework_adapter, get_supported_frameworks
from .logging import (
    configure_logging,
    get_context_logger,
    get_logger,
    get_performance_logger,
    get_security_logger,
)
from .persistence import DatabaseBackend, SQLiteBackend, create_database_backend
from .prompts import build_custom_prompt, build_message_prompt, build_system_prompt, inject_context_into_prompt
from .reports import OutcomeLogger
from .tool_factory import SynthaToolFactory, create_tool_factory
from .tools import (
    PREDEFINED_ROLES,
    ToolHandler,
    create_multi_agent_handlers,
    create_restricted_handler,
    create_role_based_handler,
    get_all_tool_schemas,
    get_role_info,
)

__all__ = [
    "ContextMesh",
    "DatabaseBackend",
    "ErrorHandler",
    "FRAMEWORK_ADAPTERS",
    "OutcomeLogger",
    "PREDEFINED_ROLES",
    "SQLiteBackend",
    "SynthaConfigurationError",
    "SynthaConnectionError",
    "SynthaContextError",
    "SynthaError",
    "SynthaFrameworkError",
    "SynthaPerformanceError",
    "SynthaPermissionError",
    "SynthaPersistenceError",
    "SynthaSecurityError",
    "SynthaTimeoutError",
    "SynthaToolError",
    "SynthaToolFactory",
    "SynthaValidationError",
    "ToolHandler",
    "build_custom_prompt",
    "build_message_prompt",
    "build_system_prompt",
    "configure_logging",
    "create_database_backend",
    "create_framework_adapter",
    "create_multi_agent_handlers",
    "create_restricted_handler",
    "create_role_based_handler",
    "create_tool_factory",
    "get_all_tool_schemas",
    "get_context_logger",
    "get_logger",
    "get_performance_logger",
    "get_role_info",
    "get_security_logger",
    "get_supported_frameworks",
    "handle_syntha_error",
    "inject_context_into_prompt",
]
