"""mem0's Python client of before (1.0), unmodified: older.py HOST KEY USER [infer]."""

import sys

from mem0 import MemoryClient

HOST, KEY, USER = sys.argv[1:4]

client = MemoryClient(api_key=KEY, host=HOST)
if sys.argv[4:] == ["infer"]:
    # A model is there that notes what was said.
    found = client.add([{"role": "user", "content": "I work as a plumber"}], user_id=USER)
    assert [result["memory"] for result in found["results"]] == ["I work as a plumber"], found
    client.delete_all(user_id=USER)
added = client.add([{"role": "user", "content": "I like green tea"}], user_id=USER, infer=False)
memory_id = added["results"][0]["id"]
client.add("I run at night", user_id=USER, run_id="r-1", infer=False)
listed = client.get_all(filters={"user_id": USER})
listed = listed["results"] if isinstance(listed, dict) else listed
assert {memory["memory"] for memory in listed} == {"I like green tea", "I run at night"}, listed
paged = client.get_all(filters={"user_id": USER}, page=1, page_size=1)
assert paged["count"] == 2 and len(paged["results"]) == 1, paged
found = client.search("what do I drink?", filters={"user_id": USER})
found = found["results"] if isinstance(found, dict) else found
assert found[0]["id"] == memory_id, found
assert client.get(memory_id)["memory"] == "I like green tea"
client.update(memory_id, text="I like black tea")
assert [line["event"] for line in client.history(memory_id)] == ["ADD", "UPDATE"]
client.delete(memory_id)
client.delete_all(user_id=USER)
rest = client.get_all(filters={"user_id": USER})
assert (rest["results"] if isinstance(rest, dict) else rest) == [], rest
print("ok")
