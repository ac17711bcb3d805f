"""The old file host: pages of books as images, by byte range on request."""

from __future__ import annotations

import re
import struct
import zlib

from legacy.activity import book_by_id
from legacy.exchange import Answer, Request, compact_json, text
from legacy.gate import Gate, NotSignedIn, Unreachable

LAST_MODIFIED = "Mon, 31 Jan 2022 17:12:00 GMT"


class Files:
    def __init__(self, gate: Gate, host: str) -> None:
        self._gate = gate
        self._host = host

    def answer(self, request: Request) -> Answer:
        if request.header("x-madome-public-access") is not None:
            try:
                self._gate.user(request)
            except NotSignedIn as denied:
                return text(denied.status, "Unauthenticated" if denied.status == 401 else denied.text)
            except Unreachable as error:
                return text(500, str(error))
        if request.method not in ("GET", "HEAD"):
            return text(405, "")
        # `/v1` is the older spelling; both are served, neither redirects.
        found = re.fullmatch(r"(?:/v1)?/image/library/(\d{1,9})/([a-z0-9_]+)(?:\.(png|txt))?", request.raw_path)
        book = book_by_id(int(found.group(1))) if found else None
        if book is None:
            return text(404, "")
        name, extension = found.group(2), found.group(3)
        names = ["thumbnail.png", *(f"{page}.png" for page in range(1, book["page"] + 1))]
        if name == "image_list":
            if extension == "txt":
                lines = "".join(f"http://{self._host}/v1/image/library/{book['id']}/{one}\n" for one in names)
                return ranged(request, lines.encode(), "text/plain")
            return Answer(200, compact_json(names), [("Content-Type", "application/json")],
                          length_header="Content-Length")
        if f"{name}.png" not in names or extension == "txt":
            return text(404, "")
        shade = book["id"] * 7 + (0 if name == "thumbnail" else int(name)) * 31
        return ranged(request, _png(shade % 256), "image/png")


def ranged(request: Request, data: bytes, kind: str) -> Answer:
    """Answers 200 with all data, 206 with one range, 416 when the range lies outside. Several ranges: all data."""
    headers = [("Accept-Ranges", "bytes"), ("Content-Type", kind), ("Last-Modified", LAST_MODIFIED),
               ("Cache-Control", "private,max-age=1209600"), ("ETag", f'"{zlib.crc32(data):08x}"')]
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", request.header("range") or "")
    if found is None or found.group(0) == "bytes=-":
        return Answer(200, data, headers, length_header="Content-Length")
    if found.group(1):
        start, end = int(found.group(1)), min(int(found.group(2) or len(data)), len(data) - 1)
    else:
        start, end = max(len(data) - int(found.group(2)), 0), len(data) - 1
    if start > end:
        return Answer(416, b"", [*headers, ("Content-Range", f"bytes */{len(data)}")], length_header="Content-Length")
    headers.append(("Content-Range", f"bytes {start}-{end}/{len(data)}"))
    return Answer(206, data[start : end + 1], headers, length_header="Content-Length")


def _png(shade: int) -> bytes:
    """Returns a grey square of 64 by 64 with a diagonal, so that no two pages are the same."""
    rows = b"".join(
        b"\0" + bytes((shade + 97) % 256 if column == row else shade for column in range(64)) for row in range(64))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")
