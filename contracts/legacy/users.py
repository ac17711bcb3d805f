"""The old user service: people, their likes and their histories. Paths are compared byte for byte."""

from __future__ import annotations

import re
import threading
import uuid

from legacy import fixtures
from legacy.activity import Activity, now
from legacy.exchange import Answer, BadRequest, Request, compact_json, empty, json_object, place, text
from legacy.gate import Gate, NotSignedIn, Unreachable


class Users:
    def __init__(self, gate: Gate, activity: Activity) -> None:
        self._gate = gate
        self._activity = activity
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Answer:
        # The header alone, even with an empty value, marks an outside caller. A caller without it is trusted.
        if request.header("x-madome-public-access") is None:
            return self._internal(request)
        try:
            # Role 0 has one effect: the person must still exist.
            user = self._gate.user(request, role=0)
        except NotSignedIn as denied:
            # The misspelling is old, and clients compare it.
            words = {401: "Unauthoirzed", 403: "Permission Denied"}
            return text(denied.status, words.get(denied.status, denied.text))
        except Unreachable as error:
            return text(500, str(error))
        try:
            return self._public(request, user)
        except BadRequest as error:
            return text(400, str(error))

    def _public(self, request: Request, user: str) -> Answer:
        method, path = request.method, request.raw_path
        if path == "/users/@me" and method == "GET":
            return self._me(user)
        if path == "/users" and method == "POST":
            return self._create(request)
        answer = self._activity.answer(request, user, method, path)
        return answer if answer is not None else text(404, "Not found")

    def _me(self, user: str) -> Answer:
        person = next((one for one in fixtures.PEOPLE if one["id"] == user), None)
        return _json(person) if person is not None else text(404, "Not found user")

    def _create(self, request: Request) -> Answer:
        body, raw = json_object(request), request.body()
        name, email, role = body.get("name"), body.get("email"), body.get("role", 0)
        for value in re.finditer(rb'"role"\s*:\s*(-?\d+)', raw):
            if not 0 <= int(value.group(1)) <= 255:
                wrong = f"invalid value: integer `{value.group(1).decode()}`, expected u8"
                return text(400, f"Json deserialize: {wrong}{place(raw, value.end())}")
        for field, value in (("name", name), ("email", email)):
            if not isinstance(value, str):
                end = place(raw, raw.rindex(b"}") + 1)
                return text(400, f"Json deserialize: missing field `{field}`{end}")
        if len(name) < 1:
            return text(400, f'name: length of "{name}" less than 1')
        if len(name) > 20:
            return text(400, f'name: length of "{name}" more than 20')
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
            return text(400, f'email: "{email}" is not email')
        if not isinstance(role, int) or role not in (0, 1):
            return text(400, f"role: {role} more than 1")
        with self._lock:
            if any(person["name"] == name or person["email"] == email for person in fixtures.PEOPLE):
                return text(409, "Already exist user")
            fixtures.PEOPLE.append({"id": str(uuid.uuid4()), "email": email, "name": name, "role": role,
                                    "created_at": now(), "updated_at": now()})
        return empty(201)

    def _internal(self, request: Request) -> Answer:
        """Answers without credentials. An edge that forgets the header would open these paths to every client."""
        method, path = request.method, request.raw_path
        found = re.fullmatch(r"/users/([^/]+)", path)
        if method == "POST" and path == "/users/notifications":
            try:
                return self._activity.announce(json_object(request))
            except BadRequest as error:
                return text(400, str(error))
        if method == "GET" and path == "/users/fcm-token":
            wanted = [value for key, value in request.query if key == "user-ids[]"]
            return _json(self._activity.fcm_tokens(wanted))
        if method == "GET" and found:
            who = found.group(1)
            person = next((one for one in fixtures.PEOPLE if who in (one["id"], one["email"])), None)
            return _json(person) if person is not None else text(404, "Not found user")
        return text(404, "Not found")


def _json(value) -> Answer:
    return Answer(200, compact_json(value), [("content-type", "application/json")])
