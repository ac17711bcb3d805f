"""Neutral data: three people, forty books, and tags without real names."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

_START = datetime(2022, 1, 31, 17, 12, tzinfo=timezone.utc)

TAG_KINDS = ("artist", "group", "series", "character", "female", "male", "misc")
BOOK_KINDS = ("doujinshi", "manga", "artist_cg", "game_cg")

#: `cutover run` gives the sample the people of its edge instead (people.json).
_THREE = [
    {"id": f"00000000-0000-7000-8000-0000000000{suffix}", "email": f"{name}@example.com", "name": name, "role": role,
     "created_at": "2022-01-31T17:12:00Z", "updated_at": "2022-01-31T17:12:00Z"}
    for suffix, name, role in (("d0", "demo", 0), ("d1", "dev", 1), ("d2", "bot", 2))
]


def _people() -> list[dict]:
    """Returns the people in the JSON array of the file LEGACY_PEOPLE, or three of its own."""
    file = os.environ.get("LEGACY_PEOPLE")
    return json.loads(Path(file).read_text()) if file else list(_THREE)


PEOPLE = _people()


def _moment(number: int) -> str:
    return (_START + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _book(number: int) -> dict:
    tags = [["artist", "some artist" if number % 2 else "another artist"], ["misc", "full color"]]
    if number % 3 == 0:
        tags.append(["series", "some series"])
    if number % 5 == 0:
        tags.append(["group", "some group"])
    return {
        "id": number, "title": f"Sample book {number}", "kind": BOOK_KINDS[number % len(BOOK_KINDS)],
        "language": "english" if number % 2 else "korean", "page": 3 + number % 4, "tags": tags,
        "created_at": _moment(number), "updated_at": _moment(number),
    }


BOOKS = [_book(number) for number in range(1, 41)]
