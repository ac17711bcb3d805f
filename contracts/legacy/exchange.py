"""Request and answer of all old services."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Iterable
from urllib.parse import parse_qsl

from legacy import recorder

#: The largest JSON body that is read: koa-bodyparser's limit.
JSON_BODY_BYTES = 1024 * 1024

_REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 206: "Partial Content", 302: "Found", 304: "Not Modified",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 413: "Content Too Large", 416: "Range Not Satisfiable", 429: "Too Many Requests",
    500: "Internal Server Error",
}


class BadRequest(Exception):
    """The request is malformed; the text is for the client."""


@dataclass
class Request:
    environ: dict
    head: recorder.Head
    _body: bytes | None = None

    @property
    def method(self) -> str:
        return self.environ["REQUEST_METHOD"]

    @property
    def raw_path(self) -> str:
        """Returns the path as sent: not decoded, not normalised."""
        target = self.head.target()
        if not target.startswith("/"):  # absolute form
            target = "/" + target.partition("://")[2].partition("/")[2]
        return target.partition("?")[0]

    @property
    def host(self) -> str:
        return self.environ.get("HTTP_HOST", "").partition(":")[0].lower()

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.environ.get("QUERY_STRING", ""), keep_blank_values=True)

    def query_value(self, name: str) -> str | None:
        return next((value for key, value in self.query if key == name), None)

    def header(self, name: str) -> str | None:
        """Returns the value of the first line; later lines of the same name are ignored."""
        values = self.head.values(name)
        return values[0] if values else None

    def cookies(self) -> dict[str, str]:
        """Parses only the first `Cookie` line. A value ends at the second `=`; of equal names the last one wins."""
        found = {}
        for piece in (self.header("cookie") or "").split(";"):
            parts = piece.split("=")
            if len(parts) > 1:
                found[parts[0].strip()] = parts[1]
        return found

    def body(self, limit: int = JSON_BODY_BYTES) -> bytes:
        """Returns the whole body. It is read once and then remembered."""
        if self._body is not None:
            return self._body
        data = self.environ["wsgi.input"].read(limit + 1)
        if len(data) > limit:
            raise BadRequest("request entity too large")
        self._body = data
        return data

    def json(self) -> Any:
        return json.loads(self.body() or b"null")


@dataclass
class Answer:
    """An answer. The case of the header names and the order of the headers are kept."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    reason: str | None = None
    #: Sent piece by piece instead of `body`; chunked unless the headers carry a length.
    pieces: Iterable[bytes] | None = None
    length_header: str = "content-length"

    def status_line(self) -> str:
        reason = self.reason if self.reason is not None else _REASONS.get(self.status, "")
        return f"{self.status} {reason}"

    def all_headers(self) -> list[tuple[str, str]]:
        if self.pieces is not None or self.status in (204, 304):
            return self.headers
        return [*self.headers, (self.length_header, str(len(self.body)))]


def text(status: int, body: str) -> Answer:
    """Returns a refusal of auth and users: bare text, no content type, no line end."""
    return Answer(status, body.encode())


def empty(status: int, headers: list[tuple[str, str]] | None = None) -> Answer:
    return Answer(status, b"", headers or [])


def compact_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def json_object(request: Request) -> dict:
    """Parses a JSON object. The user service requires the content type."""
    kind = request.header("content-type") or ""
    if not kind.startswith("application/json"):
        raise BadRequest(f"Not supported content-type: {kind}")
    try:
        body = request.json()
    except ValueError as error:
        if request.body().strip() == b"{":
            raise BadRequest("Json deserialize: EOF while parsing an object at line 1 column 1") from error
        raise BadRequest(f"Json deserialize: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("Json deserialize: invalid type, expected a map")
    return body


def place(raw: bytes, read: int) -> str:
    """Returns the place as the old parser wrote it: after `read` bytes."""
    line, column = raw.count(b"\n", 0, read) + 1, read - (raw.rfind(b"\n", 0, read) + 1)
    return f" at line {line} column {column}"
