"""Measures mem0: its own library in process, or its hosted client against a server that speaks its dialect.

    python mem0_clients.py library FOLDER  --embeddings URL --memories 1000 --users 1 --seconds 3
    python mem0_clients.py client HOST KEY --embeddings URL --memories 1000 --users 1 --seconds 3

The library runs as it ships: Qdrant in a folder, its history in SQLite. Vectors come from an endpoint that speaks OpenAI's
dialect and makes the same vector of the same text for everybody; the server asks it as well. `--given` spares the library that:
the vectors are fetched beforehand, and looked up. Nothing is inferred (`infer=False`).

The memories are added one by one for a time, then in lists of 20 until there are all; they are searched one by one, by one
caller; and those of one user are deleted. One JSON document goes to stdout. Telemetry is off.
"""

import argparse
import json
import os
import time
import urllib.request
from pathlib import Path

LIST = 20
LIMIT = 10
QUALITY = Path(__file__).parent.parent / "quality"
MEMORIES = json.loads((QUALITY / "memories.json").read_text())
ASKED = [one["question"] for one in json.loads((QUALITY / "questions.json").read_text())]


def text(number):
    return f"{MEMORIES[number % len(MEMORIES)]} ({number})"


def question(number):
    return f"{ASKED[number % len(ASKED)]} ({number})"


def user(number, users):
    return f"user-{number % users}"


def vectors(url, texts):
    body = json.dumps({"model": "made", "input": texts, "encoding_format": "float"}).encode()
    request = urllib.request.Request(url + "/embeddings", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return [one["embedding"] for one in json.load(answer)["data"]]


class Given:
    """An embedder that knows all texts beforehand."""

    def __init__(self, url, texts):
        self.known = {}
        for start in range(0, len(texts), 500):
            part = texts[start:start + 500]
            self.known.update(zip(part, vectors(url, part)))

    def embed(self, text, memory_action=None):
        return self.known[text]

    def embed_batch(self, texts, memory_action=None):
        return [self.known[text] for text in texts]


def library(options):
    from mem0 import Memory

    memory = Memory.from_config({
        "vector_store": {"provider": "qdrant", "config": {
            "path": options.folder + "/qdrant", "on_disk": True, "embedding_model_dims": 384}},
        "history_db_path": options.folder + "/history.db",
        "embedder": {"provider": "openai", "config": {
            "model": "made", "api_key": "none", "openai_base_url": options.embeddings, "embedding_dims": 384}},
    })
    if options.given:
        texts = [text(number) for number in range(options.memories)] + [question(number) for number in range(QUESTIONS)]
        memory.embedding_model = Given(options.embeddings, texts)
    return memory


def client(options):
    from mem0 import MemoryClient

    return MemoryClient(api_key=options.key, host=options.host)


def messages(numbers):
    return [{"role": "user", "content": text(number)} for number in numbers]


QUESTIONS = 2000


def measure(memory, options):
    total, users = options.memories, options.users
    figures = {}
    # One by one, for half of the memories at most.
    began, number = time.perf_counter(), 0
    while number < total // 2 and time.perf_counter() - began < options.seconds:
        memory.add(messages([number]), user_id=user(number, users), infer=False)
        number += 1
    figures["add_per_s"] = number / (time.perf_counter() - began)
    # The rest in lists, each of one user.
    began, first = time.perf_counter(), number
    rest = {}
    for number in range(first, total):
        rest.setdefault(user(number, users), []).append(number)
    for name, numbers in rest.items():
        for start in range(0, len(numbers), LIST):
            memory.add(messages(numbers[start:start + LIST]), user_id=name, infer=False)
    figures["listed_per_s"] = (total - first) / (time.perf_counter() - began)

    began, number, found = time.perf_counter(), 0, 0
    while number < QUESTIONS and time.perf_counter() - began < options.seconds:
        hits = memory.search(question(number), filters={"user_id": user(number, users)}, top_k=LIMIT, threshold=0.0)
        found += len(hits["results"])
        number += 1
    figures["search_per_s"] = number / (time.perf_counter() - began)
    figures["found"] = found / number

    # What the caller's side of any call takes, at least.
    known = memory.get_all(filters={"user_id": user(0, users)})["results"][0]["id"]
    began = time.perf_counter()
    for _ in range(200):
        memory.get(known)
    figures["get_per_s"] = 200 / (time.perf_counter() - began)

    began = time.perf_counter()
    memory.delete_all(user_id=user(0, users))
    figures["delete_all_s"] = time.perf_counter() - began
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(required=True)
    of_library, of_client = kinds.add_parser("library"), kinds.add_parser("client")
    of_library.add_argument("folder")
    of_library.add_argument("--given", action="store_true")
    of_library.set_defaults(made=library)
    of_client.add_argument("host")
    of_client.add_argument("key")
    of_client.set_defaults(made=client)
    for kind in (of_library, of_client):
        kind.add_argument("--embeddings", required=True)
        kind.add_argument("--memories", type=int, default=1000)
        kind.add_argument("--users", type=int, default=1)
        kind.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    os.environ["MEM0_TELEMETRY"] = "false"
    # The library makes a client of a model at once, which nothing here asks.
    os.environ.setdefault("OPENAI_API_KEY", "none")
    print(json.dumps(measure(options.made(options), options)))


main()
