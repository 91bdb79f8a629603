"""One agent's way into a mesh: its tools, and the same by direct calls."""

from __future__ import annotations

import copy
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, Optional, Set

from . import _calls
from ._schemas import TOOL_NAMES, Schema, get_all_tool_schemas
from .exceptions import SynthaPermissionError, SynthaValidationError

__all__ = ["ToolHandler"]

Answer = Dict[str, Any]


class ToolHandler:
    """The tools of one agent over a mesh."""

    def __init__(
        self,
        context_mesh: Any,
        agent_name: Optional[str] = None,
        allowed_tools: Optional[List[str]] = None,
        denied_tools: Optional[List[str]] = None,
        role_based_access: Optional[Mapping[str, List[str]]] = None,
    ) -> None:
        self.context_mesh = context_mesh
        self.agent_name = agent_name
        self.agent_role: Optional[str] = None
        self.allowed_tools: Optional[Set[str]] = None if allowed_tools is None else set(allowed_tools)
        self.denied_tools: Set[str] = set(denied_tools or [])
        self.role_based_access: Dict[str, List[str]] = {role: list(tools) for role, tools in (role_based_access or {}).items()}
        self.all_handlers: Dict[str, Callable[..., Answer]] = {name: getattr(self, f"handle_{name}") for name in TOOL_NAMES}
        self.handlers: Dict[str, Callable[..., Answer]] = {}
        self._update_handlers()

    # --- Who, and which tools -------------------------------------------------------------------------------------------------

    def _update_handlers(self) -> None:
        permitted = set(self.all_handlers)
        if self.agent_role is not None and self.agent_role in self.role_based_access:
            permitted &= set(self.role_based_access[self.agent_role])
        if self.allowed_tools is not None:
            permitted &= self.allowed_tools
        permitted -= self.denied_tools
        self.handlers = {name: handler for name, handler in self.all_handlers.items() if name in permitted}

    def set_agent_name(self, agent_name: str) -> None:
        """Says which agent this is."""
        self.agent_name = agent_name

    def set_agent_role(self, role: str) -> None:
        """Says which role it has."""
        self.agent_role = role
        self._update_handlers()

    def set_allowed_tools(self, tools: Optional[List[str]]) -> None:
        """Only these tools; all of them when ``None``."""
        self.allowed_tools = None if tools is None else set(tools)
        self._update_handlers()

    def set_denied_tools(self, tools: List[str]) -> None:
        """None of these tools, whatever is allowed."""
        self.denied_tools = set(tools)
        self._update_handlers()

    def add_allowed_tool(self, tool_name: str) -> None:
        """This tool as well."""
        self.allowed_tools = set(self.all_handlers if self.allowed_tools is None else self.allowed_tools) | {tool_name}
        self._update_handlers()

    def remove_allowed_tool(self, tool_name: str) -> None:
        """This tool no more, where some are allowed."""
        if self.allowed_tools is not None:
            self.allowed_tools.discard(tool_name)
            self._update_handlers()

    def add_denied_tool(self, tool_name: str) -> None:
        """Not this tool."""
        self.denied_tools.add(tool_name)
        self._update_handlers()

    def remove_denied_tool(self, tool_name: str) -> None:
        """This tool is not denied any more."""
        self.denied_tools.discard(tool_name)
        self._update_handlers()

    def get_available_tools(self) -> List[str]:
        """Which tools the agent has."""
        return list(self.handlers)

    def has_tool_access(self, tool_name: str) -> bool:
        """Whether it has this one."""
        return tool_name in self.handlers

    def get_access_summary(self) -> Answer:
        """All of that."""
        return {
            "agent_name": self.agent_name,
            "agent_role": self.agent_role,
            "available_tools": self.get_available_tools(),
            "denied_tools": sorted(self.denied_tools),
            "allowed_tools": "all" if self.allowed_tools is None else sorted(self.allowed_tools),
            "total_available": len(self.handlers),
            "total_possible": len(self.all_handlers),
        }

    # --- Calls by a model ---------------------------------------------------------------------------------------------------

    def handle_tool_call(self, tool_name: str, **kwargs: Any) -> Answer:
        """Calls a tool. Arguments it does not know, or lacks, are a ``TypeError``."""
        if tool_name not in self.all_handlers:
            error = f"Unknown tool: {tool_name}"
            return {"success": False, "error": error, "available_tools": self.get_available_tools()}
        if not self.has_tool_access(tool_name):
            return self._denied(tool_name, kwargs)
        # The agent is who this handler is of, whatever a model says.
        for name in ("agent_name", "sender_agent"):
            kwargs.pop(name, None)
        answer: Answer = getattr(self, f"handle_{tool_name}")(**kwargs)
        return answer

    def _record_denial(self, tool_name: str, said: Mapping[str, Any] = MappingProxyType({})) -> None:
        record = getattr(type(self.context_mesh), "_record", None)
        if record is not None:
            keys = said["keys"] if isinstance(said.get("keys"), list) else [said.get("key")]
            record(self.context_mesh, tool_name, self.agent_name, [key for key in keys if isinstance(key, str)], denied=True)

    def _denied(self, tool_name: str, said: Mapping[str, Any] = MappingProxyType({})) -> Answer:
        self._record_denial(tool_name, said)
        return {
            "success": False,
            "error": f"Access denied to tool: {tool_name}",
            "reason": f"Agent '{self.agent_name}' does not have permission to use this tool",
            "available_tools": self.get_available_tools(),
            "agent_role": self.agent_role,
        }

    def _call(self, tool_name: str, call: Callable[[str], Answer]) -> Answer:
        if not self.has_tool_access(tool_name):
            return self._denied(tool_name)
        if not self.agent_name:
            return {"success": False, "error": "Agent name not set"}
        return call(self.agent_name)

    def handle_get_context(self, keys: Optional[List[str]] = None) -> Answer:
        """The tool ``get_context``."""
        return self._call("get_context", lambda agent: _calls.handle_get_context_call(self.context_mesh, agent, keys))

    def handle_push_context(
        self,
        key: str,
        value: Any,
        topics: Optional[List[str]] = None,
        subscribers: Optional[List[str]] = None,
        ttl_hours: Optional[float] = 24.0,
    ) -> Answer:
        """The tool ``push_context``."""

        def push(agent: str) -> Answer:
            return _calls.handle_push_context_call(self.context_mesh, key, value, topics, subscribers, ttl_hours, agent)

        return self._call("push_context", push)

    def handle_list_context(self) -> Answer:
        """The tool ``list_context``."""
        return self._call("list_context", lambda agent: _calls.handle_list_context_call(self.context_mesh, agent))

    def handle_subscribe_to_topics(self, topics: List[str]) -> Answer:
        """The tool ``subscribe_to_topics``."""
        mesh = self.context_mesh
        return self._call("subscribe_to_topics", lambda agent: _calls.handle_subscribe_to_topics_call(mesh, topics, agent))

    def handle_discover_topics(self, include_subscriber_names: bool = False) -> Answer:
        """The tool ``discover_topics``."""
        mesh, names = self.context_mesh, include_subscriber_names
        return self._call("discover_topics", lambda _: _calls.handle_discover_topics_call(mesh, names))

    def handle_unsubscribe_from_topics(self, topics: List[str]) -> Answer:
        """The tool ``unsubscribe_from_topics``."""
        mesh = self.context_mesh
        return self._call(
            "unsubscribe_from_topics", lambda agent: _calls.handle_unsubscribe_from_topics_call(mesh, topics, agent)
        )

    def handle_delete_topic(self, topic: str, confirm: bool = False) -> Answer:
        """The tool ``delete_topic``; it needs no agent."""
        if not self.has_tool_access("delete_topic"):
            return self._denied("delete_topic")
        return _calls.handle_delete_topic_call(self.context_mesh, topic, confirm)

    # --- Schemas ----------------------------------------------------------------------------------------------------------------

    def get_schemas(self, merge_with: Optional[List[Schema]] = None) -> List[Schema]:
        """The schemas of the agent's tools, after others if such are given; one of ours whose name is taken is renamed."""
        ours = [schema for schema in get_all_tool_schemas() if self.has_tool_access(schema["name"])]
        if not merge_with:
            return ours
        merged = copy.deepcopy(list(merge_with))
        taken = {schema.get("name") for schema in merged}
        for schema in ours:
            if schema["name"] in taken:
                print(f"Info: the tool '{schema['name']}' is there already, and ours is called 'syntha_{schema['name']}'")
                schema["name"] = f"syntha_{schema['name']}"
                schema["description"] = f"[Syntha] {schema['description']}"
            merged.append(schema)
        return merged

    def get_syntha_schemas_only(self) -> List[Schema]:
        """All seven, whatever the agent has."""
        return get_all_tool_schemas()

    def create_hybrid_handler(self, user_tool_handler: Optional[Callable[..., Any]] = None) -> Callable[..., Any]:
        """A function that calls our tools, and for any other name the one that is given."""

        def hybrid(tool_name: str, **kwargs: Any) -> Any:
            ours = tool_name[len("syntha_") :] if tool_name.startswith("syntha_") else tool_name
            if ours in self.all_handlers:
                return self.handle_tool_call(ours, **kwargs)
            if user_tool_handler is not None:
                try:
                    return user_tool_handler(tool_name, **kwargs)
                except Exception as error:
                    return {"success": False, "error": f"User tool handler error: {error}", "tool_name": tool_name}
            return {"success": False, "error": f"Unknown tool: {tool_name}", "syntha_tools": self.get_available_tools()}

        hybrid.get_syntha_schemas = self.get_schemas  # type: ignore[attr-defined]
        hybrid.handle_syntha_tool = self.handle_tool_call  # type: ignore[attr-defined]
        hybrid.syntha_handler = self  # type: ignore[attr-defined]
        return hybrid

    # --- Direct calls -------------------------------------------------------------------------------------------------------

    def _agent(self, tool_name: str) -> str:
        if not self.has_tool_access(tool_name):
            self._record_denial(tool_name)
            raise SynthaPermissionError(
                f"Agent '{self.agent_name}' does not have permission to use {tool_name}", agent=self.agent_name, resource=tool_name
            )
        if not self.agent_name:
            raise SynthaValidationError("Agent name not set", field="agent_name")
        return self.agent_name

    def push_context(
        self, key: str, data: Any, topic: Optional[str] = None, metadata: Optional[Mapping[str, Any]] = None
    ) -> None:
        """Keeps a value without an end, as it is: for every agent of the user, or on a topic for those who follow it and for
        this agent."""
        agent = self._agent("push_context")
        if topic is not None and not isinstance(topic, str):
            raise TypeError(f"topic is a string, not {type(topic).__name__}")
        push = getattr(type(self.context_mesh), "_push", None)
        if push is None:
            self.context_mesh.push(key, data, topics=None if topic is None else [topic])
        else:
            topics = None if topic is None else [topic]
            push(self.context_mesh, key, data, None, topics, None, sender=agent, include_sender=True, metadata=metadata)

    def get_context(self, key: str) -> Any:
        """A copy of a value, or ``None`` where there is none that this agent may read."""
        return self.context_mesh.get(key, self._agent("get_context"))

    def has_context(self, key: str) -> bool:
        """Whether there is such a key for this agent."""
        return key in self.context_mesh.get_keys_for_agent(self._agent("get_context"))

    def list_context_keys(self) -> List[str]:
        """The keys that this agent may read."""
        keys: List[str] = self.context_mesh.get_keys_for_agent(self._agent("list_context"))
        return keys

    def list_topics(self) -> List[str]:
        """Every topic of this user that somebody follows or that has an entry."""
        self._agent("discover_topics")
        known = getattr(type(self.context_mesh), "_known_topics", None)
        topics: List[str] = known(self.context_mesh) if known is not None else self.context_mesh.get_all_topics()
        return topics

    def get_context_by_topic(self, topic: str) -> Dict[str, Any]:
        """What this agent may read of a topic."""
        agent = self._agent("get_context")
        listed = self.context_mesh._listed(agent)
        return {key: self.context_mesh.get(key, agent) for key, topics in listed if topic in topics}

    def get_context_pattern(self, pattern: str) -> Dict[str, Any]:
        """What this agent may read under keys like ``report_*``."""
        found = self.context_mesh.get_all_for_agent(self._agent("get_context"))
        return {key: value for key, value in found.items() if fnmatchcase(key, pattern)}

    def subscribe_to_topic(self, topic: str, callback: Optional[Callable[[str, str, Any], None]] = None) -> None:
        """Follows a topic besides those that this agent follows; ``callback(topic, key, data)`` is called on each push to it
        through a mesh of this process."""
        agent = self._agent("subscribe_to_topics")
        followed = self.context_mesh.get_topics_for_agent(agent)
        self.context_mesh.register_agent_topics(agent, [*followed, topic])
        if callback is not None:
            self.context_mesh._listen(topic, callback)

    def remove_context(self, key: str) -> bool:
        """Removes a key that this agent may read or has written; says whether it was there."""
        return bool(self.context_mesh._remove_as(self._agent("push_context"), key))

    def clear_all_context(self) -> None:
        """Removes every key that this agent may read."""
        agent = self._agent("push_context")
        for key in self.context_mesh.get_keys_for_agent(agent):
            self.context_mesh._remove_as(agent, key)

    # --- Frameworks ---------------------------------------------------------------------------------------------------------

    def _factory(self) -> Any:
        from .tool_factory import SynthaToolFactory

        return SynthaToolFactory(self)

    def get_langchain_tools(self) -> List[Any]:
        """The tools for LangChain."""
        return self.get_tools_for_framework("langchain")

    def get_langgraph_tools(self) -> List[Any]:
        """The tools for LangGraph."""
        return self.get_tools_for_framework("langgraph")

    def get_openai_functions(self) -> List[Any]:
        """The tools for OpenAI."""
        return self.get_tools_for_framework("openai")

    def get_anthropic_tools(self) -> List[Any]:
        """The tools for Anthropic."""
        return self.get_tools_for_framework("anthropic")

    def get_tools_for_framework(self, framework_name: str) -> List[Any]:
        """The tools for a framework."""
        tools: List[Any] = self._factory().create_tools(framework_name)
        return tools

    def get_framework_handler(self, framework_name: str) -> Any:
        """What carries a framework's calls out."""
        return self._factory().create_function_handler(framework_name)

    def create_framework_integration(self, framework_name: str, existing_tools: Optional[List[Any]] = None) -> Answer:
        """Tools and handler together, after tools that are there."""
        integration: Answer = self._factory().create_hybrid_integration(framework_name, existing_tools)
        return integration

    def get_supported_frameworks(self) -> List[str]:
        """Which frameworks there are tools for."""
        frameworks: List[str] = self._factory().get_supported_frameworks()
        return frameworks

    def validate_framework(self, framework_name: str) -> Answer:
        """Whether a framework's tools can be made here."""
        told: Answer = self._factory().validate_framework_requirements(framework_name)
        return told
