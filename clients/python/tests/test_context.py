"""What agents share: the same on every side, nothing of it anybody else's, and nothing lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Set

import pytest
from conftest import running
from sides import SIDES, everywhere, plain, spaces

import locule
from locule import AsyncClient, Client, Context, Locule


#: Since Python 3.11, and in the latest of those before.
LIMITS_DIGITS = hasattr(sys, "get_int_max_str_digits")


@pytest.fixture(params=SIDES)
def space(request: pytest.FixtureRequest, bare: Locule, server: Dict[str, Any]) -> Iterator[Callable[[str], Any]]:
    """Anybody's space, on each side."""
    with spaces(request.param, bare, server) as space:
        yield space


def story(alice: Any, bob: Any) -> List[Any]:
    """Everything that can be asked of a context, once, and what it answers."""
    context, told = alice.context, []
    told.append(context.subscribe("writer", ["plan", "news", "plan"]))
    told.append(context.push("outline", ["intro", "proof"], topics=["plan"], sender="planner", ttl_s=60, metadata={"m": [1]}))
    told.append(context.push("for all", None))
    told.append(context.push("for two", {"a": 1.5}, agents=["critic"], topics=["plan"], sender="planner", include_sender=True))
    told.append([context.keys(), context.keys(agent="writer"), context.keys(agent=""), context.keys(topic="plan")])
    told.append(context.get("outline", agent="writer"))
    told.append(context.find("outline", agent="critic"))
    told.append(context.entries(keys=["for all", "nothing", "outline"]))
    told.append([entry["key"] for entry in context.entries(agent="critic")])
    told.append(context.entries(keys=[]))
    told.append(context.append("log", {"said": "é"}, agents=["writer"]))
    told.append(context.append("log", "more"))
    told.append(context.edit("outline", ["intro"]))
    told.append(context.update("outline", lambda value: [*value, "end"]))
    told.append(context.update("visits", lambda count: count + 1, default=0, agents=["writer"]))
    told.append(context.topics())
    told.append(context.permit("clerk", ["sales"]))
    told.append(context.unsubscribe("writer", ["news", "unknown"]))
    told.append(context.unsubscribe("unknown", ["news"]))
    told.append(context.agents())
    told.append(context.statistics())
    told.append(bob.context.keys() + bob.context.topics() + bob.context.agents())
    told.append([bob.context.remove("outline"), context.remove("log", agent="stranger"), context.remove("log"), context.remove("log")])
    told.append(context.tools())
    told.append([tool["name"] for tool in context.tools("anthropic", role="readonly")])
    told.append(context.call_tool("push_context", {"key": "t", "value": "{\"a\": 5}", "topics": ["plan"]}, agent="planner"))
    told.append(context.call_tool("get_context", {"keys": ["t"]}, agent="writer"))
    told.append(context.call_tool("get_context", {"nonsense": 1}, agent="writer"))
    changes = list(context.changes(wait_s=0))
    told.append(changes)
    told.append(list(context.changes(after=changes[2]["after"], wait_s=0)))
    told.append([change["event"] for change in context.changes(agent="stranger", wait_s=0)])
    told.append(context.delete_topic("plan"))
    told.append(context.keys())
    told.append(context.push("brief", 1, ttl_s=-1))
    told.append([context.find("brief"), context.remove_expired()])
    told.append([context.clear(), context.keys(), context.agents()])
    return told


