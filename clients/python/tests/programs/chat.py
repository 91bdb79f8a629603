"""A chat with memories, as programs for mem0 are written."""

from mem0 import Memory

config = {"vector_store": {"provider": "qdrant", "config": {"collection_name": "chat", "path": "./qdrant"}}, "version": "v1.1"}
memory = Memory.from_config(config)


def chat(message: str, user_id: str) -> list:
    relevant = memory.search(query=message, user_id=user_id, limit=3)
    known = [entry["memory"] for entry in relevant["results"]]
    memory.add([{"role": "user", "content": message}], user_id=user_id, infer=False)
    return known


for user in ("alice", "bob"):
    memory.delete_all(user_id=user)
chat("Allergic to peanuts", "alice")
chat("Prefers aisle seats", "alice")
chat("Plays chess", "bob")
print("alice:", sorted(entry["memory"] for entry in memory.get_all(user_id="alice")["results"]))
print("bob knows:", [entry["memory"] for entry in memory.search("peanuts", user_id="bob")["results"]])
first = memory.get_all(user_id="alice")["results"][-1]
memory.update(memory_id=first["id"], data="Allergic to peanuts")
print([entry["event"] for entry in memory.history(memory_id=first["id"])], memory.get(first["id"])["memory"])
