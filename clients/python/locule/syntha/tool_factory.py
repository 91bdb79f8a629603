"""An agent's tools for any framework."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from . import framework_adapters
from .exceptions import SynthaFrameworkError

__all__ = ["SynthaToolFactory", "create_tool_factory"]

Answer = Dict[str, Any]

_PACKAGES = {"langchain": "langchain-core", "langgraph": "langgraph", "openai": "openai", "anthropic": "anthropic", "agno": "agno"}


class SynthaToolFactory:
    """Makes the tools of one handler for frameworks, and keeps what it made them with."""

    def __init__(self, tool_handler: Any) -> None:
        self.tool_handler = tool_handler
        self._adapter_cache: Dict[str, Any] = {}

    def get_adapter(self, framework_name: str) -> Any:
        """What makes tools for a framework."""
        name = framework_name.strip().lower()
        if name not in self._adapter_cache:
            self._adapter_cache[name] = framework_adapters.create_framework_adapter(name, self.tool_handler)
        return self._adapter_cache[name]

    def create_tools(self, framework_name: str) -> List[Any]:
        """Every tool that the agent has."""
        tools: List[Any] = self.get_adapter(framework_name).create_all_tools()
        return tools

    def create_tool(self, framework_name: str, tool_name: str) -> Any:
        """One tool."""
        if not self.tool_handler.has_tool_access(tool_name):
            raise SynthaFrameworkError(
                f"Tool '{tool_name}' is not available to this agent", framework=framework_name, tool_name=tool_name
            )
        for schema in self.tool_handler.get_syntha_schemas_only():
            if schema["name"] == tool_name:
                return self.get_adapter(framework_name).create_tool(tool_name, schema)
        raise SynthaFrameworkError(f"Schema not found for tool '{tool_name}'", framework=framework_name, tool_name=tool_name)

    def get_supported_frameworks(self) -> List[str]:
        """Which frameworks there are tools for."""
        return framework_adapters.get_supported_frameworks()

    def is_framework_supported(self, framework_name: str) -> bool:
        """Whether there are tools for this one."""
        return framework_name.strip().lower() in self.get_supported_frameworks()

    def get_framework_info(self, framework_name: Optional[str] = None) -> Answer:
        """What there is for a framework, or for all."""
        available = self.tool_handler.get_available_tools()
        told = {"available_tools": available, "tool_count": len(available), "agent_name": self.tool_handler.agent_name}
        if framework_name is None:
            supported = self.get_supported_frameworks()
            return {"supported_frameworks": supported, "total_frameworks": len(supported), **told}
        adapter = self.get_adapter(framework_name)
        return {"framework": adapter.framework_name, "adapter_class": type(adapter).__name__, **told}

    def create_function_handler(self, framework_name: str) -> Optional[Callable[..., Answer]]:
        """What carries a framework's calls out, where it leaves that to the program."""
        handler: Optional[Callable[..., Answer]] = self.get_adapter(framework_name).create_function_handler()
        return handler

    def clear_cache(self) -> None:
        """Forgets what it made tools with."""
        self._adapter_cache.clear()

    def get_cache_info(self) -> Answer:
        """What it has made tools with so far."""
        return {
            "cached_frameworks": list(self._adapter_cache),
            "cache_size": len(self._adapter_cache),
            "supported_frameworks": self.get_supported_frameworks(),
        }

    def validate_framework_requirements(self, framework_name: str) -> Answer:
        """Whether a framework's tools can be made here, and what is missing if not."""
        name = framework_name.strip().lower()
        if not self.is_framework_supported(name):
            return {
                "valid": False,
                "framework": name,
                "error": f"Unsupported framework '{framework_name}'",
                "supported_frameworks": self.get_supported_frameworks(),
            }
        try:
            adapter = self.get_adapter(name)
            available = self.tool_handler.get_available_tools()
            if available:
                self.create_tool(name, available[0])
            return {
                "valid": True,
                "framework": name,
                "adapter_class": type(adapter).__name__,
                "available_tools": available,
            }
        except Exception as error:
            package = _PACKAGES.get(name, name)
            return {
                "valid": False,
                "framework": name,
                "error": getattr(error, "message", None) or str(error),
                "suggestion": f"pip install {package}",
            }

    def create_hybrid_integration(self, framework_name: str, existing_tools: Optional[List[Any]] = None) -> Answer:
        """Tools that are there and then ours, with what carries calls out."""
        existing, ours = list(existing_tools or []), self.create_tools(framework_name)
        return {
            "framework": framework_name,
            "tools": [*existing, *ours],
            "syntha_tools": ours,
            "existing_tools": existing,
            "total_tools": len(existing) + len(ours),
            "syntha_tool_count": len(ours),
            "existing_tool_count": len(existing),
            "handler": self.create_function_handler(framework_name),
            "tool_handler": self.tool_handler,
        }


def create_tool_factory(tool_handler: Any) -> SynthaToolFactory:
    """A factory for a handler."""
    return SynthaToolFactory(tool_handler)
