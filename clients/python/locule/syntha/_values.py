"""Values as they are kept: JSON text, in which everything beyond ASCII is escaped."""

from __future__ import annotations

import json
from typing import Any, Iterable, List, Optional, Union

__all__ = ["text_of", "value_of", "names_of", "seconds_of"]


def text_of(value: Any) -> str:
    """A value as text, in its JSON form: what is a tuple goes in as a list. What JSON cannot hold is a ``TypeError``, numbers
    that are none (NaN, infinities) a ``ValueError``."""
    return json.dumps(value, allow_nan=False)


def value_of(text: str) -> Any:
    """A copy of its own for whoever asks."""
    return json.loads(text)


def names_of(what: str, given: Optional[Iterable[str]]) -> List[str]:
    """A list of names, each once. One text is no list of names, although Python would walk through its letters."""
    if given is None:
        return []
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{what} must be a list of strings, not {type(given).__name__}")
    names = list(given)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{what} must be a list of strings, and one of them is {type(name).__name__}")
    return list(dict.fromkeys(names))


def seconds_of(what: str, given: Union[int, float, None]) -> Optional[float]:
    """A time to live, or none."""
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise TypeError(f"{what} must be a number of seconds, not {type(given).__name__}")
    if given != given or given in (float("inf"), float("-inf")):
        raise ValueError(f"{what} must be a finite number of seconds")
    return given
