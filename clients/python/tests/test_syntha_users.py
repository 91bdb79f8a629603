"""Users of an application: what each may hold, and what their audit log tells."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from conftest import program, psql

from locule.syntha import SynthaPerformanceError, ToolHandler
from locule.syntha.isolation import UserManager

Manage = Callable[..., UserManager]


@pytest.fixture(params=["file", "rls"])
def manage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manage]:
    """Makes managers of the same users, in files and in rows."""
    where: Dict[str, Any] = {"data_dir": str(tmp_path / "data")}
    if request.param != "file":
        url = request.getfixturevalue("database")
        where = {"db_backend": "postgresql", "connection_string": url, "isolation": request.param, "keys": str(tmp_path / "data")}
    managers: List[UserManager] = []

    def made(**options: Any) -> UserManager:
        managers.append(UserManager(**where, **options))
        return managers[-1]

    yield made
    for manager in managers:
        manager.close()


def told(users: UserManager, user_id: str) -> List[Tuple[Any, ...]]:
    return [(each["agent"], each["operation"], each["key"], each["outcome"]) for each in users.audit_log(user_id)]


def test_every_reading_writing_and_refusal_is_on_record(manage: Manage) -> None:
    users = manage(audit_logging=True, resource_limits={"max_contexts": 3})
    assert users.audit_log("alice") == [] and users.list_users() == []
    mesh = users.create_user_session("alice")
    a, b = ToolHandler(mesh, "a"), ToolHandler(mesh, "b", denied_tools=["delete_topic"])
    a.handle_tool_call("subscribe_to_topics", topics=["t"])
    mesh.set_agent_post_permissions("b", ["t"])
    mesh.push("secret", 1, subscribers=["a"])
    a.push_context("é\x00", 2)
    assert a.handle_tool_call("get_context", keys=["secret"])["context"] == {"secret": 1}
    assert b.handle_tool_call("get_context", keys=["secret", "é\x00", "nothing"])["context"] == {"é\x00": 2}
    assert mesh.get("secret") == 1 and b.get_context("secret") is None and mesh.get_all_for_agent("a") == {"secret": 1, "é\x00": 2}
    assert not b.handle_tool_call("push_context", key="k", value="v", topics=["u"])["success"]
    assert not b.handle_tool_call("push_context", key="secret", value="v")["success"]
    assert not b.remove_context("secret") and b.remove_context("é\x00")
    assert not b.handle_tool_call("delete_topic", topic="t", confirm=True)["success"]
    mesh.push("1", 1)
    mesh.push("2", 1)
    with pytest.raises(SynthaPerformanceError):
        mesh.push("3", 1)
    mesh.delete_topic("t")
    assert mesh.get_keys_for_agent("b") == ["1", "2"]
    users.create_user_session("bob").push("key", 1)
    log = told(users, "alice")
    assert log == [
        ("a", "subscribe_context", None, "ok"),
        ("b", "permit_context", None, "ok"),
        (None, "push_context", "secret", "ok"),
        ("a", "push_context", "é\x00", "ok"),
        ("a", "get_context", "secret", "ok"),
        ("b", "get_context", "secret", "not_allowed"),
        ("b", "get_context", "é\x00", "ok"),
        ("b", "get_context", "nothing", "ok"),
        (None, "get_context", "secret", "ok"),
        ("b", "get_context", "secret", "not_allowed"),
        ("a", "get_context", "secret", "ok"),
        ("a", "get_context", "é\x00", "ok"),
        ("b", "push_context", "k", "not_allowed"),
        ("b", "push_context", "secret", "not_allowed"),
        ("b", "remove_context", "secret", "not_allowed"),
        ("b", "remove_context", "é\x00", "ok"),
        ("b", "delete_topic", None, "not_allowed"),
        (None, "push_context", "1", "ok"),
        (None, "push_context", "2", "ok"),
        (None, "push_context", "3", "quota_exceeded"),
        (None, "delete_topic", None, "ok"),
        ("b", "list_context", None, "ok"),
    ]
    assert told(users, "bob") == [(None, "push_context", "key", "ok")]
    entry = users.audit_log("alice")[0]
    assert (entry["user"], entry["topics"]) == ("alice", ["t"]) and entry["time"].startswith("20")
    exported = users.export_user("alice")
    assert len(exported["audit_log"]) == len(log) and set(exported["contexts"]) == {"secret", "1", "2"}
    users.close()
    # Read again, it is there; whoever is erased has none any more.
    with manage(audit_logging=True) as users:
        assert told(users, "alice")[: len(log)] == log
        users.delete_user("alice")
        assert users.audit_log("alice") == [] and told(users, "bob") == [(None, "push_context", "key", "ok")]


def test_without_it_no_name_and_no_reading_is_on_record(manage: Manage) -> None:
    users = manage()
    mesh = users.create_user_session("alice")
    ToolHandler(mesh, "a").push_context("key", 1)
    mesh.get("key", "a"), mesh.get_all_for_agent("a")
    assert told(users, "alice") == [(None, "push_context", None, "ok")]


def test_the_audit_chain_is_checked_by_the_program_and_broken_by_who_changes_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with UserManager(audit_logging=True, data_dir=str(data)) as users:
        mesh = users.create_user_session("alice")
        ToolHandler(mesh, "a").push_context("key", 1)
        mesh.get("key", "a")
    verify = [program(), "audit", "verify", "--user", "alice", "--data", str(data), "--json"]

    def verified() -> Dict[str, Any]:
        env = {**os.environ, "LOCULE_STORAGE_ENCRYPTION": "false"}
        done = subprocess.run(verify, cwd=tmp_path, capture_output=True, text=True, env=env)
        return {**json.loads(done.stdout)[0], "code": done.returncode}

    assert (verified()["intact"], verified()["entries"]) == (True, 2)
    (file,) = (data / "spaces").rglob("*.db")
    with sqlite3.connect(file) as database:
        database.execute("""UPDATE space_audit SET object = '{"agent":"b","keys":["key"]}' WHERE sequence = 2""")
    database.close()
    assert (verified()["intact"], verified()["broken_at"], verified()["code"]) == (False, 2, 1)


def test_what_is_on_record_is_sealed_with_the_space(database: str, tmp_path: Path) -> None:
    options: Dict[str, Any] = {"db_backend": "postgresql", "connection_string": database, "keys": str(tmp_path / "keys")}
    with UserManager(encryption_enabled=True, audit_logging=True, isolation="rls", **options) as users:
        mesh = users.create_user_session("alice")
        ToolHandler(mesh, "canary-agent").push_context("canary-key", "canary-value")
        assert mesh.get("canary-key", "canary-agent") == "canary-value"
        assert [each["key"] for each in users.audit_log("alice")] == ["canary-key", "canary-key"]
    rows = psql(database, "SELECT space_audit::text FROM space_audit UNION ALL SELECT context_entries::text FROM context_entries")
    assert rows.count("sealed") == 2 and "canary" not in rows