def refusals(alice: Any, _: Any) -> List[Any]:
    """What is refused, and in which words; none of it changes anything."""
    context = alice.context
    context.push("taken", 1, agents=["owner"], sender="owner")
    context.permit("clerk", ["sales"])
    before = (context.entries(), context.agents())
    told = []
    calls: List[Callable[[], Any]] = [
        lambda: context.get("nothing"),
        lambda: context.get("taken", agent="stranger"),
        lambda: context.push("k", 1, topics=["secret"], sender="clerk"),
        lambda: context.push("taken", 2, sender="stranger"),
        lambda: context.edit("taken", 2, sender="stranger"),
        lambda: context.append("taken", 2, sender="stranger"),
        lambda: context.append("taken", 2),
        lambda: context.push("taken", 2, expected_revision=0),
        lambda: context.push("new", 2, expected_revision=7),
        lambda: context.push("k", 1, expected_revision=-1),
        lambda: context.push("k", 1, expected_revision=True),
        lambda: context.push("k", 1, include_sender=None),
        lambda: context.delete_topic("nothing"),
        lambda: context.delete_topic("\ud800"),
        lambda: context.call_tool("unknown", agent="a"),
        lambda: context.call_tool("push_context", {"key": "k", "value": 1}, agent="a", role="readonly"),
        lambda: context.call_tool("get_context", agent="a", role="king"),
        lambda: context.call_tool("get_context", "{}", agent="a"),
        lambda: context.tools("crewai"),
        lambda: context.tools(role="king"),
        lambda: context.push("k", float("nan")),
        lambda: context.push("k", {1, 2}),
        lambda: context.push("k", object()),
        lambda: context.push("k", 1, ttl_s=float("inf")),
        lambda: context.push("k", 1, ttl_s="60"),
        lambda: context.push("k", 1, metadata=[1]),
        lambda: context.push(b"k", 1),
        lambda: context.push(None, 1),
        lambda: context.push("k", 1, topics="plan"),
        lambda: context.push("k", 1, agents=[1]),
        lambda: context.push("k", 1, sender=0),
        lambda: context.push("k", 1, agents=["a"] * 1001),
        lambda: context.push("k", "x" * (8 << 20)),
        lambda: context.push("k", nested(600)),
        lambda: context.entries(keys="taken"),
        lambda: context.entries(keys=["k"] * 1001),
        lambda: context.find(7),
        lambda: context.subscribe("a", "plan"),
        lambda: context.permit(None, []),
        lambda: list(context.changes(after=-1)),
        lambda: list(context.changes(after=True)),
        lambda: list(context.changes(wait_s=-1)),
        lambda: list(context.changes(wait_s=float("nan"))),
        lambda: context.update("taken", lambda value: value / 0),
        lambda: context.update("taken", lambda value: object()),
    ]
    for call in calls:
        try:
            call()
        except Exception as error:
            text = str(error).partition(" at ")[0].removeprefix("The body: ").removeprefix("This is not understood: ")
            told.append((type(error).__name__, getattr(error, "code", None), text))
        else:
            told.append(None)
    assert (context.entries(), context.agents()) == before
    return told


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_every_side_answers_alike(bare: Locule, server: Dict[str, Any]) -> None:
    told = everywhere(story, bare, server)
    assert told[0] == {"name": "writer", "topics": ["plan", "news"], "posts": None}
    assert told[1]["audience"] == ["writer"] and told[1]["value"] == ["intro", "proof"]
    assert told[4] == [
        ["outline", "for all", "for two"],
        ["outline", "for all", "for two"],
        ["for all"],
        ["outline", "for two"],
    ]
    assert told[6] is None and [entry["key"] for entry in told[7]] == ["for all", "outline"] and told[9] == []
    assert told[11]["value"] == [{"said": "é"}, "more"] and told[11]["audience"] == ["writer"]
    assert told[13]["value"] == ["intro", "end"]
    assert (told[13]["audience"], told[13]["ttl_s"], told[13]["metadata"]) == (["writer"], 60.0, {"m": [1]})
    assert told[14]["value"] == 1 and told[17]["topics"] == ["plan"]
    assert told[21] == [] and told[22] == [False, False, True, False]
    assert len(told[23]) == 7 and told[24] == ["get_context", "list_context", "discover_topics"]
    assert told[26]["context"] == {"t": {"a": 5}} and told[27]["success"] is False
    events = told[28]
    assert events[0]["event"] == "keys" and events[0]["after"] == 0 and len(events[0]["keys"]) == len(events) - 1
    assert [event["entry"]["key"] for event in events[1:]] == ["for all", "for two", "outline", "visits", "t"]
    assert [event["event"] for event in told[29]] == ["keys", "entry", "entry", "entry"]
    assert told[31] == {"subscribers": 1, "entries": 3} and told[35] == [None, 1] or told[34] == [None, 1]


