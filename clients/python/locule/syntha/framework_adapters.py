"""The tools in the forms that frameworks want. A framework's package is imported when its tools are made, and not before."""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from typing import Any, Callable, Dict, List, Optional, Tuple, Type, Union

from ._schemas import Schema
from .exceptions import SynthaFrameworkError

__all__ = [
    "FRAMEWORK_ADAPTERS",
    "AgnoAdapter",
    "AnthropicAdapter",
    "FrameworkAdapter",
    "LangChainAdapter",
    "LangGraphAdapter",
    "OpenAIAdapter",
    "create_framework_adapter",
    "get_supported_frameworks",
]

Answer = Dict[str, Any]

#: Parameters that are lists, and that models give as one text now and then.
_LISTS = {
    "get_context": ("keys",),
    "subscribe_to_topics": ("topics",),
    "unsubscribe_from_topics": ("topics",),
    "push_context": ("topics", "subscribers"),
}

_TYPES: Dict[str, Any] = {"array": List[str], "boolean": bool, "integer": int, "number": float, "string": str}


class FrameworkAdapter(ABC):
    """Makes an agent's tools what one framework wants."""

    def __init__(self, tool_handler: Any, framework_name: str = "") -> None:
        self.tool_handler = tool_handler
        self.framework_name = framework_name or self._framework

    _framework = ""

    @abstractmethod
    def create_tool(self, tool_name: str, tool_schema: Schema) -> Any:
        """One tool."""

    def create_all_tools(self) -> List[Any]:
        """Every tool that the agent has."""
        try:
            schemas = self.tool_handler.get_syntha_schemas_only()
            mine = [schema for schema in schemas if self.tool_handler.has_tool_access(schema["name"])]
            return [self.create_tool(schema["name"], schema) for schema in mine]
        except SynthaFrameworkError:
            raise
        except Exception as error:
            raise SynthaFrameworkError(
                f"Tools for {self.framework_name} cannot be made: {error}", framework=self.framework_name, cause=error
            ) from error

    def convert_parameters(self, parameters: Dict[str, Any]) -> Dict[str, Any]:
        """Parameters in the framework's form: as they are."""
        return parameters

    def create_function_handler(self) -> Optional[Callable[..., Answer]]:
        """What carries the framework's calls out, where it leaves that to the program."""
        return None

    def _should_convert_to_list(self, tool_name: str, param_name: str) -> bool:
        return param_name in _LISTS.get(tool_name, ())

    def _convert_input_parameters(self, tool_name: str, kwargs: Dict[str, Any]) -> Dict[str, Any]:
        converted = dict(kwargs)
        for name, value in kwargs.items():
            if isinstance(value, str) and self._should_convert_to_list(tool_name, name):
                converted[name] = [part.strip() for part in value.split(",")] if "," in value else [value]
        return converted

    def _create_tool_function(self, tool_name: str) -> Callable[..., Answer]:
        def tool_function(**kwargs: Any) -> Answer:
            try:
                answer: Answer = self.tool_handler.handle_tool_call(tool_name, **self._convert_input_parameters(tool_name, kwargs))
                if answer.get("success", True):
                    return answer
                error: Any = answer.get("error", "the tool refused")
            except Exception as raised:
                error = raised
            return {
                "success": False,
                "error": f"Tool execution error: {error}",
                "tool_name": tool_name,
                "framework": self.framework_name,
            }

        tool_function.__name__ = tool_name
        return tool_function

    def _field_types(self, parameters: Schema) -> List[Tuple[str, Any, bool, str]]:
        """Name, type, whether it must be given, and what it is, of every parameter, in the schema's order."""
        required = set(parameters.get("required", ()))
        return [
            (name, _TYPES.get(told.get("type", "string"), str), name in required, told.get("description", ""))
            for name, told in parameters.get("properties", {}).items()
        ]


