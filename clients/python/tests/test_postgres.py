"""The same in a PostgreSQL, in process."""

from __future__ import annotations

from pathlib import Path

import pytest

import locule
from locule import Locule, Memory


@pytest.mark.parametrize("layout", ["rls", "schema"])
def test_a_postgresql_is_set_up_and_keeps_people_apart(database: str, tmp_path: Path, layout: str) -> None:
    # The second time it is there already, and found as it was left.
    for turn in range(2):
        with Locule(
            database, keys=tmp_path / "keys", layout=layout, set_up=True, embedding=3, postgres={"prefix": f"py_{layout}"}
        ) as app:
            alice, bob = app.user("alice"), app.user("bob")
            alice.add("likes tea", embedding=[1, 0, 0])
            assert [memory["memory"] for memory in alice.get_all()] == ["likes tea"] and bob.get_all() == []
            assert app.as_user(app.mint_token("alice")).search(embedding=[1, 0, 0])[0]["memory"] == "likes tea"
            if turn == 1:
                alice.erase()
                assert alice.get_all() == []


def test_a_superuser_serves_nothing(database: str, tmp_path: Path) -> None:
    with pytest.raises(locule.LoculeError):
        Locule(database, keys=tmp_path / "keys", postgres={"prefix": "py_super"})
