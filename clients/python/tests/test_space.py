"""One user's space: what goes in comes out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import locule
from locule import Locule


def test_a_memory_is_found_by_what_it_means(app: Locule) -> None:
    alice = app.user("alice")
    added = alice.add("I'm allergic to peanuts", agent_id="chef", metadata={"kind": "food"})
    alice.add(["Works in Berlin", {"memory": "Plays the cello", "categories": ["music"]}])
    found = alice.search("what food should I avoid?", limit=1)
    assert [hit["memory"] for hit in found] == ["I'm allergic to peanuts"]
    assert found["results"] is found and 0 < found[0]["score"] <= 1
    assert alice.get(added["id"])["metadata"] == {"kind": "food"}
    assert [hit["memory"] for hit in alice.search("music", filters={"agent_id": "chef"})] == ["I'm allergic to peanuts"]
    assert alice.search("music", explain=True)[0]["score_parts"].keys() == {"cosine", "words"}


def test_what_is_closed_and_opened_again_is_as_it_was(tmp_path: Path) -> None:
    with Locule(tmp_path / "data", embedding=3) as app:
        kept = app.user("alice").add("tea", embedding=[1, 0, 0], expiration="2199-01-01")
    with Locule(tmp_path / "data", embedding=3) as app:
        memory = app.user("alice").get(kept["id"])
        assert memory == {name: value for name, value in kept.items() if name != "existing"}
        assert app.users()[0]["user_id"] == "alice"


def test_the_same_text_is_kept_once(bare: Locule) -> None:
    alice = bare.user("alice")
    first = alice.add("tea", embedding=[1, 0, 0])
    again = alice.add("tea", embedding=[1, 0, 0])
    assert (first["existing"], again["existing"], again["id"]) == (False, True, first["id"])


def test_changes_and_deletions_leave_their_trace(app: Locule) -> None:
    alice = app.user("alice")
    tea = alice.add("likes tea", metadata={"a": 1, "b": {"c": 2}})
    assert alice.update(tea["id"], "likes mate", metadata={"a": None, "b": {"d": 3}})["metadata"] == {"b": {"c": 2, "d": 3}}
    assert [event["event"] for event in alice.history(tea["id"])] == ["ADD", "UPDATE"]
    alice.delete(tea["id"])
    assert [event["new_memory"] for event in alice.history(tea["id"])] == [None, None, None]
    with pytest.raises(locule.NotFoundError):
        alice.get(tea["id"])


def test_everything_is_listed_and_counted(bare: Locule) -> None:
    alice = bare.user("alice")
    alice.add([{"memory": f"fact {number}", "embedding": [1, number, 0]} for number in range(250)])
    page = alice.page(limit=100)
    assert (len(page["memories"]), page["total"]) == (100, 250)
    following = alice.page(limit=100, cursor=page["next_cursor"])
    assert not {memory["id"] for memory in page["memories"]} & {memory["id"] for memory in following["memories"]}
    assert len(alice.get_all()) == len(list(alice)) == 250 and len(alice.get_all(limit=7)) == 7
    assert alice.delete_all(filters={"memory": {"contains": "fact 24"}}) == 11
    assert alice.usage()["memories"] == 239


def test_an_export_holds_all_of_it(bare: Locule) -> None:
    alice = bare.user("alice")
    alice.add("tea", embedding=[1, 0, 0])
    file = io.BytesIO()
    assert alice.export(file) == 1
    export = json.loads(file.getvalue())
    assert (export["user_id"], export["memories"][0]["content"]) == ("alice", "tea")

    class Broken(io.BytesIO):
        def write(self, _: object) -> int:  # type: ignore[override]
            raise RuntimeError("the disk of the caller is full")

    with pytest.raises(RuntimeError, match="of the caller"):
        alice.export(Broken())


def test_an_erasure_leaves_nothing_and_ends_tokens(bare: Locule, tmp_path: Path) -> None:
    bare.user("alice").add("a canary that sings", embedding=[1, 0, 0])
    bare.user("bob").add("tea", embedding=[1, 0, 0])
    before = bare.as_user(bare.mint_token("alice"))
    receipt = before.erase()
    assert receipt["erased"] and receipt["residue"] == 0
    with pytest.raises(locule.AuthenticationError):
        before.get_all()
    assert bare.user("alice").get_all() == [] and len(bare.user("bob").get_all()) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda alice: alice.add(""),
        lambda alice: alice.add("x", metadata={"bad": float("nan")}),
        lambda alice: alice.add("x", metadata={"bad": object()}),
        lambda alice: alice.add("x", colour="red"),
        lambda alice: alice.add([]),
        lambda alice: alice.add([1]),
        lambda alice: alice.add("x", embedding=[1.0, 2.0]),
        lambda alice: alice.add("x", ttl_s=-1),
        lambda alice: alice.search(" "),
        lambda alice: alice.search("x", limit=0),
        lambda alice: alice.search("x", filters={"colour": "red"}),
        lambda alice: alice.page(cursor="x"),
        lambda alice: alice.update("x"),
        lambda alice: alice.get(""),
        lambda alice: alice.get(None),
        lambda alice: alice.add("half of a pair: \ud800"),
    ],
)
def test_what_is_not_understood_changes_nothing(bare: Locule, call: object) -> None:
    alice = bare.user("alice")
    with pytest.raises(ValueError) as refused:
        call(alice)  # type: ignore[operator]
    assert isinstance(refused.value, locule.InvalidError) and str(refused.value)
    assert alice.get_all() == []


def test_too_much_is_a_limit(tmp_path: Path) -> None:
    with Locule(tmp_path / "data", embedding=3, memories_max=1) as app:
        alice = app.user("alice")
        alice.add("tea", embedding=[1, 0, 0])
        with pytest.raises(locule.LimitError) as refused:
            alice.add("mate", embedding=[1, 0, 0])
        assert refused.value.code == "quota_exceeded"
        with pytest.raises(locule.LimitError):
            alice.add("x" * 100_000, embedding=[1, 0, 0])
        assert len(alice.get_all()) == 1


def test_a_place_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(locule.LoculeError):
        Locule(tmp_path / "nothing", create=False)
    with pytest.raises(locule.InvalidError):
        Locule(tmp_path / "data", durability="some")
    with pytest.raises(locule.InvalidError):
        Locule(tmp_path / "data", embedding="big")
    assert not (tmp_path / "nothing").exists()
