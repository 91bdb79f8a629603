"""mem0's Python client of today, unmodified, against our server: current.py HOST KEY USER, with another's name in OTHER."""

import asyncio
import datetime
import os
import sys
import uuid

from mem0 import AsyncMemoryClient, MemoryClient
from mem0.exceptions import AuthenticationError, MemoryNotFoundError, ValidationError

HOST, KEY, USER = sys.argv[1:4]
OTHER = os.environ["OTHER"]
IS_SERVICE = os.environ["KIND"] == "service"


def raises(kind, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def texts(found):
    return sorted(memory["memory"] for memory in found["results"])


def construct():
    wrong = raises(ValueError, MemoryClient, api_key="wrong", host=HOST)
    assert "credential" in str(wrong), wrong
    raises(ValueError, AsyncMemoryClient, api_key="wrong", host=HOST)
    # A host with a slash at its end makes paths that begin with two.
    MemoryClient(api_key=KEY, host=HOST + "/").get_all(filters={"user_id": USER})
    AsyncMemoryClient(api_key=KEY, host=HOST + "/")
    return MemoryClient(api_key=KEY, host=HOST)


def add_and_list(client):
    for messages in ["I am allergic to peanuts", {"role": "user", "content": "I like green tea"},
                     [{"role": "user", "content": "I live in Ghent"}, {"role": "assistant", "content": "Noted: Ghent"},
                      {"role": "system", "content": "never kept"}]]:
        added = client.add(messages, user_id=USER, infer=False)
        assert added["event_id"] and added["status"] == "SUCCEEDED", added
        assert all(result["event"] == "ADD" and result["memory"] for result in added["results"]), added
    again = client.add("I like green tea", user_id=USER, infer=False)
    assert [result["event"] for result in again["results"]] == ["NOOP"], again
    inferred = client.add("I work as a plumber", user_id=USER)
    assert inferred["event_id"] and inferred["status"], inferred
    everything = client.get_all(filters={"user_id": USER})
    assert set(everything) == {"count", "next", "previous", "results"}, everything
    assert everything["count"] == 5 and everything["next"] is None, everything
    first = client.get_all(filters={"user_id": USER}, page=1, page_size=1)
    assert len(first["results"]) == 1 and first["count"] == 5 and first["next"] and not first["previous"], first
    raises(MemoryNotFoundError, client.get_all, filters={"user_id": USER}, page=9, page_size=5)
    for key in ["id", "memory", "user_id", "agent_id", "app_id", "run_id", "session_id", "metadata", "categories", "hash",
                "expiration_date", "created_at", "updated_at"]:
        assert key in first["results"][0], key
    return everything["results"]


def by_id(client, memories):
    raises(ValidationError, client.get, "not-a-uuid")
    raises(MemoryNotFoundError, client.get, "00000000-0000-0000-0000-000000000000")
    raises(MemoryNotFoundError, client.delete, str(uuid.uuid4()))
    memory_id = next(memory["id"] for memory in memories if "tea" in memory["memory"])
    assert client.get(memory_id)["user_id"] == USER
    client.update(memory_id, text="I like black tea")
    client.update(memory_id, metadata={"kind": "drink", "user_id": "mallory"})
    client.update(memory_id, expiration_date="2999-12-30")
    now = client.get(memory_id)
    assert now["memory"] == "I like black tea" and now["metadata"]["kind"] == "drink", now
    assert now["user_id"] == USER and now["expiration_date"] == "2999-12-30", now
    client.update(memory_id, expiration_date=None)
    assert client.get(memory_id)["expiration_date"] is None
    raises(ValueError, client.update, memory_id)
    history = client.history(memory_id)
    assert history[0]["event"] == "ADD" and history[0]["new_memory"] == "I like green tea", history
    for line in history:
        assert datetime.datetime.fromisoformat(line["created_at"]) and line["memory_id"] == memory_id
    assert client.history(str(uuid.uuid4())) == []


def search(client):
    client.add("The run is long", user_id=USER, run_id="r-1", infer=False, metadata={"topic": "work"})
    client.add("The agent cooks", user_id=USER, agent_id="chef", infer=False, metadata={"topic": "food"})
    user = {"user_id": USER}
    found = client.search("what food should I avoid?", filters=user)["results"]
    assert found[0]["memory"] == "I am allergic to peanuts" and 0 < found[0]["score"] <= 1, found
    assert len(client.search("tea", filters=user, top_k=1)["results"]) == 1
    assert client.search("tea", filters=user, threshold=0.999)["results"] == []
    only = lambda filters: texts(client.search("anything", filters=filters, top_k=50))
    assert only({"AND": [user, {"run_id": "r-1"}]}) == ["The run is long"]
    assert only({"AND": [user, {"OR": [{"run_id": "r-1"}, {"agent_id": "chef"}]}]}) == ["The agent cooks", "The run is long"]
    assert len(only({"AND": [user, {"NOT": [{"run_id": "*"}, {"agent_id": "*"}]}]})) == 5
    assert only({"AND": [user, {"agent_id": {"in": ["chef", "x"]}}]}) == ["The agent cooks"]
    assert only({**user, "metadata": {"topic": "food"}}) == ["The agent cooks"]
    assert only({**user, "agent_id": "*"}) == ["The agent cooks"]
    assert len(only({**user, "created_at": {"gte": "2020-01-01", "lt": "2999-01-01"}})) == 7
    assert only({**user, "created_at": {"lt": "2020-01-01"}}) == []
    raises(ValidationError, client.search, "tea", filters={**user, "colour": "red"})
    raises(ValueError, client.search, "  ", filters=user)


def batches(client):
    ids = [client.add(f"batch {n}", user_id=USER, infer=False)["results"][0]["id"] for n in range(3)]
    client.batch_update([{"memory_id": id, "text": f"changed {n}"} for n, id in enumerate(ids)])
    assert client.get(ids[2])["memory"] == "changed 2"
    raises(MemoryNotFoundError, client.batch_delete, [{"memory_id": ids[0]}, {"memory_id": str(uuid.uuid4())}])
    assert client.get(ids[0])["memory"] == "changed 0"
    client.batch_delete([{"memory_id": id} for id in ids])
    raises(MemoryNotFoundError, client.get, ids[0])


def never_everything(client):
    before = client.get_all(filters={"user_id": USER})["count"]
    raises(ValidationError, client.delete_all, filters={"user_id": USER})
    raises(ValidationError, client.delete_all)
    assert client.get_all(filters={"user_id": USER})["count"] == before


def others(client):
    """A user's token opens one space; a service's key opens each by name, one at a time."""
    if IS_SERVICE:
        raises(ValidationError, client.get_all, filters={"user_id": "*"})
        raises(ValidationError, client.search, "tea", filters={"agent_id": "chef"})
        assert client.get_all(filters={"user_id": "nobody-yet"}) == {"count": 0, "next": None, "previous": None, "results": []}
        assert "message" in client.delete_all(user_id="nobody-yet")
        pinned = client.search("secret", filters={"user_id": USER, "AND": [{"user_id": OTHER}]})
        assert pinned["results"] == [], pinned
        return
    for call in [lambda: client.add("x", user_id=OTHER, infer=False), lambda: client.get_all(filters={"user_id": OTHER}),
                 lambda: client.search("x", filters={"OR": [{"user_id": USER}, {"user_id": OTHER}]}),
                 lambda: client.delete_all(user_id=OTHER), lambda: client.delete_users(user_id=OTHER)]:
        raises(AuthenticationError, call)
    mine = client.get_all(filters={"user_id": "*"})
    assert {memory["user_id"] for memory in mine["results"]} == {USER}
    assert client.add("without a name", infer=False)["status"] == "SUCCEEDED"


def entities(client):
    listed = client.users()["results"]
    assert any(entity["type"] == "user" and entity["name"] == USER for entity in listed), listed
    assert all(isinstance(entity[key], str) for entity in listed for key in ["id", "name", "type"]), listed
    if not IS_SERVICE:
        client.delete_users(agent_id="chef")
        assert client.get_all(filters={"user_id": USER, "agent_id": "chef"})["count"] == 0
        return
    for odd in ["u/1 x", "50%", "Zoë?#&"]:
        client.add("odd", user_id=odd, infer=False)
        assert client.get_all(filters={"user_id": odd})["count"] == 1, odd
        assert client.delete_users(user_id=odd)["message"] == "Entity deleted successfully."
        assert client.get_all(filters={"user_id": odd})["count"] == 0, odd


def profiles(client):
    assert client.get_profile_settings()["enabled"] is False
    assert client.get_profile(USER)["status"] == "not_enabled"
    raises(ValidationError, client.generate_profile, USER)


async def asynchronous():
    async with AsyncMemoryClient(api_key=KEY, host=HOST) as client:
        added = await client.add("An owl is awake", user_id=USER, infer=False)
        memory_id = added["results"][0]["id"]
        assert (await client.get(memory_id))["memory"] == "An owl is awake"
        assert (await client.search("owl", filters={"user_id": USER}, top_k=1))["results"][0]["id"] == memory_id
        await client.delete(memory_id)
        assert (await client.get_all(filters={"user_id": USER, "memory_ids": [memory_id]}))["count"] == 0


def end(client):
    assert "message" in client.delete_all(user_id=USER)
    assert client.get_all(filters={"user_id": USER})["count"] == 0
    client.delete_users(user_id=USER)


client = construct()
by_id(client, add_and_list(client))
search(client)
batches(client)
never_everything(client)
others(client)
entities(client)
profiles(client)
asyncio.run(asynchronous())
end(client)
print("ok")
