"""What each tool does when it is called. All of them answer a JSON object, and none raises for what a model says."""

from __future__ import annotations

import json
import math
from typing import Any, Callable, Dict, List, Optional, Union

__all__ = [
    "handle_get_context_call",
    "handle_push_context_call",
    "handle_list_context_call",
    "handle_subscribe_to_topics_call",
    "handle_discover_topics_call",
    "handle_unsubscribe_from_topics_call",
    "handle_delete_topic_call",
]

Answer = Dict[str, Any]

#: From how many followers on a topic counts as popular.
_POPULAR = 2

_EXAMPLES = ("sales", "marketing", "support", "product", "analytics", "customer_data")


def _told(error: BaseException) -> str:
    """An error in the words for a model: without codes, and without suggestions for whoever programs it."""
    return str(getattr(error, "message", None) or error)


def handle_get_context_call(context_mesh: Any, agent_name: str, keys: Optional[List[str]] = None) -> Answer:
    """Reads some keys, or all that the agent may read."""
    try:
        found: Dict[str, Any]
        read = getattr(type(context_mesh), "_read", None)
        if keys and read is not None:
            found = read(context_mesh, [key for key in keys if isinstance(key, str)], agent_name)
        elif keys:
            readable = set(context_mesh.get_keys_for_agent(agent_name))
            found = {key: context_mesh.get(key, agent_name) for key in keys if key in readable}
        else:
            found = context_mesh.get_all_for_agent(agent_name)
        return {
            "success": True,
            "context": found,
            "agent_name": agent_name,
            "keys_requested": keys if keys else list(found),
            "keys_found": list(found),
            "message": f"Retrieved {len(found)} context items",
        }
    except Exception as error:
        return {"success": False, "error": _told(error), "agent_name": agent_name, "keys_requested": keys, "context": {}}


def handle_push_context_call(
    context_mesh: Any,
    key: str,
    value: Any,
    topics: Optional[List[str]] = None,
    subscribers: Optional[List[str]] = None,
    ttl_hours: Optional[float] = 24.0,
    sender_agent: Optional[str] = None,
) -> Answer:
    """Shares a value. A text that is JSON is taken for what it says."""
    for name, given in (("topics", topics), ("subscribers", subscribers)):
        if given is not None and not (isinstance(given, list) and all(isinstance(each, str) for each in given)):
            return {"success": False, "error": f"Invalid parameter: '{name}' must be a list of strings", name: given}
    failed = {"success": False, "key": key, "topics": topics, "subscribers": subscribers}
    try:
        parsed = _parsed(value)
        ttl = _seconds(ttl_hours)
        push = _pusher(context_mesh, sender_agent)
        push(key, parsed, subscribers=subscribers, topics=topics, ttl=ttl)
    except Exception as error:
        return {**failed, "error": _told(error)}
    parts = []
    if topics:
        parts.append(f"topics: {', '.join(topics)}")
    if subscribers:
        parts.append(f"subscribers: {', '.join(subscribers)}")
    return {
        "success": True,
        "message": f"Context '{key}' shared with {' and '.join(parts) or 'all agents'}",
        "key": key,
        "value": parsed,
        "topics": topics,
        "subscribers": subscribers,
        "ttl_hours": ttl_hours,
        "sender_agent": sender_agent,
    }


def _pusher(context_mesh: Any, sender: Optional[str]) -> Callable[..., None]:
    """How to push as this agent: with its permissions, where the mesh knows of such, or as any mesh does."""
    push = getattr(type(context_mesh), "_push", None)
    if sender is None or push is None:
        return context_mesh.push  # type: ignore[no-any-return]
    return lambda key, value, **where: push(context_mesh, key, value, sender=sender, **where)


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return value


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _seconds(ttl_hours: Union[int, float, None]) -> Optional[float]:
    if ttl_hours is None:
        return None
    if isinstance(ttl_hours, bool) or not isinstance(ttl_hours, (int, float)):
        raise TypeError("ttl_hours must be a number")
    if not math.isfinite(ttl_hours) or ttl_hours < 0:
        raise ValueError("ttl_hours must be a finite number from 0; 0 keeps the value without an end")
    return ttl_hours * 3600 or None


