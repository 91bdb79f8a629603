"""Users of an application: what each may hold, and what their audit log tells."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
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

    made.where = where  # type: ignore[attr-defined]
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


def refusals(work: Callable[[int], None], count: int = 16) -> List[str]:
    """What so many threads were refused, who did it as often as they could."""
    refused: List[str] = []
    raised: List[BaseException] = []

    def run(number: int) -> None:
        for turn in range(4):
            try:
                work(4 * number + turn)
            except SynthaPerformanceError as error:
                refused.append(str(error))
            except BaseException as error:
                raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []
    assert all("limit" in text and "size" in text for text in refused)
    return refused


FILLS = """
import json, sys
from locule.syntha import SynthaPerformanceError
from locule.syntha.isolation import UserManager
with UserManager(**json.loads(sys.argv[1])) as users:
    mesh = users.create_user_session("alice")
    done = 0
    for turn in range(20):
        try:
            mesh.push(f"{sys.argv[2]} {turn}", 1)
            done += 1
        except SynthaPerformanceError:
            pass
    print(done)
"""


def test_as_many_contexts_as_there_may_be_from_threads_and_processes(manage: Manage, tmp_path: Path) -> None:
    users = manage(resource_limits={"max_contexts": 30})
    mesh = users.create_user_session("alice")
    said = json.dumps({**manage.where, "resource_limits": {"max_contexts": 30}})  # type: ignore[attr-defined]
    programs = [
        subprocess.Popen([sys.executable, "-c", FILLS, said, str(number)], cwd=tmp_path, stdout=subprocess.PIPE)
        for number in range(2)
    ]
    refused = refusals(lambda number: mesh.push(f"key {number}", 1))
    done = [int(program.communicate()[0]) for program in programs]
    assert mesh.size() == 30 == 64 - len(refused) + sum(done)
    # Within the limit it may be written over; what is removed, or over, makes room.
    key = mesh.get_keys_for_agent("a")[0]
    mesh.push(key, "again", ttl=-1)
    mesh.push("in its place", 1)
    assert mesh.remove("in its place")
    mesh.push("and once more", 1)
    with pytest.raises(SynthaPerformanceError):
        mesh.push("too many", 1)
    told = ToolHandler(mesh, "a").handle_tool_call("push_context", key="too many", value="1")
    assert told["success"] is False and "limit" in told["error"] and mesh.get("too many") is None
    users.create_user_session("bob").push("key", 1)


def test_as_many_agents_as_there_may_be_whatever_they_do(manage: Manage) -> None:
    users = manage(resource_limits={"max_agents": 10})
    mesh = users.create_user_session("alice")

    def appear(number: int) -> None:
        name = f"agent {number}"
        if number % 3 == 0:
            ToolHandler(mesh, name).push_context("shared", number)
        elif number % 3 == 1:
            mesh.register_agent_topics(name, ["t"])
        else:
            mesh.set_agent_post_permissions(name, ["t"])

    assert len(refusals(appear)) == 54
    mesh.push("of the program", 1)
    # The same agents may do it again, and those who only read are none.
    assert len(refusals(appear)) == 54
    assert ToolHandler(mesh, "somebody else").get_context("shared") is not None
    told = ToolHandler(mesh, "somebody else").handle_tool_call("push_context", key="k", value="v")
    assert told["success"] is False and "limit" in told["error"] and mesh.get("k") is None
    told = ToolHandler(mesh, "somebody else").handle_tool_call("subscribe_to_topics", topics=["t"])
    assert told["success"] is False and "limit" in told["error"]


def test_as_many_bytes_as_there_may_be(manage: Manage) -> None:
    users = manage(resource_limits={"storage_limit_mb": 0.5})
    mesh = users.create_user_session("alice")
    refused = refusals(lambda number: mesh.push(f"key {number}", "x" * 20_000))
    held = mesh.size()
    assert held == 64 - len(refused) and 20 <= held <= 25
    with pytest.raises(SynthaPerformanceError):
        mesh.push("one more", "x" * 20_000)
    first = mesh.get_keys_for_agent("a")[0]
    with pytest.raises(SynthaPerformanceError):
        mesh.push(first, "x" * 60_000)
    assert mesh.get(first) == "x" * 20_000
    mesh.push(first, "y" * 20_000)
    mesh.push(first, "z")
    mesh.push("one more", "x" * 19_000)
    mesh.clear()
    assert len(refusals(lambda number: mesh.push(f"key {number}", "x" * 20_000))) == len(refused)
