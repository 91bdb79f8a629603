"""What tests share: a data directory of their own, a server that is started and stopped, a PostgreSQL if there is one."""

from __future__ import annotations

import glob
import itertools
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest

from locule import Locule

ROOT = Path(__file__).resolve().parents[3]

_numbers = itertools.count()


def program() -> str:
    """The server's program."""
    path = os.environ.get("LOCULE_BIN", str(ROOT / "target" / "debug" / "locule"))
    if not os.path.exists(path):
        pytest.fail(f"there is no {path}: build it (cargo build -p locule-server), or say where with LOCULE_BIN")
    return path


def psql(url: str, sql: str) -> str:
    """What PostgreSQL answers, a row in each line."""
    path = shutil.which("psql") or sorted(glob.glob("/usr/lib/postgresql/*/bin/psql"))[-1]
    return subprocess.run([path, url, "-Atc", sql], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Locule]:
    """An installation in files, with the built-in model."""
    with Locule(tmp_path / "data") as app:
        yield app


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Locule]:
    """An installation whose callers bring vectors of three numbers: nothing is embedded."""
    with Locule(tmp_path / "data", embedding=3) as app:
        yield app


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dict[str, Any]]:
    """A running server: its ``url``, tokens of ``alice`` and ``bob``, and a ``service_key``."""
    with running(tmp_path_factory.mktemp("server")) as said:
        yield said


@contextmanager
def running(home: Path, **environment: str) -> Iterator[Dict[str, Any]]:
    """A server of one's own, with these settings."""
    child = subprocess.Popen(
        [program(), "serve", "--dev", "--json", "--data", str(home / "data"), "--listen", "127.0.0.1:0", "--operator-listen", "off"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=home,
        env={**os.environ, **environment},
    )
    try:
        assert child.stdout is not None
        said = json.loads(child.stdout.readline())
        yield {"url": f"http://{said['listen']}", "process": child, **said["dev"]}
    finally:
        child.terminate()
        child.communicate()


@pytest.fixture
def database() -> Iterator[str]:
    """An empty database of a PostgreSQL that may be set up: `make test` starts one for all tests."""
    url = os.environ.get("DATABASE_URL")
    if not url:
        pytest.skip("DATABASE_URL is not set: run them with deploy/with-postgres.sh")
    name = f"test_{os.getpid()}_{next(_numbers)}"
    psql(url, f"CREATE DATABASE {name}")
    yield url.rpartition("/")[0] + "/" + name
