"""Conversations, and what a model finds worth remembering in them: the same in process, on a server, and awaited."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from answering import answering
from conftest import running
from sides import SIDES, spaces

import locule
from locule import AsyncSpace, Locule


class Model:
    """Finds one fact in whatever it is told, and holds its answer back, or gives none, where that is said."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked: List[str] = []

    def answer(self, _: str, asked: Any) -> Tuple[int, Any]:
        said = str(asked["messages"])
        self.asked.append(said)
        if "[held]" in said:
            assert self.release.wait(60)
        if "[refused]" in said:
            return 400, {"error": {"message": "no"}}
        content = "How to go on." if "[work]" in said else '{"facts": [{"text": "Lives in Rome"}]}'
        return 200, {"choices": [{"message": {"role": "assistant", "content": content}}]}


@pytest.fixture(scope="module")
def model() -> Iterator[Any]:
    model = Model()
    with answering(model.answer) as url:
        yield model, url
        model.release.set()


@pytest.fixture(scope="module")
def thinking(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An installation and a server that ask the model."""
    _, url = model
    chat = {"url": url, "model": "scripted", "attempts": 1}
    environment = {"LOCULE_CHAT_MODEL": "scripted", "LOCULE_CHAT_URL": url, "LOCULE_CHAT_ATTEMPTS": "1"}
    with running(tmp_path_factory.mktemp("server"), **environment) as server:
        with Locule(tmp_path_factory.mktemp("process") / "data", chat=chat) as app:
            yield app, server


@pytest.fixture(params=SIDES)
def space(request: pytest.FixtureRequest, thinking: Any) -> Iterator[Callable[[str], Any]]:
    app, server = thinking
    with spaces(request.param, app, server) as space:
        yield space


def says(text: str) -> List[Dict[str, str]]:
    return [{"role": "user", "content": text, "name": "Alice"}, {"role": "assistant", "content": "I see."}]


def test_a_model_finds_out_what_is_worth_remembering(space: Callable[[str], Any], model: Any) -> None:
    alice, bob = space("alice"), space("bob")
    told = alice.remember(says("I moved to Rome"), agent_id="guide", metadata={"a": 1}, instructions="of the request")
    assert (told["inferred"], told["status"], told["error"]) == (True, "succeeded", None)
    assert "of the request" in model[0].asked[-1]
    kept = alice.get(told["found"][0]["id"])
    assert told["found"] == [{"id": kept["id"], "memory": "Lives in Rome", "existing": False}]
    assert (kept["agent_id"], kept["metadata"]) == ("guide", {"a": 1})
    again = alice.remember(says("Rome, I said"), agent_id="guide")
    assert again["found"] == [{"id": kept["id"], "memory": "Lives in Rome", "existing": True}]
    alice.delete(kept["id"])
    assert alice.remembered(told["job"]) == {**told, "found": [{**told["found"][0], "memory": None}]}
    for stranger in (told["job"], "01a222f1-321d-7ddf-85c6-9d00830427b3", "no id at all"):
        with pytest.raises(locule.NotFoundError):
            bob.remembered(stranger)
    work = alice.remember([{"role": "user", "content": "[work]"}], agent_id="smith", procedural=True)
    assert alice.get(work["found"][0]["id"])["metadata"]["memory_type"] == "procedural_memory"


def test_who_does_not_wait_is_told_later(space: Callable[[str], Any], model: Any) -> None:
    model[0].release.clear()
    alice = space("alice")
    told = alice.remember(says("[held]"), wait_s=0)
    assert told["status"] in ("pending", "running") and told["found"] == []
    assert alice.remembered(told["job"], wait_s=0.1)["status"] in ("pending", "running")
    model[0].release.set()
    assert alice.remembered(told["job"], wait_s=60)["found"][0]["memory"] == "Lives in Rome"


def test_what_came_to_nothing_is_told(space: Callable[[str], Any]) -> None:
    told = space("alice").remember(says("[refused]"))
    assert told["status"] == "failed" and told["error"] and told["found"] == []


@pytest.mark.parametrize(
    "messages",
    ["hi", {"role": "user", "content": "hi"}, [], ["hi"], [{"role": "system", "content": "hi"}], [{"content": "hi"}],
     [{"role": "user", "content": "a\0b"}], [{"role": "user", "content": 1}], [{"role": "user", "content": "\ud800"}]],
)  # fmt: skip
def test_what_is_no_conversation_is_refused(space: Callable[[str], Any], messages: Any) -> None:
    alice = space("alice")
    for fields in ({}, {"procedural": True, "agent_id": "a"}):
        with pytest.raises(locule.InvalidError):
            alice.remember(messages, **fields)
    assert alice.usage()["memories"] == 0


def test_without_a_model_it_is_kept_word_for_word(app: Locule, server: Dict[str, Any]) -> None:
    for side in SIDES:
        with spaces(side, app, server) as space:
            told = space("alice").remember(says("I moved to Rome"), expiration="2199-01-01")
            assert (told["inferred"], told["status"], told["job"]) == (False, "succeeded", None)
            assert [each["memory"] for each in told["found"]] == ["I moved to Rome", "I see."]
            assert space("alice").get(told["found"][0]["id"])["expiration"] == "2199-01-01T00:00:00Z"


def test_whoever_waits_in_an_event_loop_holds_no_thread(thinking: Any, model: Any, tmp_path: Path) -> None:
    app, _ = thinking
    model[0].release.clear()

    async def program() -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as one:
            alice = AsyncSpace(app.user("alice-waits"), one)
            waiting = asyncio.create_task(alice.remember(says("[held]")))
            began = time.monotonic()
            for _ in range(10):
                await alice.usage()
                await asyncio.sleep(0.01)
            assert not waiting.done() and time.monotonic() - began < 30
            model[0].release.set()
            assert (await waiting)["found"]

    asyncio.run(program())


def test_jobs_are_looked_at_tried_again_and_removed(space: Callable[[str], Any]) -> None:
    alice, bob = space("alice"), space("bob")
    failed = alice.remember(says("[refused]"))["job"]
    done = alice.remember(says("I moved to Rome"))["job"]
    assert [(job["id"], job["status"]) for job in alice.jobs] == [(done, "succeeded"), (failed, "failed")]
    assert [job["id"] for job in alice.jobs.page(status="failed")["jobs"]] == [failed] and list(bob.jobs) == []
    assert alice.jobs.get(done)["found"][0]["memory"] == "Lives in Rome"
    assert alice.jobs.replay(failed)["status"] == "pending"
    assert alice.remembered(failed, wait_s=60)["status"] == "failed"
    with pytest.raises(locule.ConflictError):
        alice.jobs.replay(done)
    for call in (bob.jobs.replay, bob.jobs.delete, bob.jobs.get):
        with pytest.raises(locule.NotFoundError):
            call(failed)
    alice.jobs.delete(failed)
    assert [job["id"] for job in alice.jobs] == [done]
