"""Records the head of every request exactly as received.

WSGI upper-cases header names, joins repeated lines with a comma and decodes the path. Tests that compare
bytes need the original head, and so does the sample itself: the old services read only the first `Cookie`
line. So this module extends the server's parser to keep the bytes it parses.

It cannot show chunk boundaries and chunk extensions (the body arrives decoded).
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from gunicorn import util
from gunicorn.http import parser, wsgi
from gunicorn.http.message import Request as ParsedRequest

#: How many heads /wire/seen can show; the oldest is dropped first.
SEEN_LIMIT = 1000

FROZEN_DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@dataclass
class Head:
    """A request's head, byte for byte, without line ends."""

    line: bytes = b""
    fields: list[bytes] = field(default_factory=list)
    trailers: list[bytes] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """Returns every value sent under `name`, in order, one for each line."""
        wanted = name.lower()
        return [value for key, value in self.pairs() if key.lower() == wanted]

    def pairs(self) -> list[tuple[str, str]]:
        return [_pair(line) for line in self.fields]

    def trailer_pairs(self) -> list[tuple[str, str]]:
        return [_pair(line) for line in self.trailers]

    def target(self) -> str:
        return self.line.decode("latin-1").split(" ", 2)[1]

    def raw(self) -> bytes:
        return b"".join(line + b"\r\n" for line in [self.line, *self.fields]) + b"\r\n"


def _pair(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name, value.strip(" \t")


class RememberingRequest(ParsedRequest):
    """The server's request, with the bytes it was parsed from."""

    def __init__(self, *args, **kwargs):
        # The parent class parses in its constructor.
        self.head = Head()
        super().__init__(*args, **kwargs)

    def parse_request_line(self, line_bytes):
        self.head.line = bytes(line_bytes)
        super().parse_request_line(line_bytes)

    def parse_headers(self, data, from_trailer=False):
        lines = bytes(data).split(b"\r\n") if data else []
        if from_trailer:
            self.head.trailers = lines
        else:
            self.head.fields = lines
        return super().parse_headers(data, from_trailer)


_current = threading.local()
_seen: deque[Head] = deque(maxlen=SEEN_LIMIT)
_lock = threading.Lock()
_total = 0


def install(frozen_date: bool) -> None:
    """Makes the server record heads. A frozen `Date` shows whether a proxy replaces it."""
    parser.RequestParser.mesg_class = RememberingRequest
    lines = wsgi.Response.default_headers
    # The old services did not name their server.
    wsgi.Response.default_headers = lambda self: [one for one in lines(self) if not one.startswith("Server:")]
    if frozen_date:
        util.http_date = lambda timestamp=None: FROZEN_DATE


def begin(req: RememberingRequest) -> None:
    """Runs on the thread of the application, just before the application."""
    global _total
    _current.head = req.head
    _current.parsed = req
    if not req.head.target().startswith("/wire/seen"):
        with _lock:
            _seen.append(req.head)
            _total += 1


def current() -> Head:
    """Returns the head of the request that this thread is answering."""
    return _current.head


def close_after_this() -> None:
    """Closes the connection after the answer, which then carries `Connection: close`."""
    _current.parsed.force_close()


def seen(last: int, containing: bytes) -> tuple[int, list[Head]]:
    """Returns the number of all requests, and the newest heads that contain the bytes."""
    with _lock:
        heads = [head for head in _seen if containing in head.raw()]
        return _total, heads[-last:] if last > 0 else []


def forget() -> None:
    global _total
    with _lock:
        _seen.clear()
        _total = 0
