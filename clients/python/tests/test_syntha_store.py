"""Meshes that stay: in files and in PostgreSQL."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

from locule.syntha import ContextMesh, SQLiteBackend, SynthaConfigurationError, SynthaPerformanceError, SynthaPersistenceError, ToolHandler
from locule.syntha.isolation import UserManager

Open = Callable[..., ContextMesh]


@pytest.fixture(params=["file", "schema", "rls"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens meshes of users, in each way of keeping them."""
    where: Dict[str, Any] = {"db_path": str(tmp_path / "context.db")}
    if request.param != "file":
        url = request.getfixturevalue("database")
        where = {"db_backend": "postgresql", "connection_string": url, "isolation": request.param, "keys": str(tmp_path / "keys")}
    meshes: List[ContextMesh] = []

    def open_mesh(user_id: Optional[str] = "alice", **options: Any) -> ContextMesh:
        meshes.append(ContextMesh(user_id=user_id, **where, **options))
        return meshes[-1]

    yield open_mesh
    for mesh in meshes:
        mesh.close()


def test_what_is_closed_and_opened_again_is_as_it_was(opened: Open) -> None:
    values = ["", 0, None, [], {"a": [1, {"b": 2.5}]}, 10**400, "\x00 \ud800 é 👩‍🚀", "5"]
    with opened() as mesh:
        mesh.register_agent_topics("b\x00\ud800", ["t", "u"])
        mesh.set_agent_post_permissions("c", ["t"])
        for number, value in enumerate(values):
            mesh.push(f"key {number}", value)
        mesh.push("tagged\x00\udfff", 1, topics=["t"], ttl=3_600)
        mesh.push("\n" * 100_000, "a long key", subscribers=["a"])
        ToolHandler(mesh, "w").push_context("with metadata", 1, metadata={"source": "chat"})
        kept = (mesh.get_stats(), mesh.get_keys_for_agent("b\x00\ud800"), mesh.get_available_keys_by_topic("b\x00\ud800"))
    with opened() as mesh:
        again = (mesh.get_stats(), mesh.get_keys_for_agent("b\x00\ud800"), mesh.get_available_keys_by_topic("b\x00\ud800"))
        assert again == kept
        for number, value in enumerate(values):
            assert mesh.get(f"key {number}") == value and type(mesh.get(f"key {number}")) is type(value)
        assert mesh.get_topics_for_agent("b\x00\ud800") == ["t", "u"] and mesh.get_agent_post_permissions("c") == ["t"]
        assert mesh.get("\n" * 100_000, "a") == "a long key" and mesh.get("\n" * 100_000, "b") is None
        assert mesh._data["with metadata"].metadata == {"source": "chat"}
        assert mesh.delete_topic("t") == 1 and mesh.get_topics_for_agent("b\x00\ud800") == ["u"]


def test_users_are_apart_and_nobody_is_one_of_them(opened: Open) -> None:
    people = [None, "alice", "bob", "Alice", "al/../ice", "älice", "me", " alice", "a" * 300, "syntha:anonymous", "\ud800", "0"]
    for person in people:
        opened(person).push("key", {"of": person or "nobody"})
    for person in people:
        mesh = opened(person)
        assert mesh.get("key") == {"of": person or "nobody"} and mesh.size() == 1
    opened("bob").clear()
    assert opened("").get("key") == {"of": "nobody"}
    assert [opened(person).size() for person in people] == [0 if person == "bob" else 1 for person in people]


def test_two_meshes_of_one_user_see_each_other_at_once(opened: Open) -> None:
    one, two = opened(), opened()
    one.push("key", 1, topics=["t"])
    one.register_agent_topics("a", ["t"])
    two.register_agent_topics("b", ["t"])
    assert two.get("key") == 1 and one.get_subscribers_for_topic("t") == ["a", "b"]
    two.push("key", 2, subscribers=["a"])
    assert (one.get("key", "a"), one.get("key", "b"), one.size()) == (2, None, 1)
    assert one.remove("key") and not two.remove("key") and two.get("key") is None