def test_what_is_wrong_is_refused_in_the_same_words_everywhere(bare: Locule, server: Dict[str, Any]) -> None:
    told = everywhere(refusals, bare, server)
    assert None not in told, told.index(None)
    kinds = [name for name, _, _ in told]
    assert kinds[:9] == [
        *["NotFoundError"] * 2, *["NotAllowedError"] * 4, *["ConflictError"] * 3,
    ]  # fmt: skip
    assert kinds[-2:] == ["ZeroDivisionError", "InvalidError"]
    assert all(text for _, _, text in told)


def test_values_and_keys_come_out_as_they_went_in(space: Callable[[str], Any]) -> None:
    context = space("alice").context
    values = [
        None, True, "", [], {}, 0, -1, 10**40, -(10**300), 1.5, 1e308, "\0", "\ud800", "\udc00\ud800 😀", {"\ud800": "\0", "": {}},
        nested(500), "x" * (2 << 20), ["é", ["\x7f", "\u2028"]], {"a": [1, {"b": None}]},
    ]  # fmt: skip
    keys = ["", "k", "\0", "\ud83d", "é", "a/b?c#d%e&f=g", "..", "long " * 30_000]
    for number, value in enumerate(values):
        metadata = {"same": value} if len(repr(value)) < 1000 else None
        assert context.push(f"{number}", value, metadata=metadata)["value"] == value
        entry = context.get(f"{number}")
        assert entry["value"] == value and type(entry["value"]) is type(value) and entry["metadata"] == metadata
    context.clear()
    for key in keys:
        context.push(key, key, agents=[key[:50]], sender="\ud800 agent")
    assert context.keys() == keys
    assert [entry["value"] for entry in context.entries(keys=keys[::-1])] == keys[::-1]
    assert [change["entry"]["value"] for change in context.changes(wait_s=0) if change["event"] == "entry"] == keys
    assert all(context.get(key, agent=key[:50])["writer"] == "\ud800 agent" for key in keys)
    assert all(context.remove(key, agent=key[:50]) for key in keys) and context.entries() == []


@pytest.mark.skipif(not LIMITS_DIGITS, reason="this Python reads numbers of any length")
def test_a_number_that_python_does_not_read_is_told_and_no_other_change_is_lost(space: Callable[[str], Any]) -> None:
    context = space("alice").context
    context.push("before", 1)
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    context.push("many", 10**5000)
    sys.set_int_max_str_digits(limit)
    context.push("after", 2)
    with pytest.raises(locule.LimitError, match="set_int_max_str_digits"):
        context.get("many")
    changes = context.changes(wait_s=0)
    assert next(changes)["event"] == "keys" and next(changes)["entry"]["key"] == "before"
    with pytest.raises(locule.LimitError):
        next(changes)
    assert next(changes)["entry"]["key"] == "after" and list(changes) == []


def test_many_who_change_an_entry_at_once_lose_nothing(space: Callable[[str], Any]) -> None:
    context = space("alice").context

    def work(number: int) -> None:
        for turn in range(5):
            context.append("list", [number, turn])
            context.update("count", lambda count: count + 1, default=0)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(16)))
    assert sorted(context.get("list")["value"]) == [[number, turn] for number in range(16) for turn in range(5)]
    assert context.get("count")["value"] == 80


def test_a_change_that_fails_writes_nothing_and_one_that_meddles_changes_only_its_copy(space: Callable[[str], Any]) -> None:
    context = space("alice").context
    context.push("k", [1])

    def fails(value: List[int]) -> None:
        value.append(2)
        raise RuntimeError("of the program")

    with pytest.raises(RuntimeError, match="of the program"):
        context.update("k", fails)
    assert context.get("k")["value"] == [1]
    default: List[int] = []
    context.update("new", lambda value: value + [value.append(1)], default=default)
    assert default == [] and context.get("new")["value"] == [1, None]


