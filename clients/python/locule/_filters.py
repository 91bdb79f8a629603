"""mem0's filters in the words of a space's own: whose space is meant goes out, and what is left is true or false of it."""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence, Tuple, Union

from .errors import InvalidError
from .records import Json

__all__ = ["split"]

_FIELDS = {
    "id", "memory", "agent_id", "run_id", "app_id", "categories", "created_at", "updated_at", "expiration", "metadata",
}  # fmt: skip

_LOGIC = {"AND": "AND", "OR": "OR", "NOT": "NOT", "$and": "AND", "$or": "OR", "$not": "NOT"}


def split(filters: Mapping[str, Any]) -> Tuple[List[Any], Json]:
    """The users a filter names, and the filter without them.

    A user within ``OR`` or ``NOT`` would be asked for, and not for: that is refused, because a space has one owner and a
    condition cannot lead out of it.
    """
    users: List[Any] = []
    return users, _object(filters, users, must=True)


def _object(filters: Any, users: List[Any], must: bool) -> Json:
    if not isinstance(filters, Mapping):
        raise InvalidError("A filter is a mapping of fields to what they must be.", code="invalid")
    condition: Json = {}
    for key, value in filters.items():
        if key == "user_id":
            users.append(_one_user(value, must))
        elif key in _LOGIC:
            word = _LOGIC[key]
            within = [_object(each, users, must and word == "AND") for each in _several(word, value)]
            # A list may have been nothing but the user; `OR` of nothing holds never, and `AND` of nothing always.
            if word != "AND" or any(within):
                condition[word] = within
        elif key in _FIELDS or str(key).startswith("metadata."):
            condition[key] = value
        else:
            condition[f"metadata.{key}"] = value
    return condition


def _several(word: str, value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping) and word == "NOT":
        return [value]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    raise InvalidError(f"`{word}` takes a list of filters.", code="invalid")


def _one_user(value: Any, must: bool) -> Union[str, int]:
    if isinstance(value, Mapping) and set(value) == {"eq"}:
        value = value["eq"]
    if not must:
        raise InvalidError("Say whose memories are meant beside `OR` and `NOT`: user_id=…", code="invalid")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidError("A filter names one user: {\"user_id\": \"alice\"}.", code="invalid")
    return value
