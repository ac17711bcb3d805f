"""Search expressions and new books of the old library.

An expression has words, `AND`, `OR`, `NOT` and parentheses. Words beside each other all count, and the last word is a
prefix. Texts and expressions are compared by runs of letters and digits in lower case.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from legacy import fixtures
from legacy.exchange import BadRequest

MAX_WORDS = 64
MAX_DEPTH = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?")


class InvalidSearch(ValueError):
    """The text is not a valid expression."""


def words(text: str) -> list[str]:
    return [word.lower()[:100] for word in "".join(c if c.isalnum() else " " for c in text).split()]


def parsed(text: str) -> tuple:
    """Returns the expression: ("word", text, prefix), ("all", parts), ("any", parts) or ("not", part)."""
    tokens = text.replace("(", " ( ").replace(")", " ) ").split()
    # One token can have many words: `a.b.c` has three.
    if sum(max(1, len(words(token))) for token in tokens) > MAX_WORDS:
        raise InvalidSearch
    last = max((place for place, token in enumerate(tokens) if token != ")"), default=None)
    expression, place = _any(tokens, 0, last, 0)
    if place != len(tokens):
        raise InvalidSearch
    return expression


def _peek(tokens: list[str], place: int) -> str | None:
    return tokens[place] if place < len(tokens) else None


def _any(tokens: list[str], place: int, last: int | None, depth: int) -> tuple[tuple, int]:
    part, place = _all(tokens, place, last, depth)
    parts = [part]
    while _peek(tokens, place) == "OR":
        part, place = _all(tokens, place + 1, last, depth)
        parts.append(part)
    return ("any", parts), place


def _all(tokens: list[str], place: int, last: int | None, depth: int) -> tuple[tuple, int]:
    part, place = _not(tokens, place, last, depth)
    parts = [part]
    while _peek(tokens, place) not in (None, "OR", ")"):
        part, place = _not(tokens, place + (tokens[place] == "AND"), last, depth)
        parts.append(part)
    return ("all", parts), place


def _not(tokens: list[str], place: int, last: int | None, depth: int) -> tuple[tuple, int]:
    token = _peek(tokens, place)
    if depth > MAX_DEPTH or token in (None, "AND", "OR", ")"):
        raise InvalidSearch
    if token == "NOT":
        part, place = _not(tokens, place + 1, last, depth + 1)
        return ("not", part), place
    if token == "(":
        part, place = _any(tokens, place + 1, last, depth + 1)
        if _peek(tokens, place) != ")":
            raise InvalidSearch
        return part, place + 1
    own = words(token)
    if not own:
        raise InvalidSearch
    parts = [("word", word, place == last and number == len(own)) for number, word in enumerate(own, 1)]
    return ("all", parts), place + 1


def matches(expression: tuple, own: list[str]) -> bool:
    kind = expression[0]
    if kind == "word":
        _, word, prefix = expression
        return any(one.startswith(word) if prefix else one == word for one in own)
    if kind == "not":
        return not matches(expression[1], own)
    return (all if kind == "all" else any)(matches(part, own) for part in expression[1])


def wanted(expression: tuple) -> list[tuple]:
    """Returns the words that a match may have: those outside of NOT."""
    if expression[0] == "word":
        return [expression]
    return [] if expression[0] == "not" else [word for part in expression[1] for word in wanted(part)]


def rank(sought: list[tuple], own: list[str]) -> int:
    return sum(matches(word, own) for word in sought)


def begins(beginnings: str, text: str) -> bool:
    """Returns whether a word of the text begins with each of the words."""
    return all(any(one.startswith(word) for one in words(text)) for word in words(beginnings))


def new_book(body: object) -> dict:
    if not isinstance(body, dict):
        raise BadRequest('"value" must be of type object')
    for name in ("id", "title", "kind", "language", "page", "tags", "created_at"):
        if name not in body:
            raise BadRequest(f'"{name}" is required')
    book = {"id": _number(body, "id", 2**31 - 1), "title": _text(body, "title", 500)}
    if body["kind"] not in fixtures.BOOK_KINDS:
        raise BadRequest('"kind" must be one of [doujinshi, manga, artist_cg, game_cg]')
    book |= {"kind": body["kind"], "language": _text(body, "language", 100), "page": _number(body, "page", 2**15 - 1)}
    tags = body["tags"]
    if not isinstance(tags, list):
        raise BadRequest('"tags" must be an array')
    if not tags:
        raise BadRequest('"tags" must contain at least 1 items')
    if len(tags) > 200:
        raise BadRequest('"tags" must contain less than or equal to 200 items')
    if not all(_is_tag(tag) for tag in tags):
        raise BadRequest('"tags" does not match any of the allowed types')
    moment = _moment(body["created_at"])
    return book | {"tags": tags, "created_at": moment, "updated_at": moment}


def _number(body: dict, name: str, most: int) -> int:
    value = body[name]
    if type(value) not in (int, float):
        raise BadRequest(f'"{name}" must be a number')
    # JSON has one type of number: 1.0 is 1.
    value = int(value) if type(value) is float and value.is_integer() else value
    if type(value) is float:
        raise BadRequest(f'"{name}" must be an integer')
    if value < 1:
        raise BadRequest(f'"{name}" must be greater than or equal to 1')
    if value > most:
        raise BadRequest(f'"{name}" must be less than or equal to {most}')
    return value


def _text(body: dict, name: str, most: int) -> str:
    value = body[name]
    if not isinstance(value, str):
        raise BadRequest(f'"{name}" must be a string')
    if not value:
        raise BadRequest(f'"{name}" is not allowed to be empty')
    if len(value) > most:
        raise BadRequest(f'"{name}" length must be less than or equal to {most} characters long')
    if "\0" in value:
        raise BadRequest(f'"{name}" contains an invalid character')
    return value


def _is_tag(tag: object) -> bool:
    if not (isinstance(tag, list) and len(tag) == 2 and all(isinstance(part, str) for part in tag)):
        return False
    return tag[0] in fixtures.TAG_KINDS and 1 <= len(tag[1]) <= 200 and "\0" not in tag[1]


def _moment(value: object) -> str:
    """Reads ISO 8601, RFC 2822 or milliseconds since 1970, and writes UTC with three digits."""
    try:
        if type(value) is int:
            moment = _EPOCH + timedelta(milliseconds=value)
        elif isinstance(value, str) and _ISO.fullmatch(value):
            moment = datetime.fromisoformat(value)
        else:
            moment = parsedate_to_datetime(value)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise BadRequest('"created_at" must be a valid date') from error
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z".rjust(24, "0")