#: Every call that reaches a context.
CALLS: Dict[str, Callable[[Context], Any]] = {
    "push": lambda context: context.push("k", "bob was here"),
    "append": lambda context: context.append("list", "bob was here"),
    "edit": lambda context: context.edit("k", "bob was here"),
    "update": lambda context: context.update("k", lambda _: "bob was here"),
    "get": lambda context: context.get("k"),
    "find": lambda context: context.find("nothing"),
    "entries": lambda context: context.entries(),
    "keys": lambda context: context.keys(),
    "remove": lambda context: context.remove("k"),
    "remove_expired": lambda context: context.remove_expired(),
    "clear": lambda context: context.clear(),
    "topics": lambda context: context.topics(),
    "delete_topic": lambda context: context.delete_topic("t"),
    "agents": lambda context: context.agents(),
    "subscribe": lambda context: context.subscribe("bob's", ["t"]),
    "unsubscribe": lambda context: context.unsubscribe("a", ["t"]),
    "permit": lambda context: context.permit("a", ["u"]),
    "statistics": lambda context: context.statistics(),
    "tools": lambda context: context.tools(),
    "call_tool": lambda context: context.call_tool("push_context", {"key": "k", "value": "bob was here"}, agent="a"),
    "changes": lambda context: next(context.changes()),
}


def test_a_token_of_bob_that_names_alice_opens_nothing_and_changes_nothing(bare: Locule, server: Dict[str, Any]) -> None:
    assert CALLS.keys() == {name for name in vars(Context) if not name.startswith("_")}
    with Client(server["url"], token=server["bob"]) as remote, Client(server["url"], token=server["alice"]) as there:
        local = bare.as_user(bare.mint_token("bob"))
        for bob, alice in ((local, bare.user("alice")), (remote, there)):
            context = alice.context
            context.clear()
            context.subscribe("a", ["t"])
            context.push("k", "hers", topics=["t"])
            context.push("list", ["hers"])
            before = (context.entries(), context.agents(), context.topics())
            told = set()
            for named in ("alice", "nobody-at-all"):
                # What a program does that goes round `bob.user("alice")`, which is refused as it is.
                with pytest.raises(PermissionError):
                    bob.user(named)
                forged = Context(bob._backend.context(), [named])
                for call in CALLS.values():
                    with pytest.raises(PermissionError) as refused:
                        call(forged)
                    told.add((refused.value.code, str(refused.value)))  # type: ignore[attr-defined]
            assert len(told) == 1, told
            assert (context.entries(), context.agents(), context.topics()) == before
            assert bob.context.keys() == [] and bob.context.agents() == []
            context.clear()


def test_a_name_that_is_too_long_for_an_address_is_told(server: Dict[str, Any]) -> None:
    with Client(server["url"], token=server["alice"]) as alice:
        for call in (lambda: alice.context.delete_topic("t" * 60_000), lambda: next(alice.context.changes(agent="a" * 60_000))):
            with pytest.raises(locule.LimitError, match="shorter"):
                call()
        assert alice.context.subscribe("a" * 60_000, ["t" * 60_000])["posts"] is None
        assert alice.context.keys(agent="a" * 60_000) == []
        alice.context.clear()


def test_a_credential_that_is_none_any_more_opens_no_context(bare: Locule, server: Dict[str, Any]) -> None:
    alice = bare.as_user(bare.mint_token("alice"))
    context = alice.context
    context.push("k", 1)
    bare.user("alice").erase()
    with pytest.raises(locule.AuthenticationError):
        context.keys()
    with pytest.raises(locule.AuthenticationError):
        next(context.changes())
    with Client(server["url"], token="x.y.z") as nobody, pytest.raises(locule.AuthenticationError):
        next(nobody.context.changes())


