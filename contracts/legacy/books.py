"""The old library: tolerant where the other services are exact, JSON errors, mixed-case header names.

It ignores case and a trailing slash and decodes percent-encoding, so one book has many addresses. An edge that
compares other spellings than this service can be bypassed.
"""

from __future__ import annotations

import html
import random
import re
import threading
from urllib.parse import quote, unquote

from legacy import fixtures
from legacy.booktext import InvalidSearch, begins, matches, new_book, parsed, rank, wanted, words
from legacy.exchange import Answer, BadRequest, Request, compact_json
from legacy.gate import Gate, NotSignedIn, Unreachable

_SORTS = ("id-desc", "id-asc", "random")
_ROUTES = [
    (r"/books", ("GET", "POST")),
    (r"/books/search", ("GET",)),
    (r"/books/search/completion", ("GET",)),
    (r"/books/([^/]+)", ("GET",)),
    (r"/books/([^/]+)/images", ("GET",)),
    (r"/books/([^/]+)/images/([^/]+)", ("GET",)),
]


class Library:
    def __init__(self, gate: Gate, file_host: str) -> None:
        self._gate = gate
        self._file_host = file_host
        self._lock = threading.Lock()

    @staticmethod
    def owns(raw_path: str) -> bool:
        path = unquote(raw_path).lower()
        return path == "/books" or path.startswith("/books/")

    def answer(self, request: Request) -> Answer:
        # The value counts, not its presence: an empty value makes the caller internal.
        if request.header("x-madome-public-access"):
            try:
                self._gate.user(request)
            except NotSignedIn as denied:
                return _text(denied.status, denied.text)
            except Unreachable as error:
                return _error(500, "Unknown error", str(error))
        path = unquote(request.raw_path)
        path = path[:-1] if path.endswith("/") else path
        for pattern, methods in _ROUTES:
            found = re.fullmatch(pattern, path, re.IGNORECASE | re.ASCII)
            if found:
                return self._matched(request, pattern, methods, found)
        return _text(404, "Not Found")

    def _matched(self, request: Request, pattern: str, methods: tuple[str, ...], found: re.Match) -> Answer:
        allow = ", ".join(name for method in reversed(methods) for name in (
            ("HEAD", "GET") if method == "GET" else (method,)))
        if request.method == "OPTIONS":
            return _answer(200, b"", None, [("Allow", allow)])
        if request.method not in methods and not (request.method == "HEAD" and "GET" in methods):
            answer = _text(405, "Method Not Allowed")
            answer.headers.append(("Allow", allow))
            return answer
        try:
            if request.method == "POST":
                return self._create(request)
            if pattern == r"/books":
                return self._list(request)
            if pattern.startswith(r"/books/search"):
                return self._search(request, completion=pattern.endswith("completion"))
            book = _book(found.group(1))
            if pattern == r"/books/([^/]+)":
                return _json(200, book)
            page = found.group(2) if found.re.groups > 1 else "image_list"
            page = quote(page, safe="-._~!$&()*+,;=:@")
            return self._redirect(request, f"http://{self._file_host}/v1/image/library/{book['id']}/{page}")
        except BadRequest as error:
            return _error(400, "Invalid payload", str(error))
        except LookupError:
            return _error(404, "Not found resource", "Not found book")

    def _list(self, request: Request) -> Answer:
        ids = [value for key, value in request.query if key in ("ids", "ids[]")]
        if ids:
            return self._by_ids(ids)
        tags = _tags(request)
        if tags:
            return self._by_tags(request, tags)
        less, more = request.query_value("less-than"), request.query_value("more-than")
        if less is not None and more is not None:
            raise BadRequest("must be only one of less-than or more-than")
        books = list(fixtures.BOOKS)
        if less is not None or more is not None:
            # With a window the kind is silently ignored.
            low, high = _integer("more-than", more, 0), _integer("less-than", less, 2**31)
            books = [book for book in books if low < book["id"] < high]
        else:
            kind = _kind(request, "kind", "kind")
            books = [book for book in books if kind in (None, book["kind"])]
        return _json(200, _page(request, _sorted(request, books), 25))

    @staticmethod
    def _by_ids(values: list[str]) -> Answer:
        numbers = [_integer(f"bookIds[{place}]", value, 0) for place, value in enumerate(values)]
        for place, number in enumerate(numbers):
            if number < 1:
                raise BadRequest(f'"bookIds[{place}]" must be greater than or equal to 1')
            if number in numbers[:place]:
                raise BadRequest(f'"bookIds[{place}]" contains a duplicate value')
        if len(numbers) > 100:
            raise BadRequest('"bookIds" must contain less than or equal to 100 items')
        by_id = {book["id"]: book for book in fixtures.BOOKS}
        return _json(200, [by_id[number] for number in numbers if number in by_id])

    @staticmethod
    def _by_tags(request: Request, tags: list[list[str]]) -> Answer:
        if len(tags) > 100:
            raise BadRequest('"bookTags" must contain less than or equal to 100 items')
        found = []
        for tag in tags:
            books = _page(request, _sorted(request, [book for book in fixtures.BOOKS if tag in book["tags"]]), 3)
            if books:
                found.append([tag, books])
        return _json(200, found)

    @staticmethod
    def _search(request: Request, completion: bool) -> Answer:
        """Searches titles or tags. Without `sort-by`, books with most of the wanted words come first."""
        scope = request.query_value("search-kind")
        if scope not in ("title", "tag"):
            raise BadRequest('"searchKind" must be one of [title, tag]')
        query = (request.query_value("q") or "").strip()
        if completion and not query:
            return _json(200, [])
        try:
            expression = parsed(query)
        except InvalidSearch as error:
            raise BadRequest("Invalid search query") from error
        kind = None if completion else _kind(request, "book-kind", "bookKind")
        have = [(book, words(_text_of(book, scope))) for book in fixtures.BOOKS if kind in (None, book["kind"])]
        found = [(book, own) for book, own in have if matches(expression, own)]
        if completion:
            return _json(200, _page(request, _completions(query, scope, [book for book, _ in found]), 15))
        if not request.query_value("sort-by"):
            sought = wanted(expression)
            ranked = sorted(found, key=lambda one: (rank(sought, one[1]), one[0]["id"]), reverse=True)
            return _json(200, _page(request, [book for book, _ in ranked], 25))
        return _json(200, _page(request, _sorted(request, [book for book, _ in found]), 25))

    def _create(self, request: Request) -> Answer:
        if not (request.header("content-type") or "").startswith("application/json"):
            raise BadRequest('"id" is required')
        try:
            body = request.json()
        except (ValueError, RecursionError):
            return _text(400, "Bad Request")
        book = new_book(body)
        with self._lock:
            if any(one["id"] == book["id"] for one in fixtures.BOOKS):
                return _error(409, "Already exists resource", "Already exists book")
            fixtures.BOOKS.append(book)
        return _json(201, {"id": book["id"]})

    def _redirect(self, request: Request, url: str) -> Answer:
        url += "?madome-2022=true"
        headers = [("Location", url)]
        if "html" in (request.header("accept") or ""):
            link = html.escape(url)
            body = f'Redirecting to <a href="{link}">{link}</a>.'
            return _answer(302, body.encode(), "text/html; charset=utf-8", headers)
        return _answer(302, f"Redirecting to {url}.".encode(), "text/plain; charset=utf-8", headers)


