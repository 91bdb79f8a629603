"""mem0's Python client of today, unmodified, against a server: checklist.py HOST KEY USER ITEM, with another's name in OTHER.

An item is one of the functions at the end that are named after it; each begins with a user who has no memories.
"""

import asyncio
import datetime
import os
import sys
import time
import uuid

from mem0 import AsyncMemoryClient, MemoryClient
from mem0.exceptions import AuthenticationError, MemoryNotFoundError, MemoryQuotaExceededError, RateLimitError, ValidationError

HOST, KEY, USER, ITEM = sys.argv[1:5]
OTHER = os.environ["OTHER"]
IS_SERVICE = os.environ["KIND"] == "service"
MINE = {"user_id": USER}
NOWHERE = "00000000-0000-0000-0000-000000000000"


def raises(kind, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def texts(found):
    return sorted(memory["memory"] for memory in found["results"])


def keep(client, *said, **options):
    """Adds texts word for word, and gives the ids of what is new."""
    return [client.add(text, user_id=USER, infer=False, **options)["results"][0]["id"] for text in said]


def item_01(client):
    """Both constructors; a wrong key is told in the server's words."""
    for kind in (MemoryClient, AsyncMemoryClient):
        wrong = raises(ValueError, kind, api_key="wrong", host=HOST)
        assert "credential" in str(wrong), wrong
        kind(api_key=KEY, host=HOST)

    async def asynchronous():
        async with AsyncMemoryClient(api_key=KEY, host=HOST) as client:
            added = await client.add("An owl is awake", user_id=USER, infer=False)
            memory_id = added["results"][0]["id"]
            assert (await client.get(memory_id))["memory"] == "An owl is awake"
            assert (await client.search("owl", filters=MINE, top_k=1))["results"][0]["id"] == memory_id
            await client.delete(memory_id)
            assert (await client.get_all(filters={**MINE, "memory_ids": [memory_id]}))["count"] == 0

    asyncio.run(asynchronous())


def item_03(client):
    """Adds in every form, which are in the list at once."""
    for messages in ["I am allergic to peanuts", {"role": "user", "content": "I like green tea"},
                     [{"role": "user", "content": "I live in Ghent"}, {"role": "assistant", "content": "Noted: Ghent"},
                      {"role": "system", "content": "never kept"}]]:
        before = client.get_all(filters=MINE)["count"]
        added = client.add(messages, user_id=USER, infer=False)
        assert added["event_id"] and added["status"] == "SUCCEEDED", added
        assert all(result["event"] == "ADD" and result["memory"] for result in added["results"]), added
        assert client.get_all(filters=MINE)["count"] == before + len(added["results"])
    again = client.add("I like green tea", user_id=USER, infer=False)
    assert [result["event"] for result in again["results"]] == ["NOOP"], again
    inferred = client.add("I work as a plumber", user_id=USER)
    assert inferred["event_id"] and inferred["status"], inferred
    assert texts(client.get_all(filters=MINE)) == [
        "I am allergic to peanuts", "I like green tea", "I live in Ghent", "I work as a plumber", "Noted: Ghent"]


def item_03_inferred(client):
    """What a model finds is there once the event says so, at once if that was asked for. The model notes what was said."""
    waited = client.add("I work as a plumber", user_id=USER, async_mode=False)
    assert waited["status"] == "SUCCEEDED" and waited["results"][0]["memory"] == "I work as a plumber", waited
    asked = client.add([{"role": "user", "content": "I live in Ghent"}], user_id=USER)
    assert asked["status"] == "PENDING" and asked["event_id"], asked
    until = time.monotonic() + 60
    while client.get_all(filters=MINE)["count"] < 2:
        assert time.monotonic() < until, "nothing came of it"
        time.sleep(0.05)
    assert texts(client.get_all(filters=MINE)) == ["I live in Ghent", "I work as a plumber"]


def item_04(client):
    """The envelope of lists, and pages."""
    keep(client, *(f"memory {number}" for number in range(5)))
    everything = client.get_all(filters=MINE)
    assert set(everything) == {"count", "next", "previous", "results"}, everything
    assert everything["count"] == 5 and everything["next"] is None, everything
    first = client.get_all(filters=MINE, page=1, page_size=1)
    assert len(first["results"]) == 1 and first["count"] == 5 and first["next"] and not first["previous"], first
    raises(MemoryNotFoundError, client.get_all, filters=MINE, page=9, page_size=5)
    for key in ["id", "memory", "user_id", "agent_id", "app_id", "run_id", "session_id", "metadata", "categories", "hash",
                "expiration_date", "created_at", "updated_at"]:
        assert key in first["results"][0], key


def item_05(client):
    """A user nobody has heard of."""
    if IS_SERVICE:
        nothing = {"count": 0, "next": None, "previous": None, "results": []}
        assert client.get_all(filters={"user_id": "nobody-yet"}) == nothing
        assert client.search("anything", filters={"user_id": "nobody-yet"})["results"] == []
        assert "message" in client.delete_all(user_id="nobody-yet")
    else:
        for call in [lambda: client.get_all(filters={"user_id": OTHER}), lambda: client.delete_all(user_id=OTHER)]:
            raises(AuthenticationError, call)
    assert "message" in client.delete_all(user_id=USER)
    assert client.get_all(filters=MINE)["results"] == []


def item_06(client):
    """Ids that are none, and ids of nothing."""
    raises(ValidationError, client.get, "not-a-uuid")
    raises(MemoryNotFoundError, client.get, NOWHERE)
    raises(MemoryNotFoundError, client.delete, str(uuid.uuid4()))


def item_07(client):
    """Changes are to be seen, and identity is none of them."""
    [memory_id] = keep(client, "I like green tea")
    client.update(memory_id, text="I like black tea")
    client.update(memory_id, metadata={"kind": "drink", "user_id": "mallory"})
    client.update(memory_id, expiration_date="2999-12-30")
    now = client.get(memory_id)
    assert now["memory"] == "I like black tea" and now["metadata"]["kind"] == "drink", now
    assert now["user_id"] == USER and now["expiration_date"] == "2999-12-30", now
    client.update(memory_id, expiration_date=None)
    assert client.get(memory_id)["expiration_date"] is None
    raises(ValueError, client.update, memory_id)


def item_08(client):
    """History."""
    [memory_id] = keep(client, "I like green tea")
    client.update(memory_id, text="I like black tea")
    history = client.history(memory_id)
    assert [line["event"] for line in history] == ["ADD", "UPDATE"], history
    assert history[0]["new_memory"] == "I like green tea", history
    for line in history:
        assert datetime.datetime.fromisoformat(line["created_at"]) and line["memory_id"] == memory_id
    assert client.history(str(uuid.uuid4())) == []


def item_09(client):
    """Searches and their filters."""
    keep(client, "I am allergic to peanuts", "I like green tea")
    keep(client, "The run is long", run_id="r-1", metadata={"topic": "work"})
    keep(client, "The agent cooks", agent_id="chef", metadata={"topic": "food"})
    found = client.search("what food should I avoid?", filters=MINE)["results"]
    assert found[0]["memory"] == "I am allergic to peanuts" and 0 < found[0]["score"] <= 1, found
    assert len(client.search("tea", filters=MINE, top_k=1)["results"]) == 1
    assert client.search("tea", filters=MINE, threshold=0.999)["results"] == []
    only = lambda filters: texts(client.search("anything", filters=filters, top_k=50))
    assert only({"AND": [MINE, {"run_id": "r-1"}]}) == ["The run is long"]
    assert only({"AND": [MINE, {"OR": [{"run_id": "r-1"}, {"agent_id": "chef"}]}]}) == ["The agent cooks", "The run is long"]
    assert len(only({"AND": [MINE, {"NOT": [{"run_id": "*"}, {"agent_id": "*"}]}]})) == 2
    assert only({"AND": [MINE, {"agent_id": {"in": ["chef", "x"]}}]}) == ["The agent cooks"]
    assert only({**MINE, "metadata": {"topic": "food"}}) == ["The agent cooks"]
    assert only({**MINE, "agent_id": "*"}) == ["The agent cooks"]
    assert len(only({**MINE, "created_at": {"gte": "2020-01-01", "lt": "2999-01-01"}})) == 4
    assert only({**MINE, "created_at": {"lt": "2020-01-01"}}) == []
    raises(ValidationError, client.search, "tea", filters={**MINE, "colour": "red"})
    raises(ValueError, client.search, "  ", filters=MINE)


def item_10(client):
    """Entities, with names of every kind."""
    keep(client, "I like green tea")
    keep(client, "The agent cooks", agent_id="chef")
    listed = client.users()["results"]
    assert any(entity["type"] == "user" and entity["name"] == USER for entity in listed), listed
    assert all(isinstance(entity[key], str) for entity in listed for key in ["id", "name", "type"]), listed
    if IS_SERVICE:
        for odd in ["u/1 x", "50%", "Zoë?#&"]:
            client.add("odd", user_id=odd, infer=False)
            assert client.get_all(filters={"user_id": odd})["count"] == 1, odd
            assert client.delete_users(user_id=odd)["message"] == "Entity deleted successfully."
            assert client.get_all(filters={"user_id": odd})["count"] == 0, odd
    else:
        client.delete_users(agent_id="chef")
        assert texts(client.get_all(filters=MINE)) == ["I like green tea"]
        raises(AuthenticationError, client.delete_users, user_id=OTHER)
    client.delete_users(user_id=USER)


def item_11(client):
    """Batches: all of one, or nothing."""
    ids = keep(client, *(f"batch {number}" for number in range(3)))
    client.batch_update([{"memory_id": id, "text": f"changed {number}"} for number, id in enumerate(ids)])
    assert client.get(ids[2])["memory"] == "changed 2"
    raises(MemoryNotFoundError, client.batch_delete, [{"memory_id": ids[0]}, {"memory_id": str(uuid.uuid4())}])
    assert client.get(ids[0])["memory"] == "changed 0"
    client.batch_delete([{"memory_id": id} for id in ids])
    raises(MemoryNotFoundError, client.get, ids[0])


def item_12(client):
    """A project's settings and webhooks: a service's. A user has settings of their own, and no webhooks."""
    client.project.update(custom_instructions="Remember what I eat.", custom_categories=[{"food": "what is eaten"}])
    now = client.project.get(fields=["custom_instructions", "custom_categories", "decay"])
    assert now["custom_instructions"] == "Remember what I eat." and "decay" in now, now
    assert now["custom_categories"] == [{"food": "what is eaten"}], now
    client.project.update(custom_instructions="")
    assert not client.project.get(fields=["custom_instructions"])["custom_instructions"]
    assert client.project.get()["project_id"]
    assert isinstance(client.project.get_members()["members"], list)
    project = client.project_id
    if not IS_SERVICE:
        raises(AuthenticationError, client.create_webhook, url="https://example.com/h", name="n", project_id=project,
               event_types=["memory_add"])
        return
    made = client.create_webhook(url="https://example.com/hook", name="hook", project_id=project, event_types=["memory_add"])
    webhook_id = made["webhook_id"]
    assert made["url"] == "https://example.com/hook" and made["event_types"] == ["memory_add"], made
    assert webhook_id in [hook["webhook_id"] for hook in client.get_webhooks(project_id=project)]
    client.update_webhook(webhook_id, name="renamed", event_types=["memory_add", "memory_delete"])
    [now] = [hook for hook in client.get_webhooks(project_id=project) if hook["webhook_id"] == webhook_id]
    assert now["name"] == "renamed" and now["event_types"] == ["memory_add", "memory_delete"], now
    assert "message" in client.delete_webhook(webhook_id)
    assert webhook_id not in [hook["webhook_id"] for hook in client.get_webhooks(project_id=project)]
    raises(MemoryNotFoundError, client.delete_webhook, webhook_id)


def item_13(client):
    """Feedback, exports, summaries and profiles."""
    [memory_id] = keep(client, "I like green tea")
    said = client.feedback(memory_id, feedback="NEGATIVE", feedback_reason="it is black tea")
    assert said["feedback"] == "NEGATIVE" and said["feedback_reason"] == "it is black tea", said
    assert client.feedback(memory_id)["feedback"] is None
    raises(MemoryNotFoundError, client.feedback, NOWHERE, feedback="POSITIVE")
    raises(ValidationError, client.feedback, "not-a-uuid", feedback="POSITIVE")
    schema = {"type": "object", "properties": {"memories": {"type": "array"}}}
    export = client.create_memory_export(schema=schema, filters=MINE)
    assert export["id"] and export["message"], export
    shaped = client.get_memory_export(memory_export_id=export["id"])
    assert "I like green tea" in str(shaped), shaped
    assert "I like green tea" in str(client.get_memory_export(filters=MINE))
    raises(MemoryNotFoundError, client.get_memory_export, memory_export_id=NOWHERE)
    raises(ValidationError, client.get_memory_export)
    assert isinstance(client.get_summary(filters=MINE), (dict, list))
    assert client.get_profile_settings()["enabled"] is False
    assert client.get_profile(USER)["status"] == "not_enabled"
    raises(ValidationError, client.generate_profile, USER)


def item_14_rate(client):
    """Too many requests: in the server's settings, more than one in a second."""
    try:
        for _ in range(50):
            client.get_all(filters=MINE)
    except RateLimitError as error:
        assert isinstance(error.debug_info["retry_after"], int), error.debug_info
        return
    raise AssertionError("nothing was refused")


def item_14_quota(client):
    """A full space: in the server's settings, two memories."""
    keep(client, "one", "two")
    raises(MemoryQuotaExceededError, client.add, "three", user_id=USER, infer=False)
    assert client.get_all(filters=MINE)["count"] == 2


def item_15(_):
    """A host that ends with a slash; all hosts here have a base path."""
    assert HOST.endswith("/mem0")
    for client in [MemoryClient(api_key=KEY, host=HOST + "/"), MemoryClient(api_key=KEY, host=HOST)]:
        [memory_id] = keep(client, "I like green tea")
        assert client.get(memory_id)["memory"] == "I like green tea"
        client.delete(memory_id)
    AsyncMemoryClient(api_key=KEY, host=HOST + "/")


def item_16(client):
    """What is no selector deletes nothing."""
    keep(client, "I like green tea")
    raises(ValidationError, client.delete_all, filters=MINE)
    raises(ValidationError, client.delete_all)
    assert client.get_all(filters=MINE)["count"] == 1


def item_17(client):
    """A star, and a condition within a filter, lead nowhere else."""
    keep(client, "I like green tea")
    if IS_SERVICE:
        client.add("a secret", user_id=OTHER, infer=False)
        raises(ValidationError, client.get_all, filters={"user_id": "*"})
        raises(ValidationError, client.search, "tea", filters={"agent_id": "chef"})
        pinned = client.search("secret", filters={**MINE, "AND": [{"user_id": OTHER}]})
        assert pinned["results"] == [], pinned
        assert client.get_all(filters={"user_id": OTHER})["count"] == 1
        client.delete_users(user_id=OTHER)
        return
    for call in [lambda: client.add("x", user_id=OTHER, infer=False), lambda: client.get_all(filters={"user_id": OTHER}),
                 lambda: client.search("x", filters={"OR": [MINE, {"user_id": OTHER}]}),
                 lambda: client.delete_all(user_id=OTHER), lambda: client.delete_users(user_id=OTHER)]:
        raises(AuthenticationError, call)
    mine = client.get_all(filters={"user_id": "*"})
    assert {memory["user_id"] for memory in mine["results"]} == {USER}
    assert client.add("without a name", infer=False)["status"] == "SUCCEEDED"


client = MemoryClient(api_key=KEY, host=HOST)
client.delete_all(user_id=USER)
globals()[ITEM](client)
print("ok")
