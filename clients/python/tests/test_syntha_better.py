"""Where a mesh does better than ``syntha`` 0.2.7, one test for each promise, in each way of keeping meshes."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
from conftest import psql

import locule.syntha as syntha
from locule.syntha import ContextMesh, SynthaPersistenceError, ToolHandler
from locule.syntha.isolation import UserManager

Open = Callable[..., ContextMesh]
Where = Dict[str, Any]

EVERY = ["memory", "file", "schema", "rls", "database"]
KEPT = EVERY[1:]


def place(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """What a mesh is told of where it is kept."""
    if kind == "memory":
        return {"db_path": ":memory:"}
    if kind == "file":
        return {"db_path": str(tmp_path / "context.db")}
    url = request.getfixturevalue("database")
    return {"db_backend": "postgresql", "connection_string": url, "isolation": kind, "keys": str(tmp_path / "keys")}


def opening(where: Where) -> Iterator[Open]:
    meshes: List[ContextMesh] = []

    def open_mesh(user_id: Optional[str] = "alice", **options: Any) -> ContextMesh:
        meshes.append(ContextMesh(user_id=user_id, **where, **options))
        return meshes[-1]

    yield open_mesh
    for mesh in meshes:
        mesh.close()


@pytest.fixture(params=EVERY)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens meshes in every store."""
    yield from opening(place(request.param, request, tmp_path))


@pytest.fixture(params=KEPT)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """Each store that stays."""
    return place(request.param, request, tmp_path)


@pytest.fixture
def kept(where: Where) -> Iterator[Open]:
    """Opens meshes in each store that stays."""
    yield from opening(where)