def _book(value: str) -> dict:
    if not re.fullmatch(r"[0-9]+", value) or not value.strip("0"):
        raise BadRequest('"bookId" must be a number')
    for book in fixtures.BOOKS:
        if str(book["id"]) == value.lstrip("0"):
            return book
    raise LookupError


def _kind(request: Request, name: str, shown: str) -> str | None:
    """Returns the kind of books in a query, as stored."""
    value = request.query_value(name)
    if value is not None and value.replace("-", "_") not in fixtures.BOOK_KINDS:
        raise BadRequest(f'"{shown}" must be one of [doujinshi, manga, artist-cg, game-cg]')
    return value if value is None else value.replace("-", "_")


def _text_of(book: dict, scope: str) -> str:
    return book["title"] if scope == "title" else " ".join(f"{kind} {name}" for kind, name in book["tags"])


def _completions(query: str, scope: str, books: list[dict]) -> list[dict]:
    """Returns the titles of the books, or those of their tags that complete the last word of the query."""
    if scope == "title":
        return [{"keyword": title} for title in sorted({book["title"] for book in books})]
    end = query.rstrip(") ")
    last = re.split(r"[\s(]", end)[-1]
    before = end[: len(end) - len(last)]
    tags = sorted({(kind, name) for book in books for kind, name in book["tags"]})
    return [
        {"keyword": f"{kind}-{name}", "completion": before + f"{kind}-{name}".replace(" ", "-")}
        for kind, name in tags if begins(last, f"{kind} {name}")
    ]


def _tags(request: Request) -> list[list[str]]:
    """Parses `tags[0][0]=misc&tags[0][1]=full color`, or flat `tags[]=misc-full-color`."""
    flat = [value for key, value in request.query if key == "tags[]"]
    tags = [[value.partition("-")[0], value.partition("-")[2].replace("-", " ")] for value in flat]
    nested: dict[int, list[str]] = {}
    for key, value in request.query:
        found = re.fullmatch(r"tags\[([0-9]{1,3})\]\[([01])\]", key)
        if found:
            nested.setdefault(int(found.group(1)), ["", ""])[int(found.group(2))] = value
    tags += [nested[place] for place in sorted(nested)]
    for kind, _ in tags:
        if kind not in fixtures.TAG_KINDS:
            raise BadRequest('"bookTags" does not match any of the allowed types')
    return tags


def _sorted(request: Request, books: list[dict]) -> list[dict]:
    sort = request.query_value("sort-by") or "id-desc"
    if sort not in _SORTS:
        raise BadRequest('"sortBy" must be one of [id-desc, id-asc, random]')
    if sort == "random":
        return random.sample(books, len(books))
    return sorted(books, key=lambda book: book["id"], reverse=sort == "id-desc")


def _page(request: Request, books: list[dict], default: int) -> list[dict]:
    per_page = _integer("perPage", request.query_value("per-page"), default)
    page = _integer("page", request.query_value("page"), 1)
    if per_page < 1:
        raise BadRequest('"perPage" must be greater than or equal to 1')
    if per_page > 100:
        raise BadRequest('"perPage" must be less than or equal to 100')
    if page < 1:
        raise BadRequest('"page" must be greater than or equal to 1')
    return books[(page - 1) * per_page : page * per_page]


def _integer(name: str, value: str | None, default: int) -> int:
    if value is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,10}", value):
        raise BadRequest(f'"{name}" must be a number')
    return int(value)


def _answer(status: int, body: bytes, kind: str | None, headers: list[tuple[str, str]] | None = None) -> Answer:
    kinds = [("Content-Type", kind)] if kind else []
    return Answer(status, body, [("X-Powered-By", "Koa"), *kinds, *(headers or [])], length_header="Content-Length")


def _json(status: int, value) -> Answer:
    return _answer(status, compact_json(value), "application/json; charset=utf-8")


def _text(status: int, body: str) -> Answer:
    return _answer(status, body.encode(), "text/plain; charset=utf-8")


def _error(status: int, name: str, message: str) -> Answer:
    return _json(status, {"name": name, "message": message})
