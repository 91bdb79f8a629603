"""Where meshes are kept, by the paths that programs for ``syntha`` give.

``db_path`` names a small readable file that says whose it is; the data is in the directory ``<db_path>.locule`` beside it, an
encrypted file for each user. A database of ``syntha`` itself that is found there is read into it once and stays as it is. What is
neither is left alone, but for text where a database should be: that is put aside, as ``syntha`` does.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ..local import Locule
from .exceptions import SynthaPersistenceError

__all__ = ["Lease", "lease", "person_of", "prepare", "subject"]

_MARK = b"Locule context store 1\n"

_TEXT = _MARK + b"The data is in the directory of this name with .locule after it. Keep both, or remove both.\n"

_SQLITE = b"SQLite format 3\x00"

_SUFFIXES = (".db", ".sqlite", ".sqlite3")

#: What stands before an id in hexadecimal digits.
_HEX = "syntha:hex:"

#: Installations that are open in this process, and how many meshes use each: a thousand meshes share one.
_open: Dict[Tuple[Any, ...], List[Any]] = {}
_lock = threading.Lock()
_process = os.getpid()


class Lease:
    """An installation that is open for as long as somebody uses it."""

    def __init__(self, key: Tuple[Any, ...], app: Locule) -> None:
        self._key = key
        self.app = app

    def end(self) -> None:
        """Closes it, if nobody else uses it."""
        with _held():
            used = _open.get(self._key)
            if used is None or used[0] is not self.app:
                return
            used[1] -= 1
            if used[1] > 0:
                return
            del _open[self._key]
        self.app.close()


@contextlib.contextmanager
def _held() -> Iterator[None]:
    global _lock, _open, _process
    if _process != os.getpid():
        # In a forked child the lock may be held for ever, and what is open is the parent's.
        _lock, _open, _process = threading.Lock(), {}, os.getpid()
    with _lock:
        yield


def lease(key: Tuple[Any, ...], make: Callable[[], Locule]) -> Lease:
    """The installation of this key, opened if it is not."""
    with _held():
        if key not in _open:
            _open[key] = [make(), 0]
        _open[key][1] += 1
        return Lease(key, _open[key][0])


def subject(user_id: Optional[str]) -> str:
    """Whose space it is, as the engine calls them: a user by their id, if it can be one there; else by a name that is made of it,
    and that no other id can have. Nobody in particular has a name of their own."""
    if user_id is None:
        return "syntha:anonymous"
    plain = (
        not user_id.startswith("syntha:")
        and user_id not in ("me", ".", "..")
        and user_id == user_id.strip()
        and user_id.isprintable()
        and user_id.isascii()
        and len(user_id) <= 200
    )
    if plain:
        return user_id
    raw = user_id.encode("utf-8", "surrogatepass")
    if len(raw) <= 100:
        return f"{_HEX}{raw.hex()}"
    import hashlib

    return f"syntha:sha256:{hashlib.sha256(raw).hexdigest()}"


def person_of(name: str) -> str:
    """The id of a user whom the engine calls so. A very long id is not found out again, and is told as that name."""
    if name.startswith(_HEX):
        return bytes.fromhex(name[len(_HEX) :]).decode("utf-8", "surrogatepass")
    return name


def prepare(path: str) -> Tuple[str, Optional[str]]:
    """Sees to what is at a path: the data directory, and a database of ``syntha`` that is to be read into it."""
    data = f"{path}.locule"
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        _mark(path)
        return data, None
    except OSError as error:
        raise sqlite3.OperationalError(f"unable to open database file: {error.strerror}") from error
    try:
        regular = stat.S_ISREG(os.fstat(handle).st_mode)
        head = os.read(handle, len(_MARK)) if regular else b""
    finally:
        os.close(handle)
    if head.startswith(_MARK):
        return data, None
    if head.startswith(_SQLITE):
        return data, path
    if not regular or (head and not path.endswith(_SUFFIXES)):
        raise SynthaPersistenceError(f"There is something else at {path}, and it is left as it is", backend="sqlite")
    if head:
        os.rename(path, f"{path}.corrupted.{int(time.time())}")
    else:
        os.unlink(path)
    _mark(path)
    return data, None


def _mark(path: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise sqlite3.OperationalError(f"unable to open database file: {error.strerror}") from error
    with os.fdopen(handle, "wb") as file:
        file.write(_TEXT)
        file.flush()
        os.fsync(file.fileno())