def together(count: int, work: Callable[[int], None]) -> None:
    """Does it in so many threads; what one raises is raised."""
    raised: List[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


# --- Isolation between users ------------------------------------------------------------------------------------------------


def test_12_01_nobody_in_particular_is_one_of_them(kept: Open) -> None:
    for person in (None, "alice", "bob"):
        mesh = kept(person)
        mesh.push("key", {"of": person})
        mesh.push("over", 1, ttl=-1)
        mesh.register_agent_topics("a", [f"topic of {person}"])
    nobody, same = kept(None), kept("")
    assert nobody.get("key") == same.get("key") == {"of": None} and nobody.size() == 2
    assert nobody.get_all_topics() == ["topic of None"] and nobody.cleanup_expired() == 1
    same.clear()
    assert nobody.size() == 0 and [kept(person).size() for person in ("alice", "bob")] == [2, 2]
    assert nobody.remove("key") is False and kept("alice").get("key") == {"of": "alice"}
    for other in (0, False, 0.0, [], (), b"", 7, "a\x00b"):
        with pytest.raises(ValueError):
            kept(other)  # type: ignore[arg-type]


def test_12_02_a_mesh_and_what_is_behind_it_are_of_one_user(opened: Open) -> None:
    alice, bob = opened("alice"), opened("bob")
    bob.push("key", 1)
    with pytest.raises(AttributeError):
        alice.user_id = "bob"  # type: ignore[misc]
    backend = alice.db_backend
    assert backend is not None and backend.get_all_context_items() == {}
    for call in (
        lambda: backend.get_all_context_items_for_user("bob"),
        lambda: backend.get_context_item_for_user("bob", "key"),
        lambda: backend.save_context_item_for_user("bob", "key", 2, [], None, time.time()),
        lambda: backend.delete_context_item_for_user(None, "key"),
        lambda: backend.clear_all_for_user("bob"),
        lambda: backend.cleanup_expired_for_user("bob", time.time()),
        lambda: backend.save_agent_topics_for_user("", "a", ["t"]),
        lambda: backend.get_all_agent_topics_for_user("bob"),
        lambda: backend.delete_topic_data_for_user("bob", "t"),
    ):
        with pytest.raises(PermissionError):
            call()
    backend.clear_all()
    assert bob.get("key") == 1


def test_12_03_users_are_kept_apart_where_they_are_kept(kept: Open, where: Where, tmp_path: Path) -> None:
    for person in ("alice", "bob"):
        kept(person).push("key", f"canary of {person}")
    if "db_path" in where:
        assert Path(where["db_path"]).is_file()
        assert len(list((tmp_path / "context.db.locule" / "spaces").rglob("*.db"))) == 2
        return
    url = where["connection_string"]
    if where["isolation"] == "rls":
        guarded = "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'public.context_entries'::regclass"
        assert psql(url, guarded) == "t|t\n"
        assert psql(url, "SELECT count(DISTINCT user_id) FROM context_entries") == "2\n"
        # The role that requests run as, without saying who asks: no rows; and with somebody's name: theirs.
        role = psql(url, "SELECT grantee FROM information_schema.role_table_grants WHERE table_name = 'context_entries' "
                         "AND privilege_type = 'SELECT' AND grantee LIKE '%_user' LIMIT 1").strip()  # fmt: skip
        asked = f"""SET ROLE "{role}"; SELECT count(*) FROM context_entries"""
        assert psql(url, asked).splitlines()[-1] == "0"
    elif where["isolation"] == "schema":
        schemas = psql(url, "SELECT nspname FROM pg_namespace JOIN pg_class ON relnamespace = pg_namespace.oid "
                            "WHERE relname = 'context_entries' AND nspname <> 'public' ORDER BY 1").split()  # fmt: skip
        assert len(schemas) == 2
        owners = psql(url, "SELECT DISTINCT grantee FROM information_schema.role_table_grants "
                           f"WHERE table_schema = '{schemas[0]}' AND table_name = 'context_entries'").split()  # fmt: skip
        others = psql(url, "SELECT DISTINCT grantee FROM information_schema.role_table_grants "
                           f"WHERE table_schema = '{schemas[1]}' AND table_name = 'context_entries'").split()  # fmt: skip
        theirs = [role for role in others if role not in owners]
        assert theirs
        for role in theirs:
            assert psql(url, f"SELECT has_schema_privilege('{role}', '{schemas[0]}', 'USAGE') OR "
                             f"has_table_privilege('{role}', '{schemas[0]}.context_entries', 'SELECT')") == "f\n"  # fmt: skip
    else:
        before = url.rpartition("/")[2]
        assert int(psql(url, "SELECT count(*) FROM pg_database WHERE NOT datistemplate AND datname NOT IN "
                             f"('postgres', '{before}')")) >= 2  # fmt: skip


def test_12_04_counts_are_of_ones_own_and_nothing_handed_out_is_shared(opened: Open) -> None:
    alice, bob = opened("alice"), opened("bob")
    for number in range(3):
        bob.push(f"key {number}", 1, ttl=-1 if number else None, topics=["t"])
    bob.register_agent_topics("a", ["t"])
    zero = alice.get_stats()
    assert set(zero.values()) == {0} and alice.size() == 0 and alice.cleanup_expired() == 0 and alice.delete_topic("t") == 0
    assert (bob.size(), bob.get_stats()["expired_items"]) == (3, 2)
    for mutable in (
        syntha.get_all_tool_schemas()[0]["parameters"]["properties"],
        syntha.get_role_info("readonly")["tools"],
        syntha.get_role_info(),
        ToolHandler(alice, "a").get_schemas()[0]["parameters"],
        ToolHandler(alice, "a").get_syntha_schemas_only()[0],
    ):
        mutable.clear()
    handler = syntha.create_role_based_handler(alice, "a", "readonly")
    handler.add_allowed_tool("delete_topic")
    assert syntha.get_role_info("readonly")["tools"] == ["get_context", "list_context", "discover_topics"]
    assert syntha.get_all_tool_schemas()[0]["parameters"]["properties"] and len(ToolHandler(alice, "a").get_schemas()) == 7
    allowed = ["get_context"]
    shared = ToolHandler(alice, "a", allowed_tools=allowed)
    allowed.append("delete_topic")
    assert shared.get_available_tools() == ["get_context"]


def test_12_05_a_damaged_file_is_its_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "context.db"
    for person in ("alice", "bob"):
        with ContextMesh(user_id=person, db_path=str(path)) as mesh:
            mesh.push("key", person)
    files = {file: file.read_bytes() for file in (tmp_path / "context.db.locule" / "spaces").rglob("*.db")}
    damaged = next(iter(files))
    content = bytearray(files[damaged])
    content[: len(content)] = os.urandom(len(content))
    damaged.write_bytes(content)
    outcomes = {}
    for person in ("alice", "bob"):
        try:
            with ContextMesh(user_id=person, db_path=str(path)) as mesh:
                outcomes[person] = mesh.get("key")
        except SynthaPersistenceError:
            outcomes[person] = None
    assert sorted(outcomes.values(), key=str) == sorted([None, next(who for who in outcomes if outcomes[who])], key=str)
    assert all(said in (None, who) for who, said in outcomes.items()) and damaged.read_bytes() == bytes(content)
    # What is no store is neither renamed nor written over; only text at a database's path is put aside.
    (tmp_path / "link.db").symlink_to(tmp_path / "notes.txt")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "folder.db").mkdir()
    for name in ("notes.txt", "folder.db"):
        with pytest.raises(Exception) as refused:
            ContextMesh(db_path=str(tmp_path / name))
        assert "Persistence" in type(refused.value).__name__ or "Operational" in type(refused.value).__name__
    with pytest.raises(SynthaPersistenceError):
        ContextMesh(db_path=str(tmp_path / "link.db"))
    assert (tmp_path / "notes.txt").read_text() == "mine" and (tmp_path / "folder.db").is_dir()


