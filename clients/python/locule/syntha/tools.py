"""The tools of agents, their schemas, and who gets which."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from ._calls import (
    handle_delete_topic_call,
    handle_discover_topics_call,
    handle_get_context_call,
    handle_list_context_call,
    handle_push_context_call,
    handle_subscribe_to_topics_call,
    handle_unsubscribe_from_topics_call,
)
from ._handler import ToolHandler
from ._roles import (
    PREDEFINED_ROLES,
    create_multi_agent_handlers,
    create_restricted_handler,
    create_role_based_handler,
    get_role_info,
)
from ._schemas import (
    get_all_tool_schemas,
    get_context_tool_schema,
    get_delete_topic_tool_schema,
    get_discover_topics_tool_schema,
    get_list_context_tool_schema,
    get_push_context_tool_schema,
    get_subscribe_to_topics_tool_schema,
    get_unsubscribe_from_topics_tool_schema,
    merge_tool_schemas,
)

__all__ = [
    "PREDEFINED_ROLES",
    "ToolHandler",
    "create_hybrid_tool_handler",
    "create_multi_agent_handlers",
    "create_restricted_handler",
    "create_role_based_handler",
    "get_all_tool_schemas",
    "get_context_tool_schema",
    "get_delete_topic_tool_schema",
    "get_discover_topics_tool_schema",
    "get_list_context_tool_schema",
    "get_push_context_tool_schema",
    "get_role_info",
    "get_subscribe_to_topics_tool_schema",
    "get_unsubscribe_from_topics_tool_schema",
    "handle_delete_topic_call",
    "handle_discover_topics_call",
    "handle_get_context_call",
    "handle_list_context_call",
    "handle_push_context_call",
    "handle_subscribe_to_topics_call",
    "handle_unsubscribe_from_topics_call",
    "merge_tool_schemas",
]


class _HybridToolHandler:
    """Our tools and somebody else's behind one call."""

    def __init__(self, handler: ToolHandler, user_handler: Optional[Callable[..., Any]]) -> None:
        self.syntha_handler = handler
        self._call = handler.create_hybrid_handler(user_handler)

    def __call__(self, tool_name: str, **kwargs: Any) -> Any:
        return self._call(tool_name, **kwargs)

    def get_syntha_schemas(self) -> List[Dict[str, Any]]:
        """The schemas of our tools."""
        return self.syntha_handler.get_schemas()

    def handle_syntha_tool(self, tool_name: str, **kwargs: Any) -> Dict[str, Any]:
        """Calls one of our tools."""
        return self.syntha_handler.handle_tool_call(tool_name, **kwargs)


def create_hybrid_tool_handler(
    context_mesh: Any, agent_name: str, user_handler: Optional[Callable[..., Any]] = None
) -> _HybridToolHandler:
    """Our tools for an agent, and for any other name the function that is given."""
    return _HybridToolHandler(ToolHandler(context_mesh, agent_name), user_handler)
