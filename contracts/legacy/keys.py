"""The signing keys of the old sessions: in Redis as in the old product, or in this process.

A key has the name LEGACY_SESSIONS_PREFIX + session id, and no expiry. Deleting it ends the session for all who verify
by it: this sample, the edge, and a new auth service.
"""

from __future__ import annotations

import os
import socket
import threading
from urllib.parse import unquote, urlsplit

#: A Redis on the same machine answers within a millisecond.
TIMEOUT_SECONDS = 2.0


class Memory:
    """Keys in this process: a restart ends all sessions."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}
        self._lock = threading.Lock()

    def set(self, session: str, key: str) -> None:
        with self._lock:
            self._keys[session] = key

    def get(self, session: str) -> str | None:
        with self._lock:
            return self._keys.get(session)

    def delete(self, session: str) -> bool:
        with self._lock:
            return self._keys.pop(session, None) is not None


class Redis:
    """Keys in Redis (RESP2), with one connection for each thread."""

    def __init__(self, url: str, prefix: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "redis" or not parts.hostname:
            raise ValueError("LEGACY_SESSIONS_REDIS is not a Redis address: set one like redis://127.0.0.1:6379")
        self._address = (parts.hostname, parts.port or 6379)
        self._password = unquote(parts.password) if parts.password else None
        self._database = parts.path.strip("/")
        self._prefix = prefix
        self._local = threading.local()

    def set(self, session: str, key: str, seconds: int | None = None) -> None:
        life = () if seconds is None else ("EX", str(seconds))
        self._command("SET", self._prefix + session, key, *life)

    def get(self, session: str) -> str | None:
        return self._command("GET", self._prefix + session)

    def delete(self, session: str) -> bool:
        return self._command("DEL", self._prefix + session) == 1

    def _command(self, *words: str):
        # A connection that Redis closed meanwhile is opened once more. All three commands can be repeated, but the
        # first DEL may have counted.
        if getattr(self._local, "stream", None) is not None:
            try:
                return self._send(words)
            except OSError:
                self._local.stream = None
                if words[0] == "DEL":
                    raise
        connection = socket.create_connection(self._address, TIMEOUT_SECONDS)
        self._local.stream = connection.makefile("rwb")
        if self._password is not None:
            self._send(("AUTH", self._password))
        if self._database:
            self._send(("SELECT", self._database))
        return self._send(words)

    def _send(self, words: tuple[str, ...]):
        stream = self._local.stream
        encoded = [word.encode() for word in words]
        stream.write(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))
        stream.flush()
        line = stream.readline()
        if not line:
            raise ConnectionResetError("Redis closed the connection")
        kind, rest = line[:1], line[1:].strip()
        if kind == b"-":
            raise RuntimeError(f"Redis: {rest.decode()}")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else stream.read(length + 2)[:-2].decode()
        return rest.decode()


def of_codes() -> Redis | None:
    """Returns where login codes are shared with a new auth service: the name of one is the prefix, ADDRESS:CODE."""
    url, prefix = os.environ.get("LEGACY_SESSIONS_REDIS"), os.environ.get("LEGACY_CODES_PREFIX")
    return Redis(url, prefix) if url and prefix else None


def from_environment() -> Memory | Redis:
    url = os.environ.get("LEGACY_SESSIONS_REDIS")
    return Redis(url, os.environ.get("LEGACY_SESSIONS_PREFIX", "")) if url else Memory()