def test_12_06_an_erasure_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with UserManager(encryption_enabled=True, data_dir=str(data)) as users:
        for person in ("alice", "bob"):
            users.create_user_session(person).push("canary-key", "a canary that sings")
        before = {file for file in data.rglob("*") if file.is_file()}
        assert b"canary" not in b"".join(file.read_bytes() for file in before)
        receipt = users.delete_user("alice")
        assert receipt["erased"] and len([file for file in before if not file.exists()]) >= 2
        assert users.create_user_session("alice").get("canary-key") is None
        assert users.create_user_session("bob").get("canary-key") == "a canary that sings"


# --- Correctness ------------------------------------------------------------------------------------------------------------


def test_12_07_whole_or_not_at_all_and_the_same_after_a_restart(kept: Open) -> None:
    with kept() as mesh:
        mesh.push("tuple", (1, {2: "x"}))
        mesh.push("kept", {"a": 1})
        read = mesh.get("tuple")
        for bad in (object(), {1, 2}, {"a": object()}, math.nan, [math.inf], {(1, 2): 3}):
            with pytest.raises((TypeError, ValueError)):
                mesh.push("kept", bad)
        assert mesh.get("kept") == {"a": 1}
        backend = mesh.db_backend
        assert backend is not None and backend.get_context_item("kept")[0] == {"a": 1}  # type: ignore[index]
    with kept() as mesh:
        assert mesh.get("tuple") == read == [1, {"2": "x"}] and mesh.get("kept") == {"a": 1} and mesh.size() == 2


def test_12_08_what_is_replaced_or_removed_does_not_come_back(kept: Open) -> None:
    with kept(None) as mesh:
        for number in range(5):
            mesh.push("key", number, ttl=None if number % 2 else 3_600)
        mesh.push("gone", 1)
        mesh.push("over", "old", ttl=-1)
        assert mesh.remove("gone") and mesh.size() == 2
    with kept(None) as mesh:
        assert (mesh.get("key"), mesh.get("gone"), mesh.get("over"), mesh.size()) == (4, None, None, 2)
        assert mesh.remove("key") and not mesh.remove("key")
    with kept(None) as mesh:
        assert mesh.get("key") is None and mesh.get_keys_for_agent("a") == []


WRITES = """
import json, sys
from locule.syntha import ContextMesh
with ContextMesh(user_id="alice", **json.loads(sys.argv[1])) as mesh:
    print("open", flush=True)
    for turn in range(15):
        mesh.append("log", f"{sys.argv[2]} {turn}")
        mesh.push("same", turn)
        mesh.register_agent_topics(f"agent {sys.argv[2]} {turn}", ["t"])
    print(mesh.get("from the parent"))
"""


