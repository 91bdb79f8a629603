"""mem0's own library, unmodified, keeps a few memories: library.py CONFIG, the file that its configuration stands in."""

import json
import os
import random
import sys

os.environ.update(MEM0_TELEMETRY="false", OPENAI_API_KEY="none")

from mem0 import Memory


class Embedder:
    """In place of a model, which would have to be asked over the network: some vector, the same for the same text."""

    def embed(self, text, memory_action=None):
        chance = random.Random(text)
        return [chance.gauss(0, 1) for _ in range(8)]

    def embed_batch(self, texts, memory_action=None):
        return [self.embed(text) for text in texts]


with open(sys.argv[1], encoding="utf-8") as file:
    memory = Memory.from_config(json.load(file))
memory.embedding_model = Embedder()
memory.add("I am allergic to peanuts", user_id="alice-123", infer=False, metadata={"topic": "food"})
memory.add([{"role": "user", "content": "I run at night", "name": "ali"}], user_id="alice-123", run_id="r-1", agent_id="coach", infer=False)
memory.add("I like green tea", user_id="bob-456", infer=False, expiration_date="2999-12-30")
changed = memory.add("I live in Ghent", user_id="bob-456", infer=False)["results"][0]["id"]
memory.update(changed, "I live in Bruges")
for number in range(150):
    memory.add(f"note {number}", user_id="bob-456", infer=False)
print("ok")
