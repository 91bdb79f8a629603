"""Loggers below ``syntha``. Nothing is set up until :func:`configure_logging` is called."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
from datetime import datetime, timezone
from typing import Any, Dict, Optional

__all__ = [
    "SynthaFormatter",
    "ContextLogger",
    "PerformanceLogger",
    "SecurityLogger",
    "get_logger",
    "get_context_logger",
    "get_performance_logger",
    "get_security_logger",
    "configure_logging",
]

_FORMATS = {
    "standard": "%(asctime)s %(levelname)s %(name)s: %(message)s",
    "detailed": "%(asctime)s %(levelname)s %(name)s %(filename)s:%(lineno)d %(funcName)s: %(message)s",
}

#: What every record of Python's own has; anything else was given by the caller.
_USUAL = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class SynthaFormatter(logging.Formatter):
    """Lines of text, or one JSON object each."""

    def __init__(self, format_type: str = "standard") -> None:
        super().__init__(_FORMATS.get(format_type, _FORMATS["standard"]))
        self.format_type = format_type

    def format(self, record: logging.LogRecord) -> str:
        if self.format_type != "json":
            return super().format(record)
        line: Dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: value for name, value in vars(record).items() if name not in _USUAL})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _Wrapper:
    """A logger with words for one purpose."""

    _purpose = ""

    def __init__(self, logger: Optional[logging.Logger] = None) -> None:
        self.logger = logger if logger is not None else get_logger(self._purpose)

    def _say(self, level: int, message: str, **details: Any) -> None:
        given = {name: value for name, value in details.items() if name not in _USUAL}
        told = " ".join(f"{name}={value}" for name, value in given.items())
        self.logger.log(level, f"{message} {told}".rstrip(), extra=given)


class ContextLogger(_Wrapper):
    """What happens to context."""

    _purpose = "context"

    def log_operation(self, operation: str, key: Optional[str] = None, agent: Optional[str] = None, **details: Any) -> None:
        self._say(logging.INFO, f"context {operation}", key=key, agent=agent, **details)

    def log_access(self, key: str, agent: Optional[str] = None, granted: bool = True, **details: Any) -> None:
        self._say(logging.DEBUG if granted else logging.WARNING, "context access", key=key, agent=agent, granted=granted, **details)


class PerformanceLogger(_Wrapper):
    """How long things take."""

    _purpose = "performance"

    def log_duration(self, operation: str, duration: float, **details: Any) -> None:
        self._say(logging.INFO, f"took {duration:.6f}s", operation=operation, duration=duration, **details)

    def log_metric(self, metric: str, value: float, **details: Any) -> None:
        self._say(logging.INFO, "metric", metric=metric, value=value, **details)


class SecurityLogger(_Wrapper):
    """Who was refused what."""

    _purpose = "security"

    def log_event(self, event: str, agent: Optional[str] = None, **details: Any) -> None:
        self._say(logging.WARNING, f"security {event}", agent=agent, **details)

    def log_denied(self, agent: Optional[str], resource: str, **details: Any) -> None:
        self._say(logging.WARNING, "security denied", agent=agent, resource=resource, **details)


def get_logger(name: str) -> logging.Logger:
    """The logger ``syntha.<name>``."""
    return logging.getLogger(name if name == "syntha" or name.startswith("syntha.") else f"syntha.{name}")


def get_context_logger() -> ContextLogger:
    """Words for what happens to context."""
    return ContextLogger()


def get_performance_logger() -> PerformanceLogger:
    """Words for how long things take."""
    return PerformanceLogger()


def get_security_logger() -> SecurityLogger:
    """Words for who was refused what."""
    return SecurityLogger()


def configure_logging(
    level: Optional[str] = None,
    format_type: Optional[str] = None,
    log_file: Optional[str] = None,
    enable_console: Optional[bool] = None,
    enable_file: Optional[bool] = None,
    max_file_size: Optional[int] = None,
    backup_count: Optional[int] = None,
) -> None:
    """Sets the logger ``syntha`` up, and no other. What is not given is as the environment says: ``SYNTHA_LOG_LEVEL``,
    ``_FORMAT``, ``_FILE``, ``_CONSOLE``, ``_FILE_ENABLE``, ``_MAX_SIZE``, ``_BACKUP_COUNT``."""
    root = logging.getLogger("syntha")
    path = log_file or _said("FILE", "syntha.log")
    handlers: list[logging.Handler] = []
    if _is(enable_console, "CONSOLE", True):
        handlers.append(logging.StreamHandler())
    if _is(enable_file, "FILE_ENABLE", log_file is not None):
        size = max_file_size if max_file_size is not None else int(_said("MAX_SIZE", str(10 << 20)))
        count = backup_count if backup_count is not None else int(_said("BACKUP_COUNT", "5"))
        handlers.append(logging.handlers.RotatingFileHandler(path, maxBytes=size, backupCount=count))
    formatter = SynthaFormatter(format_type or _said("FORMAT", "standard"))
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.setLevel((level or _said("LEVEL", "INFO")).upper())
    root.propagate = False


def _said(name: str, otherwise: str) -> str:
    return os.environ.get(f"SYNTHA_LOG_{name}", otherwise)


def _is(given: Optional[bool], name: str, otherwise: bool) -> bool:
    if given is not None:
        return given
    return _said(name, str(otherwise)).strip().lower() in ("1", "true", "yes", "on")