def test_12_09_two_open_meshes_see_each_other_and_lose_nothing(kept: Open, where: Where, tmp_path: Path) -> None:
    one, two = kept(), kept()
    one.push("from the parent", 1)
    assert two.get("from the parent") == 1
    programs = [
        subprocess.Popen([sys.executable, "-c", WRITES, json.dumps(where), str(number)], cwd=tmp_path, stdout=subprocess.PIPE)
        for number in range(2)
    ]

    def work(number: int) -> None:
        for turn in range(15):
            kept_mesh = (one, two)[number % 2]
            kept_mesh.append("log", f"thread {number} {turn}")
            kept_mesh.push("same", turn)
            kept_mesh.register_agent_topics(f"thread {number} {turn}", ["t"])

    together(4, work)
    said = [program.communicate()[0].decode().split() for program in programs]
    assert said == [["open", "1"], ["open", "1"]]
    assert len(two.get("log")) == len(set(two.get("log"))) == 6 * 15
    assert len(one.get_subscribers_for_topic("t")) == 6 * 15 and one.get("same") == 14


def test_12_10_tags_stay_and_a_topic_takes_only_its_own(kept: Open) -> None:
    with kept() as mesh:
        mesh.push("only", 1, topics=["t"])
        mesh.push("both", 1, topics=["t", "u"])
        mesh.push("moved", 1, topics=["t"])
        mesh.push("moved", 2, topics=["u"])
        mesh.push("untagged", 1, topics=["t"])
        mesh.push("untagged", 2)
        mesh.push("removed", 1, topics=["v"])
        mesh.push("addressed", 1, subscribers=["t"])
        mesh.remove("removed")
    with kept() as mesh:
        agent = ToolHandler(mesh, "a")
        found = agent.handle_tool_call("discover_topics")["topics"]
        assert found == {name: {"subscriber_count": 0, "is_active": False} for name in ("t", "u")}
        assert mesh.get_all_topics() == []
        assert agent.handle_tool_call("delete_topic", topic="t", confirm=True)["context_items_deleted"] == 1
        assert mesh.get("only") is None and (mesh.get("both"), mesh.get("moved"), mesh.get("untagged")) == (1, 2, 2)
        assert mesh.get("addressed", "t") == 1
    with kept() as mesh:
        assert list(ToolHandler(mesh, "a").handle_tool_call("discover_topics")["topics"]) == ["u"] and mesh.size() == 4


def test_12_11_what_an_agent_no_longer_follows_is_over_at_once(kept: Open) -> None:
    mesh, other = kept(), kept()
    mesh.register_agent_topics("a", ["t", "u"])
    mesh.register_agent_topics("a", ["u"])
    other.push("key", 1, topics=["t"])
    assert mesh.get("key", "a") is None and mesh.get_subscribers_for_topic("t") == [] and mesh.get_all_topics() == ["u"]
    mesh.register_agent_topics("a", [])
    assert other.get_topics_for_agent("a") == [] and other.get_stats()["agents_with_topics"] == 0


def test_12_12_agents_post_only_where_they_may(opened: Open) -> None:
    mesh = opened()
    mesh.set_agent_post_permissions("clerk", ["notes"])
    clerk = ToolHandler(mesh, "clerk")
    for topics in (["board"], ["notes", "board"], ["Notes"]):
        told = clerk.handle_tool_call("push_context", key="k", value="v", topics=topics)
        assert told["success"] is False and told["error"].startswith("Permission denied") and told["topics"] == topics
    with pytest.raises(PermissionError):
        clerk.push_context("k", "v", topic="board")
    forged = clerk.handle_tool_call("push_context", key="k", value="v", topics=["board"], sender_agent="boss")
    assert forged["success"] is False and mesh.size() == 0
    assert clerk.handle_tool_call("push_context", key="k", value="v", topics=["notes"])["success"]
    mesh.push("by the program", 1, topics=["board"])
    assert mesh.size() == 2 and mesh.can_agent_post_to_topic("clerk", "notes") and not mesh.can_agent_post_to_topic("clerk", "x")