def test_ten_writers_lose_nothing(opened: Open) -> None:
    meshes = [opened() for _ in range(10)]

    def work(number: int) -> None:
        for turn in range(10):
            meshes[number].append("log", [number, turn])
            meshes[number].push("same", number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = meshes[0].get("log")
    assert len(log) == 100 and len({tuple(each) for each in log}) == 100


def test_what_an_agent_may_not_do_is_refused_where_it_is_kept(opened: Open) -> None:
    mesh = opened()
    mesh.set_agent_post_permissions("intern", ["notes"])
    mesh.push("secret", 1, subscribers=["boss"])
    intern = ToolHandler(mesh, "intern")
    for call in ({"key": "k", "topics": ["board"]}, {"key": "secret"}):
        told = intern.handle_tool_call("push_context", value="x", **call)
        assert not told["success"] and told["error"].startswith("Permission denied")
    assert mesh.get("secret") == 1 and mesh.size() == 1
    with pytest.raises(PermissionError):
        intern.push_context("secret", 2)


def test_time_runs_out_also_after_a_restart(opened: Open) -> None:
    with opened() as mesh:
        mesh.push("over", 1, ttl=-1)
        # Over by the time that anybody asks.
        mesh.push("soon", 1, ttl=1e-6)
        mesh.push("later", 1, ttl=3_600)
    with opened() as mesh:
        assert mesh.get_all_for_agent("a") == {"later": 1} and mesh.size() == 3
        assert mesh.cleanup_expired() == 2 and mesh.size() == 1
        mesh.push("over", 2)
        assert mesh.get("over") == 2


PROGRAM = """
import json, os
from syntha import ContextMesh, ToolHandler

for user, theme, language in (("alice", "dark", "English"), ("bob", "light", "Spanish")):
    folder = f"data/users/{user}"
    os.makedirs(folder, exist_ok=True)
    mesh = ContextMesh(user_id=user, db_backend="sqlite", db_path=f"{folder}/context.db")
    handler = ToolHandler(mesh, agent_name="assistant")
    handler.push_context("preferences", {"theme": theme, "language": language})
    history = handler.get_context("conversations") or []
    if not history:
        history.append({"user": user, "said": "hello"})
        handler.push_context("conversations", history, topic="chat_history")
    print(json.dumps([handler.get_context("preferences"), len(handler.get_context("conversations")),
                      sorted(handler.list_context_keys()), handler.list_topics()]))
    mesh.close()
with ContextMesh() as mesh:
    print(mesh.get("preferences"), os.path.exists("syntha_context.db"))
"""


def test_a_program_for_syntha_runs_with_another_import(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.replace("from syntha import", "from locule.syntha import"))
    runs = [
        subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    first, second, last = runs[0].splitlines()
    assert json.loads(first)[0] == {"theme": "dark", "language": "English"} and json.loads(second)[1] == 1
    assert json.loads(first)[2:] == [["conversations", "preferences"], ["chat_history"]] and last == "None True"


def test_what_is_on_disk_tells_nothing(tmp_path: Path) -> None:
    with ContextMesh(user_id="canary-user", db_path=str(tmp_path / "c.db")) as mesh:
        mesh.register_agent_topics("canary-agent", ["canary-topic"])
        mesh.push("canary-key", "a canary that sings", topics=["canary-topic"])
    for path in tmp_path.rglob("*"):
        assert "canary" not in path.name
        if path.is_file():
            assert b"canary" not in path.read_bytes() and path.stat().st_mode & 0o077 == 0


def test_what_is_not_a_store_is_left_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("my notes")
    with pytest.raises(SynthaPersistenceError):
        ContextMesh(db_path=str(notes))
    assert notes.read_text() == "my notes"
    with pytest.raises((SynthaPersistenceError, sqlite3.OperationalError)):
        ContextMesh(db_path=str(tmp_path))
    with pytest.raises(sqlite3.OperationalError):
        ContextMesh(db_path=str(tmp_path / "nowhere" / "c.db"))
    with pytest.raises(SynthaConfigurationError):
        ContextMesh(db_path=str(tmp_path / "c.db"), pool_size=3)
    garbage = tmp_path / "garbage.db"
    garbage.write_text("not a database")
    with ContextMesh(user_id="alice", db_path=str(garbage)) as mesh:
        assert mesh.size() == 0
    (aside,) = tmp_path.glob("garbage.db.corrupted.*")
    assert aside.read_text() == "not a database" and garbage.read_text().startswith("Locule context store")
    damaged = tmp_path / "damaged.db"
    with sqlite3.connect(damaged) as database:
        database.execute("CREATE TABLE context_items (key TEXT, value TEXT)")
        database.executemany("INSERT INTO context_items VALUES (?, ?)", [("k" * 500, "v" * 500)] * 200)
    database.close()
    content = bytearray(damaged.read_bytes())
    content[8_192:40_960] = os.urandom(40_960 - 8_192)
    damaged.write_bytes(content)
    with pytest.raises((sqlite3.DatabaseError, SynthaPersistenceError)):
        ContextMesh(db_path=str(damaged))
    assert damaged.read_bytes() == bytes(content)


def test_a_database_of_syntha_is_read_in_once_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "syntha_context.db"
    now = time.time()
    rows = [
        ("prefs", "alice", '{"theme": "dark", "n": NaN}', "[]", None, now),
        ("prefs", None, '"old"', "[]", None, now),
        ("prefs", None, '"new"', "[]", None, now),
        ("nobody", "bob", "1", '["__NO_SUBSCRIBERS__"]', 3_600.0, now),
        ("mine", "bob", '"\\ud800"', '["a"]', None, now),
        ("over", "bob", "1", "[]", 1.0, now - 10),
    ]
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE context_items (key TEXT, user_id TEXT, value TEXT, subscribers TEXT, ttl REAL, created_at REAL)"
        )
        database.execute("CREATE TABLE agent_topics (agent_name TEXT, user_id TEXT, topics TEXT)")
        database.execute("CREATE TABLE agent_permissions (agent_name TEXT, user_id TEXT, allowed_topics TEXT)")
        database.executemany("INSERT INTO context_items VALUES (?, ?, ?, ?, ?, ?)", rows)
        database.execute("""INSERT INTO agent_topics VALUES ('a', 'bob', '["t"]')""")
        database.execute("""INSERT INTO agent_permissions VALUES ('a', 'bob', '["t"]')""")
    database.close()
    before = path.read_bytes()
    for _ in range(2):
        with ContextMesh(user_id="bob", db_path=str(path)) as bob, ContextMesh(db_path=str(path)) as nobody:
            assert (bob.get("nobody"), bob.get("nobody", "a"), bob.get("mine", "a"), bob.get("over")) == (1, None, "\ud800", None)
            assert bob.get_topics_for_agent("a") == bob.get_agent_post_permissions("a") == ["t"]
            assert nobody.get("prefs") == "new" and nobody.size() == 1
            bob.push("later", 1)
    with ContextMesh(user_id="alice", db_path=str(path)) as alice:
        assert alice.get("prefs") == {"theme": "dark", "n": None} and alice.size() == 1
    assert path.read_bytes() == before


def test_a_thousand_meshes_share_what_is_open(tmp_path: Path) -> None:
    meshes = [ContextMesh(user_id=f"user{number % 50}", db_path=str(tmp_path / "c.db")) for number in range(1_000)]
    for mesh in meshes[:50]:
        mesh.push("key", mesh.user_id)
    assert meshes[-1].get("key") == "user49"
    assert len(os.listdir("/proc/self/fd")) < 400
    for mesh in meshes:
        mesh.close()


def test_a_place_for_each_user_is_open_only_while_it_is_used(tmp_path: Path) -> None:
    def taken() -> List[int]:
        return [len(os.listdir(f"/proc/self/{what}")) for what in ("fd", "task")]

    files, tasks = taken()
    meshes = [ContextMesh(user_id=f"user{number}", db_path=str(tmp_path / f"{number}.db")) for number in range(60)]
    failed: List[BaseException] = []

    def work(first: int) -> None:
        try:
            for turn in range(2):
                for mesh in meshes[first:] + meshes[:first]:
                    assert mesh.append("log", first) > 0 and mesh.get("log")[-1] is not None
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 15, 30, 45)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [sorted(mesh.get("log")) for mesh in meshes] == [[0, 0, 15, 15, 30, 30, 45, 45]] * 60
    # Of 60 places as many are open as may be, each with its dozen of files and two threads.
    assert taken()[0] < files + 500 and taken()[1] < tasks + 100
    for mesh in meshes[:30]:
        mesh.close()
    with pytest.raises(SynthaPersistenceError):
        meshes[0].get("log")
    assert len(meshes[59].get("log")) == 8
    for mesh in meshes:
        mesh.close()
    until = time.monotonic() + 10
    while taken() > [files, tasks] and time.monotonic() < until:
        time.sleep(0.01)
    assert taken()[0] <= files and taken()[1] <= tasks


