"""The context mesh: who reads what, and what it takes."""

from __future__ import annotations

import math
import threading
from typing import Any, Callable, List, Optional

import pytest

from locule.syntha import ContextMesh, SynthaPersistenceError, SynthaValidationError
from locule.syntha.context import ContextItem
from locule.syntha.persistence import PostgreSQLBackend, SQLiteBackend, create_database_backend


@pytest.fixture
def mesh() -> ContextMesh:
    return ContextMesh(user_id="alice", db_path=":memory:")


@pytest.mark.parametrize(
    ("subscribers", "topics", "readers"),
    [
        (None, None, ["a", "b", "c", "x"]),
        ([], None, ["a", "b", "c", "x"]),
        (["a"], None, ["a"]),
        (None, ["t"], ["b", "c"]),
        (None, ["nobody follows"], []),
        (["a"], ["nobody follows"], ["a"]),
        (["a", "b"], ["t"], ["a", "b", "c"]),
        ([""], None, []),
    ],
)
def test_who_reads_a_push(mesh: ContextMesh, subscribers: Any, topics: Any, readers: List[str]) -> None:
    mesh.register_agent_topics("b", ["t"])
    mesh.register_agent_topics("c", ["other", "t"])
    mesh.push("key", {"a": 1}, subscribers=subscribers, topics=topics)
    assert [agent for agent in ("a", "b", "c", "x") if mesh.get("key", agent) is not None] == readers
    assert mesh.get("key") == {"a": 1} and mesh.size() == 1
    assert mesh.get("key", "__NO_SUBSCRIBERS__") is None or readers == ["a", "b", "c", "x"]


def test_routing_is_decided_at_the_push(mesh: ContextMesh) -> None:
    mesh.register_agent_topics("early", ["t"])
    mesh.push("key", 1, topics=["t"])
    mesh.register_agent_topics("late", ["t"])
    mesh.unsubscribe_from_topics("early", ["t", "never followed"])
    assert (mesh.get("key", "early"), mesh.get("key", "late")) == (1, None)
    mesh.push("key", 2, topics=["t"])
    assert (mesh.get("key", "early"), mesh.get("key", "late")) == (None, 2)
    assert mesh.get_all_topics() == ["t"] and mesh.get_topics_for_agent("early") == []


def test_values_are_copies_and_keep_their_kind(mesh: ContextMesh) -> None:
    values = ["", 0, False, None, [], {}, 10**400, "\x00 \ud800 é 👩‍🚀", {"a": [1, {"b": 2.5}]}, "5", '{"a": 1}', -0.0]
    for number, value in enumerate(values):
        mesh.push(f"key {number}", value)
    for number, value in enumerate(values):
        assert mesh.get(f"key {number}") == value and type(mesh.get(f"key {number}")) is type(value)
    mesh.get("key 8")["a"].append("changed")
    assert mesh.get("key 8") == {"a": [1, {"b": 2.5}]}
    mesh.push("tuple", (1, 2))
    assert mesh.get("tuple") == [1, 2]
    for key in ("", "x" * 1_000_000, "\n", "👩‍🚀"):
        mesh.push(key, 1)
        assert mesh.get(key) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda mesh: mesh.push("key", object()),
        lambda mesh: mesh.push("key", {1, 2}),
        lambda mesh: mesh.push("key", math.nan),
        lambda mesh: mesh.push("key", [math.inf]),
        lambda mesh: mesh.push("key", 1, subscribers="alice"),
        lambda mesh: mesh.push("key", 1, topics="t"),
        lambda mesh: mesh.push("key", 1, topics=[]),
        lambda mesh: mesh.push("key", 1, topics=[1]),
        lambda mesh: mesh.push("key", 1, subscribers=[None]),
        lambda mesh: mesh.push("key", 1, ttl=math.nan),
        lambda mesh: mesh.push("key", 1, ttl="soon"),
        lambda mesh: mesh.push(7, 1),
        lambda mesh: mesh.register_agent_topics("a", "t"),
        lambda mesh: mesh.set_agent_post_permissions("a", "t"),
        lambda mesh: mesh.append("text", 1),
    ],
)
def test_what_is_wrong_changes_nothing(mesh: ContextMesh, call: Callable[[ContextMesh], None]) -> None:
    mesh.push("text", "a")
    with pytest.raises((TypeError, ValueError)):
        call(mesh)
    assert mesh.size() == 1 and mesh.get_all_topics() == [] and mesh.get_agent_post_permissions("a") == []