def test_12_13_what_an_agent_cannot_read_it_cannot_write_over(opened: Open) -> None:
    mesh = opened()
    mesh.push("secret", 1, subscribers=["boss"])
    clerk = ToolHandler(mesh, "clerk")
    assert clerk.handle_tool_call("push_context", key="secret", value="2")["success"] is False
    assert clerk.handle_push_context("secret", "2")["success"] is False
    with pytest.raises(PermissionError):
        clerk.push_context("secret", 2)
    assert clerk.remove_context("secret") is False and mesh.get("secret") == 1
    assert clerk.handle_tool_call("push_context", key="report", value="1", subscribers=["boss"])["success"]
    assert clerk.handle_tool_call("push_context", key="report", value="2", subscribers=["boss"])["success"]
    assert (mesh.get("report", "boss"), mesh.get("report", "clerk")) == (2, None)
    reader = ToolHandler(mesh, "r", allowed_tools=["get_context"])
    calls: Dict[str, Dict[str, Any]] = {
        "push_context": {"key": "k", "value": "v"},
        "list_context": {},
        "subscribe_to_topics": {"topics": ["t"]},
        "discover_topics": {},
        "unsubscribe_from_topics": {"topics": ["t"]},
        "delete_topic": {"topic": "t", "confirm": True},
    }
    for tool, given in calls.items():
        assert getattr(reader, f"handle_{tool}")(**given)["error"] == f"Access denied to tool: {tool}"
    assert reader.handle_get_context()["success"] and mesh.get_all_topics() == []


def test_12_14_a_text_is_no_list_and_no_topic_is_not_everybody(opened: Open) -> None:
    mesh = opened()
    mesh.register_agent_topics("a", ["t"])
    for call in (
        lambda: mesh.push("k", 1, subscribers="alice"),  # type: ignore[arg-type]
        lambda: mesh.push("k", 1, topics="t"),  # type: ignore[arg-type]
        lambda: mesh.register_agent_topics("a", "xyz"),
        lambda: mesh.unsubscribe_from_topics("a", "t"),
        lambda: mesh.set_agent_post_permissions("a", "t"),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError):
        mesh.push("k", 1, topics=[])
    agent = ToolHandler(mesh, "a")
    for hours in (-1, -0.001, math.nan, math.inf, "24", True):
        told = agent.handle_tool_call("push_context", key="k", value="v", ttl_hours=hours)
        assert told["success"] is False and "ttl_hours" in told["error"]
    assert mesh.size() == 0 and mesh.get_topics_for_agent("a") == ["t"] and mesh.get_agent_post_permissions("a") == []
    assert agent.handle_tool_call("push_context", key="k", value="v", ttl_hours=0)["success"]
    assert mesh._data["k"].ttl is None
    assert agent.handle_tool_call("push_context", key="k", value="v")["ttl_hours"] == 24 and mesh._data["k"].ttl == 86_400


