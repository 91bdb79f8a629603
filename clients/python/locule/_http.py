"""HTTP to one server, with what Python brings: connections that are kept and shared by threads, and errors by their codes.

Redirects are not followed, so that a credential goes nowhere but to the server it was given for.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import socket
import ssl
import threading
import weakref
from typing import BinaryIO, List, Optional
from urllib.parse import quote, urlsplit

from .errors import InvalidError, LoculeError, from_code

__all__ = ["Http", "Stream", "path"]

#: How many connections are kept while nobody uses them.
_IDLE = 32

_CHUNK = 1 << 16

#: How long an answer that goes on may be silent, at least: the server says something every 15 seconds.
_SILENT_S = 45.0


class Http:
    """One server, and the credential it is asked with."""

    def __init__(self, url: str, token: str, timeout_s: float, ssl_context: Optional[ssl.SSLContext]) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
            raise InvalidError("The address is http(s)://host:port, with a path before `/api` if there is one.", code="invalid")
        if not token.isascii() or not token.isprintable():
            raise InvalidError("The token has characters that no token has.", code="invalid")
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._tls = (ssl_context or ssl.create_default_context()) if parts.scheme == "https" else None
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._timeout_s = timeout_s
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._idle: List[http.client.HTTPConnection] = []
        self._streams: "weakref.WeakSet[Stream]" = weakref.WeakSet()

    def ask(self, method: str, path: str, body: Optional[str] = None, *, repeatable: bool = False) -> str:
        """The answer's body, or the error it tells."""
        connection, response = self._send(method, path, body, repeatable or method == "GET")
        try:
            text = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _unreachable(error) from error
        self._give_back(connection, response)
        if not 200 <= response.status < 300:
            raise _problem(response, text)
        return text

    def download(self, path: str, file: BinaryIO) -> bytes:
        """Writes an answer to a file as it comes; hands back how it begins."""
        connection, response = self._send("GET", path, None, True)
        try:
            if response.status != 200:
                raise _problem(response, response.read().decode())
            head = chunk = response.read(_CHUNK)
            while chunk:
                file.write(chunk)
                chunk = response.read(_CHUNK)
        except LoculeError:  # Some of them are OSErrors to Python, and none of these is the network's.
            raise
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(error) from error
        finally:
            connection.close()
        return head

    def stream(self, path: str) -> "Stream":
        """An answer that goes on, on a connection of its own."""
        if self._closed:
            raise _closed()
        if self._process != os.getpid():
            self._start()
        connection = self._connect(max(self._timeout_s, _SILENT_S))
        try:
            connection.request("GET", self._base + path, None, {**self._headers, "Accept": "text/event-stream"})
            raw = connection.sock
            response = connection.getresponse()
            if response.status != 200:
                raise _problem(response, response.read().decode())
        except LoculeError:
            connection.close()
            raise
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _unreachable(error) from error
        stream = Stream(connection, raw, response)
        with self._lock:
            self._streams.add(stream)
        if self._closed:
            stream.end()
        return stream

    def close(self) -> None:
        self._closed = True
        if self._process == os.getpid():
            with self._lock:
                idle, self._idle = self._idle, []
                streams = list(self._streams)
            for connection in idle:
                connection.close()
            for stream in streams:
                stream.end()

    def _send(
        self, method: str, path: str, body: Optional[str], repeatable: bool
    ) -> "tuple[http.client.HTTPConnection, http.client.HTTPResponse]":
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        while True:
            connection, kept = self._take()
            try:
                connection.request(method, self._base + path, None if body is None else body.encode(), headers)
                return connection, connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # A kept connection may have been closed at the very moment. Only what changes nothing is asked again.
                if not (kept and repeatable and isinstance(error, (ConnectionError, http.client.RemoteDisconnected))):
                    raise _unreachable(error) from error

    def _take(self) -> "tuple[http.client.HTTPConnection, bool]":
        """A connection, and whether it was kept from before."""
        if self._closed:
            raise _closed()
        if self._process != os.getpid():
            # A forked child speaks on connections of its own; the parent's lock may be held here for ever.
            self._start()
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connect(self._timeout_s), False
            if not _is_over(connection):
                return connection, True
            connection.close()

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=self._tls)

    def _give_back(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        if response.will_close or self._process != os.getpid():
            connection.close()
            return
        with self._lock:
            if not self._closed and len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()


def path(named: List[str], rest: str, id: str = "") -> str:
    """Where it is. Whoever is named stands in the path, and the server decides whether that may be."""
    user = quote(named[0], safe="") if named else "me"
    return f"/api/{user}{rest}{quote(id, safe='')}"


class Stream:
    """An answer that goes on."""

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        raw: socket.socket,
        response: http.client.HTTPResponse,
    ) -> None:
        self._connection, self._raw, self._response = connection, raw, response
        self._process = os.getpid()

    def is_inherited(self) -> bool:
        """Whether it is the stream of the process that this one was forked from."""
        return self._process != os.getpid()

    def read(self) -> bytes:
        """What comes next, as soon as something does; nothing at its end. If it breaks off that is a ``TemporaryError``."""
        try:
            return self._response.read1(_CHUNK)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _unreachable(error) from error

    def end(self) -> None:
        """Ends it from another thread: whoever reads it hears of its end."""
        if self.is_inherited():
            return
        with contextlib.suppress(OSError):
            # The connection itself, and not what TLS would still have to say: somebody is reading from that.
            socket.socket.shutdown(self._raw, socket.SHUT_RDWR)

    def close(self) -> None:
        """For whoever reads it, when they are done."""
        self._response.close()
        self._connection.close()


def _closed() -> LoculeError:
    return from_code("closed", "This client was closed. Make another.")


def _is_over(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed it: something to read, where nothing was asked, is the end."""
    if connection.sock is None:
        return True
    waiting = select.poll()
    waiting.register(connection.sock, select.POLLIN)
    return bool(waiting.poll(0))


def _unreachable(error: Exception) -> LoculeError:
    return from_code("unreachable", f"The server cannot be reached, or did not answer: {error}.")


def _problem(response: http.client.HTTPResponse, text: str) -> LoculeError:
    request_id = response.headers.get("x-request-id")
    if response.status in (414, 431):
        return from_code("too_large", "A name is too long to stand in an address: use a shorter one.", request_id=request_id)
    try:
        problem = json.loads(text)
        code, detail = str(problem["code"]), str(problem["detail"])
        retry_after_s = problem.get("retry_after")
    except (ValueError, KeyError, TypeError, AttributeError):
        detail = f"Something that is not Locule answered: {response.status} {response.reason}. Is the address right?"
        return from_code("unexpected_answer", detail, request_id=request_id)
    return from_code(code, detail, retry_after_s, request_id=request_id)