def hearing(context: Any, until: str, **fields: Any) -> "tuple[threading.Thread, List[Any], threading.Event]":
    """Follows in a thread until an entry of this key is written; what it heard, and whether it has begun to hear."""
    heard: List[Any] = []
    begun = threading.Event()

    def follow() -> None:
        for change in context.changes(**fields):
            heard.append(change)
            begun.set()
            if change["event"] == "entry" and change["entry"]["key"] == until:
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    return thread, heard, begun


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_changes_are_heard_as_they_happen(space: Callable[[str], Any]) -> None:
    alice, bob = space("alice"), space("bob")
    context = alice.context
    context.push("before", 1)
    thread, heard, begun = hearing(context, "end")
    of_writer, for_writer, begun_too = hearing(context, "end", agent="writer")
    assert begun.wait(60) and begun_too.wait(60)
    bob.context.push("bob's own", 1)
    context.push("private", 2, agents=["critic"])
    context.remove("before")
    until(lambda: any(change["event"] == "removed" for change in heard))
    context.push("end", 3)
    thread.join(60)
    of_writer.join(60)
    assert not thread.is_alive() and not of_writer.is_alive()
    assert heard[0] == {"event": "keys", "after": 0, "keys": ["before"]}
    assert {change["entry"]["key"] for change in heard if change["event"] == "entry"} == {"before", "private", "end"}
    assert [change["key"] for change in heard if change["event"] == "removed"] == ["before"]
    assert "private" not in repr(for_writer) and "bob" not in repr(heard) + repr(for_writer)
    # And from there on, in whatever process.
    after = heard[-1]["after"]
    assert [change["event"] for change in context.changes(after=after, wait_s=0.2)] == []
    context.push("later", 4)
    later = list(context.changes(after=after, wait_s=0))
    assert [change["event"] for change in later] == ["keys", "entry"] and later[1]["entry"]["value"] == 4


class Cutting:
    """Stands between a client and a server, and cuts what goes back after so many bytes: each connection after the next
    number."""

    def __init__(self, url: str, after: Iterator[int]) -> None:
        host, port = url.rpartition("/")[2].split(":")
        self._server, self._after = (host, int(port)), after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0
        self._live: List[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._carry, args=(client, next(self._after)))
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket, left: int) -> None:
        with client, socket.create_connection(self._server) as server:
            self._live = [client, server]
            server.sendall(client.recv(1 << 16))
            with contextlib.suppress(OSError):
                while left > 0:
                    chunk = server.recv(min(left, 1 << 16))
                    if not chunk:
                        return
                    left -= len(chunk)
                    client.sendall(chunk)
                self.cuts += 1

    def cut(self) -> None:
        """Cuts the latest connection."""
        for each in self._live:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


def test_a_stream_that_is_cut_anywhere_and_taken_up_again_loses_no_change(server: Dict[str, Any]) -> None:
    chance = random.Random(7)
    # Each is cut a little later than the one before was, so that some end within the answer's head, and some within an event.
    cutting = Cutting(server["url"], (chance.randrange(150 + 300 * turn, 1500 + 400 * turn) for turn in range(1_000_000)))
    with Client(server["url"], token=server["alice"]) as alice, Client(cutting.url, token=server["alice"]) as follower:
        context = alice.context
        context.clear()
        gone: Set[str] = set()
        context.push("first", 0)
        heard: List[Any] = []
        begun = threading.Event()

        def follow() -> None:
            # The first connection may be cut as well, and that is told at once.
            while True:
                try:
                    for change in follower.context.changes(after=heard[-1]["after"] if heard else 0):
                        heard.append(change)
                        begun.set()
                        if change["event"] == "entry" and change["entry"]["key"] == "end":
                            return
                except locule.TemporaryError:
                    continue

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        assert begun.wait(60)
        for number in range(60):
            context.push(f"{number}", "x" * chance.randrange(200), topics=["t", "u"] if number % 3 == 0 else [])
            if number % 10 == 9:
                gone.add(f"{number - 5}")
                context.remove(f"{number - 5}")
            time.sleep(0.02)
        # Many at once, with one revision.
        context.delete_topic("t")
        context.push("end", 1)
        thread.join(120)
        assert not thread.is_alive()
        last: Dict[str, int] = {}
        for change in heard:
            if change["event"] == "entry":
                assert last.get(change["entry"]["key"], 0) < change["entry"]["revision"], "nothing is told twice"
                last[change["entry"]["key"]] = change["entry"]["revision"]
            elif change["event"] == "removed":
                last.pop(change["key"], None)
            else:
                last = {key: last.get(key, 0) for key in change["keys"]}
        assert cutting.cuts > 3, "it was cut"
        assert last == {entry["key"]: entry["revision"] for entry in context.entries()}
        assert not gone & last.keys()
        context.clear()
    cutting.close()