def test_time_runs_out(mesh: ContextMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    mesh._last_cleanup = now[0]
    mesh.push("short", 1, ttl=10)
    mesh.push("long", 2, ttl=1_000)
    mesh.push("gone", 3, ttl=-1)
    now[0] += 10.5
    assert mesh.get_all_for_agent("a") == {"long": 2} and mesh.get("short") is None
    assert mesh.get_stats() == {
        "total_items": 3, "active_items": 1, "expired_items": 2, "global_items": 1, "private_items": 0,
        "total_topics": 0, "agents_with_topics": 0,
    }  # fmt: skip
    assert mesh.cleanup_expired() == 2 and mesh.size() == 1 and mesh.cleanup_expired() == 0
    mesh.push("short", 1, ttl=10)
    now[0] += 400
    mesh.push("other", 1)
    assert mesh.size() == 2
    item = ContextItem(1, ["a"], ttl=1)
    assert item.is_accessible_by("a") and not item.is_accessible_by("b") and not item.is_expired()
    now[0] += 2
    assert item.is_expired()


def test_a_topic_that_ends_takes_only_what_is_its_own(mesh: ContextMesh) -> None:
    mesh.register_agent_topics("a", ["t", "u"])
    mesh.push("both", 1, topics=["t", "u"])
    mesh.push("only", 1, topics=["t"])
    mesh.push("to an agent of that name", 1, subscribers=["t"])
    mesh.push("retagged", 1, topics=["t"])
    mesh.push("retagged", 2, topics=["u"])
    assert mesh.get_available_keys_by_topic("a") == {"t": ["both", "only"], "u": ["both", "retagged"]}
    assert mesh.delete_topic("nobody knows") == 0
    assert mesh.delete_topic("t") == 1
    assert mesh.get("only") is None and mesh.get("both", "a") == 1 and mesh.get("retagged", "a") == 2
    assert mesh.get("to an agent of that name", "t") == 1 and mesh.get_topics_for_agent("a") == ["u"]
    mesh.push("for all", 1)
    assert mesh.get_available_keys_by_topic("a") == {"u": ["both", "retagged"], "other": ["for all"]}


def test_changing_a_value_in_one_piece_loses_nothing(mesh: ContextMesh) -> None:
    def work(number: int) -> None:
        for turn in range(100):
            mesh.append("log", [number, turn])
            mesh.update("count", lambda count: count + 1, default=0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mesh.get("log")) == mesh.get("count") == 1_000
    mesh.push("mine", 1, subscribers=["a"])
    mesh.update("mine", lambda value: value + 1)
    assert (mesh.get("mine", "a"), mesh.get("mine", "b")) == (2, None)


def test_a_mesh_is_one_users_and_stays_so(mesh: ContextMesh) -> None:
    with pytest.raises(AttributeError):
        mesh.user_id = "bob"  # type: ignore[misc]
    backend = mesh.db_backend
    assert isinstance(backend, SQLiteBackend)
    mesh.push("key", 1)
    assert backend.get_context_item("key") == backend.get_context_item_for_user("alice", "key")
    for other in ("bob", None, ""):
        for call in (backend.get_all_context_items_for_user, backend.clear_all_for_user):
            with pytest.raises(PermissionError):
                call(other)
    for nobody in (0, False, 1, b"alice", ["alice"], "a\x00"):
        with pytest.raises(ValueError) as refused:
            ContextMesh(user_id=nobody, db_path=":memory:")  # type: ignore[arg-type]
        assert isinstance(refused.value, SynthaValidationError)
    for anonymous in (None, ""):
        with ContextMesh(user_id=anonymous, db_path=":memory:") as nobodys:
            nobodys.push("key", 2)
            assert nobodys.get("key") == 2
    assert mesh.get("key") == 1


def test_a_backend_keeps_its_users_apart() -> None:
    backend = SQLiteBackend(":memory:")
    backend.close()
    with pytest.raises(SynthaPersistenceError):
        backend.get_context_item("key")
    backend.connect()
    people: List[Optional[str]] = [None, "alice", "bob"]
    for person in people:
        backend.save_context_item_for_user(person, "key", {"of": person}, ["a"], 3_600, 1.0 if person == "bob" else 4e9)
        backend.save_agent_topics_for_user(person, "a", [f"t of {person}"])
    assert backend.get_context_item("key") == ({"of": None}, ["a"], 3_600, 4e9)
    assert backend.cleanup_expired_for_user("alice", 2e9) == 0 and backend.cleanup_expired_for_user("bob", 2e9) == 1
    backend.clear_all_for_user("alice")
    backend.remove_agent_topics("nobody")
    assert [len(backend.get_all_context_items_for_user(person)) for person in people] == [1, 0, 0]
    assert backend.get_all_agent_topics() == {"a": ["t of None"]}
    assert backend.get_all_agent_topics_for_user("bob") == {"a": ["t of bob"]}
    backend.save_context_item("nobody reads", 1, ["__NO_SUBSCRIBERS__"], None, 0.5)
    assert backend.get_context_item("nobody reads") == (1, ["__NO_SUBSCRIBERS__"], None, 0.5)


def test_backends_are_made_by_name() -> None:
    assert create_database_backend("SQLite", db_path="x.db").db_path == "x.db"  # type: ignore[attr-defined]
    made = create_database_backend("postgresql", host="h", db_name="d", username="u", password="p@ss", sslmode="require")
    assert isinstance(made, PostgreSQLBackend)
    assert made.connection_string == "postgresql://u:p%40ss@h:5432/d?sslmode=require"
    for missing, given in {"database": {"user": "u", "password": "p"}, "password": {"database": "d", "user": "u"}}.items():
        with pytest.raises(ValueError, match=missing):
            create_database_backend("postgresql", **given)
    with pytest.raises(ValueError, match="^Unsupported backend type"):
        create_database_backend("mysql")


def test_a_closed_mesh_says_so(mesh: ContextMesh) -> None:
    mesh.close()
    mesh.close()
    for call in (lambda: mesh.push("key", 1), lambda: mesh.get("key"), mesh.size, mesh.get_all_topics, mesh.clear):
        with pytest.raises(SynthaPersistenceError):
            call()  # type: ignore[operator]