def test_a_forked_child_is_told(tmp_path: Path) -> None:
    mesh = ContextMesh(user_id="alice", db_path=str(tmp_path / "c.db"))
    child = os.fork()
    if child == 0:
        try:
            mesh.get("key")
            os._exit(1)
        except SynthaPersistenceError:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    mesh.close()


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_manager_opens_users_and_erases_them(tmp_path: Path, encrypted: bool) -> None:
    data = str(tmp_path / "data")
    with UserManager(encryption_enabled=encrypted, audit_logging=True, data_dir=data) as users:
        mesh = users.create_user_session("alice")
        assert users.create_user_session("alice") is mesh and users.get_user_session("bob") is None
        mesh.push("canary-key", {"a": "canary that sings"})
        users.create_user_session("bob").push("key", 1)
        assert users.list_users() == ["alice", "bob"]
        assert users.export_user("alice")["contexts"]["canary-key"]["value"] == {"a": "canary that sings"}
        assert users.close_user_session("alice") is True and users.close_user_session("alice") is False
        assert users.create_user_session("alice").get("canary-key") == {"a": "canary that sings"}
        for nobody in ("", None, 0, False, "a\x00", ["alice"]):
            with pytest.raises(ValueError):
                users.create_user_session(nobody)  # type: ignore[arg-type]
    held = b"".join(path.read_bytes() for path in Path(data).rglob("*") if path.is_file())
    assert (b"canary" in held) is not encrypted
    with UserManager(encryption_enabled=encrypted, data_dir=data) as users:
        receipt = users.delete_user("alice")
        assert receipt["erased"] and users.list_users() == ["bob"]
        assert users.create_user_session("alice").size() == 0 and users.create_user_session("bob").get("key") == 1
    for bad in ({"max_context": 1}, {"max_agents": -1}, {"storage_limit_mb": "much"}):
        with pytest.raises(SynthaConfigurationError):
            UserManager(resource_limits=bad, data_dir=data)  # type: ignore[arg-type]


