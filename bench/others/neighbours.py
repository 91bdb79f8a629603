"""Measures what people use in place of Locule from Python, in process: sqlite-vec and Chroma.

    python3 -m venv /tmp/neighbours && /tmp/neighbours/bin/pip install -r requirements.txt
    /tmp/neighbours/bin/python neighbours.py --seconds 60 > neighbours.json

One JSON document goes to stdout, words go to stderr. Nothing leaves the machine: embeddings are supplied, no model is loaded,
telemetry is off. Everything runs on one core, to which the process ties itself.

Each neighbour keeps one user the way its documentation suggests for data that must not mix: sqlite-vec a file per user (WAL,
synchronous=FULL, so that an add is on disk when it returns), Chroma a collection per user in a persistent client, as it ships.
A search asks for the ten nearest and fetches their text and metadata.

The data, so that a load generator in another language can make the same (all arithmetic modulo 2^64):

    mix(z)      z ^= z >> 30; z *= 0xBF58476D1CE4E5B9; z ^= z >> 27; z *= 0x94D049BB133111EB; z ^= z >> 31
    draw(s, i)  mix(s + (i + 1) * 0x9E3779B97F4A7C15)              the i-th number of stream s, i from 0
    part(s, i)  (draw(s, i) >> 40) / 2^24 - 0.5                    from -0.5 to 0.5, exact in 32 bits
    raw(s, k)   [part(s, 384 k), ..., part(s, 384 k + 383)]        the k-th vector of stream s

Centre c (of 64) is raw(1, c). Vector k of a user with stream s is raw(s, k) plus the centre number draw(s XOR 2^63, k) mod 64,
brought to unit length: vectors of one centre have a cosine of about 0.5, others of about 0. Memories are stream 2, queries
stream 3. To check: draw(1, 0) is 10451216379200822465; memory 0 belongs to centre 60 and begins -0.0010199, 0.0566324.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import chromadb
import numpy as np
import sqlite_vec
from chromadb.config import Settings
from pysqlite3 import dbapi2 as sqlite3

DIMENSION = 384
CENTRES = 64
LIMIT = 10
SIZES = (100, 1_000, 10_000)
QUERIES = 256

Hits = list[tuple[int, str, dict]]


class Neighbour(Protocol):
    """One user's memories in somebody else's store; memory k has the text and metadata of `text` and `metadata`."""

    def add(self, start: int, embeddings: np.ndarray) -> None: ...

    def search(self, embedding: np.ndarray) -> Hits: ...


class SqliteVec:
    def __init__(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / "user.db", isolation_level=None)
        self.connection.enable_load_extension(True)
        sqlite_vec.load(self.connection)
        self.connection.executescript(
            f"""
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            CREATE TABLE memories (number INTEGER PRIMARY KEY, text TEXT NOT NULL, metadata TEXT NOT NULL);
            CREATE VIRTUAL TABLE vectors USING vec0 (embedding float[{DIMENSION}] distance_metric=cosine);
            """
        )

    def add(self, start: int, embeddings: np.ndarray) -> None:
        numbers = range(start, start + len(embeddings))
        memories = ((number, text(number), json.dumps(metadata(number))) for number in numbers)
        vectors = ((number, embedding.tobytes()) for number, embedding in zip(numbers, embeddings))
        self.connection.execute("BEGIN")
        self.connection.executemany("INSERT INTO memories VALUES (?, ?, ?)", memories)
        self.connection.executemany("INSERT INTO vectors (rowid, embedding) VALUES (?, ?)", vectors)
        self.connection.execute("COMMIT")

    def search(self, embedding: np.ndarray) -> Hits:
        rows = self.connection.execute(
            """
            SELECT number, text, metadata
            FROM (SELECT rowid, distance FROM vectors WHERE embedding MATCH ? AND k = ?)
            JOIN memories ON number = rowid ORDER BY distance
            """,
            (embedding.tobytes(), LIMIT),
        )
        return [(number, text, json.loads(metadata)) for number, text, metadata in rows]


class Chroma:
    def __init__(self, folder: Path) -> None:
        client = chromadb.PersistentClient(str(folder), Settings(anonymized_telemetry=False))
        self.batch = client.get_max_batch_size()
        self.collection = client.create_collection(
            "user", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def add(self, start: int, embeddings: np.ndarray) -> None:
        for first in range(0, len(embeddings), self.batch):
            part = embeddings[first : first + self.batch]
            numbers = range(start + first, start + first + len(part))
            self.collection.add(
                ids=[str(number) for number in numbers],
                embeddings=part,
                documents=[text(number) for number in numbers],
                metadatas=[metadata(number) for number in numbers],
            )

    def search(self, embedding: np.ndarray) -> Hits:
        found = self.collection.query(embedding[None, :], n_results=LIMIT, include=["documents", "metadatas"])
        numbers = (int(number) for number in found["ids"][0])
        return list(zip(numbers, found["documents"][0], found["metadatas"][0]))


NEIGHBOURS: dict[str, tuple[Callable[[Path], Neighbour], str]] = {
    "sqlite-vec": (SqliteVec, "file per user, WAL, synchronous=FULL"),
    "chromadb": (Chroma, "collection per user, persistent client, as it ships"),
}


def text(number: int) -> str:
    return f"Memory {number}: I told the assistant about something that happened, and what I would like to do about it."


def metadata(number: int) -> dict[str, str | int]:
    return {"topic": f"topic {number % 20}", "year": 2000 + number % 25}


def draw(stream: int, start: int, count: int) -> np.ndarray:
    places = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    z = np.uint64(stream) + places * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def raw(stream: int, count: int) -> np.ndarray:
    parts = (draw(stream, 0, count * DIMENSION) >> np.uint64(40)).astype(np.float32) / 2**24 - 0.5
    return parts.reshape(count, DIMENSION)


def vectors(stream: int, count: int) -> np.ndarray:
    centre = draw(stream ^ 1 << 63, 0, count) % np.uint64(CENTRES)
    mixed = raw(stream, count) + raw(1, CENTRES)[centre]
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)


def repeat(seconds: float, least: int, action: Callable[[int], object]) -> dict[str, float]:
    """Runs `action` over and over for about `seconds`, `least` times at least, after a few rounds that do not count."""
    for turn in range(3):
        action(turn)
    times: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    while len(times) < least or time.perf_counter() - wall < seconds:
        began = time.perf_counter()
        action(3 + len(times))
        times.append(time.perf_counter() - began)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "count": len(times),
        "cpu_us": round_to(cpu / len(times) * 1e6),
        "per_second": round_to(len(times) / wall),
        "p50_us": round_to(float(np.percentile(times, 50)) * 1e6),
        "p99_us": round_to(float(np.percentile(times, 99)) * 1e6),
    }


def round_to(number: float) -> float:
    return round(number, 1)


def recall(neighbour: Neighbour, memories: np.ndarray, queries: np.ndarray) -> float:
    """The share of the true ten nearest that was found."""
    found = 0
    for query in queries:
        nearest = set(np.argsort(-(memories @ query))[:LIMIT].tolist())
        found += len(nearest & {number for number, _, _ in neighbour.search(query)})
    return found / (len(queries) * LIMIT)


def measure(name: str, size: int, folder: Path, seconds: float) -> dict:
    make, how = NEIGHBOURS[name]
    neighbour = make(folder)
    memories, queries = vectors(2, size), vectors(3, QUERIES)

    began = time.perf_counter()
    neighbour.add(0, memories)
    bulk = time.perf_counter() - began
    right = recall(neighbour, memories, queries[:64])
    search = repeat(seconds * 0.6, 20, lambda turn: neighbour.search(queries[turn % QUERIES]))
    disk = sync(folder, seconds * 0.1)
    # Last, as it makes the user larger.
    add = repeat(seconds * 0.2, 20, lambda turn: neighbour.add(size + turn, queries[turn % QUERIES][None, :]))
    say(
        f"{name} {size}: {search['cpu_us']:.0f} us CPU a search, recall {right:.3f}, "
        f"{add['p50_us']:.0f} us an add (disk {disk['p50_us']:.0f})"
    )
    return {
        "name": name,
        "version": version(name),
        "how": how,
        "memories": size,
        "bulk_add_per_second": round_to(size / bulk),
        "search": search,
        "recall_at_10": round(right, 4),
        "add": add,
        "fdatasync_4k": disk,
    }


def sync(folder: Path, seconds: float) -> dict[str, float]:
    """What the disk itself takes, at the time of the adds: 4 KiB written over the same place, then fdatasync."""
    with open(folder / "sync", "wb", buffering=0) as file:
        page = os.urandom(4096)

        def write(_: int) -> None:
            os.pwrite(file.fileno(), page, 0)
            os.fdatasync(file.fileno())

        return repeat(seconds, 20, write)


@contextmanager
def scratch(parent: str | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="neighbours-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures sqlite-vec and Chroma in process.")
    parser.add_argument("--seconds", type=float, default=60,
                        help="how long to measure in all, without the loading, which takes half a minute more (default: 60)")
    parser.add_argument("--folder", help="where the data goes, on the disk to be measured (default: the system's)")
    arguments = parser.parse_args()

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    runs = [(name, size) for name in NEIGHBOURS for size in SIZES]
    share = arguments.seconds / len(runs)
    results = []
    with scratch(arguments.folder) as folder:
        for name, size in runs:
            place = folder / f"{name}-{size}"
            place.mkdir()
            results.append(measure(name, size, place, share))
    machine = {"system": platform.platform(), "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    document = {"dimension": DIMENSION, "machine": machine, "neighbours": results}
    json.dump(document, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
