"""Where meshes are kept, by the paths that programs for ``syntha`` give.

``db_path`` names a small readable file that says whose it is; the data is in the directory ``<db_path>.locule`` beside it, an
encrypted file for each user. A database of ``syntha`` itself that is found there is read into it once and stays as it is. What is
neither is left alone, but for text where a database should be: that is put aside, as ``syntha`` does.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import threading
import time
from collections import OrderedDict
from typing import Any, Callable, Dict, Optional, Tuple, cast

from .._native import Space
from ..errors import ClosedError, LoculeError
from ..local import Locule
from .exceptions import SynthaPersistenceError

__all__ = ["Lease", "lease", "person_of", "prepare", "subject"]

_logger = logging.getLogger("locule")

_MARK = b"Locule context store 1\n"

_TEXT = _MARK + b"The data is in the directory of this name with .locule after it. Keep both, or remove both.\n"

_SQLITE = b"SQLite format 3\x00"

_SUFFIXES = (".db", ".sqlite", ".sqlite3")

#: What stands before an id in hexadecimal digits.
_HEX = "syntha:hex:"

#: How many installations in files are open at once, in a program that gives each user a path of their own. What one takes
#: (half a megabyte, ten open files, two threads) is given back when others are used, and taken again when it is.
_AWAKE_MAX = 32

#: Installations that have meshes in this process, and those of them that are open and may rest, the longest unused first.
_known: Dict[Tuple[Any, ...], "Installation"] = {}
_awake: "OrderedDict[Installation, None]" = OrderedDict()
_lock = threading.Lock()


def _begin_anew() -> None:
    """In a forked child locks may be held for ever, and what is open is the parent's."""
    global _lock
    _lock = threading.Lock()
    for installation in _known.values():
        installation._opening = threading.Lock()
    _known.clear()
    _awake.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


class Installation:
    """Where meshes are kept: open while it is used. A thousand meshes share one, and a thousand of them a few places."""

    def __init__(self, key: Tuple[Any, ...], make: Callable[[], Locule], rests: bool) -> None:
        self._key, self._make, self._rests = key, make, rests
        self._opening = threading.Lock()
        self._app: Optional[Locule] = None
        self._meshes = 0
        #: How many are using it just now: it does not rest meanwhile.
        self._uses = 0
        self._is_over = False

    def enter(self) -> Locule:
        """It, open until :meth:`leave`."""
        with _lock:
            self._uses += 1
            app = self._app
            if self in _awake:
                _awake.move_to_end(self)
        if app is not None:
            return app
        try:
            return self._wake()
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """It may rest."""
        with _lock:
            self._uses -= 1

    def _wake(self) -> Locule:
        with self._opening:
            if self._app is not None:
                return self._app
            if self._is_over:
                raise ClosedError("This mesh was closed: make another.", code="closed")
            app = self._make()
            with _lock:
                self._app = app
                if self._rests:
                    _awake[self] = None
                tired = [other for other in _awake if other._uses == 0][: max(0, len(_awake) - _AWAKE_MAX)]
                put_to_rest = [other._let_go() for other in tired]
        for other in put_to_rest:
            # What it has acknowledged is on disk. If it cannot be tidied up, that is nothing to whoever opens another.
            try:
                other.close()
            except LoculeError:
                _logger.warning("a place where meshes are kept could not be closed", exc_info=True)
        return app

    def _let_go(self) -> Locule:
        app, self._app = self._app, None
        _awake.pop(self, None)
        assert app is not None
        return app

    def end_one(self) -> None:
        """One mesh less. With the last of them it is closed."""
        with self._opening:
            with _lock:
                self._meshes -= 1
                if self._meshes > 0:
                    return
                self._is_over = True
                if _known.get(self._key) is self:
                    del _known[self._key]
                app = None if self._app is None else self._let_go()
        if app is not None:
            app.close()


class Lease:
    """An installation that is there for as long as somebody uses it."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    @property
    def app(self) -> Locule:
        """The installation itself, of one that does not rest; of others see :meth:`space`."""
        app = self._installation.enter()
        self._installation.leave()
        return app

    def space(self, name: str) -> Space:
        """The space of somebody whom the engine calls so, with the calls of the native one."""
        return cast(Space, _Space(self._installation, name))

    def end(self) -> None:
        """Closes it, if nobody else uses it."""
        self._installation.end_one()


class _Space:
    """A space in an installation that may have to be opened first."""

    def __init__(self, installation: Installation, name: str) -> None:
        self._installation = installation
        self._name = name
        self._opened: Optional[Tuple[Locule, Space]] = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*given: Any) -> Any:
            app = self._installation.enter()
            try:
                opened = self._opened
                if opened is None or opened[0] is not app:
                    opened = self._opened = (app, app._context(self._name))
                return getattr(opened[1], name)(*given)
            finally:
                self._installation.leave()

        setattr(self, name, call)
        return call


def lease(key: Tuple[Any, ...], make: Callable[[], Locule], rests: bool = False) -> Lease:
    """The installation of this key, opened if it is not. One that ``rests`` is closed while many others are used."""
    with _lock:
        installation = _known.setdefault(key, Installation(key, make, rests))
        installation._meshes += 1
    held = Lease(installation)
    try:
        installation.enter()
    except BaseException:
        held.end()
        raise
    installation.leave()
    return held


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
