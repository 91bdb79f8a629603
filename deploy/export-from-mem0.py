#!/usr/bin/env python3
"""Writes what mem0's own library keeps, one memory to a line, for `locule import --mem0`.

    python export-from-mem0.py config.json > export.jsonl      # the dictionary your program gives to Memory.from_config
    python export-from-mem0.py > export.jsonl                  # if it calls Memory() and nothing else
    locule import --mem0 export.jsonl --dry-run

Run it with the Python that has `mem0ai` and your vector store's client (Qdrant, pgvector, Chroma, …), while nothing else writes.
It opens the vector store as the library does, and reads; no model is asked, and vectors are left behind, since the import makes
its own. Python 3.9 or newer; mem0ai 1.0 or newer.
"""

import json
import os
import sys

# Before the library is loaded, which would report its use.
os.environ["MEM0_TELEMETRY"] = "false"

from mem0.configs.base import MemoryConfig  # noqa: E402
from mem0.utils.factory import VectorStoreFactory  # noqa: E402

EVERYTHING = 1_000_000_000

# Fields of a memory's own; whatever else stands beside them is its metadata.
OWN = ["user_id", "agent_id", "run_id", "created_at", "updated_at", "expiration_date"]
LEFT_OUT = ["data", "memory", "hash", "text_lemmatized"]


def rows(store):
    """Every row, in whatever form this kind of store lists them: bare, in a list, or beside where to go on."""
    try:
        listed = store.list(top_k=EVERYTHING)
    except TypeError:
        listed = store.list(limit=EVERYTHING)
    while listed and not hasattr(listed[0], "payload"):
        listed = listed[0]
    return listed or []


def memory(row):
    payload = dict(row.payload or {})
    text = payload.get("data") or payload.get("memory")
    kept = {name: payload[name] for name in OWN if payload.get(name) not in (None, "")}
    metadata = {name: value for name, value in payload.items() if name not in OWN + LEFT_OUT}
    return {"id": str(row.id), "memory": text, **kept, "metadata": metadata}


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    config = {}
    if len(sys.argv) == 2:
        with open(sys.argv[1], encoding="utf-8") as file:
            config = json.load(file)
    chosen = MemoryConfig(**config).vector_store
    count = 0
    for row in rows(VectorStoreFactory.create(chosen.provider, chosen.config)):
        print(json.dumps(memory(row)))
        count += 1
    print(f"{count} memories from {chosen.provider}", file=sys.stderr)


main()