class OpenAIAdapter(FrameworkAdapter):
    """Function calling as OpenAI has it."""

    _framework = "openai"

    def create_tool(self, tool_name: str, tool_schema: Schema) -> Answer:
        function = {name: tool_schema[name] for name in ("description", "parameters")}
        return {"type": "function", "function": {"name": tool_name, **function}}

    def create_function_handler(self) -> Callable[[str, Union[str, Answer]], Answer]:
        def handle(function_name: str, arguments: Union[str, Answer]) -> Answer:
            try:
                given = json.loads(arguments) if isinstance(arguments, str) else arguments
                converted = self._convert_input_parameters(function_name, given)
                answer: Answer = self.tool_handler.handle_tool_call(function_name, **converted)
                return answer
            except Exception as error:
                return {"success": False, "error": f"Function call error: {error}", "function_name": function_name}

        return handle


class AnthropicAdapter(FrameworkAdapter):
    """Tool use as Anthropic has it."""

    _framework = "anthropic"

    def create_tool(self, tool_name: str, tool_schema: Schema) -> Answer:
        return {"name": tool_name, "description": tool_schema["description"], "input_schema": tool_schema["parameters"]}

    def create_function_handler(self) -> Callable[[str, Answer], Answer]:
        return self.create_tool_handler()

    def create_tool_handler(self) -> Callable[[str, Answer], Answer]:
        """What carries Anthropic's calls out."""

        def handle(tool_name: str, tool_input: Answer) -> Answer:
            try:
                converted = self._convert_input_parameters(tool_name, tool_input)
                answer: Answer = self.tool_handler.handle_tool_call(tool_name, **converted)
                return answer
            except Exception as error:
                return {"success": False, "error": f"Tool use error: {error}", "tool_name": tool_name}

        return handle


class LangGraphAdapter(FrameworkAdapter):
    """A dictionary with a function, for nodes of LangGraph."""

    _framework = "langgraph"

    def create_tool(self, tool_name: str, tool_schema: Schema) -> Answer:
        call = self._create_tool_function(tool_name)

        def function(**kwargs: Any) -> str:
            return json.dumps(call(**kwargs), indent=2)

        described = {name: tool_schema[name] for name in ("description", "parameters")}
        return {"name": tool_name, **described, "function": function}


class LangChainAdapter(FrameworkAdapter):
    """Tools of LangChain."""

    _framework = "langchain"

    def create_tool(self, tool_name: str, tool_schema: Schema) -> Any:
        base = self._base()
        call = self._create_tool_function(tool_name)
        arguments = self._arguments(tool_name, tool_schema)

        def run(self: Any, **kwargs: Any) -> str:
            kwargs.pop("run_manager", None)
            return json.dumps(call(**{name: value for name, value in kwargs.items() if value is not None}), indent=2)

        async def arun(self: Any, **kwargs: Any) -> str:
            import asyncio

            return await asyncio.to_thread(run, self, **kwargs)

        # Pydantic takes what has a type annotation for a field.
        members = {
            "__annotations__": {"name": str, "description": str, "args_schema": Any},
            "__module__": __name__,
            "name": tool_name,
            "description": tool_schema["description"],
            "args_schema": arguments,
            "_run": run,
            "_arun": arun,
        }
        return type(f"Syntha_{tool_name}", (base,), members)()

    def _base(self) -> Any:
        for module in ("langchain.tools", "langchain_core.tools"):
            try:
                return __import__(module, fromlist=["BaseTool"]).BaseTool
            except (ImportError, AttributeError):
                continue
        raise SynthaFrameworkError("LangChain not installed: pip install langchain-core", framework=self.framework_name)

    def _create_pydantic_fields(self, parameters: Schema) -> Dict[str, Tuple[Any, Any]]:
        from pydantic import Field

        return {
            name: (kind, Field(..., description=told)) if required else (Optional[kind], Field(default=None, description=told))
            for name, kind, required, told in self._field_types(parameters)
        }

    def _arguments(self, tool_name: str, tool_schema: Schema) -> Any:
        try:
            from pydantic import create_model
        except ImportError as error:
            raise SynthaFrameworkError(
                "LangChain not installed: its tools need pydantic", framework=self.framework_name, cause=error
            ) from error
        fields: Dict[str, Any] = self._create_pydantic_fields(tool_schema["parameters"])
        return create_model(f"{tool_name}_arguments", **fields)


