"""Nobody reaches anybody else."""

from __future__ import annotations

import pytest

import locule
from locule import Locule, Memory

NOBODY = ["", None, 0, False, b"alice", ["alice"], 1.0, {}]


def test_a_handle_reaches_its_owner_and_nobody_else(bare: Locule) -> None:
    alice, bob = bare.user("alice"), bare.user("bob")
    secret = alice.add("the canary sings", embedding=[1, 0, 0])
    assert bob.search(embedding=[1, 0, 0]) == [] and bob.get_all() == [] and bob.delete_all() == 0
    unknown = "01a2223c-3bd2-7e7a-bb13-5f65af7d30e6"
    for call in (bob.get, bob.delete, lambda id: bob.update(id, "mine", embedding=[1, 0, 0]), bob.promote, bob.history):
        told = []
        for id in (secret["id"], unknown):
            with pytest.raises(locule.NotFoundError) as refused:
                call(id)
            told.append((refused.value.code, str(refused.value)))
        assert told[0] == told[1]
    assert alice.get(secret["id"])["memory"] == "the canary sings"


@pytest.mark.parametrize("nobody", NOBODY)
def test_no_id_means_everybody(bare: Locule, nobody: object) -> None:
    alice = bare.user("alice")
    alice.add("tea", embedding=[1, 0, 0])
    with pytest.raises(ValueError):
        bare.user(nobody)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        alice.user(nobody)  # type: ignore[arg-type]
    memory = Memory(locule=bare)
    # A number is a name like any other here, as it is for mem0: the empty space of a user of that name.
    refuses = nobody != 0 or nobody is False
    for call in (memory.get_all, memory.delete_all, lambda user_id: memory.search("tea", user_id=user_id)):
        if refuses:
            with pytest.raises(ValueError):
                call(user_id=nobody)  # type: ignore[operator]
    if not refuses:
        assert memory.get_all(user_id=0) == []
    assert len(alice.get_all()) == 1


def test_names_that_look_alike_are_different_people(bare: Locule) -> None:
    names = ["0", "Alice", "alice", "alice ".strip() + "/../bob", "älice", "me2", "👩‍🚀", "a" * 255]
    for name in names:
        bare.user(name).add(f"of {name}", embedding=[1, 0, 0])
    for name in names:
        assert [memory["memory"] for memory in bare.user(name).get_all()] == [f"of {name}"]
    for name in ("me", ".", "..", " alice", "a" * 256, "a\x00b"):
        with pytest.raises(locule.InvalidError):
            bare.user(name)


def test_a_token_opens_its_subject_and_naming_another_is_a_permission_error(bare: Locule) -> None:
    bare.user("alice").add("tea", embedding=[1, 0, 0])
    bare.user("bob").add("mate", embedding=[1, 0, 0])
    me = bare.as_user(bare.mint_token("alice"))
    assert me.user_id == "alice" and [memory["memory"] for memory in me.get_all()] == ["tea"]
    assert len(me.user("alice").get_all()) == 1
    told = []
    for stranger in ("bob", "nobody-at-all"):
        with pytest.raises(PermissionError) as refused:
            me.user(stranger)
        told.append((refused.value.code, str(refused.value)))  # type: ignore[attr-defined]
        with pytest.raises(PermissionError):
            bare.as_user(bare.mint_token("alice"), user_id=stranger)
        with pytest.raises(PermissionError):
            me.get_all(filters={"OR": [{"user_id": stranger}, {"memory": "tea"}]})
    assert told[0] == told[1]


def test_a_bound_memory_is_its_owners(bare: Locule) -> None:
    for name in ("alice", "bob"):
        bare.user(name).add(f"tea of {name}", embedding=[1, 0, 0])
    foreign = bare.user("bob").get_all()[0]["id"]
    mine = Memory(locule=bare, token=bare.mint_token("alice"))
    assert [memory["memory"] for memory in mine.get_all()] == ["tea of alice"]
    assert [memory["memory"] for memory in mine.get_all(user_id="alice")] == ["tea of alice"]
    for call in (
        lambda: mine.get_all(user_id="bob"),
        lambda: mine.search("tea", user_id="bob"),
        lambda: mine.search("tea", filters={"user_id": "bob"}),
        lambda: mine.search("tea", user_id="alice", filters={"AND": [{"user_id": "bob"}]}),
        lambda: mine.add("tea", user_id="bob"),
        lambda: mine.delete_all(user_id="bob"),
        lambda: mine.delete(foreign, user_id="bob"),
        lambda: mine.erase("bob"),
    ):
        with pytest.raises(PermissionError):
            call()
    assert mine.get(foreign) is None and mine.history(foreign) == []
    with pytest.raises(locule.NotFoundError):
        mine.delete(foreign)
    assert len(bare.user("bob").get_all()) == 1


def test_a_credential_that_is_none_opens_nothing(bare: Locule) -> None:
    for bad in ("x", "a.b.c", "lk_nothing", "é"):
        with pytest.raises(locule.AuthenticationError):
            bare.as_user(bad)
    for bad in ("", None, 0):
        with pytest.raises(ValueError):
            bare.as_user(bad)  # type: ignore[arg-type]
        if bad is not None:
            with pytest.raises(ValueError):
                Memory(locule=bare, token=bad)  # type: ignore[arg-type]


def test_a_token_of_another_installation_is_none(bare: Locule, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Locule(tmp_path_factory.mktemp("other") / "data") as other:
        token = other.mint_token("alice")
    with pytest.raises(locule.AuthenticationError):
        bare.as_user(token)


def test_what_is_on_disk_tells_nothing(bare: Locule, tmp_path: "object") -> None:
    bare.user("alice-the-canary").add("a canary that sings", embedding=[1, 0, 0], agent_id="canary-agent")
    bare.close()
    for path in tmp_path.rglob("*"):  # type: ignore[attr-defined]
        assert "canary" not in path.name
        if path.is_file():
            content = path.read_bytes()
            assert b"canary that sings" not in content and b"canary-agent" not in content
