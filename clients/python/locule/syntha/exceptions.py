"""The exceptions of ``syntha``: one family, with codes, causes and suggestions."""

from __future__ import annotations

import functools
import logging
import traceback
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Optional, TypeVar, Union, cast

__all__ = [
    "SynthaError",
    "SynthaConfigurationError",
    "SynthaConnectionError",
    "SynthaValidationError",
    "SynthaPermissionError",
    "SynthaContextError",
    "SynthaPersistenceError",
    "SynthaToolError",
    "SynthaSecurityError",
    "SynthaPerformanceError",
    "SynthaQuotaError",
    "SynthaTimeoutError",
    "SynthaFrameworkError",
    "ErrorHandler",
    "handle_syntha_error",
]

Call = TypeVar("Call", bound=Callable[..., Any])


class SynthaError(Exception):
    """Anything that goes wrong in a mesh or a tool."""

    #: What to try, if an error of this kind is about something in particular.
    _advice: Dict[str, List[str]] = {}

    def __init__(
        self,
        message: str,
        error_code: Optional[str] = None,
        context: Optional[Dict[str, Any]] = None,
        cause: Optional[BaseException] = None,
        suggestions: Optional[List[str]] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code or type(self).__name__
        self.context: Dict[str, Any] = dict(context or {})
        self.cause = cause
        self.suggestions: List[str] = list(suggestions or [])
        self.timestamp = datetime.now(timezone.utc).isoformat()

    def _about(self, **details: Any) -> None:
        """Takes each detail that is given as an attribute, into the context, and with its advice."""
        for name, value in details.items():
            setattr(self, name, value)
            if value is not None:
                self.context[name] = value
                self.suggestions.extend(self._advice.get(name, []))

    def __str__(self) -> str:
        lines = [f"[{self.error_code}] {self.message}"]
        if self.context:
            lines.append(f"Context: {self.context}")
        if self.cause is not None:
            lines.append(f"Caused by: {self.cause}")
        if self.suggestions:
            lines.append(f"Suggestions: {', '.join(self.suggestions)}")
        return "\n".join(lines)

    def to_dict(self) -> Dict[str, Any]:
        """The same, for a log."""
        trace = "".join(traceback.format_exception(type(self), self, self.__traceback__)) if self.__traceback__ else None
        return {
            "error_type": type(self).__name__,
            "message": self.message,
            "error_code": self.error_code,
            "context": self.context,
            "cause": None if self.cause is None else str(self.cause),
            "suggestions": self.suggestions,
            "timestamp": self.timestamp,
            "traceback": trace,
        }


class SynthaConfigurationError(SynthaError):
    """Something is set up wrongly."""

    _advice = {"config_key": ["look at the value of this setting", "leave it out for the default"]}

    def __init__(self, message: str, config_key: Optional[str] = None, **details: Any) -> None:
        super().__init__(message, **details)
        self._about(config_key=config_key)


class SynthaConnectionError(SynthaError):
    """Something cannot be reached."""

    _advice = {"service": ["see that the service runs and can be reached", "see that the address is right"]}

    def __init__(self, message: str, service: Optional[str] = None, **details: Any) -> None:
        super().__init__(message, **details)
        self._about(service=service)


class SynthaValidationError(SynthaError, ValueError):
    """A value is not what it should be."""

    _advice = {"field": ["look at the type and form of this field"]}

    def __init__(self, message: str, field: Optional[str] = None, value: Any = None, **details: Any) -> None:
        super().__init__(message, **details)
        self._about(field=field, value=value)


class SynthaPermissionError(SynthaError, PermissionError):
    """An agent may not do that."""

    _advice = {"agent": ["see which tools and topics the agent has"], "resource": ["ask for the right to this resource"]}

    def __init__(
        self, message: str, agent: Optional[str] = None, resource: Optional[str] = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self._about(agent=agent, resource=resource)


class SynthaContextError(SynthaError):
    """An entry cannot be read or written."""

    _advice = {"key": ["see that the key is there and has not expired"]}

    def __init__(self, message: str, key: Optional[str] = None, operation: Optional[str] = None, **details: Any) -> None:
        super().__init__(message, **details)
        self._about(key=key, operation=operation)


class SynthaPersistenceError(SynthaError):
    """The store refuses or fails."""

    _advice = {"backend": ["see that the store can be reached and written to", "see that there is room on the disk"]}

    def __init__(
        self, message: str, backend: Optional[str] = None, operation: Optional[str] = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self._about(backend=backend, operation=operation)


class SynthaToolError(SynthaError):
    """A tool fails."""

    _advice = {"tool": ["compare the arguments with the tool's schema", "see that the agent has this tool"]}

    def __init__(self, message: str, tool: Optional[str] = None, agent: Optional[str] = None, **details: Any) -> None:
        super().__init__(message, **details)
        self._about(tool=tool, agent=agent)


class SynthaSecurityError(SynthaError):
    """Something is refused to keep people apart."""

    _advice = {"security_event": ["look at the audit trail"]}

    def __init__(self, message: str, security_event: Optional[str] = None, **details: Any) -> None:
        super().__init__(message, **details)
        self._about(security_event=security_event)


class SynthaPerformanceError(SynthaError):
    """Something is too much, or takes too long."""

    _advice = {"operation": ["do less at once"], "duration": ["look at what else is running"]}

    def __init__(
        self, message: str, operation: Optional[str] = None, duration: Optional[float] = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self._about(operation=operation, duration=duration)


class SynthaQuotaError(SynthaPerformanceError):
    """A limit of the user's space is reached; nothing was changed."""


class SynthaTimeoutError(SynthaError):
    """Something did not answer in time."""

    _advice = {"timeout": ["give it more time"], "operation": ["try again in a moment"]}

    def __init__(
        self, message: str, timeout: Optional[float] = None, operation: Optional[str] = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self._about(timeout=timeout, operation=operation)


class SynthaFrameworkError(SynthaError):
    """A framework is unknown or missing, or refuses a tool."""

    _advice = {"framework": ["see that the framework's package is installed"], "tool_name": ["see that the agent has this tool"]}

    def __init__(
        self, message: str, framework: Optional[str] = None, tool_name: Optional[str] = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self._about(framework=framework, tool_name=tool_name)


#: Which error a foreign one becomes, by a word in its text; the first that is found counts.
_BY_WORD = (
    ("connection", SynthaConnectionError, "Connection error"),
    ("validation", SynthaValidationError, "Validation error"),
    ("permission", SynthaPermissionError, "Permission error"),
    ("timeout", SynthaTimeoutError, "Timeout error"),
)


class ErrorHandler:
    """Makes any exception one of this family."""

    def __init__(self, logger: Optional[logging.Logger] = None) -> None:
        self.logger = logger

    def handle_error(self, error: BaseException, context: Optional[Dict[str, Any]] = None) -> SynthaError:
        """The error itself if it is of this family, or one that tells what kind it is and has it as its cause."""
        if isinstance(error, SynthaError):
            error.context.update(context or {})
            handled = error
        else:
            handled = _translated(error, context)
        if self.logger is not None:
            self.logger.error(handled.message, extra={"error_code": handled.error_code})
        return handled

    def wrap_function(self, function: Call, context: Optional[Dict[str, Any]] = None) -> Call:
        """The function, whose exceptions are all of this family."""

        @functools.wraps(function)
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            try:
                return function(*arguments, **keywords)
            except Exception as error:
                handled = self.handle_error(error, context)
                if handled is error:
                    raise
                raise handled from error

        return cast(Call, wrapped)


def _translated(error: BaseException, context: Optional[Dict[str, Any]]) -> SynthaError:
    text = str(error)
    for word, kind, name in _BY_WORD:
        if word in text.lower():
            made: SynthaError = kind(f"{name}: {text}", context=context, cause=error)
            return made
    return SynthaError(f"Unexpected error: {text}", context=context, cause=error)


def handle_syntha_error(function: Union[Call, None] = None, **context: Any) -> Any:
    """A decorator: the function's exceptions are all of this family."""
    handler = ErrorHandler()
    if function is not None:
        return handler.wrap_function(function, context or None)
    return lambda decorated: handler.wrap_function(decorated, context or None)
