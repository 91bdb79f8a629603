"""Threads, forks, event loops, and several processes: nothing hangs, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator, Tuple

import pytest
from answering import answering

import locule
from locule import AsyncSpace, Locule


@pytest.fixture
def model() -> Iterator[str]:
    """An OpenAI-compatible model, in Python, in this very process."""

    def answer(_: str, asked: Any) -> Tuple[int, Any]:
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        data = [{"index": index, "embedding": [1.0, float(len(text)), 0.0]} for index, text in enumerate(texts)]
        return 200, {"data": data, "model": asked["model"]}

    with answering(answer) as url:
        yield url


def test_python_runs_while_a_call_waits(tmp_path: Path, model: str) -> None:
    # The call waits for an answer that a thread of this interpreter has to give. If the call kept the interpreter's lock,
    # there would never be one.
    with Locule(tmp_path / "data", embedding={"url": model, "model": "lengths", "dimension": 3}) as app:
        alice = app.user("alice")
        alice.add(["tea", "a long walk"])
        assert alice.search("teas", limit=1)[0]["memory"] == "tea"


def test_threads_lose_and_mix_nothing(bare: Locule) -> None:
    def work(number: int) -> None:
        name = ("alice", "bob")[number % 2]
        space = bare.user(name)
        for turn in range(20):
            added = space.add(f"{name} {number} {turn}", embedding=[1, number, turn])
            assert space.get(added["id"])["memory"] == f"{name} {number} {turn}"
            assert all(hit["memory"].startswith(name) for hit in space.search(embedding=[1, 0, 0]))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    for name in ("alice", "bob"):
        texts = {memory["memory"] for memory in bare.user(name).get_all()}
        assert len(texts) == 80 and all(text.startswith(name) for text in texts)


def test_closing_lets_calls_finish_and_begins_none(bare: Locule) -> None:
    alice = bare.user("alice")
    alice.add("tea", embedding=[1, 0, 0])
    inside, closed = threading.Event(), threading.Event()

    class Slow:
        size = 0

        def write(self, chunk: bytes) -> int:
            inside.set()
            assert closed.wait(30)
            self.size += len(chunk)
            return len(chunk)

    with ThreadPoolExecutor(1) as threads:
        slow = Slow()
        exported = threads.submit(alice.export, slow)  # type: ignore[arg-type]
        assert inside.wait(30)
        bare.close()
        bare.close()
        with pytest.raises(locule.ClosedError):
            alice.get_all()
        with pytest.raises(locule.ClosedError):
            bare.user("alice")
        closed.set()
        assert exported.result() == 1 and slow.size > 0


def in_child(work: object) -> str:
    """What a forked child says."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = str(work())  # type: ignore[operator]
        except BaseException as error:
            said = type(error).__name__
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_is_told_and_hurts_nobody(bare: Locule, tmp_path: Path) -> None:
    alice = bare.user("alice")
    alice.add("tea", embedding=[1, 0, 0])
    assert in_child(alice.get_all) == "ForkedError"
    assert in_child(lambda: alice.add("mate", embedding=[1, 0, 0])) == "ForkedError"
    assert in_child(lambda: Locule(tmp_path / "data", embedding=3)) == "ForkedError"
    assert in_child(bare.close) == "None"
    assert len(alice.get_all()) == 1
    bare.close()
    # Nothing is open any more: a child may open it.
    assert in_child(lambda: len(Locule(tmp_path / "data", embedding=3).user("alice").get_all())) == "1"


ADDS = """
import sys, locule
with locule.Locule(sys.argv[1], embedding=3) as app:
    for turn in range(10):
        app.user("alice").add(f"{sys.argv[2]} {turn}", embedding=[1, int(sys.argv[2]), turn])
"""


def test_several_processes_share_a_directory(bare: Locule, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    children = [subprocess.Popen([sys.executable, "-c", ADDS, data, str(number)], cwd=tmp_path) for number in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert len(bare.user("alice").get_all()) == 30


def test_a_program_that_ends_without_closing_ends(tmp_path: Path) -> None:
    program = (
        "import locule\n"
        "alice = locule.Locule('data', embedding=3).user('alice')\n"
        "alice.add('tea', embedding=[1, 0, 0])\n"
        "print(len(alice.get_all()))\n"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_an_event_loop_goes_on_meanwhile(bare: Locule) -> None:
    async def story() -> None:
        alice = AsyncSpace(bare.user("alice"))
        await asyncio.gather(*(alice.add(f"fact {number}", embedding=[1, number, 0]) for number in range(16)))
        assert len([memory async for memory in alice]) == 16
        assert len(await asyncio.to_thread(bare.user("alice").get_all)) == 16

    asyncio.run(story())


def test_errors_travel_between_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(locule.LimitError("Too many.", code="quota_exceeded", retry_after_s=60)))
    assert (type(error), str(error), error.code, error.retry_after_s) == (locule.LimitError, "Too many.", "quota_exceeded", 60)
