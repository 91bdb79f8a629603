"""What goes wrong below a mesh: it says so, loses nothing that it acknowledged, and goes on when it is over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from conftest import psql

from locule.syntha import ContextMesh, SynthaError

PUSHES = """
import json, sys
from locule.syntha import ContextMesh
mesh = ContextMesh(user_id="alice", **json.loads(sys.argv[1]))
for turn in range(1_000_000):
    mesh.push(f"key {turn}", turn)
    mesh.append("log", turn)
    print(turn, flush=True)
"""


@pytest.fixture(params=["file", "rls", "schema", "database"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Dict[str, Any]:
    if request.param == "file":
        return {"db_path": str(tmp_path / "context.db")}
    url = request.getfixturevalue("database")
    return {"db_backend": "postgresql", "connection_string": url, "isolation": request.param, "keys": str(tmp_path / "keys")}


def test_killed_at_its_work_a_program_loses_nothing_acknowledged(where: Dict[str, Any], tmp_path: Path) -> None:
    program = [sys.executable, "-c", PUSHES, json.dumps(where)]
    acknowledged = []
    with subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            acknowledged.append(int(line))
            if len(acknowledged) == 25:
                child.send_signal(signal.SIGKILL)
    with ContextMesh(user_id="alice", **where) as mesh:
        log = mesh.get("log")
        assert log[: len(acknowledged)] == acknowledged and len(log) - len(acknowledged) in (0, 1)
        assert all(mesh.get(f"key {turn}") == turn for turn in acknowledged)
        mesh.push("afterwards", 1)
        assert mesh.size() in (len(acknowledged) + 2, len(acknowledged) + 3)


@pytest.mark.parametrize("where", ["rls", "schema", "database"], indirect=True)
def test_a_connection_that_is_lost_heals_by_itself(where: Dict[str, Any]) -> None:
    url = where["connection_string"]
    acknowledged: Dict[str, int] = {}
    thrown_out = threading.Event()
    with ContextMesh(user_id="alice", **where) as mesh, ContextMesh(user_id="bob", **where) as bob:
        bob.push("key", 1)

        def work(number: int) -> None:
            turn = 0
            while not thrown_out.is_set() or turn % 10:
                try:
                    mesh.push(f"{number} {turn}", turn)
                    acknowledged[f"{number} {turn}"] = turn
                except SynthaError:
                    pass
                turn += 1

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                psql(url, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                          "AND usename <> current_user")  # fmt: skip
        finally:
            thrown_out.set()
            for thread in threads:
                thread.join()
        # Whoever asks next is served: all connections are new.
        psql(url, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                  "AND usename <> current_user")  # fmt: skip
        assert bob.get("key") == 1
        mesh.push("afterwards", 1)
        found = mesh.get_all_for_agent("a")
        assert acknowledged and {key: found.get(key) for key in acknowledged} == acknowledged


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("a small disk can only be made by root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_said_and_harms_nothing_that_is_kept(small: Path) -> None:
    kept = 0
    with ContextMesh(user_id="alice", db_path=str(small / "context.db")) as mesh, \
            ContextMesh(user_id="bob", db_path=str(small / "context.db")) as bob:  # fmt: skip
        bob.push("key", 1)
        with pytest.raises(SynthaError) as refused:
            while True:
                mesh.push(f"key {kept}", os.urandom(30_000).hex())
                kept += 1
        assert kept > 10 and "full" in str(refused.value).lower()
        assert mesh.get(f"key {kept}") is None and mesh.size() == kept and bob.get("key") == 1
    with ContextMesh(user_id="alice", db_path=str(small / "context.db")) as mesh:
        assert mesh.size() == kept and all(len(mesh.get(f"key {number}")) == 60_000 for number in range(kept))
        # As soon as there is room, it goes on.
        subprocess.run(["mount", "-o", "remount,size=12m", str(small)], check=True)
        mesh.push("room again", 1)
        assert mesh.get("room again") == 1


def test_damaged_pages_of_one_user_are_said_and_harm_nobody_else(tmp_path: Path) -> None:
    path = str(tmp_path / "context.db")
    spaces = tmp_path / "context.db.locule" / "spaces"
    with ContextMesh(user_id="alice", db_path=path) as mesh:
        for number in range(200):
            mesh.push(f"key {number}", "x" * 1_000)
    (file,) = spaces.rglob("*.db")
    with ContextMesh(user_id="bob", db_path=path) as bob:
        bob.push("key", 1)
    content = bytearray(file.read_bytes())
    content[len(content) // 3 : 2 * len(content) // 3] = os.urandom(2 * len(content) // 3 - len(content) // 3)
    file.write_bytes(content)
    with ContextMesh(user_id="bob", db_path=path) as bob:
        assert bob.get("key") == 1
        with pytest.raises(SynthaError):
            with ContextMesh(user_id="alice", db_path=path) as mesh:
                mesh.get_all_for_agent("a")
        bob.push("key", 2)
        assert bob.get("key") == 2
    assert file.read_bytes() == bytes(content)
