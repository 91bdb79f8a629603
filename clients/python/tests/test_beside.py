"""What stands beside the memories of a space: the same on every side, and nothing of it anybody else's."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import pytest
from sides import everywhere

import locule
from locule import Client, Locule


def story(alice: Any, bob: Any) -> List[Any]:
    """Everything that can be asked of it, once, and what it answers."""
    told: List[Any] = []
    tea, cake, walk = alice.add(["likes tea", "bakes cake", {"memory": "goes for walks", "run_id": "monday", "ttl_s": 3600}])
    theirs = bob.add("is bob's")
    between = alice.relationships
    told.append(between.add(tea["id"], "goes with", cake["id"], strength=0.5, metadata={"a": [1]}))
    told.append(between.add(tea["id"], "goes with", cake["id"]))
    several = {"source_memory_id": cake["id"], "relationship_type": "before", "target_memory_id": walk["id"]}
    told.append(between.add_all([several])["results"])
    told.append(between.page(memory_id=tea["id"], direction="out", limit=1))
    told.append(list(between))
    told.append(between.get(told[0]["id"]))
    told.append(between.neighbours(tea["id"], hops=2))
    told.append(between.neighbours(tea["id"], direction="in"))
    told.append([list(bob.relationships), refused(lambda: bob.relationships.get(told[0]["id"]))])
    told.append(refused(lambda: between.add(tea["id"], "knows", theirs["id"])))
    told.append([between.delete(told[0]["id"]), refused(lambda: between.delete(told[0]["id"])), len(list(between))])
    told.append(alice.runs.page(limit=1))
    told.append([list(alice.runs), list(bob.runs), bob.runs.end("monday"), alice.runs.end("monday"), alice.runs.end("monday")])
    told.append([alice.settings(), alice.change_settings(custom_instructions="only food", custom_categories=[{"name": "food"}])])
    told.append([alice.change_settings(custom_categories=None), alice.settings(), bob.settings()])
    told.append([alice.feedback(tea["id"]), alice.give_feedback(tea["id"], "POSITIVE", "true"), alice.feedback(tea["id"])])
    told.append([alice.give_feedback(tea["id"], None), alice.feedback(tea["id"]), refused(lambda: bob.feedback(tea["id"]))])
    alice.add({"memory": "was brief", "expiration": "2001-01-01"})
    told.append([bob.delete_expired(), alice.delete_expired(), alice.delete_expired()])
    told.append([list(alice.jobs), alice.jobs.page(kind="extract", status="failed")])
    nobody = "01a222f1-321d-7ddf-85c6-9d00830427b3"
    wrong: List[Callable[[], Any]] = [
        lambda: alice.jobs.get(nobody),
        lambda: alice.jobs.replay("no id"),
        lambda: alice.jobs.delete(nobody),
        lambda: alice.jobs.page(status="odd"),
        lambda: alice.jobs.page(cursor="odd"),
        lambda: alice.runs.page(limit=0),
        lambda: alice.runs.end(""),
        lambda: between.get(""),
        lambda: between.page(direction="out"),
        lambda: between.page(limit=1001),
        lambda: between.add(tea["id"], "", cake["id"]),
        lambda: between.add(tea["id"], "knows", tea["id"]),
        lambda: between.add(tea["id"], "knows", cake["id"], strength=2),
        lambda: between.add_all("ab"),
        lambda: between.add_all([]),
        lambda: between.neighbours(nobody),
        lambda: between.neighbours(tea["id"], hops=3),
        lambda: alice.give_feedback(tea["id"], "GREAT"),
        lambda: alice.give_feedback(nobody, "POSITIVE"),
        lambda: alice.change_settings(custom_instructions=1),
    ]
    before = (list(between), alice.settings(), alice.feedback(tea["id"]))
    told.append([refused(call) for call in wrong])
    assert (list(between), alice.settings(), alice.feedback(tea["id"])) == before
    return told


def refused(call: Callable[[], Any]) -> List[Any]:
    try:
        return ["nothing", call()]
    except locule.LoculeError as error:
        return [type(error).__name__, error.code]


def test_every_side_answers_alike(app: Locule, server: Dict[str, Any]) -> None:
    told = everywhere(story, app, server)
    assert (told[0]["existing"], told[0]["strength"], told[1]["existing"]) == (False, 0.5, True)
    assert told[3]["total"] == 1 and told[3]["next_cursor"] is None and [each["id"] for each in told[4]]
    assert [(each["memory"], each["distance"]) for each in told[6]["neighbours"]] == [("bakes cake", 1), ("goes for walks", 2)]
    assert told[7] == {"neighbours": [], "more": False} and told[8] == [[], ["NotFoundError", "not_found"]]
    assert told[9] == ["NotFoundError", "not_found"] and told[10] == [None, ["NotFoundError", "not_found"], 1]
    assert told[11]["runs"][0]["run_id"] == "monday" and told[12][1:] == [[], 0, 1, 0]
    assert told[13][1] == {"custom_instructions": "only food", "custom_categories": [{"name": "food"}]} or told[13][1]
    assert told[14] == [{"custom_instructions": "only food"}, {"custom_instructions": "only food"}, {}]
    assert told[15][2] == {"feedback": "POSITIVE", "feedback_reason": "true"}
    assert told[16][1:] == [{"feedback": None, "feedback_reason": None}, ["NotFoundError", "not_found"]]
    assert told[17] == [0, 1, 0] and told[18][0] == []
    assert not [each for each in told[19] if each[0] == "nothing"], told[19]


def test_a_token_of_bob_that_names_alice_reaches_none_of_it(bare: Locule, server: Dict[str, Any]) -> None:
    calls: List[Callable[[Any], Any]] = [
        lambda space: space.relationships.page(),
        lambda space: space.relationships.get("x"),
        lambda space: space.relationships.delete("x"),
        lambda space: space.relationships.add("x", "knows", "y"),
        lambda space: space.relationships.neighbours("x"),
        lambda space: space.runs.page(),
        lambda space: space.runs.end("r"),
        lambda space: space.jobs.page(),
        lambda space: space.jobs.get("x"),
        lambda space: space.jobs.replay("x"),
        lambda space: space.jobs.delete("x"),
        lambda space: space.settings(),
        lambda space: space.change_settings(custom_instructions="of bob"),
        lambda space: space.feedback("x"),
        lambda space: space.give_feedback("x", "POSITIVE"),
        lambda space: space.delete_expired(),
        lambda space: space.remember([{"role": "user", "content": "of bob"}]),
        lambda space: space.remembered("x"),
    ]
    with Client(server["url"], token=server["bob"]) as remote:
        for bob in (bare.as_user(bare.mint_token("bob")), remote):
            for named in ("alice", "nobody-at-all"):
                forged = locule.Space(bob._backend, [named])
                for call in calls:
                    with pytest.raises(PermissionError):
                        call(forged)
    assert bare.user("alice").settings() == {}
