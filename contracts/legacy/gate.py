"""Identifies the caller, in the two ways of the old services.

Standalone, the sample checks its own sessions. With AUTH_URL set, it sends the caller's cookies to
`GET {AUTH_URL}/auth/token`, as the old library did with each request. AUTH_URL should then be the edge itself,
because a new auth service accepts only requests from the edge. Only the `Cookie` line is sent: `Authorization`
was never read here.
"""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from legacy import fixtures
from legacy.exchange import Request
from legacy.sessions import ACCESS_COOKIE, Refused, Sessions

#: Sessions are looked up within another request. A longer wait would hold two connections for nothing.
ASK_TIMEOUT_SECONDS = 2.0
#: `{"user_id": …}` and little more.
ANSWER_LIMIT_BYTES = 4096


@dataclass(frozen=True)
class NotSignedIn(Exception):
    """Carries the status and text from auth; each service wraps them in its own way."""

    status: int
    text: str


class Unreachable(Exception):
    """Auth is unreachable; the text is the transport's."""


class Gate:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        url = os.environ.get("AUTH_URL")
        self._auth = urlsplit(url) if url else None
        if self._auth is not None and (self._auth.scheme != "http" or not self._auth.hostname):
            raise ValueError(f"AUTH_URL={url!r} is not an http URL: set one like http://127.0.0.1:8080, or unset it")

    def user(self, request: Request, role: int | None = None) -> str:
        """Returns the caller's user id. With a role, the person must exist and have it."""
        if self._auth is not None:
            return self._ask(request, role)
        try:
            claims = self._sessions.verify(request.cookies().get(ACCESS_COOKIE), "_a")
        except Refused as error:
            raise NotSignedIn(401, "Unauthorized") from error
        if role is not None:
            person = next((one for one in fixtures.PEOPLE if one["id"] == claims.user), None)
            if person is None:
                raise NotSignedIn(404, "Not found user")
            if person["role"] < role:
                raise NotSignedIn(403, "Permission denied")
        return claims.user

    def _ask(self, request: Request, role: int | None) -> str:
        cookie = request.header("cookie")
        path = self._auth.path.rstrip("/") + "/auth/token" + (f"?role={role}" if role is not None else "")
        headers = {"Cookie": cookie} if cookie is not None else {}
        # One request id for both requests.
        if request.header("x-request-id"):
            headers["x-request-id"] = request.header("x-request-id")
        connection = http.client.HTTPConnection(
            self._auth.hostname, self._auth.port or 80, timeout=ASK_TIMEOUT_SECONDS)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read(ANSWER_LIMIT_BYTES)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise Unreachable(f"error sending request for url (http://{self._auth.netloc}{path}): {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise NotSignedIn(answer.status, body.decode("utf-8", "replace"))
        try:
            return str(json.loads(body)["user_id"])
        except (ValueError, KeyError, TypeError) as error:
            raise Unreachable("error decoding response body") from error
