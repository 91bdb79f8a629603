"""Agents and their tools."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Dict

import pytest

import locule.syntha
from locule.syntha import (
    PREDEFINED_ROLES,
    ContextMesh,
    OutcomeLogger,
    SynthaError,
    SynthaFrameworkError,
    SynthaPermissionError,
    SynthaToolFactory,
    SynthaValidationError,
    ToolHandler,
    build_custom_prompt,
    build_message_prompt,
    build_system_prompt,
    configure_logging,
    create_multi_agent_handlers,
    create_restricted_handler,
    create_role_based_handler,
    get_all_tool_schemas,
    get_role_info,
    handle_syntha_error,
    inject_context_into_prompt,
)
from locule.syntha.prompts import SYSTEM_PROMPT_TEMPLATES
from locule.syntha.tools import create_hybrid_tool_handler, merge_tool_schemas

TOOLS = [
    "get_context", "push_context", "list_context", "subscribe_to_topics", "discover_topics", "unsubscribe_from_topics",
    "delete_topic",
]  # fmt: skip


@pytest.fixture
def mesh() -> ContextMesh:
    return ContextMesh(user_id="alice", enable_persistence=False)


def test_all_names_are_there() -> None:
    assert len(locule.syntha.__all__) == 40 and all(hasattr(locule.syntha, name) for name in locule.syntha.__all__)
    assert [schema["name"] for schema in get_all_tool_schemas()] == TOOLS
    get_all_tool_schemas()[0]["parameters"]["properties"].clear()
    assert get_all_tool_schemas()[0]["parameters"]["properties"]
    get_role_info("readonly")["tools"].clear()
    assert PREDEFINED_ROLES["readonly"]["tools"]


def test_two_agents_share_by_topics(mesh: ContextMesh) -> None:
    sales, support = ToolHandler(mesh, "sales"), ToolHandler(mesh, "support")
    assert sales.handle_tool_call("subscribe_to_topics", topics=["deals"])["message"].endswith("for topics: deals")
    pushed = support.handle_tool_call("push_context", key="plan", value='{"a": 1}', topics=["deals"], sender_agent="somebody")
    assert (pushed["success"], pushed["value"], pushed["sender_agent"]) == (True, {"a": 1}, "support")
    assert pushed["message"] == "Context 'plan' shared with topics: deals"
    assert sales.handle_tool_call("get_context", agent_name="support")["context"] == {"plan": {"a": 1}}
    assert support.handle_tool_call("get_context", keys=["plan"])["context"] == {}
    listed = sales.handle_tool_call("list_context")
    assert (listed["keys_by_topic"], listed["total_keys"]) == ({"deals": ["plan"]}, 1)
    support.handle_tool_call("subscribe_to_topics", topics=["deals", "quiet"])
    found = sales.handle_tool_call("discover_topics", include_subscriber_names=True)
    assert found["topics"]["deals"] == {"subscriber_count": 2, "is_active": True, "subscribers": ["sales", "support"]}
    assert found["popular_topics"] == ["deals"] and found["message"] == "Found 2 topics. Popular topics (2+ subscribers): deals"
    left = sales.handle_tool_call("unsubscribe_from_topics", topics=["deals", "x"])
    assert (left["topics_unsubscribed"], left["topics_not_subscribed"], left["remaining_topics"]) == (["deals"], ["x"], [])
    assert "not confirmed" in sales.handle_tool_call("delete_topic", topic="deals")["error"]
    assert "does not exist" in sales.handle_tool_call("delete_topic", topic="x", confirm=True)["error"]
    gone = sales.handle_tool_call("delete_topic", topic="deals", confirm=True)
    assert (gone["subscribers_affected"], gone["context_items_deleted"]) == (1, 1)


def test_a_topic_without_followers_is_found_and_can_be_deleted(mesh: ContextMesh) -> None:
    agent = ToolHandler(mesh, "a")
    agent.handle_tool_call("push_context", key="k", value="v", topics=["lonely"])
    assert agent.handle_tool_call("discover_topics")["topics"] == {"lonely": {"subscriber_count": 0, "is_active": False}}
    assert agent.handle_tool_call("delete_topic", topic="lonely", confirm=True)["context_items_deleted"] == 1


def test_post_permissions_are_enforced_for_agents(mesh: ContextMesh) -> None:
    mesh.set_agent_post_permissions("intern", ["notes"])
    intern = ToolHandler(mesh, "intern")
    refused = intern.handle_tool_call("push_context", key="k", value="v", topics=["notes", "board"])
    assert not refused["success"] and refused["error"].startswith("Permission denied") and mesh.size() == 0
    with pytest.raises(PermissionError):
        intern.push_context("k", "v", topic="board")
    assert intern.handle_tool_call("push_context", key="k", value="v", topics=["notes"])["success"]
    assert mesh.can_agent_post_to_topic("boss", "board") and not mesh.can_agent_post_to_topic("intern", "board")
    mesh.push("k", "the program is not asked", topics=["board"])


def test_an_agent_does_not_write_over_what_it_cannot_read(mesh: ContextMesh) -> None:
    mesh.push("secret", 1, subscribers=["boss"])
    intern, boss = ToolHandler(mesh, "intern"), ToolHandler(mesh, "boss")
    refused = intern.handle_tool_call("push_context", key="secret", value="2")
    assert not refused["success"] and mesh.get("secret") == 1
    assert intern.remove_context("secret") is False
    assert boss.handle_tool_call("push_context", key="secret", value="3")["success"] and mesh.get("secret") == 3
    intern.handle_tool_call("push_context", key="report", value="1", subscribers=["boss"])
    assert intern.handle_tool_call("push_context", key="report", value="2", subscribers=["boss"])["success"]


@pytest.mark.parametrize(
    "call",
    [
        {"key": "k", "value": "v", "topics": "a, b"},
        {"key": "k", "value": "v", "subscribers": [1]},
        {"key": "k", "value": "v", "topics": []},
        {"key": "k", "value": "v", "ttl_hours": -1},
        {"key": "k", "value": "v", "ttl_hours": float("nan")},
        {"key": "k", "value": "v", "ttl_hours": "1"},
        {"key": 7, "value": "v"},
        {"key": "k", "value": object()},
    ],
)
def test_what_a_model_gets_wrong_is_told_and_changes_nothing(mesh: ContextMesh, call: Dict[str, Any]) -> None:
    told = ToolHandler(mesh, "a").handle_tool_call("push_context", **call)
    assert told["success"] is False and told["error"] and mesh.size() == 0


def test_who_has_which_tools(mesh: ContextMesh) -> None:
    reader = create_role_based_handler(mesh, "r", "readonly")
    assert reader.get_available_tools() == ["get_context", "list_context", "discover_topics"]
    denied = reader.handle_tool_call("push_context", key="k", value="v")
    assert denied["error"] == "Access denied to tool: push_context"
    assert denied["reason"] == "Agent 'r' does not have permission to use this tool" and denied["agent_role"] == "readonly"
    assert reader.handle_push_context("k", "v")["success"] is False
    with pytest.raises(SynthaPermissionError):
        reader.push_context("k", "v")
    assert create_restricted_handler(mesh, "s").get_available_tools() == TOOLS[:-1]
    agents = create_multi_agent_handlers(mesh, {"a": {"role": "admin"}, "b": {"denied_tools": ["delete_topic", "none"]}})
    assert agents["a"].get_available_tools() == TOOLS and agents["b"].get_available_tools() == TOOLS[:-1]
    for bad in (lambda: create_role_based_handler(mesh, "x", "king"), lambda: create_restricted_handler(mesh, "x", "wild"),
                lambda: create_multi_agent_handlers(mesh, [{}]), lambda: get_role_info("king")):  # fmt: skip
        with pytest.raises(ValueError):
            bad()
    handler = ToolHandler(mesh, "x", allowed_tools=[])
    assert handler.get_schemas() == [] and len(handler.get_syntha_schemas_only()) == 7
    handler.add_allowed_tool("get_context")
    handler.add_denied_tool("get_context")
    assert handler.get_available_tools() == []
    handler.remove_denied_tool("get_context")
    assert handler.get_access_summary()["allowed_tools"] == ["get_context"]
    ruled = ToolHandler(mesh, "x", role_based_access={"guest": ["list_context"]})
    ruled.set_agent_role("nobody knows")
    assert len(ruled.get_available_tools()) == 7
    ruled.set_agent_role("guest")
    assert ruled.get_available_tools() == ["list_context"]
    with pytest.raises(TypeError):
        ToolHandler(mesh, "x").handle_tool_call("push_context", key="k")
    nameless = ToolHandler(mesh)
    assert nameless.handle_tool_call("get_context") == {"success": False, "error": "Agent name not set"}
    with pytest.raises(ValueError):
        nameless.get_context("k")


def test_direct_calls_keep_what_they_are_given(mesh: ContextMesh) -> None:
    writer, reader = ToolHandler(mesh, "writer"), ToolHandler(mesh, "reader")
    heard = []
    reader.subscribe_to_topic("history", lambda topic, key, data: heard.append((topic, key, data)))
    for key, data in {"text": "5", "list": [], "none": {}, "zero": 0, "no": False}.items():
        writer.push_context(key, data)
        assert reader.get_context(key) == data and type(reader.get_context(key)) is type(data)
    writer.push_context("conversations", [{"a": 1}], topic="history", metadata={"source": "chat"})
    assert writer.get_context("conversations") == reader.get_context("conversations") == [{"a": 1}]
    assert ToolHandler(mesh, "other").get_context("conversations") is None
    assert heard == [("history", "conversations", [{"a": 1}])]
    assert writer.list_topics() == ["history"] and writer.has_context("text") and not writer.has_context("nothing")
    assert writer.get_context_by_topic("history") == {"conversations": [{"a": 1}]}
    assert writer.get_context_pattern("z*") == {"zero": 0} and len(writer.list_context_keys()) == 6
    with pytest.raises(TypeError):
        writer.push_context("bad", object())
    assert writer.remove_context("zero") is True and writer.remove_context("zero") is False
    writer.clear_all_context()
    assert writer.list_context_keys() == []


def test_tools_of_several_makers_live_together(mesh: ContextMesh, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = [{"name": "get_context", "description": "theirs", "parameters": {}}, {"name": "weather"}]
    names = [schema["name"] for schema in ToolHandler(mesh, "a").get_schemas(merge_with=theirs)]
    assert names[:3] == ["get_context", "weather", "syntha_get_context"] and "Info" in capsys.readouterr().out
    prefixed = merge_tool_schemas(get_all_tool_schemas(), theirs, "prefix")
    assert [schema["name"] for schema in prefixed[7:]] == ["user_get_context", "weather"] and theirs[0]["name"] == "get_context"
    hybrid = create_hybrid_tool_handler(mesh, "a", lambda tool_name, **kwargs: 1 / 0 if kwargs else tool_name)
    assert hybrid("syntha_list_context")["success"] and hybrid("weather") == "weather"
    assert hybrid("weather", city="x")["error"].startswith("User tool handler error: ")


def test_frameworks_get_the_tools_in_their_form(mesh: ContextMesh) -> None:
    handler = ToolHandler(mesh, "a", denied_tools=["delete_topic"])
    functions = handler.get_openai_functions()
    assert len(functions) == 6 and functions[0]["type"] == "function" and functions[0]["function"]["name"] == "get_context"
    call = handler.get_framework_handler("openai")
    assert call("push_context", json.dumps({"key": "k", "value": "v", "topics": "a, b"}))["topics"] == ["a", "b"]
    assert call("push_context", "{}")["error"].startswith("Function call error: ")
    assert handler.get_anthropic_tools()[0]["input_schema"]["type"] == "object"
    graph = {tool["name"]: tool for tool in handler.get_langgraph_tools()}
    refused = json.loads(graph["push_context"]["function"](key="k"))
    assert refused["error"].startswith("Tool execution error: ") and refused["framework"] == "langgraph"
    together = handler.create_framework_integration("anthropic", ["mine"])
    assert (together["tools"][0], together["total_tools"], together["existing_tool_count"]) == ("mine", 7, 1)
    factory = SynthaToolFactory(handler)
    with pytest.raises(SynthaFrameworkError, match="not available"):
        factory.create_tool("openai", "delete_topic")
    with pytest.raises(SynthaFrameworkError) as unknown:
        factory.create_tools("basic")
    assert unknown.value.suggestions and unknown.value.context["framework"] == "basic"
    factory.create_tools(" OpenAI ")
    assert factory.get_cache_info()["cached_frameworks"] == ["openai"]


def test_prompts_hold_what_an_agent_may_read(mesh: ContextMesh) -> None:
    assert build_system_prompt("a", mesh, template="x {context} {other}") == "x  {other}"
    assert inject_context_into_prompt("be kind", "a", mesh) == "be kind"
    mesh.push("company_vision", "Grow {context}")
    mesh.push("limits", {"max": 1})
    mesh.push("private", "x", subscribers=["b"])
    block = 'Company Vision: Grow {context}\nLimits: {\n  "max": 1\n}'
    assert build_system_prompt("a", mesh) == f"[Context]\n{block}"
    assert build_system_prompt("a", mesh, template='{"a": {context}}', include_context_header=False) == '{"a": ' + block + "}"
    assert build_system_prompt("a", mesh, existing_prompt="be kind", prepend_to_existing=True).endswith("\n\nbe kind")
    assert build_system_prompt("a", mesh, existing_prompt="be kind").startswith("be kind\n\n[Context]")
    assert "You are an AI assistant" in SYSTEM_PROMPT_TEMPLATES["basic"]
    assert build_system_prompt("Ann", mesh, template=SYSTEM_PROMPT_TEMPLATES["agent_specific"]).startswith("You are Ann,")
    assert build_message_prompt("a", mesh).startswith("[Context Update]\n")
    assert inject_context_into_prompt("see {{context}}", "a", mesh, "replace_placeholder") == f"see [Shared Context]\n{block}"
    assert build_custom_prompt("a", mesh, ["limits", "private"], "{limits}/{private}/{1}", "none").endswith("/none/{1}")
    with pytest.raises(ValueError):
        build_custom_prompt("a", mesh, [], "{limits}")
    with pytest.raises(ValueError):
        inject_context_into_prompt("x", "a", mesh, "elsewhere")


def test_errors_tell_what_they_are_about() -> None:
    error = SynthaValidationError("Bad", field="name", cause=ValueError("x"))
    assert str(error).splitlines()[:2] == ["[SynthaValidationError] Bad", "Context: {'field': 'name'}"]
    assert isinstance(error, ValueError) and issubclass(SynthaPermissionError, PermissionError)
    assert error.to_dict()["cause"] == "x" and error.suggestions

    @handle_syntha_error
    def fails(text: str) -> None:
        raise RuntimeError(text)

    for text, kind in {"connection lost": "SynthaConnectionError", "a timeout": "SynthaTimeoutError", "x": "SynthaError"}.items():
        with pytest.raises(SynthaError) as raised:
            fails(text)
        assert type(raised.value).__name__ == kind and isinstance(raised.value.cause, RuntimeError)


@pytest.mark.parametrize("kind", ["memory", "file", "sqlite"])
def test_outcomes_are_kept_and_counted(tmp_path: Path, kind: str) -> None:
    outcomes = OutcomeLogger(kind, file_path=str(tmp_path / "o.jsonl"), db_path=str(tmp_path / "o.db"))
    assert outcomes.get_performance_metrics()["total_tasks"] == 0
    outcomes.log_outcome("a", "plan", True, 2.0, {"in": 1}, ["out"], metadata={"m": 1})
    outcomes.log_outcome("b", "act", False, error_message="no")
    newest, first = outcomes.get_recent_outcomes()
    assert (newest.agent_name, first.output_data, first.success) == ("b", ["out"], True)
    metrics = outcomes.get_performance_metrics()
    assert (metrics["success_rate"], metrics["average_duration"], metrics["agents_summary"]["a"]) == (
        0.5, 2.0, {"total": 1, "successful": 1},
    )  # fmt: skip
    assert outcomes.clear_outcomes(older_than_hours=1) == 0 and outcomes.clear_outcomes() == 2
    assert outcomes.get_recent_outcomes() == []


def test_logging_is_set_up_when_asked_and_only_its_own(tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)
    logger = logging.getLogger("syntha")
    try:
        configure_logging(level="DEBUG", format_type="json", log_file=str(tmp_path / "s.log"), enable_console=False)
        locule.syntha.get_security_logger().log_denied("a", "board")
        line = json.loads((tmp_path / "s.log").read_text())
        assert (line["logger"], line["agent"], line["resource"]) == ("syntha.security", "a", "board")
        assert logging.getLogger().handlers == before
    finally:
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()
        logger.propagate = True
