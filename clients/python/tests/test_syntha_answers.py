"""What tools, backends, errors, outcomes and logs answer, to the field: programs for ``syntha`` read them."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Set

import pytest

from locule.syntha import (
    ContextMesh,
    DatabaseBackend,
    ErrorHandler,
    OutcomeLogger,
    SQLiteBackend,
    SynthaError,
    ToolHandler,
    exceptions,
    tools,
)
from locule.syntha.prompts import MESSAGE_PROMPT_TEMPLATES, SYSTEM_PROMPT_TEMPLATES
from locule.syntha.reports import AgentOutcome


@pytest.fixture
def mesh() -> ContextMesh:
    mesh = ContextMesh(user_id="alice", enable_persistence=False)
    mesh.register_agent_topics("b", ["t", "u"])
    mesh.register_agent_topics("c", ["t"])
    mesh.push("given", {"n": 1})
    mesh.push("routed", [1], topics=["t"])
    return mesh


class Broken:
    """A mesh that fails at everything."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(*_: Any, **__: Any) -> Any:
            raise RuntimeError("broken")

        return fail


PUSH = {"key", "topics", "subscribers"}


@pytest.mark.parametrize(
    ("tool", "given", "ok", "failed"),
    [
        ("get_context", {}, {"context", "agent_name", "keys_requested", "keys_found", "message"},
         {"agent_name", "keys_requested", "context"}),
        ("push_context", {"key": "k", "value": "5"}, {*PUSH, "message", "value", "ttl_hours", "sender_agent"}, PUSH),
        ("list_context", {}, {"keys_by_topic", "all_accessible_keys", "topics_subscribed", "message", "agent_name", "total_keys"},
         None),
        ("subscribe_to_topics", {"topics": ["t"]}, {"agent", "topics", "message"}, None),
        ("discover_topics", {}, {"topics", "total_topics", "popular_topics", "suggestions", "message"}, {"topics", "total_topics"}),
        ("unsubscribe_from_topics", {"topics": ["t", "x"]},
         {"agent", "topics_unsubscribed", "topics_not_subscribed", "remaining_topics", "message"}, None),
        ("delete_topic", {"topic": "t", "confirm": True}, {"topic", "subscribers_affected", "context_items_deleted", "message"},
         None),
    ],
)  # fmt: skip
def test_a_tools_answer_has_just_these_fields(
    mesh: ContextMesh, tool: str, given: Dict[str, Any], ok: Set[str], failed: Set[str]
) -> None:
    answer = ToolHandler(mesh, "b").handle_tool_call(tool, **given)
    assert answer["success"] is True and set(answer) == {"success", *ok}
    json.dumps(answer)
    answer = ToolHandler(Broken(), "b").handle_tool_call(tool, **given)
    assert answer["success"] is False and "broken" in answer["error"]
    if failed is not None:
        assert set(answer) == {"success", "error", *failed}


