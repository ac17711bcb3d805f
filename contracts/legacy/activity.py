"""Likes, histories, notifications and push tokens of each person, in memory."""

from __future__ import annotations

import random
import threading
from datetime import datetime, timezone

from legacy import fixtures
from legacy.exchange import Answer, BadRequest, Request, compact_json, empty, json_object, place, text

_LIKE_SORTS = ("created-at-desc", "created-at-asc", "random")
_HISTORY_SORTS = ("updated-at-desc", "updated-at-asc", "created-at-desc", "created-at-asc", "random")
_NOTIFICATION_SORTS = ("created-at-desc", "created-at-asc")
#: The most entries of each kind for each person. The old database had no limit; a sample in memory needs one.
ITEMS_LIMIT = 10_000


class ConnectionAborted(Exception):
    """The old service panicked here and its connection closed without an answer."""


class Activity:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._likes: dict[str, list[dict]] = {}
        self._histories: dict[str, list[dict]] = {}
        self._notifications: dict[str, list[dict]] = {}
        self._fcm: dict[str, tuple[str, str]] = {}

    def answer(self, request: Request, user: str, method: str, path: str) -> Answer | None:
        """Answers the request. Returns None when the path belongs to another module."""
        if path == "/users/@me/dislikes":
            raise ConnectionAborted
        handlers = {
            ("GET", "/users/@me/likes"): self._list_likes,
            ("POST", "/users/@me/likes"): self._like,
            ("DELETE", "/users/@me/likes"): self._unlike,
            ("GET", "/users/@me/histories"): self._list_histories,
            ("POST", "/users/@me/histories"): self._read,
            ("DELETE", "/users/@me/histories"): self._unread,
            ("GET", "/users/@me/notifications"): self._list_notifications,
            ("POST", "/users/@me/fcm-token"): self._put_fcm_token,
        }
        handler = handlers.get((method, path))
        if handler is None:
            return None
        with self._lock:
            return handler(request, user)

    def announce(self, body: dict) -> Answer:
        """Announces a book from the library: every person who likes one of its tags gets a notification."""
        tags = body.get("book_tags") or []
        with self._lock:
            for user, likes in self._likes.items():
                if any(like["kind"] == "book_tag" and [like["tag_kind"], like["tag_name"]] in tags for like in likes):
                    items = self._notifications.setdefault(user, [])
                    items.append({"kind": "book", "book_id": body.get("book_id"), "book_tags": tags,
                                  "created_at": now()})
                    del items[:-ITEMS_LIMIT]
        return empty(201)

    def fcm_tokens(self, users: list[str]) -> list[str]:
        with self._lock:
            return [token for owner, token in self._fcm.values() if owner in users]

    def _list_likes(self, request: Request, user: str) -> Answer:
        kind = request.query_value("kind")
        if kind not in (None, "book", "book-tag"):
            raise BadRequest(f"Querystring deserialize: unknown variant `{kind}`, expected `book` or `book-tag`")
        items = [item for item in self._likes.get(user, []) if kind is None or item["kind"] == kind.replace("-", "_")]
        shown = []
        for item in page_of(request, items, _LIKE_SORTS):
            if item["kind"] == "book":
                book = book_by_id(item["book_id"])
                # What the library has no longer is left out, here and with tags.
                if book is not None:
                    shown.append({**item, "book": embedded(book)})
            else:
                books = _books_of_tag(request, [item["tag_kind"], item["tag_name"]])
                if books:
                    shown.append({**item, "books": [embedded(book) for book in books]})
        return _json(shown)

    def _like(self, request: Request, user: str) -> Answer:
        key = _like_key(request)
        if key["kind"] == "book" and book_by_id(key["book_id"]) is None:
            return text(404, "Not found book in library")
        if key["kind"] == "book_tag" and not any([key["tag_kind"], key["tag_name"]] in book["tags"]
                                                 for book in fixtures.BOOKS):
            return text(404, "Not found book tag in library")
        items = self._likes.setdefault(user, [])
        if _find(items, key) is not None:
            return text(409, "Already exists like")
        items.append({**key, "created_at": now()})
        del items[:-ITEMS_LIMIT]
        return empty(201)

    def _unlike(self, request: Request, user: str) -> Answer:
        return _remove(self._likes.get(user, []), _like_key(request), "Not found like")

    def _list_histories(self, request: Request, user: str) -> Answer:
        if request.query_value("kind") == "book":
            raise ConnectionAborted
        items = page_of(request, self._histories.get(user, []), _HISTORY_SORTS)
        found = [(item, book_by_id(item["book_id"])) for item in items]
        return _json([{**item, "book": embedded(book)} for item, book in found if book is not None])

    def _read(self, request: Request, user: str) -> Answer:
        body = json_object(request)
        book, page = _integer(body, "book_id"), _integer(body, "page")
        for name, value in (("book-id", book), ("page", page)):
            if value < 1:
                raise BadRequest(f"{name}: {value} less than 1")
        if book_by_id(book) is None:
            return text(404, "Not found book in library")
        items = self._histories.setdefault(user, [])
        item = _find(items, {"book_id": book})
        # A known defect: the page is checked and then forgotten.
        if item is None:
            items.append({"kind": "book", "book_id": book, "created_at": now(), "updated_at": now()})
            del items[:-ITEMS_LIMIT]
        else:
            item["updated_at"] = now()
        return empty(201)

    def _unread(self, request: Request, user: str) -> Answer:
        book = _integer(json_object(request), "book_id")
        return _remove(self._histories.get(user, []), {"book_id": book}, "Not found history")

    def _list_notifications(self, request: Request, user: str) -> Answer:
        kind = request.query_value("kind")
        if kind not in (None, "book"):
            raise BadRequest(f"Querystring deserialize: unknown variant `{kind}`, expected `book`")
        return _json(page_of(request, self._notifications.get(user, []), _NOTIFICATION_SORTS))

    def _put_fcm_token(self, request: Request, user: str) -> Answer:
        body = json_object(request)
        udid, token = body.get("udid"), body.get("fcm_token")
        for field, value in (("udid", udid), ("fcm_token", token)):
            if not isinstance(value, str):
                raw = request.body()
                raise BadRequest(f"Json deserialize: missing field `{field}`{place(raw, raw.rindex(b'}') + 1)}")
        owner = self._fcm.get(udid, (user, ""))[0]
        self._fcm[udid] = (owner, token)
        return empty(201)


