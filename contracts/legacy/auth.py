"""The old auth service: login codes, sessions, refresh, logout. Paths are compared byte for byte."""

from __future__ import annotations

import json

from legacy import fixtures
from legacy.exchange import Answer, BadRequest, Request, compact_json, empty, place, text
from legacy.sessions import (
    ACCESS_COOKIE, REFRESH_COOKIE, Codes, Refused, Sessions, clearing_cookies, unverified)


class Auth:
    def __init__(self, sessions: Sessions, codes: Codes) -> None:
        self._sessions = sessions
        self._codes = codes
        self._routes = {
            ("POST", "/auth/code"): self._create_code,
            ("POST", "/auth/token"): self._log_in,
            ("GET", "/auth/token"): self._check,
            ("PATCH", "/auth/token"): self._refresh,
            ("DELETE", "/auth/token"): self._log_out,
        }

    def answer(self, request: Request) -> Answer:
        handler = self._routes.get((request.method, request.raw_path))
        if handler is not None:
            return handler(request)
        # The path comes first: no session is needed to learn that it does not exist.
        return text(404, "Not found")

    def _create_code(self, request: Request) -> Answer:
        try:
            email = _fields(request, "email")[0]
        except BadRequest as error:
            return text(400, str(error))
        local, at, domain = email.partition("@")
        if not (local and at and domain):
            return text(400, "Invalid email")
        if _person("email", email) is None:
            return text(404, "Not found user")
        if not self._codes.create(email):
            return text(429, "Too many created authcode")
        return empty(201)

    def _log_in(self, request: Request) -> Answer:
        try:
            email, code = _fields(request, "email", "code")
        except BadRequest as error:
            return text(400, str(error))
        if not self._codes.use(email, code):
            return text(404, "Invalid authcode")
        person = _person("email", email)
        if person is None:
            return text(404, "Not found user")
        return empty(201, self._sessions.open(person["id"]))

    def _check(self, request: Request) -> Answer:
        try:
            claims = self._sessions.verify(request.cookies().get(ACCESS_COOKIE), "_a")
        except Refused:
            return text(401, "Unauthorized")
        role = request.query_value("role")
        # A value that is not a number from 0 to 255 is ignored. 0 is not ignored: the person must then exist.
        if role is not None and role.isascii() and role.isdigit() and int(role) <= 255:
            person = _person("id", claims.user)
            if person is None:
                return text(404, "Not found user")
            if person["role"] < int(role):
                return text(403, "Permission denied")
        return Answer(200, compact_json({"user_id": claims.user}), [("content-type", "application/json")])

    def _refresh(self, request: Request) -> Answer:
        cookies = request.cookies()
        try:
            access = self._sessions.verify(cookies.get(ACCESS_COOKIE), "_a", check_exp=False)
            refresh = self._sessions.verify(cookies.get(REFRESH_COOKIE), "_r")
        except Refused:
            return text(401, "Unauthorized")
        if (access.session, access.user) != (refresh.session, refresh.user):
            return text(401, "Invalid token pair")
        if not self._sessions.close(refresh.session):
            return text(401, "Unauthorized")
        return empty(201, self._sessions.open(refresh.user))

    def _log_out(self, request: Request) -> Answer:
        cookies = request.cookies()
        # The refresh token decides, and its signature is not checked: a known hole of the old service.
        for name in (REFRESH_COOKIE, ACCESS_COOKIE):
            try:
                session = str(unverified(cookies.get(name, ""))["id"])
            except (Refused, KeyError):
                continue
            self._sessions.close(session)
            return empty(204, clearing_cookies())
        return text(400, "Invalid token")


def _person(field: str, value: str) -> dict | None:
    return next((person for person in fixtures.PEOPLE if person[field] == value), None)


def _fields(request: Request, *names: str) -> list[str]:
    """Returns string fields of a JSON body. The content type is ignored."""
    try:
        body = request.json()
    except json.JSONDecodeError as error:
        raise BadRequest(f"{error.msg} at line {error.lineno} column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise BadRequest("invalid unicode code point") from error
    found = []
    for name in names:
        value = body.get(name) if isinstance(body, dict) else None
        if not isinstance(value, str):
            raw = request.body()
            raise BadRequest(f"missing field `{name}`{place(raw, raw.rfind(b'}') + 1)}")
        found.append(value)
    return found