def handle_list_context_call(context_mesh: Any, agent_name: str) -> Answer:
    """Which keys the agent may read."""
    try:
        by_topic = context_mesh.get_available_keys_by_topic(agent_name)
        keys = context_mesh.get_keys_for_agent(agent_name)
        return {
            "success": True,
            "keys_by_topic": by_topic,
            "all_accessible_keys": keys,
            "topics_subscribed": context_mesh.get_topics_for_agent(agent_name),
            "message": f"Found {len(keys)} accessible context keys",
            "agent_name": agent_name,
            "total_keys": len(keys),
        }
    except Exception as error:
        return {
            "success": False,
            "error": _told(error),
            "agent_name": agent_name,
            "keys_by_topic": {},
            "all_accessible_keys": [],
            "topics_subscribed": [],
            "total_keys": 0,
        }


def handle_subscribe_to_topics_call(context_mesh: Any, topics: List[str], agent_name: str) -> Answer:
    """Says which topics the agent follows."""
    try:
        context_mesh.register_agent_topics(agent_name, topics)
        message = f"Agent '{agent_name}' registered for topics: {', '.join(topics)}"
        return {"success": True, "agent": agent_name, "topics": topics, "message": message}
    except Exception as error:
        return {"success": False, "error": _told(error), "agent": agent_name, "topics": topics}


def handle_discover_topics_call(context_mesh: Any, include_subscriber_names: bool = False) -> Answer:
    """Which topics there are, the most followed first."""
    try:
        known = getattr(type(context_mesh), "_known_topics", None)
        names = known(context_mesh) if known is not None else context_mesh.get_all_topics()
        followers = {topic: context_mesh.get_subscribers_for_topic(topic) for topic in names}
        topics: Dict[str, Answer] = {}
        for topic in sorted(names, key=lambda name: -len(followers[name])):
            topics[topic] = {"subscriber_count": len(followers[topic]), "is_active": bool(followers[topic])}
            if include_subscriber_names:
                topics[topic]["subscribers"] = followers[topic]
        popular = [topic for topic in topics if len(followers[topic]) >= _POPULAR]
        return {
            "success": True,
            "topics": topics,
            "total_topics": len(topics),
            "popular_topics": popular,
            "suggestions": {"for_broad_reach": popular[:3], "common_patterns": list(_EXAMPLES)},
            "message": f"Found {len(topics)} topics. Popular topics (2+ subscribers): {', '.join(popular)}",
        }
    except Exception as error:
        return {"success": False, "error": _told(error), "topics": {}, "total_topics": 0}


def handle_unsubscribe_from_topics_call(context_mesh: Any, topics: List[str], agent_name: str) -> Answer:
    """Ends what the agent follows of these."""
    try:
        followed = context_mesh.get_topics_for_agent(agent_name)
        ended = [topic for topic in topics if topic in followed]
        missing = [topic for topic in topics if topic not in followed]
        context_mesh.unsubscribe_from_topics(agent_name, topics)
        told = f"unsubscribed from topics: {', '.join(ended)}" if ended else "followed none of these topics"
        return {
            "success": True,
            "agent": agent_name,
            "topics_unsubscribed": ended,
            "topics_not_subscribed": missing,
            "remaining_topics": context_mesh.get_topics_for_agent(agent_name),
            "message": f"Agent '{agent_name}' {told}",
        }
    except Exception as error:
        return {"success": False, "error": _told(error), "agent": agent_name, "topics": topics}


def handle_delete_topic_call(context_mesh: Any, topic: str, confirm: bool = False) -> Answer:
    """Deletes a topic, if that is confirmed."""
    if confirm is not True:
        return {
            "success": False,
            "error": "Deletion not confirmed: set confirm to true",
            "topic": topic,
            "message": f"Nothing was deleted. What is shared on '{topic}' alone would be destroyed",
        }
    try:
        known = getattr(type(context_mesh), "_known_topics", None)
        names = known(context_mesh) if known is not None else context_mesh.get_all_topics()
        if topic not in names:
            return {
                "success": False,
                "error": f"Topic '{topic}' does not exist",
                "topic": topic,
                "available_topics": names,
                "message": "See discover_topics for what there is",
            }
        affected = len(context_mesh.get_subscribers_for_topic(topic))
        deleted = context_mesh.delete_topic(topic)
        return {
            "success": True,
            "topic": topic,
            "subscribers_affected": affected,
            "context_items_deleted": deleted,
            "message": f"Topic '{topic}' deleted: {affected} subscribers affected, {deleted} context items deleted",
        }
    except Exception as error:
        return {"success": False, "error": _told(error), "topic": topic}
