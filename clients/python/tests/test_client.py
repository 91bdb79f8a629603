"""A space on a server: the same calls, the same answers."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Callable, Dict

import pytest

import locule
from locule import AsyncClient, Client


@pytest.fixture
def alice(server: Dict[str, Any]) -> Any:
    with Client(server["url"], token=server["alice"]) as client:
        client.delete_all()
        yield client


def test_a_space_on_a_server_answers_like_one_in_process(alice: Client) -> None:
    tea = alice.add("likes tea", metadata={"kind": "food"}, agent_id="chef")
    alice.add(["plays cello", {"memory": "lives in Berlin", "run_id": "trip", "ttl_s": 60}])
    assert alice.user_id == "alice" and tea["existing"] is False
    found = alice.search("what does she drink?", filters={"metadata.kind": "food"}, explain=True)
    assert found["results"][0]["id"] == tea["id"] and found[0]["score_parts"]
    assert alice.update(tea["id"], "likes mate", metadata={"kind": None})["metadata"] == {}
    assert [event["event"] for event in alice.history(tea["id"])] == ["ADD", "UPDATE"]
    assert alice.get(tea["id"])["memory"] == "likes mate"
    page = alice.page(limit=2, filters={"NOT": {"memory": "likes mate"}})
    assert page["total"] == 2 and page["next_cursor"] is None
    trip = alice.get_all(filters={"run_id": "trip"})[0]
    assert alice.promote(trip["id"])["run_id"] is None
    file = io.BytesIO()
    assert alice.export(file) == 3 and json.loads(file.getvalue())["user_id"] == "alice"
    alice.delete(tea["id"])
    assert alice.usage()["memories"] == 2 and alice.delete_all() == 2 and list(alice) == []


def test_a_token_is_bound_and_a_key_names_its_user(alice: Client, server: Dict[str, Any]) -> None:
    tea = alice.add("likes tea")
    told = []
    with Client(server["url"], token=server["bob"]) as bob, Client(server["url"], token=server["service_key"]) as service:
        assert bob.get_all() == [] and service.user("alice").get(tea["id"])["memory"] == "likes tea"
        for stranger in ("alice", "nobody-at-all", "a/../b", "é"):
            with pytest.raises(PermissionError) as refused:
                bob.user(stranger)
            told.append((refused.value.code, str(refused.value)))  # type: ignore[attr-defined]
        with pytest.raises(locule.NotFoundError):
            bob.get(tea["id"])
        with pytest.raises(locule.NotFoundError):
            alice.get("../../usage")
        with pytest.raises(PermissionError):
            bob.search("tea", filters={"user_id": "alice"})
        with pytest.raises(PermissionError):
            locule.Space(bob._backend, ["alice"]).export(io.BytesIO())
        for call in (service.get_all, lambda: service.user_id):
            with pytest.raises(locule.InvalidError):
                call()  # type: ignore[operator]
        odd = service.user("a/b ?#%é")
        odd.add("of an odd name")
        assert [memory["memory"] for memory in odd.get_all()] == ["of an odd name"]
        odd.erase()
        assert odd.get_all() == []
    assert len(set(told)) == 1


def test_a_wrong_credential_and_wrong_words_are_told_apart(server: Dict[str, Any], alice: Client) -> None:
    with Client(server["url"], token="x.y.z") as nobody:
        with pytest.raises(locule.AuthenticationError) as refused:
            nobody.get_all()
        assert refused.value.request_id
    with pytest.raises(locule.InvalidError):
        alice.search(" ")
    with pytest.raises(locule.LimitError):
        alice.add("x" * 100_000)
    for token in ("", None, "a\nb", "é"):
        with pytest.raises(locule.InvalidError):
            Client(server["url"], token=token)  # type: ignore[arg-type]
    for url in ("localhost:7400", "ftp://x", "http://user:pass@x", "http://x?y"):
        with pytest.raises(locule.InvalidError):
            Client(url, token="x")


def test_threads_share_a_client(alice: Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: alice.add(f"fact {number}"), range(40)))
        counts = set(threads.map(lambda _: len(alice.get_all()), range(16)))
    assert counts == {40}


def test_many_calls_of_a_loop_are_under_way_at_once(server: Dict[str, Any], alice: Client) -> None:
    async def story() -> None:
        async with AsyncClient(server["url"], token=server["alice"]) as me:
            await asyncio.gather(*(me.add(f"fact {number}") for number in range(20)))
            assert len([memory async for memory in me]) == 20 and me.user_id == "alice"
            assert (await me.search("fact 7", limit=1))["results"][0]["memory"] == "fact 7"
            with pytest.raises(PermissionError):
                await me.user("bob")
        with pytest.raises((locule.ClosedError, RuntimeError)):
            await me.get_all()

    asyncio.run(story())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_speaks_on_connections_of_its_own(alice: Client) -> None:
    alice.add("likes tea")
    child = os.fork()
    if child == 0:
        os._exit(0 if len(alice.get_all()) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and len(alice.get_all()) == 1


def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> HTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        asked = 0

        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_what_is_not_a_locule_is_told_and_gets_no_second_chance() -> None:
    asked = []

    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        handler.send_response(302)
        handler.send_header("location", "http://127.0.0.1:1/")
        handler.send_header("content-length", "0")
        handler.end_headers()

    server = serving(elsewhere)
    with Client(f"http://127.0.0.1:{server.server_address[1]}/base/", token="x") as client:
        with pytest.raises(locule.FaultError, match="not Locule"):
            client.get("x")
    assert asked == ["/base/api/me/memories/x"]
    server.shutdown()
    server.server_close()


def test_an_add_that_broke_off_is_not_sent_twice() -> None:
    asked = []

    def cut(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.command)
        handler.close_connection = True

    server = serving(cut)
    with Client(f"http://127.0.0.1:{server.server_address[1]}", token="x") as client:
        with pytest.raises(locule.TemporaryError) as refused:
            client.add("likes tea")
        assert refused.value.code == "unreachable"
    assert asked == ["POST"]
    server.shutdown()
    server.server_close()


def test_a_server_that_is_not_there_is_worth_another_try() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", token="x") as client, pytest.raises(locule.TemporaryError):
        client.get_all()
    with pytest.raises(locule.ClosedError):
        client.get_all()