def test_limits_are_exact_and_a_refusal_changes_nothing(tmp_path: Path) -> None:
    limits = {"max_contexts": 20, "max_agents": 3, "storage_limit_mb": 0.05}
    with UserManager(resource_limits=limits, data_dir=str(tmp_path / "data")) as users:
        mesh = users.create_user_session("alice")
        refused = []

        def work(number: int) -> None:
            for turn in range(4):
                try:
                    mesh.push(f"{number} {turn}", 1)
                except SynthaPerformanceError as error:
                    refused.append(str(error))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (mesh.size(), len(refused)) == (20, 44)
        assert all("limit" in text and "size" in text for text in refused)
        key = mesh.get_keys_for_agent("a")[0]
        mesh.push(key, "written over within the limit")
        told = ToolHandler(mesh, "a").handle_tool_call("push_context", key="one more", value="1")
        assert told["success"] is False and "limit" in told["error"]
        with pytest.raises(SynthaPerformanceError):
            mesh.push(key, "x" * 100_000)
        assert mesh.get(key) == "written over within the limit"
        mesh.clear()
        for agent in ("a", "b", "c"):
            mesh.register_agent_topics(agent, ["t"])
        with pytest.raises(SynthaPerformanceError):
            mesh.register_agent_topics("d", ["t"])
        assert mesh.get_subscribers_for_topic("t") == ["a", "b", "c"]
        users.create_user_session("bob").push("key", 1)