def test_what_happens_while_the_stream_is_cut_is_told_when_it_is_taken_up_again(server: Dict[str, Any]) -> None:
    back = threading.Event()

    def connections() -> Iterator[int]:
        yield 1 << 30
        assert back.wait(60)
        yield 1 << 30

    cutting = Cutting(server["url"], connections())
    with Client(server["url"], token=server["alice"]) as alice, Client(cutting.url, token=server["alice"]) as follower:
        context = alice.context
        context.clear()
        for key in ("stays", "goes", "comes again"):
            context.push(key, 1)
        changes = follower.context.changes(wait_s=60)
        assert [next(changes)["event"] for _ in range(4)] == ["keys", "entry", "entry", "entry"]
        cutting.cut()
        context.remove("goes")
        context.remove("comes again")
        context.push("comes again", 2)
        context.push("comes and goes", 3)
        context.remove("comes and goes")
        back.set()
        gone, again = next(changes), next(changes)
        assert gone["event"] == "removed" and gone["key"] == "goes"
        assert again["event"] == "entry" and (again["entry"]["key"], again["entry"]["value"]) == ("comes again", 2)
        context.push("end", 4)
        end = next(changes)
        assert end["event"] == "entry" and end["entry"]["key"] == "end"
        changes.close()
        context.clear()
    cutting.close()


def test_a_server_that_is_away_is_waited_for_and_then_given_up(tmp_path: Path) -> None:
    with running(tmp_path) as server, Client(server["url"], token=server["alice"]) as alice:
        alice.context.push("k", 1)
        changes = alice.context.changes(patience_s=0.5)
        assert next(changes)["event"] == "keys" and next(changes)["event"] == "entry"
        server["process"].terminate()
        with pytest.raises(locule.TemporaryError) as told:
            next(changes)
        assert told.value.code == "unreachable"
        assert list(changes) == [], "it is over"
        # One that never was there is told of at once.
        began = time.monotonic()
        with pytest.raises(locule.TemporaryError):
            next(alice.context.changes(patience_s=60))
        assert time.monotonic() - began < 30


def test_whoever_follows_is_let_go(bare: Locule, server: Dict[str, Any]) -> None:
    with Client(server["url"], token=server["alice"]) as client:
        for context in (bare.user("alice").context, client.context):
            context.push("k", 1)
            # Who stops to follow holds nothing: there are at most 16 streams at a time.
            for _ in range(40):
                for change in context.changes():
                    assert change["event"] == "keys"
                    break
            # Another thread ends it.
            changes = context.changes()
            with ThreadPoolExecutor(1) as threads:
                left = threads.submit(list, changes)
                until(lambda: changes._followed)  # noqa: B023
                changes.close()
                assert left.result(60)[0]["event"] == "keys"
            assert list(changes) == []
        # So does closing what it follows.
        for close, context in ((client.close, client.context), (bare.close, bare.user("alice").context)):
            changes = context.changes()
            next(changes)
            next(changes)
            with ThreadPoolExecutor(1) as threads:
                left = threads.submit(next, changes)
                close()
                with pytest.raises(locule.ClosedError):
                    left.result(60)


def test_a_task_that_follows_is_cancelled(server: Dict[str, Any], bare: Locule) -> None:
    async def program() -> None:
        async with AsyncClient(server["url"], token=server["alice"], calls_max=2) as alice:
            for context in (alice.context, locule.AsyncSpace(bare.user("alice")).context):
                await context.push("k", 1)
                heard = asyncio.Event()

                async def follow(context: locule.AsyncContext = context, heard: asyncio.Event = heard) -> None:
                    async for change in context.changes():
                        if change["event"] == "entry":
                            heard.set()

                # More who follow than calls may be under way: they keep no call waiting.
                tasks = [asyncio.create_task(follow()) for _ in range(8)]
                await asyncio.wait_for(heard.wait(), 60)
                assert (await asyncio.wait_for(context.get("k"), 60))["value"] == 1

                async def doubled(value: int) -> int:
                    return 2 * value

                assert (await context.update("k", doubled))["value"] == 2
                for task in tasks:
                    task.cancel()
                told = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
                assert all(isinstance(each, asyncio.CancelledError) for each in told)

    asyncio.run(program())