class AgnoAdapter(FrameworkAdapter):
    """Functions of Agno."""

    _framework = "agno"

    def create_tool(self, tool_name: str, tool_schema: Schema) -> Any:
        try:
            from agno.tools import Function  # type: ignore[import-not-found,unused-ignore]
        except ImportError as error:
            raise SynthaFrameworkError(
                "Agno not installed: pip install agno", framework=self.framework_name, cause=error
            ) from error
        wrapper = self._wrapper(tool_name, tool_schema)
        try:
            return Function.from_callable(
                wrapper, name=tool_name, description=tool_schema["description"], strict=False  # type: ignore[call-arg,unused-ignore]
            )
        except TypeError:
            # Some releases take the description from the function alone.
            return Function.from_callable(wrapper, name=tool_name, strict=False)

    def create_tools(self, tools: Optional[List[str]] = None) -> List[Any]:
        """These tools, or all that the agent has; one that cannot be made is left out with a word."""
        available = self.tool_handler.get_available_tools()
        unknown = set(tools or ()) - set(available)
        if unknown:
            raise SynthaFrameworkError(f"Unknown tools: {unknown}", framework=self.framework_name)
        schemas = {schema["name"]: schema for schema in self.tool_handler.get_syntha_schemas_only()}
        made = []
        for name in available if tools is None else tools:
            try:
                made.append(self.create_tool(name, schemas[name]))
            except Exception as error:
                print(f"Warning: Failed to create Agno tool '{name}': {error}")
        return made

    def _wrapper(self, tool_name: str, tool_schema: Schema) -> Callable[..., str]:
        call = self._create_tool_function(tool_name)
        # A signature has what must be given first.
        fields = sorted(self._field_types(tool_schema["parameters"]), key=lambda field: not field[2])

        def wrapper(*arguments: Any, **kwargs: Any) -> str:
            try:
                given = {**dict(zip((name for name, *_ in fields), arguments)), **kwargs}
                given = {name: value for name, value in given.items() if value is not None}
                for name, value in given.items():
                    if isinstance(value, str) and self._should_convert_to_list(tool_name, name):
                        given[name] = self._convert_input_parameters(tool_name, {name: value})[name]
                answer = call(**given)
                return json.dumps(answer, indent=2) if isinstance(answer, (dict, list)) else str(answer)
            except Exception as error:
                return f"Error executing {tool_name}: {error}"

        parameters = [
            inspect.Parameter(
                name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=inspect.Parameter.empty if required else None,
                annotation=kind if required else Optional[kind],
            )
            for name, kind, required, _ in fields
        ]
        wrapper.__name__ = tool_name
        wrapper.__doc__ = tool_schema["description"]
        wrapper.__signature__ = inspect.Signature(parameters, return_annotation=str)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {**{each.name: each.annotation for each in parameters}, "return": str}
        return wrapper


FRAMEWORK_ADAPTERS: Dict[str, Type[FrameworkAdapter]] = {
    "langchain": LangChainAdapter,
    "langgraph": LangGraphAdapter,
    "openai": OpenAIAdapter,
    "anthropic": AnthropicAdapter,
    "agno": AgnoAdapter,
}


def get_supported_frameworks() -> List[str]:
    """Which frameworks there are tools for."""
    return list(FRAMEWORK_ADAPTERS)


def create_framework_adapter(framework_name: str, tool_handler: Any) -> FrameworkAdapter:
    """The adapter for a framework."""
    if framework_name not in FRAMEWORK_ADAPTERS:
        raise SynthaFrameworkError(
            f"Unsupported framework '{framework_name}'. Supported frameworks: {', '.join(FRAMEWORK_ADAPTERS)}",
            framework=framework_name,
        )
    return FRAMEWORK_ADAPTERS[framework_name](tool_handler)
