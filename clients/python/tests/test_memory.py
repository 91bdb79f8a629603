"""The calls of mem0."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest
from answering import answering

import locule
from locule import AsyncMemory, Locule, Memory

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture
def memory(app: Locule) -> Memory:
    return Memory(locule=app)


def test_what_was_said_is_kept_word_for_word_and_told_so(memory: Memory) -> None:
    answer = memory.add(
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "I live in Paris"},
            {"role": "assistant", "content": [{"type": "text", "text": "Noted."}, {"type": "image_url", "image_url": {}}]},
        ],
        user_id="alice",
        metadata={"source": "chat"},
    )
    assert [result["memory"] for result in answer["results"]] == ["I live in Paris", "Noted."]
    assert [result["event"] for result in answer["results"]] == ["ADD", "ADD"] and answer["inferred"] is False
    again = memory.add("I live in Paris", user_id="alice", infer=False)
    assert again["results"][0] == {**answer["results"][0], "event": "NOOP"}
    assert memory.add([{"role": "system", "content": "x"}], user_id="alice")["results"] == []


def test_answers_are_lists_and_have_results(memory: Memory) -> None:
    memory.add("I live in Paris", user_id="alice", agent_id="guide", run_id="trip")
    for answer in (memory.get_all(user_id="alice"), memory.search("where?", user_id="alice")):
        assert answer["results"] == list(answer) and "results" in answer and answer.get("results") is answer
        assert {"id", "memory", "user_id", "agent_id", "run_id", "metadata", "created_at"} <= set(answer[0])
        assert answer[0]["user_id"] == "alice"


def test_an_id_alone_finds_its_memory(memory: Memory) -> None:
    ids = [memory.add(f"I am {name}", user_id=name)["results"][0]["id"] for name in ("alice", "bob")]
    assert [memory.get(id)["user_id"] for id in ids] == ["alice", "bob"]  # type: ignore[index]
    assert memory.update(ids[1], "I am Bob") == {"message": "Memory updated successfully!"}
    assert [event["event"] for event in memory.history(ids[1])] == ["ADD", "UPDATE"]
    assert memory.delete(ids[1]) == {"message": "Memory deleted successfully!"}
    assert memory.get(ids[1]) is None and memory.get("not-a-uuid") is None and memory.history("not-a-uuid") == []
    assert memory.get(ids[0], user_id="bob") is None
    with pytest.raises(LookupError):
        memory.delete("not-a-uuid")


def test_filters_narrow_and_never_lead_elsewhere(memory: Memory) -> None:
    memory.add("likes tea", user_id="alice", metadata={"kind": "food"})
    memory.add("plays cello", user_id="alice", metadata={"kind": "music"}, agent_id="tutor")
    memory.add("likes mate", user_id="bob", metadata={"kind": "food"})

    def texts(**asked: object) -> list[str]:
        return [each["memory"] for each in memory.get_all(**asked)]  # type: ignore[arg-type]

    assert texts(user_id="alice", filters={"kind": "food"}) == ["likes tea"]
    assert texts(filters={"user_id": "alice", "kind": {"in": ["music"]}}) == ["plays cello"]
    assert texts(filters={"AND": [{"user_id": "alice"}, {"kind": "food"}]}) == ["likes tea"]
    assert texts(filters={"AND": [{"user_id": "bob"}]}) == ["likes mate"]
    assert texts(user_id="alice", filters={"OR": [{"kind": "food"}, {"kind": "music"}]}) == ["plays cello", "likes tea"]
    assert texts(user_id="alice", filters={"NOT": [{"kind": "food"}]}) == ["plays cello"]
    assert texts(user_id="alice", filters={"OR": []}) == []
    assert texts(user_id="alice", agent_id="tutor") == ["plays cello"]
    for bad in ({"OR": [{"user_id": "bob"}]}, {"NOT": {"user_id": "bob"}}, {"user_id": "*"}, {"user_id": ["a", "b"]}):
        with pytest.raises(ValueError):
            memory.get_all(user_id=None, filters=bad)
    with pytest.raises(PermissionError):
        memory.get_all(user_id="alice", filters={"user_id": "bob"})
    for asked in ({}, {"filters": {"kind": "food"}}, {"agent_id": "tutor"}, {"user_id": "*"}):
        with pytest.raises(ValueError):
            memory.get_all(**asked)  # type: ignore[arg-type]
        with pytest.raises(ValueError):
            memory.delete_all(**{name: value for name, value in asked.items() if name != "filters"})  # type: ignore[arg-type]


def test_deleting_all_of_an_agent_leaves_the_rest(memory: Memory) -> None:
    memory.add("likes tea", user_id="alice", agent_id="chef")
    memory.add("plays cello", user_id="alice")
    memory.add("likes mate", user_id="bob", agent_id="chef")
    assert memory.delete_all(user_id="alice", agent_id="chef") == {"message": "Memories deleted successfully!"}
    assert [each["memory"] for each in memory.get_all(user_id="alice")] == ["plays cello"]
    assert len(memory.get_all(user_id="bob")) == 1


def test_a_memory_is_seen_through_its_expiration_date(memory: Memory) -> None:
    memory.add("the offer", user_id="alice", expiration_date="2199-12-31")
    memory.add("the old offer", user_id="alice", expiration_date="2001-01-01")
    (seen,) = memory.get_all(user_id="alice")
    assert (seen["memory"], seen["expiration_date"]) == ("the offer", "2199-12-31")
    with pytest.raises(ValueError):
        memory.add("x", user_id="alice", expiration_date="soon")


def test_whole_numbers_are_names(memory: Memory) -> None:
    memory.add("likes tea", user_id=7)
    assert memory.get_all(user_id="7")[0]["user_id"] == "7"


def test_a_configuration_of_mem0_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Memory.from_config({"vector_store": {"provider": "locule", "config": {"path": "here"}}, "version": "v1.1"}) as memory:
        memory.add("likes tea", user_id="alice")
    monkeypatch.setenv("LOCULE_DATA", "here")
    # Somebody else's store is not opened and not touched.
    (tmp_path / "qdrant").mkdir()
    with Memory.from_config({"vector_store": {"provider": "qdrant", "config": {"path": "qdrant"}}}) as memory:
        assert len(memory.get_all(user_id="alice")) == 1
    assert list((tmp_path / "qdrant").iterdir()) == []
    for bad in ({"vectorstore": {}}, {"embedder": {"provider": "openai"}}, {"embedder": {"provider": "x"}},
                {"vector_store": {"provider": "pgvector", "config": {"host": "x"}}}):  # fmt: skip
        with pytest.raises(locule.InvalidError):
            Memory.from_config(bad)


def test_the_loop_goes_on(app: Locule) -> None:
    async def story() -> None:
        async with AsyncMemory(locule=app) as memory:
            await asyncio.gather(*(memory.add(f"fact {number}", user_id="alice") for number in range(8)))
            found = await memory.get_all(user_id="alice")
            assert {each["memory"] for each in found} == {f"fact {number}" for number in range(8)}
            assert (await memory.search("fact 3", user_id="alice", limit=1))[0]["user_id"] == "alice"

    asyncio.run(story())


class Model:
    """A chat model that says what it is told to say, or a status."""

    says: List[object] = []


@pytest.fixture
def model() -> Iterator[str]:
    def answer(path: str, asked: Any) -> Tuple[int, Any]:
        assert path == "/v1/chat/completions" and asked["model"] == "scripted"
        said = Model.says.pop(0) if Model.says else 500
        return said if isinstance(said, int) else 200, {"choices": [{"message": {"role": "assistant", "content": said}}]}

    with answering(answer) as url:
        yield url


def test_a_model_finds_out_what_is_worth_remembering(tmp_path: Path, model: str) -> None:
    llm = {"provider": "openai", "config": {"model": "scripted", "api_key": "k", "openai_base_url": model}}
    config = {"llm": llm, "vector_store": {"provider": "locule", "config": {"path": str(tmp_path / "data")}}}
    with Memory.from_config(config) as memory:
        Model.says = ['{"facts": [{"text": "Alice is vegetarian"}, {"text": "Alice lives in Rome"}]}']
        answer = memory.add([{"role": "user", "content": "I don't eat meat, and I moved to Rome"}], user_id="alice")
        assert answer["inferred"] is True and [each["event"] for each in answer["results"]] == ["ADD", "ADD"]
        assert {each["memory"] for each in memory.get_all(user_id="alice")} == {"Alice is vegetarian", "Alice lives in Rome"}
        assert memory.get_all(user_id="bob") == [] and not Model.says
        assert memory.add("Word for word", user_id="bob", infer=False)["inferred"] is False
        mine = memory._app.user("alice")
        Model.says = ['{"facts": []}']
        told = mine.remember([{"role": "user", "content": "hm"}])
        assert (told["status"], told["found"]) == ("succeeded", [])
        assert mine.remembered(told["job"])["status"] == "succeeded"
        with pytest.raises(locule.NotFoundError):
            memory._app.user("bob").remembered(told["job"])


def test_a_model_that_fails_is_told_and_what_was_said_is_kept(tmp_path: Path, model: str) -> None:
    with Locule(tmp_path / "data", chat={"url": model, "model": "scripted", "attempts": 1}) as app:
        memory = Memory(locule=app)
        Model.says = [400]
        with pytest.raises(locule.TemporaryError, match="kept, as job"):
            memory.add("I don't eat meat", user_id="alice")
        assert memory.get_all(user_id="alice") == []


def test_a_program_for_mem0_runs_with_another_import(tmp_path: Path) -> None:
    program = (PROGRAMS / "chat.py").read_text()
    ours, changed = re.subn(r"^from mem0 import", "from locule import", program, flags=re.MULTILINE)
    assert changed == 1
    (tmp_path / "chat.py").write_text(ours)
    runs = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "chat.py"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        runs.append(done.stdout)
    assert runs[0] == runs[1]
    assert "alice: ['Allergic to peanuts', 'Prefers aisle seats']" in runs[0] and "bob knows: ['Plays chess']" in runs[0]