def test_a_client_that_is_closed_ends_what_is_followed_in_its_loop(server: Dict[str, Any]) -> None:
    async def program() -> None:
        alice = AsyncClient(server["url"], token=server["alice"])
        await alice.context.push("k", 1)
        heard = asyncio.Event()

        async def follow() -> None:
            async for _ in alice.context.changes():
                heard.set()

        task = asyncio.create_task(follow())
        await asyncio.wait_for(heard.wait(), 60)
        await alice.close()
        with pytest.raises(locule.ClosedError):
            await asyncio.wait_for(task, 60)

    asyncio.run(program())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_follows_on_a_stream_of_its_own(server: Dict[str, Any]) -> None:
    with Client(server["url"], token=server["alice"]) as client:
        context = client.context
        context.clear()
        context.push("k", 1)
        changes = context.changes(wait_s=60)
        assert next(changes)["event"] == "keys"
        child = os.fork()
        if child == 0:
            said = None
            try:
                said = next(changes)["event"]
                changes.close()
            finally:
                os._exit(0 if said == "entry" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        began = changes._follower._began
        assert next(changes)["event"] == "entry"
        context.push("later", 2)
        change = next(changes)
        assert change["event"] == "entry" and change["entry"]["key"] == "later"
        assert changes._follower._began == began, "the child has not cut it"
        changes.close()


PUSHES = """
import sys, locule
with locule.Locule(sys.argv[1], embedding=3) as app:
    app.user("alice").context.push("elsewhere", 1)
"""


def test_what_another_process_changes_is_heard(bare: Locule, tmp_path: Path) -> None:
    context = bare.user("alice").context
    context.push("here", 1)
    thread, heard, begun = hearing(context, "elsewhere")
    assert begun.wait(60)
    subprocess.run([sys.executable, "-c", PUSHES, str(tmp_path / "data")], check=True, cwd=tmp_path)
    thread.join(60)
    assert not thread.is_alive() and heard[-1]["entry"]["key"] == "elsewhere"


def test_in_postgresql_it_answers_as_in_files(bare: Locule, database: str, tmp_path: Path) -> None:
    with Locule(database, keys=tmp_path / "keys", set_up=True, embedding=3) as app:
        for program in (story, refusals):
            here, there = (plain(program(each.user("alice-2"), each.user("bob-2")), {}) for each in (bare, app))
            assert here == there


def test_a_mesh_of_the_stand_in_and_the_context_are_one(bare: Locule) -> None:
    context = bare.user("alice").context
    context.subscribe("writer", ["plan"])
    context.push("outline", 1, topics=["plan"])
    native = bare._context("alice")
    native.context_push('{"key": "by the mesh", "value": 2, "agents": [], "topics": [], "include_sender": false}')
    assert context.keys() == ["outline", "by the mesh"]


def test_an_entry_that_is_too_deep_for_the_stack_is_told_and_the_next_is_heard(space: Callable[[str], Any]) -> None:
    context = space("alice").context
    for key, value in (("flat", 1), ("deep", nested(500)), ("after", 2)):
        context.push(key, value)
    changes = context.changes(wait_s=0)
    assert next(changes)["event"] == "keys"

    def at(depth: int) -> Any:
        return at(depth - 1) if depth > 0 else next(changes)

    heard = []
    for _ in range(3):
        try:
            heard.append(at(sys.getrecursionlimit() - 650)["entry"]["key"])
        except locule.LimitError:
            heard.append("told")
    # An event loop reads it in a thread of its own, whose stack is not deep.
    assert heard in (["flat", "told", "after"], ["flat", "deep", "after"])