def test_what_the_answers_say(mesh: ContextMesh) -> None:
    b = ToolHandler(mesh, "b")
    got = b.handle_tool_call("get_context", keys=["given", "nothing", "routed"])
    assert got["message"] == "Retrieved 2 context items" and got["keys_requested"] == ["given", "nothing", "routed"]
    assert got["keys_found"] == ["given", "routed"]
    for every in (None, []):
        assert b.handle_tool_call("get_context", keys=every)["keys_requested"] == ["given", "routed"]
    for value, parsed in {"5": 5, "null": None, '{"a": 1}': {"a": 1}, "{a": "{a", "NaN": "NaN", "": "", "true": True}.items():
        assert b.handle_tool_call("push_context", key="k", value=value)["value"] == parsed
    both = b.handle_tool_call("push_context", key="k", value="v", topics=["t", "u"], subscribers=["x"])
    assert both["message"] == "Context 'k' shared with topics: t, u and subscribers: x"
    assert b.handle_tool_call("push_context", key="k", value="v")["message"].startswith("Context 'k' shared with ")
    for name in ("topics", "subscribers"):
        wrong = b.handle_tool_call("push_context", key="k", value="v", **{name: "a, b"})
        assert wrong == {"success": False, "error": f"Invalid parameter: '{name}' must be a list of strings", name: "a, b"}
    listed = b.handle_tool_call("list_context")
    assert listed["keys_by_topic"] == {"t": ["routed"], "u": [], "other": ["given", "k"]} and listed["total_keys"] == 3
    assert sorted(listed["all_accessible_keys"]) == ["given", "k", "routed"] and listed["topics_subscribed"] == ["t", "u"]
    found = b.handle_tool_call("discover_topics", include_subscriber_names=True)
    assert list(found["topics"]) == ["t", "u"] and found["topics"]["t"]["subscribers"] == ["b", "c"]
    assert found["suggestions"]["for_broad_reach"] == ["t"] and len(found["suggestions"]["common_patterns"]) == 6
    assert "registered for topics: t, w" in b.handle_tool_call("subscribe_to_topics", topics=["t", "w"])["message"]
    none = b.handle_tool_call("unsubscribe_from_topics", topics=["x"])
    assert (none["success"], none["topics_unsubscribed"], none["topics_not_subscribed"]) == (True, [], ["x"])
    unconfirmed = b.handle_tool_call("delete_topic", topic="t", confirm=False)
    assert set(unconfirmed) == {"success", "error", "topic", "message"} and "Deletion not confirmed" in unconfirmed["error"]
    unknown = b.handle_tool_call("delete_topic", topic="x", confirm=True)
    assert set(unknown) == {"success", "error", "topic", "available_topics", "message"}
    assert unknown["error"] == "Topic 'x' does not exist" and "t" in unknown["available_topics"]
    assert ToolHandler(mesh).handle_tool_call("delete_topic", topic="t", confirm=True)["subscribers_affected"] == 2
    with pytest.raises(TypeError):
        b.handle_tool_call("get_context", nonsense=1)
    unknown = b.handle_tool_call("nothing")
    assert set(unknown) == {"success", "error", "available_tools"} and unknown["error"] == "Unknown tool: nothing"
    assert set(tools.handle_get_context_call(mesh, "nobody")["context"]) == {"given", "k"}


def test_keys_have_an_order_that_stays_and_expired_ones_are_counted_until_they_go(tmp_path: Path) -> None:
    where: Dict[str, Any] = {"user_id": "alice", "db_path": str(tmp_path / "c.db")}
    with ContextMesh(**where) as mesh:
        for key in ("a", "b", "c", "d"):
            mesh.push(key, key, subscribers=["x"] if key in "bd" else None)
        mesh.push("a", "again")
        mesh.push("over", 1, ttl=-1)
        mesh.push("none", None)
        order = mesh.get_keys_for_agent("x")
        assert sorted(order) == ["a", "b", "c", "d", "none"] and order == list(mesh.get_all_for_agent("x"))
        assert mesh.size() == mesh.get_stats()["total_items"] == 6 and mesh.get_stats()["expired_items"] == 1
        assert mesh.get_stats()["global_items"] == 3 and mesh.get_stats()["private_items"] == 2 and len(mesh._data) == 6
    with ContextMesh(**where) as mesh:
        assert mesh.get_keys_for_agent("x") == order and mesh.size() == 6
        # What is set is in effect at once.
        mesh._cleanup_interval, mesh._last_cleanup = 0.1, time.time() - 1
        mesh.push("e", 1)
        assert mesh.size() == 6 and mesh.get_stats()["expired_items"] == 0
    with ContextMesh(auto_cleanup=False, **where) as mesh:
        mesh.push("over", 1, ttl=-1)
        mesh._cleanup_interval, mesh._last_cleanup = 0.1, time.time() - 1
        mesh.push("f", 1)
        assert mesh.size() == 8 and mesh.cleanup_expired() == 1


