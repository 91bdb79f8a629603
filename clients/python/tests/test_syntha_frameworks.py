"""The tools in the frameworks themselves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from locule.syntha import ContextMesh, SynthaFrameworkError, SynthaToolFactory, ToolHandler
from locule.syntha.framework_adapters import AgnoAdapter, LangChainAdapter

READ = {"get_context", "push_context", "list_context", "subscribe_to_topics", "discover_topics", "unsubscribe_from_topics"}


@pytest.fixture
def handler() -> ToolHandler:
    return ToolHandler(ContextMesh(user_id="alice", enable_persistence=False), "a", denied_tools=["delete_topic"])


def test_langchain_calls_the_tools(handler: ToolHandler) -> None:
    tools = {tool.name: tool for tool in handler.get_langchain_tools()}
    assert set(tools) == READ
    push = tools["push_context"]
    assert set(push.args) == {"key", "value", "topics", "subscribers", "ttl_hours"}
    assert push.args_schema.model_json_schema()["required"] == ["key", "value"]
    assert json.loads(push.invoke({"key": "k", "value": '{"n": 1}'}))["value"] == {"n": 1}
    call = {"type": "tool_call", "id": "1", "name": "get_context", "args": {"keys": ["k"]}}
    assert json.loads(tools["get_context"].invoke(call).content)["context"] == {"k": {"n": 1}}
    assert json.loads(asyncio.run(tools["list_context"].ainvoke({})))["all_accessible_keys"] == ["k"]
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        push.invoke({"key": "k"})
    refused = json.loads(push.invoke({"key": "k", "value": "v", "ttl_hours": -1}))
    assert refused["error"].startswith("Tool execution error: ") and refused["framework"] == "langchain"
    fields = LangChainAdapter(handler)._create_pydantic_fields(handler.get_syntha_schemas_only()[1]["parameters"])
    assert set(fields) == set(push.args)


def test_langgraph_runs_the_tools_in_a_node(handler: ToolHandler) -> None:
    from langchain_core.messages import AIMessage
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode

    graph: Any = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode(handler.get_langchain_tools()))
    graph.add_edge(START, "tools")
    graph.add_edge("tools", END)
    calls = [
        {"name": "push_context", "args": {"key": "plan", "value": "rest", "topics": ["t"]}, "id": "1"},
        {"name": "discover_topics", "args": {}, "id": "2"},
    ]
    for call in calls:
        said = graph.compile().invoke({"messages": [AIMessage("", tool_calls=[call])]})["messages"][-1]
        assert json.loads(said.content)["success"] is True
    assert handler.context_mesh.get("plan") == "rest"
    functions = {tool["name"]: tool["function"] for tool in handler.get_langgraph_tools()}
    assert set(functions) == READ
    assert functions["subscribe_to_topics"](topics="t, u") == json.dumps(json.loads(functions["subscribe_to_topics"](topics="t, u")), indent=2)
    assert handler.context_mesh.get_topics_for_agent("a") == ["t", "u"]


def test_agno_calls_the_tools(handler: ToolHandler) -> None:
    tools = {tool.name: tool for tool in handler.get_tools_for_framework("agno")}
    assert set(tools) == READ
    push = tools["push_context"]
    assert push.description and push.parameters["required"] == ["key", "value"]
    assert set(push.parameters["properties"]) == {"key", "value", "topics", "subscribers", "ttl_hours"}
    told = json.loads(push.entrypoint(key="k", value="v", topics=["t", "u"], subscribers=None))
    assert told["success"] and told["topics"] == ["t", "u"] and told["ttl_hours"] == 24
    adapter = AgnoAdapter(handler)
    wrapper = adapter._wrapper("push_context", handler.get_syntha_schemas_only()[1])
    assert json.loads(wrapper("k", "v", "t, u"))["topics"] == ["t", "u"]
    assert json.loads(wrapper(key="k", nonsense=1))["success"] is False
    assert [tool.name for tool in adapter.create_tools(["get_context"])] == ["get_context"]
    with pytest.raises(SynthaFrameworkError, match="Unknown tools"):
        adapter.create_tools(["nothing"])


@pytest.mark.parametrize("framework", ["langchain", "langgraph", "openai", "anthropic", "agno"])
def test_what_a_factory_says_of_each(handler: ToolHandler, framework: str) -> None:
    factory = SynthaToolFactory(handler)
    valid = factory.validate_framework_requirements(framework)
    assert (valid["valid"], valid["framework"]) == (True, framework) and set(valid["available_tools"]) == READ
    assert valid["adapter_class"].lower() == f"{framework}adapter"
    made = factory.create_hybrid_integration(framework, ["mine"])
    assert (made["total_tools"], made["syntha_tool_count"], made["existing_tool_count"]) == (7, 6, 1)
    assert made["tools"][0] == "mine" and made["existing_tools"] == ["mine"] and len(made["syntha_tools"]) == 6
    assert made["framework"] == framework and made["tool_handler"] is handler
    assert (made["handler"] is None) == (framework in ("langchain", "langgraph", "agno"))
    assert factory.get_adapter(f" {framework.upper()} ") is factory.get_adapter(framework)
    assert factory.get_cache_info()["cache_size"] == 1
    factory.clear_cache()
    assert factory.get_cache_info()["cached_frameworks"] == [] and factory.is_framework_supported(framework)
    nobody = SynthaToolFactory(ToolHandler(handler.context_mesh, "n", allowed_tools=[]))
    assert nobody.create_tools(framework) == []
    unknown = factory.validate_framework_requirements("basic")
    assert unknown["valid"] is False and "supported_frameworks" in unknown
