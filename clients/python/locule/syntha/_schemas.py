"""The seven tools, as models are told of them."""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Optional

__all__ = [
    "TOOL_NAMES",
    "get_context_tool_schema",
    "get_push_context_tool_schema",
    "get_list_context_tool_schema",
    "get_subscribe_to_topics_tool_schema",
    "get_discover_topics_tool_schema",
    "get_unsubscribe_from_topics_tool_schema",
    "get_delete_topic_tool_schema",
    "get_all_tool_schemas",
    "merge_tool_schemas",
]

Schema = Dict[str, Any]


def _strings(description: str) -> Schema:
    return {"type": "array", "items": {"type": "string"}, "description": description}


def _tool(name: str, description: str, properties: Dict[str, Schema], required: List[str]) -> Schema:
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"name": name, "description": description, "parameters": parameters}


_SCHEMAS: Dict[str, Schema] = {
    schema["name"]: schema
    for schema in (
        _tool(
            "get_context",
            "Read what other agents have shared with you. Call list_context first to see which keys there are. Who you are is "
            "known: do not give your name. Without keys you get everything you may read.",
            {"keys": _strings("The keys to read, as a list such as [\"plan\", \"budget\"]. Leave it out for everything.")},
            [],
        ),
        _tool(
            "push_context",
            "Share something with other agents. With topics it goes to the agents that follow one of them now; with subscribers "
            "to the agents of these names; with both to all of these; with neither to every agent. The same key again replaces "
            "what was there, and who may read it. Who you are is known: do not give your name.",
            {
                "key": {"type": "string", "description": "A short name under which others find it, such as quarterly_plan."},
                "value": {"type": "string", "description": "What to share: a text, or JSON as a text."},
                "topics": _strings("Topics, as a list such as [\"sales\"], not as one text with commas."),
                "subscribers": _strings("Names of agents, as a list."),
                "ttl_hours": {
                    "type": "number",
                    "description": "For how many hours it is kept, 24 if left out; 0 keeps it without an end.",
                },
            },
            ["key", "value"],
        ),
        _tool(
            "list_context",
            "See which keys you may read, by the topics that you follow. Call this first, then get_context for what you need.",
            {},
            [],
        ),
        _tool(
            "subscribe_to_topics",
            "Say which topics you follow, in place of those before. You receive what is shared on them from now on, and not "
            "what was shared before.",
            {"topics": _strings("Topics, as a list such as [\"sales\", \"support\"], not as one text with commas.")},
            ["topics"],
        ),
        _tool(
            "discover_topics",
            "See which topics there are and how many agents follow each, before you follow one or share something on it.",
            {
                "include_subscriber_names": {
                    "type": "boolean",
                    "description": "Whether to tell which agents follow each topic, and not only how many.",
                }
            },
            [],
        ),
        _tool(
            "unsubscribe_from_topics",
            "Stop following topics. You keep what was shared with you before.",
            {"topics": _strings("Topics, as a list, not as one text with commas.")},
            ["topics"],
        ),
        _tool(
            "delete_topic",
            "Delete a topic for every agent, with everything that was shared on it and on no other topic. This is destructive "
            "and cannot be undone: set confirm to true only if that is wanted.",
            {
                "topic": {"type": "string", "description": "The topic to delete."},
                "confirm": {"type": "boolean", "description": "True, to say that everything on it may be destroyed."},
            },
            ["topic", "confirm"],
        ),
    )
}

TOOL_NAMES = list(_SCHEMAS)


def _copy(name: str) -> Schema:
    # Nobody who changes what they were handed changes what others get.
    return copy.deepcopy(_SCHEMAS[name])


def get_context_tool_schema() -> Schema:
    """The schema of ``get_context``."""
    return _copy("get_context")


def get_push_context_tool_schema() -> Schema:
    """The schema of ``push_context``."""
    return _copy("push_context")


def get_list_context_tool_schema() -> Schema:
    """The schema of ``list_context``."""
    return _copy("list_context")


def get_subscribe_to_topics_tool_schema() -> Schema:
    """The schema of ``subscribe_to_topics``."""
    return _copy("subscribe_to_topics")


def get_discover_topics_tool_schema() -> Schema:
    """The schema of ``discover_topics``."""
    return _copy("discover_topics")


def get_unsubscribe_from_topics_tool_schema() -> Schema:
    """The schema of ``unsubscribe_from_topics``."""
    return _copy("unsubscribe_from_topics")


def get_delete_topic_tool_schema() -> Schema:
    """The schema of ``delete_topic``."""
    return _copy("delete_topic")


def get_all_tool_schemas() -> List[Schema]:
    """All seven."""
    return [_copy(name) for name in TOOL_NAMES]


def merge_tool_schemas(
    syntha_schemas: List[Schema], user_schemas: Optional[List[Schema]] = None, handle_conflicts: str = "warn"
) -> List[Schema]:
    """Our schemas and then others; of two of one name the other one is dropped, with a word (``warn``) or without
    (``skip``), or gets ``user_`` before its name (``prefix``)."""
    merged = copy.deepcopy(list(syntha_schemas))
    taken = {schema.get("name") for schema in merged}
    for schema in copy.deepcopy(list(user_schemas or [])):
        if schema.get("name") in taken:
            if handle_conflicts == "prefix":
                schema["name"] = f"user_{schema['name']}"
            else:
                if handle_conflicts == "warn":
                    print(f"Warning: the tool '{schema.get('name')}' is left out, since there is one of that name")
                continue
        merged.append(schema)
    return merged
