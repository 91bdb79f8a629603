"""What people install."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import locule

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"


def test_it_needs_nothing_and_brings_its_types() -> None:
    assert not importlib.metadata.requires("locule")
    package = Path(locule.__file__).parent
    assert (package / "py.typed").exists() and (package / "_native.pyi").exists()
    assert sorted(locule.__all__) == locule.__all__ and all(hasattr(locule, name) for name in locule.__all__)


def test_the_types_hold(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from typing import Optional\n"
        "from locule import AsyncClient, Client, Entry, Locule, MemoryRecord, Remembered, Results\n"
        "space = Locule('data').user('alice')\n"
        "found: Results[MemoryRecord] = space.search('tea')\n"
        "text: str = found['results'][0]['memory']\n"
        "one: MemoryRecord = space.add('tea')\n"
        "many: Results[MemoryRecord] = space.add(['tea', {'memory': 'mate'}])\n"
        "entry: Entry = space.context.update('visits', lambda count: count + 1, default=0)\n"
        "revision: int = entry['revision']\n"
        "for change in Client(token='t').context.changes(after=revision):\n"
        "    if change['event'] == 'entry':\n"
        "        key: str = change['entry']['key']\n"
        "    elif change['event'] == 'removed':\n"
        "        key = change['key']\n"
        "    else:\n"
        "        keys: list[str] = change['keys']\n"
        "async def follow(me: AsyncClient) -> None:\n"
        "    told: Remembered = await me.remember([{'role': 'user', 'content': 'I moved'}])\n"
        "    facts: list[Optional[str]] = [found['memory'] for found in told['found']]\n"
        "    async for change in me.context.changes():\n"
        "        after: int = change['after']\n"
        "    async for job in me.jobs:\n"
        "        status: str = job['status']\n"
        "    near: list[str] = [memory['memory'] for memory in (await me.relationships.neighbours('id'))['neighbours']]\n"
    )
    for checked in (["-p", "locule"], [str(program)], [str(path) for path in sorted(EXAMPLES.glob("*.py"))]):
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), *checked],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


def test_the_back_end_with_tokens_keeps_people_apart(tmp_path: Path, monkeypatch: object) -> None:
    from fastapi.testclient import TestClient

    monkeypatch.setenv("LOCULE_DATA", str(tmp_path / "data"))  # type: ignore[attr-defined]
    sys.path.insert(0, str(EXAMPLES))
    try:
        import backend
    finally:
        sys.path.pop(0)
    with TestClient(backend.api) as client:

        def asks(user: str) -> dict[str, str]:
            token = client.post("/token", json={"user_id": user}).json()["access_token"]
            return {"Authorization": f"Bearer {token}"}

        alice, bob = asks("alice"), asks("bob")
        added = client.post("/memories", json={"text": "I'm allergic to peanuts"}, headers=alice)
        assert added.status_code == 201
        found = client.get("/memories/search", params={"query": "what food should I avoid?"}, headers=alice).json()
        assert [hit["memory"] for hit in found] == ["I'm allergic to peanuts"]
        assert client.get("/memories/search", params={"query": "peanuts"}, headers=bob).json() == []
        assert client.get(f"/memories/{added.json()['id']}", headers=alice).status_code == 200
        assert client.get(f"/memories/{added.json()['id']}", headers=bob).status_code == 404
        assert client.get("/users/alice/memories", headers=alice).status_code == 200
        assert client.get("/users/alice/memories", headers=bob).status_code == 403
        assert client.get("/users/nobody/memories", headers=bob).status_code == 403
        assert client.get("/memories/search", params={"query": "x"}).status_code == 401
        wrong = {"Authorization": alice["Authorization"] + "x"}
        assert client.get("/memories/search", params={"query": "x"}, headers=wrong).status_code == 401


def signed(secret: str, algorithm: str = "HS256", **claims: Any) -> str:
    """A JWT, as any library makes it."""

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    head = part(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()) + "." + part(json.dumps(claims).encode())
    return head + "." + part(hmac.new(secret.encode(), head.encode(), hashlib.sha256).digest())


def test_the_back_end_serves_whoever_signs_in_and_nobody_else(tmp_path: Path) -> None:
    secret = "a secret of at least thirty-two bytes"
    child = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "backend:api", "--app-dir", str(EXAMPLES), "--host", "127.0.0.1", "--port", "0"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={**os.environ, "JWT_SECRET": secret, "LOCULE_DATA": "data"},
    )  # fmt: skip
    try:
        assert child.stderr is not None
        url = next(found[0] for line in child.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))

        def ask(method: str, path: str, token: Optional[str] = None, body: Optional[Dict[str, Any]] = None) -> Tuple[int, Any]:
            headers = {"Content-Type": "application/json"}
            if token is not None:
                headers["Authorization"] = f"Bearer {token}"
            request = urllib.request.Request(url + path, None if body is None else json.dumps(body).encode(), headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as refused:
                return refused.code, json.load(refused)

        now = int(time.time())
        alice, bob = (signed(secret, sub=user, iat=now, exp=now + 600) for user in ("alice", "bob"))
        status, added = ask("POST", "/memories", alice, {"text": "I'm allergic to peanuts"})
        assert status == 201
        hits = ask("GET", "/memories/search?query=what+food+should+I+avoid", alice)[1]
        assert [hit["memory"] for hit in hits] == ["I'm allergic to peanuts"]
        assert ask("GET", "/memories/search?query=peanuts", bob) == (200, [])
        assert ask("GET", f"/memories/{added['id']}", bob)[0] == 404
        assert ask("GET", "/users/alice/memories", bob)[0] == ask("GET", "/users/nobody/memories", bob)[0] == 403
        for nobody in (
            None, "", "x", alice + "x", signed("another secret of thirty-two bytes", sub="alice", exp=now + 600),
            signed(secret, sub="alice", exp=now - 600), signed(secret, "none", sub="alice", exp=now + 600),
            signed(secret, exp=now + 600),
        ):  # fmt: skip
            assert ask("GET", "/memories/search?query=peanuts", nobody)[0] == 401, nobody
    finally:
        child.terminate()
        child.communicate()
