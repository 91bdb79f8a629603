"""HTTP to one server, with what Python brings: connections that are kept and shared by threads, and errors by their codes.

Redirects are not followed, so that a credential goes nowhere but to the server it was given for.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import ssl
import threading
from typing import BinaryIO, List, Optional
from urllib.parse import urlsplit

from .errors import InvalidError, LoculeError, from_code

__all__ = ["Http"]

#: How many connections are kept while nobody uses them.
_IDLE = 32

_CHUNK = 1 << 16


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
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(error) from error
        finally:
            connection.close()
        return head

    def close(self) -> None:
        self._closed = True
        if self._process == os.getpid():
            with self._lock:
                idle, self._idle = self._idle, []
            for connection in idle:
                connection.close()

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
            raise from_code("closed", "This client was closed. Make another.")
        if self._process != os.getpid():
            # A forked child speaks on connections of its own; the parent's lock may be held here for ever.
            self._start()
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connect(), False
            if not _is_over(connection):
                return connection, True
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)

    def _give_back(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        if response.will_close or self._process != os.getpid():
            connection.close()
            return
        with self._lock:
            if not self._closed and len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()


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
    try:
        problem = json.loads(text)
        code, detail = str(problem["code"]), str(problem["detail"])
        retry_after_s = problem.get("retry_after")
    except (ValueError, KeyError, TypeError, AttributeError):
        detail = f"Something that is not Locule answered: {response.status} {response.reason}. Is the address right?"
        return from_code("unexpected_answer", detail, request_id=request_id)
    return from_code(code, detail, retry_after_s, request_id=request_id)
