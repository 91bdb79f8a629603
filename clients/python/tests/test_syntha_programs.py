"""Programs for ``syntha``, with another import and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

PROGRAM = (Path(__file__).parent / "programs" / "multi_user.py").read_text(encoding="utf-8")

ALICE = {"preferences": {"theme": "dark", "language": "English", "notifications": True}, "conversation_count": 1}
BOB = {"preferences": {"theme": "light", "language": "Spanish", "notifications": False}, "conversation_count": 1}
CAROL = {"preferences": None, "conversation_count": 1}


def summaries(said: str) -> List[Dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r"^\w+: (\{\n.*?^\})$", said, flags=re.M | re.S)]


@pytest.mark.parametrize("isolation", [None, "schema", "rls"])
def test_an_assistant_for_several_users(request: pytest.FixtureRequest, tmp_path: Path, isolation: str) -> None:
    program = PROGRAM.replace("from syntha import", "from locule.syntha import")
    given = []
    if isolation is not None:
        given = [request.getfixturevalue("database")]
    if isolation == "rls":
        program = program.replace('"connection_string": sys.argv[1]', '"connection_string": sys.argv[1], "isolation": "rls"')
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    runs = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "program.py", *given], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        runs.append(done.stdout)
    # What the first run left is there, and the second changes none of it.
    assert runs[0] == runs[1]
    said = runs[0].splitlines()
    assert said[0] == "preferences: {'theme': 'dark', 'language': 'English', 'notifications': True}"
    assert said[1] == "findings: ['a', 'b'] of None"
    found = summaries(runs[0])
    assert len(found) == (6 if isolation is None else 9)
    for place in range(0, len(found), 3):
        for of, expected in zip(found[place : place + 3], (ALICE, BOB, CAROL)):
            assert {name: of[name] for name in expected} == expected and "chat_history" in of["topics"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".db") == ["syntha_context.db"]
    assert all((tmp_path / f"data/users/{user}/context.db").is_file() for user in ("alice", "bob", "carol"))
