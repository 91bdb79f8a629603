"""Reading a database of ``syntha`` itself. It is opened to be read only, and stays as it is."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional

from ._store import Entry

__all__ = ["Kept", "kept"]

_NOBODY = ["__NO_SUBSCRIBERS__"]


class Kept(NamedTuple):
    """What a database has of one user; ``None`` is nobody in particular."""

    user_id: Optional[str]
    entries: Dict[str, Entry]
    topics: Dict[str, List[str]]
    permissions: Dict[str, List[str]]


def kept(path: str) -> Iterator[Kept]:
    """What it has of each user. Of several rows with one key the last counts; what has expired does not."""
    database = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
    try:
        check = database.execute("PRAGMA quick_check(1)").fetchone()
        if check[0] != "ok":
            raise sqlite3.DatabaseError(f"database disk image is malformed: {check[0]}")
        users: Dict[Optional[str], Kept] = {}
        for table, columns in (
            ("context_items", "key, value, subscribers, ttl, created_at"),
            ("agent_topics", "agent_name, topics"),
            ("agent_permissions", "agent_name, allowed_topics"),
        ):
            known = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
            if not known:
                continue
            owner = "user_id" if "user_id" in known else "NULL"
            for user_id, *row in database.execute(f"SELECT {owner}, {columns} FROM {table} ORDER BY rowid"):
                user_id = user_id or None
                of = users.setdefault(user_id, Kept(user_id, {}, {}, {}))
                if table == "context_items":
                    of.entries.pop(row[0], None)
                    of.entries[row[0]] = _entry(*row[1:])
                elif table == "agent_topics":
                    of.topics[row[0]] = json.loads(row[1])
                else:
                    of.permissions[row[0]] = json.loads(row[1])
    finally:
        database.close()
    now = time.time()
    for of in users.values():
        live = {key: entry for key, entry in of.entries.items() if not entry.is_expired(now)}
        yield of._replace(entries=live)


def _entry(value: str, subscribers: str, ttl: Optional[float], created_at: float) -> Entry:
    audience = json.loads(subscribers) if subscribers else []
    # Numbers that are none were written then, and are nothing that JSON knows.
    text = json.dumps(json.loads(value, parse_constant=lambda _: None))
    return Entry(text, None if not audience else [] if audience == _NOBODY else audience, ttl, created_at)