def now() -> str:
    """Returns the time as RFC 3339 in UTC, with as many digits as needed."""
    text = datetime.now(timezone.utc).replace(tzinfo=None).isoformat()
    return (text.removesuffix("000") if "." in text else text) + "Z"


def book_by_id(number: int) -> dict | None:
    return next((book for book in fixtures.BOOKS if book["id"] == number), None)


def embedded(book: dict | None) -> dict | None:
    """Returns a book as this service does: keys in another order than in the library, without zero milliseconds."""
    if book is None:
        return None
    keys = ("id", "title", "tags", "kind", "language", "page", "created_at", "updated_at")
    return {key: book[key].replace(".000Z", "Z") if key.endswith("_at") else book[key] for key in keys}


def page_of(request: Request, items: list[dict], sorts: tuple[str, ...]) -> list[dict]:
    per_page, page = _number(request, "per-page", 25), _number(request, "page", 1)
    if per_page < 1:
        raise BadRequest(f"per-page: {per_page} less than 1")
    if per_page > 100:
        raise BadRequest(f"per-page: {per_page} more than 100")
    if page < 1:
        raise BadRequest(f"page: {page} less than 1")
    sort = request.query_value("sort-by") or sorts[0]
    if sort not in sorts:
        raise BadRequest(f"Querystring deserialize: unknown variant `{sort}`, expected {_expected(sorts)}")
    if sort == "random":
        ordered = random.sample(items, len(items))
    else:
        field = "updated_at" if sort.startswith("updated") else "created_at"
        ordered = sorted(items, key=lambda item: item[field], reverse=sort.endswith("-desc"))
    return ordered[(page - 1) * per_page : page * per_page]


def _expected(names: tuple[str, ...]) -> str:
    """Returns the names as the old parser listed them."""
    quoted = [f"`{name}`" for name in names]
    return " or ".join(quoted) if len(quoted) < 3 else "one of " + ", ".join(quoted)


def _books_of_tag(request: Request, tag: list[str]) -> list[dict]:
    """Returns some books with the tag. The library refused wrong values, and the old service failed then."""
    per_page, page = _number(request, "books-per-page", 3), _number(request, "books-page", 1)
    sort = request.query_value("books-sort-by") or "id-desc"
    if not 1 <= per_page <= 100 or page < 1 or sort not in ("id-desc", "id-asc", "random"):
        raise RuntimeError("the library refuses this part of its books")
    books = sorted((book for book in fixtures.BOOKS if tag in book["tags"]), key=lambda book: book["id"])
    if sort == "random":
        random.shuffle(books)
    elif sort == "id-desc":
        books.reverse()
    return books[(page - 1) * per_page : page * per_page]


def _number(request: Request, name: str, default: int) -> int:
    value = request.query_value(name)
    if value is None:
        return default
    if not value.lstrip("-").isdigit():
        raise BadRequest("Querystring deserialize: invalid digit found in string")
    return int(value)


def _integer(body: dict, name: str) -> int:
    value = body.get(name)
    if type(value) is not int:
        raise BadRequest(f"Json deserialize: missing field `{name}`")
    return value


def _like_key(request: Request) -> dict:
    body = json_object(request)
    if body.get("kind") == "book":
        return {"kind": "book", "book_id": _integer(body, "book_id")}
    if body.get("kind") == "book_tag":
        for name in ("tag_kind", "tag_name"):
            if not isinstance(body.get(name), str):
                raise BadRequest(f"Json deserialize: missing field `{name}`")
        return {"kind": "book_tag", "tag_kind": body["tag_kind"], "tag_name": body["tag_name"]}
    raise BadRequest("Json deserialize: unknown variant, expected `book` or `book_tag`")


def _find(items: list[dict], key: dict) -> dict | None:
    return next((item for item in items if all(item.get(name) == value for name, value in key.items())), None)


def _remove(items: list[dict], key: dict, missing: str) -> Answer:
    item = _find(items, key)
    if item is None:
        return text(404, missing)
    items.remove(item)
    return empty(204)


def _json(value) -> Answer:
    return Answer(200, compact_json(value), [("content-type", "application/json")])
