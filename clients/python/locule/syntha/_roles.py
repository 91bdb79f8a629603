"""Which tools agents get, by role, by level, or many agents at once."""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from ._handler import ToolHandler

__all__ = [
    "PREDEFINED_ROLES",
    "create_role_based_handler",
    "create_restricted_handler",
    "create_multi_agent_handlers",
    "get_role_info",
]

_LOOK = ["get_context", "list_context", "discover_topics"]
_TAKE_PART = ["get_context", "list_context", "discover_topics", "push_context", "subscribe_to_topics", "unsubscribe_from_topics"]
_LEVELS = {"safe": _TAKE_PART, "minimal": ["get_context", "push_context", "list_context"], "readonly": _LOOK}

PREDEFINED_ROLES: Dict[str, Dict[str, Any]] = {
    "readonly": {"description": "Reads what is shared, and shares nothing.", "tools": list(_LOOK)},
    "contributor": {"description": "Reads and shares, and follows topics.", "tools": list(_TAKE_PART)},
    "moderator": {"description": "Reads and shares, follows topics, and keeps an eye on them.", "tools": list(_TAKE_PART)},
    "admin": {"description": "Has every tool, and may delete topics.", "tools": [*_TAKE_PART, "delete_topic"]},
}


def create_role_based_handler(
    context_mesh: Any, agent_name: str, role: str, custom_roles: Optional[Mapping[str, Any]] = None
) -> ToolHandler:
    """A handler with the tools of a role, a predefined one or one of ``custom_roles``."""
    roles = {**PREDEFINED_ROLES, **(custom_roles or {})}
    if role not in roles:
        raise ValueError(f"Unknown role '{role}'. Available roles: {list(roles)}")
    known = roles[role]
    tools = known["tools"] if isinstance(known, Mapping) else known
    handler = ToolHandler(context_mesh, agent_name, allowed_tools=list(tools))
    handler.set_agent_role(role)
    return handler


def create_restricted_handler(context_mesh: Any, agent_name: str, restriction_level: str = "safe") -> ToolHandler:
    """A handler with few tools: ``safe`` (none that destroys), ``minimal`` or ``readonly``."""
    if restriction_level not in _LEVELS:
        raise ValueError(f"Unknown restriction level '{restriction_level}'. Available levels: {list(_LEVELS)}")
    return ToolHandler(context_mesh, agent_name, allowed_tools=list(_LEVELS[restriction_level]))


def create_multi_agent_handlers(
    context_mesh: Any, agent_configs: Union[Mapping[str, Mapping[str, Any]], Sequence[Mapping[str, Any]]]
) -> Dict[str, ToolHandler]:
    """A handler for each agent: by name, or as a list of configurations with names."""
    named: Dict[str, Mapping[str, Any]] = {}
    if isinstance(agent_configs, Mapping):
        named.update(agent_configs)
    elif isinstance(agent_configs, Sequence) and not isinstance(agent_configs, str):
        for config in agent_configs:
            if not isinstance(config, Mapping) or not config.get("name"):
                raise ValueError("Each agent's configuration is a dictionary with a 'name'")
            named[config["name"]] = config
    else:
        raise ValueError("The agents are a dictionary of names to configurations, or a list of configurations")
    return {name: _handler(context_mesh, name, config) for name, config in named.items()}


def _handler(context_mesh: Any, name: str, config: Mapping[str, Any]) -> ToolHandler:
    if not isinstance(config, Mapping):
        raise ValueError(f"The configuration of agent '{name}' is a dictionary")
    if "role" in config:
        return create_role_based_handler(context_mesh, name, config["role"], config.get("custom_roles"))
    lists: Dict[str, Optional[List[str]]] = {which: config.get(which) for which in ("allowed_tools", "denied_tools")}
    return ToolHandler(context_mesh, name, role_based_access=config.get("role_based_access"), **lists)


def get_role_info(role: Optional[str] = None) -> Dict[str, Any]:
    """What a role is and has, or all of them."""
    if role is None:
        return copy.deepcopy(PREDEFINED_ROLES)
    if role not in PREDEFINED_ROLES:
        raise ValueError(f"Unknown role '{role}'. Available roles: {list(PREDEFINED_ROLES)}")
    return copy.deepcopy(PREDEFINED_ROLES[role])