def test_12_15_a_closed_mesh_says_so_and_nothing_hangs(opened: Open) -> None:
    mesh = opened()
    agent = ToolHandler(mesh, "a")
    mesh.push("key", 1)
    mesh.close()
    mesh.close()
    calls: List[Callable[[], Any]] = [
        lambda: mesh.push("k", 1), lambda: mesh.get("key"), lambda: mesh.get_all_for_agent("a"),
        lambda: mesh.get_keys_for_agent("a"), lambda: mesh.remove("key"), lambda: mesh.cleanup_expired(), lambda: mesh.clear(),
        lambda: mesh.size(), lambda: mesh.get_stats(), lambda: mesh.register_agent_topics("a", ["t"]),
        lambda: mesh.get_topics_for_agent("a"), lambda: mesh.get_subscribers_for_topic("t"), lambda: mesh.get_all_topics(),
        lambda: mesh.unsubscribe_from_topics("a", ["t"]), lambda: mesh.delete_topic("t"),
        lambda: mesh.get_available_keys_by_topic("a"), lambda: mesh.set_agent_post_permissions("a", ["t"]),
        lambda: mesh.get_agent_post_permissions("a"), lambda: mesh.can_agent_post_to_topic("a", "t"),
        lambda: mesh.update("key", lambda value: value), lambda: mesh.append("key", 1), lambda: agent.push_context("k", 1),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(SynthaPersistenceError):
            call()
    told = agent.handle_tool_call("push_context", key="k", value="v")
    assert told["success"] is False and "closed" in told["error"]


def test_12_15_closing_while_others_write_is_no_fault(kept: Open) -> None:
    mesh, other = kept(), kept()
    begun = threading.Event()
    acknowledged: List[int] = []

    def write() -> None:
        for turn in itertools.count():
            try:
                mesh.push(f"key {turn}", turn)
            except SynthaPersistenceError:
                return
            acknowledged.append(turn)
            begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(30)
    mesh.close()
    thread.join(30)
    assert not thread.is_alive() and all(other.get(f"key {turn}") == turn for turn in acknowledged)


def test_12_16_times_and_texts_are_right_in_every_store(kept: Open) -> None:
    with kept() as mesh:
        before = time.time()
        mesh.push("key", "\x00 \ud800 \udfff é", ttl=3_600.25)
        after = time.time()
        mesh.push("big", [10**400, -(2**63) - 1, 0.1, -0.0, 1e308])
        mesh.push("\x00", {"\x00": "\x00"}, subscribers=["\x00"], topics=["\x00\ud800"])
    with kept() as mesh:
        backend = mesh.db_backend
        assert backend is not None
        item = backend.get_context_item("key")
        assert item is not None and item[2] == 3_600.25 and before - 1 < item[3] < after + 1
        assert mesh.get("key") == "\x00 \ud800 \udfff é" and mesh.get("big") == [10**400, -(2**63) - 1, 0.1, -0.0, 1e308]
        assert mesh.get("\x00", "\x00") == {"\x00": "\x00"} and mesh._known_topics() == ["\x00\ud800"]
        for bad in (math.nan, math.inf, -math.inf, {"a": [math.nan]}):
            with pytest.raises(ValueError):
                mesh.push("bad", bad)
        assert mesh.get("bad") is None


# --- Scale ------------------------------------------------------------------------------------------------------------------


def least(work: Callable[[], object], tries: int = 7) -> float:
    """The seconds of this process that it takes when nothing is in the way."""
    taken = []
    for _ in range(tries):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


@pytest.mark.parametrize("where", ["file"], indirect=True)
def test_12_17_what_others_have_and_how_much_there_is_does_not_slow_a_write(kept: Open, where: Where) -> None:
    few, many = kept("few"), kept("many")
    assert many._store is not few._store
    with kept("many") as mesh:
        for number in range(3_000):
            mesh._store.push(f"key {number}", "1", subscribers=[], topics=[], ttl=None)
    for change in (lambda mesh: mesh.push("key", 1), lambda mesh: (mesh.push("gone", 1), mesh.remove("gone"))):
        assert least(lambda: change(many)) < 5 * least(lambda: change(few)) + 0.005
    # Opening loads nothing: with three thousand keys it takes no longer.
    open_few = least(lambda: ContextMesh(user_id="few", **where).close())
    assert least(lambda: ContextMesh(user_id="many", **where).close()) < 5 * open_few + 0.005


def test_12_17_reading_does_not_wait_for_another_users_writing(kept: Open) -> None:
    alice, bob = kept("alice"), kept("bob")
    alice.push("key", 1)
    inside, go_on = threading.Event(), threading.Event()

    def change(there: Any) -> int:
        inside.set()
        assert go_on.wait(30)
        return 2

    thread = threading.Thread(target=lambda: bob.update("key", change))
    thread.start()
    try:
        assert inside.wait(30) and alice.get("key") == 1
        alice.push("key", 2)
        assert alice.get("key") == 2
    finally:
        go_on.set()
        thread.join()
    assert bob.get("key") == 2


@pytest.mark.parametrize("where", ["file", "schema", "rls"], indirect=True)
def test_12_18_a_thousand_meshes_take_no_more_connections_than_a_few(kept: Open, where: Where) -> None:
    meshes = [kept(f"user {number % 25}") for number in range(1_000)]
    together(16, lambda number: [mesh.push(f"key {number}", 1) for mesh in meshes[number::40]])
    assert meshes[-1].size() >= 1 and len(os.listdir("/proc/self/fd")) < 400
    if "connection_string" in where:
        url = where["connection_string"]
        name = url.rpartition("/")[2]
        # The pool's twenty, the directory's few, and the one that asks: as many as ten users take.
        assert int(psql(url, f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'")) <= 20 + 10
