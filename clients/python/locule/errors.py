"""What can go wrong, sorted by what you can do about it.

Every error is a :class:`LoculeError` with a stable ``code`` (the same word as on the wire), a sentence in ``detail`` that says
what to do, and ``retry_after_s`` where trying again may help. Those that Python has a name for are of that kind too:
``PermissionError``, ``LookupError``, ``ValueError``.
"""

from __future__ import annotations

import logging
from typing import Optional

__all__ = [
    "LoculeError",
    "AuthenticationError",
    "NotAllowedError",
    "NotFoundError",
    "LimitError",
    "InvalidError",
    "ConflictError",
    "TemporaryError",
    "FaultError",
    "ClosedError",
    "ForkedError",
]

_log = logging.getLogger("locule")


class LoculeError(Exception):
    """Anything that Locule refuses, or that fails in it."""

    code: str
    detail: str
    retry_after_s: Optional[float]
    request_id: Optional[str]

    def __init__(
        self,
        detail: str,
        *,
        code: str = "internal",
        retry_after_s: Optional[float] = None,
        request_id: Optional[str] = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.request_id = request_id

    def __str__(self) -> str:
        return self.detail

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.detail!r}, code={self.code!r})"

    def __reduce__(self):  # type: ignore[no-untyped-def]  # exceptions travel between processes, attributes and all
        return _again, (type(self), self.detail, self.code, self.retry_after_s, self.request_id)


class AuthenticationError(LoculeError):
    """Sign in again: the credential is missing, expired, not valid here, or older than an erasure."""


class NotAllowedError(LoculeError, PermissionError):
    """Ask for something else: this is somebody else's space, or not for this credential, or the space is suspended."""


class NotFoundError(LoculeError, LookupError):
    """There is no such thing in this space. It reads the same whether it exists elsewhere or nowhere."""


class LimitError(LoculeError):
    """Ask for less: a bound is exceeded, or the space's quota is used up."""


class InvalidError(LoculeError, ValueError):
    """Mend the call: it does not say what it should."""


class ConflictError(InvalidError):
    """It exists already, was changed meanwhile, or was made with another model than the one configured."""


class TemporaryError(LoculeError):
    """Try again, after ``retry_after_s`` seconds if that is given."""


class FaultError(LoculeError):
    """Give up and tell whoever runs this: disk, key or program are at fault. The log has the cause."""


class ClosedError(LoculeError, RuntimeError):
    """The installation or the client was closed."""


class ForkedError(LoculeError, RuntimeError):
    """The installation was opened before this process was forked."""


_KINDS: dict[str, type[LoculeError]] = {
    "unauthenticated": AuthenticationError,
    "space_erased": AuthenticationError,
    "not_your_space": NotAllowedError,
    "not_allowed": NotAllowedError,
    "space_suspended": NotAllowedError,
    "not_found": NotFoundError,
    "space_moved": NotFoundError,
    "too_large": LimitError,
    "quota_exceeded": LimitError,
    "invalid": InvalidError,
    "no_such_method": InvalidError,
    "conflict": ConflictError,
    "model_mismatch": ConflictError,
    "rate_limited": TemporaryError,
    "overloaded": TemporaryError,
    "busy": TemporaryError,
    "space_moving": TemporaryError,
    "deadline_exceeded": TemporaryError,
    "provider_unavailable": TemporaryError,
    "backend_unavailable": TemporaryError,
    "unreachable": TemporaryError,
    "storage_full": TemporaryError,
    "closed": ClosedError,
    "forked": ForkedError,
}


def from_code(
    code: str,
    detail: str,
    retry_after_s: Optional[float] = None,
    trace: Optional[str] = None,
    request_id: Optional[str] = None,
) -> LoculeError:
    """The error for a code. A code that is not known here is a fault. ``trace`` goes to the log, and not to whoever asked."""
    kind = _KINDS.get(code, FaultError)
    if trace is not None and issubclass(kind, (FaultError, TemporaryError)):
        _log.warning("a call failed: %s", trace)
    return kind(detail, code=code, retry_after_s=retry_after_s, request_id=request_id)


def _again(
    kind: type[LoculeError], detail: str, code: str, retry_after_s: Optional[float], request_id: Optional[str]
) -> LoculeError:
    return kind(detail, code=code, retry_after_s=retry_after_s, request_id=request_id)