def test_what_a_backend_keeps_and_leaves_on_disk(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        DatabaseBackend()  # type: ignore[abstract]
    path = tmp_path / "b.db"
    path.write_text("garbage, and no database")
    backend = SQLiteBackend(str(path))
    assert backend.db_path == str(path) and path.read_text().startswith("garbage")
    backend.connect()
    (aside,) = tmp_path.glob("b.db.corrupted.*")
    assert re.fullmatch(r"b\.db\.corrupted\.\d+", aside.name) and aside.read_text() == "garbage, and no database"
    now = time.time()
    for key, item in {"a": ("text", [], None), "b": ({"x": [None]}, ["s", "t"], 3_600), "c": (None, [], 0.1)}.items():
        backend.save_context_item(key, *item, now)
        kept = backend.get_context_item(key)
        assert kept is not None and kept[:3] == item and abs(kept[3] - now) < 1
    assert set(backend.get_all_context_items()) == {"a", "b", "c"} and backend.cleanup_expired(now + 10) == 1
    assert backend.delete_context_item("a") is True and backend.delete_context_item("a") is False
    backend.save_agent_topics("x", ["t"])
    backend.save_agent_permissions("x", ["t"])
    backend.remove_agent_topics("nobody")
    assert backend.get_agent_permissions("x") == ["t"] and backend.get_all_agent_permissions() == {"x": ["t"]}
    backend.clear_all()
    assert backend.get_all_context_items() == {} and backend.get_all_agent_topics() == {}
    backend.close()
    for file in [path, *(tmp_path / "b.db.locule").rglob("*")]:
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
    several = [SQLiteBackend(str(path)) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda each=each, n=n: (each.connect(), each.save_context_item(f"{n}", n, [], None, now)))
        for n, each in enumerate(several)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(several[0].get_all_context_items()) == 4
    for each in several:
        each.close()
    with pytest.raises(sqlite3.OperationalError):
        SQLiteBackend(str(tmp_path / "nowhere" / "b.db")).connect()


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("SynthaConfigurationError", {"config_key": "k"}),
        ("SynthaConnectionError", {"service": "s"}),
        ("SynthaValidationError", {"field": "f", "value": 1}),
        ("SynthaPermissionError", {"agent": "a", "resource": "r"}),
        ("SynthaContextError", {"key": "k", "operation": "o"}),
        ("SynthaPersistenceError", {"backend": "b", "operation": "o"}),
        ("SynthaToolError", {"tool": "t", "agent": "a"}),
        ("SynthaSecurityError", {"security_event": "e"}),
        ("SynthaPerformanceError", {"operation": "o", "duration": 1.5}),
        ("SynthaTimeoutError", {"timeout": 3, "operation": "o"}),
        ("SynthaFrameworkError", {"framework": "f", "tool_name": "t"}),
    ],
)
def test_an_error_tells_what_it_was_given(name: str, given: Dict[str, Any]) -> None:
    kind = getattr(exceptions, name)
    cause = RuntimeError("below")
    error = kind("What happened", cause=cause, **given)
    assert isinstance(error, SynthaError) and error.message == "What happened" and error.error_code == name
    assert all(getattr(error, field) == value for field, value in given.items()) and set(given.items()) <= set(error.context.items())
    assert error.suggestions and str(error).startswith(f"[{name}] What happened\nContext: ") and "\nCaused by: below" in str(error)
    told = error.to_dict()
    assert set(told) == {"error_type", "message", "error_code", "context", "cause", "suggestions", "timestamp", "traceback"}
    assert (told["error_type"], told["cause"]) == (name, "below") and "T" in error.timestamp
    coded = kind("x", error_code="E7", suggestions=["try"], context={"more": 1})
    assert coded.error_code == "E7" and "try" in coded.suggestions and coded.context["more"] == 1
    assert ErrorHandler().handle_error(error) is error


def test_other_errors_are_sorted_by_what_they_say() -> None:
    for text, name in {
        "Connection refused": "SynthaConnectionError", "validation failed": "SynthaValidationError",
        "permission denied": "SynthaPermissionError", "timeout": "SynthaTimeoutError", "else": "SynthaError",
        "connection timeout": "SynthaConnectionError",
    }.items():  # fmt: skip
        cause = RuntimeError(text)
        mapped = ErrorHandler().handle_error(cause)
        assert type(mapped).__name__ == name and mapped.cause is cause
    assert ErrorHandler().handle_error(RuntimeError("else")).message == "Unexpected error: else"


