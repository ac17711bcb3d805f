"""Pages without a session: the web application, link previews and the API description."""

from __future__ import annotations

import html
import re
from urllib.parse import unquote

from legacy import fixtures
from legacy.activity import book_by_id
from legacy.exchange import Answer, Request, compact_json, text

#: The application's own paths. Each answers with the same document; the browser does the rest.
_APPLICATION = re.compile(
    r"/|/books|/books/[^/]+|/books/[^/]+/reader|/books/tags/[^/]+/[^/]+|/tastes|/histories|/search/books"
    r"|/settings|/profile|/profile/edit|/profile/passkey")

_DOCUMENT = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sample</title></head>
<body><div id="app"></div><script type="module" src="/assets/app.js"></script></body></html>
"""
_SCRIPT = b'document.getElementById("app").textContent = location.pathname;\n'


def web(request: Request) -> Answer:
    """Answers for the web host. `/books` is a page here and an API path on the other host: never merge the two."""
    if request.method not in ("GET", "HEAD"):
        return text(405, "")
    if request.raw_path == "/assets/app.js":
        return _page(200, _SCRIPT, "text/javascript", [("Cache-Control", "public, max-age=31536000, immutable")])
    if _APPLICATION.fullmatch(request.raw_path):
        return _page(200, _DOCUMENT, "text/html; charset=utf-8", [("Cache-Control", "no-cache")])
    return _page(404, b"Not Found", "text/plain; charset=utf-8")


def open_graph(request: Request) -> Answer:
    book = re.fullmatch(r"/open-graph/books/(\d{1,10})", request.raw_path)
    tag = re.fullmatch(r"/open-graph/books/tags/([^/]+)/([^/]+)", request.raw_path)
    if book:
        found = book_by_id(int(book.group(1)))
        title = found["title"] if found else None
    elif tag:
        pair = [unquote(tag.group(1)), unquote(tag.group(2))]
        title = "/".join(pair) if any(pair in one["tags"] for one in fixtures.BOOKS) else None
    else:
        title = None
    if title is None:
        return _page(404, b"Not Found", "text/plain; charset=utf-8")
    shown = html.escape(title, quote=True)
    document = (f'<!doctype html>\n<html prefix="og: https://ogp.me/ns#"><head><title>{shown}</title>'
                f'<meta property="og:title" content="{shown}"><meta property="og:type" content="website"></head></html>\n')
    return _page(200, document.encode(), "text/html; charset=utf-8")


def openapi(request: Request) -> Answer:
    if request.raw_path not in ("/openapi/", "/openapi/openapi.json"):
        return _page(404, b"Not Found", "text/plain; charset=utf-8")
    paths = {path: {} for path in ("/auth/code", "/auth/token", "/users", "/users/@me", "/books", "/books/{id}")}
    description = {"openapi": "3.0.3", "info": {"title": "Sample", "version": "2022"}, "paths": paths}
    return _page(200, compact_json(description), "application/json", [("Access-Control-Allow-Origin", "*")])


def _page(status: int, body: bytes, kind: str, headers: list[tuple[str, str]] | None = None) -> Answer:
    return Answer(status, body, [("Content-Type", kind), *(headers or [])], length_header="Content-Length")
