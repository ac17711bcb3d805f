"""Odd answers for byte comparisons: the same request, once directly to the sample and once through the edge.

Open only with LEGACY_WIRE=1. A client selects an answer by path, `/wire/NAME`, or on any path by the request
header `x-wire: NAME`, so that odd paths and routes without a session can be compared too.

  echo                 the request as received: raw head, then the body (chunks joined)
  echo.json            the same in parts: {"line", "target", "headers": [[name, value]…], "trailers", "body_base64"}
  seen                 {"total": n, "requests": [{"line", "target", "headers"}…]}; ?last=N (10) &containing=TEXT;
                       DELETE clears. Requests to /wire/seen itself are not counted
  headers              odd case, duplicates, an empty value, Latin-1, reserved names
  cookies              five Set-Cookie lines with odd attributes
  status/CODE/REASON   that status line with a short body; REASON may hold spaces (%20 in a path) or be empty
  no-content           204 without a length
  not-modified         304 with an ETag
  chunked              three chunks, no length
  gzip                 a gzip body with content-encoding
  range                1000 bytes, with Range support
  bytes/N              N bytes of a fixed pattern with a length, at most 1 GiB
  upload               {"length", "sha256"} of the request's body
  slow/N/MILLISECONDS  N chunks with a pause before each
  close                an answer with `Connection: close`
  truncated            promises 100 bytes, sends 10, and closes
  abort                closes without an answer
  raw                  writes the request's body to the socket unchanged and closes: any answer (no Date,
                       trailers, HTTP/1.0, bare line feeds) that a WSGI server would not send
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import socket
import time
from typing import Iterator
from urllib.parse import unquote

from legacy import recorder
from legacy.activity import ConnectionAborted
from legacy.exchange import Answer, Request, compact_json
from legacy.files import ranged

BYTES_LIMIT = 1024 * 1024 * 1024
ECHO_LIMIT = 16 * 1024 * 1024
_PIECE = 64 * 1024
#: 251 is prime, so that a lost or duplicated power-of-two block changes the hash.
_PATTERN = bytes(index % 251 for index in range(251 * 512))


def wanted(request: Request) -> str | None:
    """Returns the name of the requested answer, if there is one."""
    name = request.header("x-wire")
    if name is not None:
        return name
    if request.raw_path.startswith("/wire/"):
        return unquote(request.raw_path[len("/wire/"):])
    return None


def answer(request: Request, name: str) -> Answer:
    head, _, rest = name.partition("/")
    handlers = {
        "echo": _echo, "echo.json": _echo_json, "seen": _seen, "headers": _headers, "cookies": _cookies,
        "status": _status, "no-content": _no_content, "not-modified": _not_modified, "chunked": _chunked,
        "gzip": _gzip, "range": _range, "bytes": _bytes, "upload": _upload, "slow": _slow, "close": _close,
        "truncated": _truncated, "abort": _abort, "raw": _raw,
    }
    handler = handlers.get(head)
    if handler is None:
        return _plain(404, f"no wire answer is called {name}; there are: {', '.join(handlers)}".encode())
    try:
        return handler(request, rest)
    except ValueError as error:
        return _plain(400, str(error).encode())


def _plain(status: int, body: bytes, headers: list[tuple[str, str]] | None = None) -> Answer:
    return Answer(status, body, [("Content-Type", "text/plain"), *(headers or [])], length_header="Content-Length")


def _json(value) -> Answer:
    return Answer(200, compact_json(value), [("Content-Type", "application/json")], length_header="Content-Length")


def _echo(request: Request, _: str) -> Answer:
    body = request.body(ECHO_LIMIT)
    return Answer(200, request.head.raw() + body, [("Content-Type", "application/octet-stream")],
                  length_header="Content-Length")


def _shown(head: recorder.Head) -> dict:
    return {"line": head.line.decode("latin-1"), "target": head.target(), "headers": head.pairs()}


def _echo_json(request: Request, _: str) -> Answer:
    body = base64.b64encode(request.body(ECHO_LIMIT)).decode()
    return _json({**_shown(request.head), "trailers": request.head.trailer_pairs(), "body_base64": body})


def _seen(request: Request, _: str) -> Answer:
    if request.method == "DELETE":
        recorder.forget()
        return Answer(204)
    containing = (request.query_value("containing") or "").encode()
    total, heads = recorder.seen(int(request.query_value("last") or 10), containing)
    return _json({"total": total, "requests": [_shown(head) for head in heads]})


def _headers(request: Request, _: str) -> Answer:
    return _plain(200, b"odd headers\n", [
        ("X-PoWeReD-bY", "Legacy"), ("x-dup", "1"), ("X-Dup", "2"), ("X-DUP", "3"), ("x-dup", "1"),
        ("ETag", 'W/"odd, value"'), ("X-Empty", ""), ("X-Inner-Space", "a  b\tc"), ("X-Latin", "caf\xe9"),
        ("Vary", "Accept"), ("vary", "Cookie"), ("WWW-Authenticate", 'Basic realm="a", Bearer'), ("Via", "1.1 old"),
        ("Link", "</a>; rel=preload"), ("Link", "</b>; rel=preload"), ("X-Madome-Access-Token-Expires", "1700000000"),
        ("x-request-id", "from-the-backend"), ("X-Envoy-Upstream-Service-Time", "7"), ("X_Under_Score", "kept"),
        ("Content-Language", "en"), ("P3P", 'CP="odd"'), ("Expires", "-1"), ("Age", "0"), ("!#$%&'*+.^`|~", "token"),
    ])


def _cookies(request: Request, _: str) -> Answer:
    return _plain(200, b"five cookies\n", [
        ("Set-Cookie", "a=1; Path=/; HttpOnly"),
        ("set-cookie", "a=2; path=/; httponly; SameSite=lax"),
        ("SET-COOKIE", 'quoted="x y, z"; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Secure'),
        ("Set-Cookie", "empty=;Max-Age=0;Odd-Attribute;  Domain=.dev-domain.test"),
        ("Set-cookie", "no-equals-sign; Priority=High; Partitioned"),
    ])


def _status(request: Request, rest: str) -> Answer:
    code, _, reason = rest.partition("/")
    result = _plain(int(code), f"status {code}\n".encode())
    result.reason = reason
    return result


def _no_content(request: Request, _: str) -> Answer:
    return Answer(204, headers=[("X-Nothing", "here")])


def _not_modified(request: Request, _: str) -> Answer:
    return Answer(304, headers=[("ETag", '"same"'), ("Cache-Control", "private")])


def _chunked(request: Request, _: str) -> Answer:
    return Answer(200, headers=[("Content-Type", "text/plain")], pieces=[b"first,", b"second,", b"third\n"])


def _gzip(request: Request, _: str) -> Answer:
    body = gzip.compress(b"squeezed " * 1000, mtime=0)
    return Answer(200, body, [("Content-Type", "text/plain"), ("Content-Encoding", "gzip"),
                              ("Vary", "Accept-Encoding")], length_header="Content-Length")


def _range(request: Request, _: str) -> Answer:
    return ranged(request, _PATTERN[:1000], "application/octet-stream")


def _bytes(request: Request, rest: str) -> Answer:
    count = int(rest)
    if not 0 <= count <= BYTES_LIMIT:
        raise ValueError(f"bytes/{count}: from 0 to {BYTES_LIMIT}")
    headers = [("Content-Type", "application/octet-stream"), ("Content-Length", str(count))]
    return Answer(200, headers=headers, pieces=_pattern(count))


def _pattern(count: int) -> Iterator[bytes]:
    whole, rest = divmod(count, len(_PATTERN))
    for _ in range(whole):
        yield _PATTERN
    yield _PATTERN[:rest]


def _upload(request: Request, _: str) -> Answer:
    digest, length, body = hashlib.sha256(), 0, request.environ["wsgi.input"]
    while True:
        piece = body.read(_PIECE)
        if not piece:
            return _json({"length": length, "sha256": digest.hexdigest()})
        digest.update(piece)
        length += len(piece)


def _slow(request: Request, rest: str) -> Answer:
    count, pause = (int(part) for part in rest.split("/"))
    if not (0 <= count <= 1000 and 0 <= pause <= 10_000):
        raise ValueError(f"slow/{rest}: at most 1000 chunks and 10000 ms before each")

    def pieces() -> Iterator[bytes]:
        for number in range(count):
            time.sleep(pause / 1000)
            yield f"chunk {number}\n".encode()

    return Answer(200, headers=[("Content-Type", "text/plain")], pieces=pieces())


def _close(request: Request, _: str) -> Answer:
    recorder.close_after_this()
    return _plain(200, b"closing\n")


def _truncated(request: Request, _: str) -> Answer:
    recorder.close_after_this()

    def pieces() -> Iterator[bytes]:
        yield b"0123456789"
        request.environ["gunicorn.socket"].shutdown(socket.SHUT_RDWR)

    return Answer(200, headers=[("Content-Length", "100")], pieces=pieces())


def _abort(request: Request, _: str) -> Answer:
    raise ConnectionAborted


def _raw(request: Request, _: str) -> Answer:
    request.environ["gunicorn.socket"].sendall(request.body(ECHO_LIMIT))
    raise ConnectionAborted