def test_templates_hold_their_places() -> None:
    assert set(SYSTEM_PROMPT_TEMPLATES) == {"basic", "agent_specific", "context_aware"}
    assert set(MESSAGE_PROMPT_TEMPLATES) == {"update", "reminder", "context_only"}
    assert all("{context}" in each for each in [*SYSTEM_PROMPT_TEMPLATES.values(), *MESSAGE_PROMPT_TEMPLATES.values()])
    assert "shared context" in SYSTEM_PROMPT_TEMPLATES["basic"] and "{agent_name}" in SYSTEM_PROMPT_TEMPLATES["agent_specific"]


@pytest.mark.parametrize("kind", ["memory", "file", "sqlite"])
def test_outcomes_are_told_as_they_were(tmp_path: Path, kind: str) -> None:
    assert [field.name for field in dataclasses.fields(AgentOutcome)] == [
        "timestamp", "agent_name", "task_type", "success", "duration_seconds", "input_context", "output_data", "error_message",
        "metadata",
    ]  # fmt: skip
    paths = {"file_path": str(tmp_path / "o.jsonl"), "db_path": str(tmp_path / "o.db")}
    outcomes = OutcomeLogger(kind, **paths)
    empty = {"total_tasks", "success_rate", "average_duration", "error_rate", "tasks_by_type", "agents_summary"}
    assert set(outcomes.get_performance_metrics()) == empty
    outcomes.log_outcome("a", "plan", True, 2.0, {"in": ["é"]}, {"out": None}, metadata={"m": 1})
    outcomes.log_outcome("b", "plan", False, error_message="no")
    outcomes.log_outcome("a", "act", True, 4.0)
    again = outcomes if kind == "memory" else OutcomeLogger(kind, **paths)
    recent = again.get_recent_outcomes()
    assert [each.task_type for each in recent] == ["act", "plan", "plan"] and recent == outcomes.get_recent_outcomes()
    assert (recent[2].input_context, recent[2].output_data, recent[2].metadata) == ({"in": ["é"]}, {"out": None}, {"m": 1})
    assert AgentOutcome.from_dict(recent[0].to_dict()) == recent[0]
    assert len(again.get_recent_outcomes(agent_name="a")) == len(again.get_recent_outcomes(task_type="plan")) == 2
    metrics = again.get_performance_metrics()
    assert set(metrics) == {*empty, "successful_tasks", "failed_tasks", "time_period_hours"}
    assert (metrics["total_tasks"], metrics["successful_tasks"], metrics["failed_tasks"]) == (3, 2, 1)
    assert metrics["average_duration"] == 3.0 and metrics["tasks_by_type"]["plan"] is not None
    assert metrics["agents_summary"]["a"] == {"total": 2, "successful": 2}
    assert again.get_performance_metrics(agent_name="a")["agents_summary"] == {}
    if kind == "file":
        assert [json.loads(line)["agent_name"] for line in (tmp_path / "o.jsonl").read_text().splitlines()] == ["a", "b", "a"]
    if kind == "sqlite":
        with sqlite3.connect(tmp_path / "o.db") as database:
            assert database.execute("SELECT agent_name, success FROM outcomes").fetchall()[0] == ("a", 1)
        database.close()
    assert again.clear_outcomes() == 3 and again.get_recent_outcomes() == []


def test_the_environment_says_how_to_log_and_importing_changes_nothing(tmp_path: Path) -> None:
    program = (
        "import logging, os\n"
        "before = list(logging.getLogger().handlers), logging.getLogger().level\n"
        "import locule.syntha as s, locule.syntha.logging as own\n"
        "assert before == (list(logging.getLogger().handlers), logging.getLogger().level)\n"
        "assert logging.getLogger('syntha').handlers == []\n"
        "assert s.get_logger('x').name == 'syntha.x'\n"
        "s.configure_logging()\n"
        "s.get_logger('x').debug('said by the environment')\n"
        "logging.shutdown()\n"
    )
    env = {
        **os.environ, "SYNTHA_LOG_LEVEL": "DEBUG", "SYNTHA_LOG_FORMAT": "json", "SYNTHA_LOG_FILE": "s.log",
        "SYNTHA_LOG_FILE_ENABLE": "true", "SYNTHA_LOG_CONSOLE": "false",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    line = json.loads((tmp_path / "s.log").read_text().splitlines()[-1])
    assert "said by the environment" in json.dumps(line) and line["logger"] == "syntha.x"
    assert logging.getLogger("syntha").name == "syntha"
