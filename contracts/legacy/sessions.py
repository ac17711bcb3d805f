"""The old sessions: one signing key for each session, kept by the server.

A token names its session without proof. The server finds the key by that name, and only then checks the
signature. Deleting the key ends both tokens at once. `keys` says where they are kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from legacy import keys

ACCESS_COOKIE = "madome_access_token"
REFRESH_COOKIE = "madome_refresh_token"
ACCESS_SECONDS = 14400
REFRESH_SECONDS = 604800
#: How long after `exp` a token is still accepted.
LEEWAY_SECONDS = 60
#: The same in every environment, including development.
COOKIE_DOMAIN = "madome.app"

CODE_SECONDS = 120
CODES_PER_ADDRESS = 5
_CODE_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


class Refused(Exception):
    """The token is not valid."""


@dataclass(frozen=True)
class Claims:
    session: str
    user: str
    exp: int


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _sign(key: str, signed: str) -> bytes:
    return hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()


def unverified(token: str) -> dict:
    """Returns the unverified payload. Use it only to find a key."""
    try:
        payload = json.loads(_decode(token.split(".")[1]))
    except (ValueError, IndexError) as error:
        raise Refused from error
    if not isinstance(payload, dict):
        raise Refused
    return payload


class Sessions:
    def __init__(self) -> None:
        self._keys = keys.from_environment()

    def open(self, user: str) -> list[tuple[str, str]]:
        """Starts a session. Returns its two `Set-Cookie` headers, lower-case as in the old service."""
        session = str(uuid.uuid4())
        key = base64.b64encode(hashlib.sha512(secrets.token_bytes(256)).digest()).rstrip(b"=").decode()
        self._keys.set(session, key)
        access = self._token(key, session, user, "madome access token", "_a", ACCESS_SECONDS)
        refresh = self._token(key, session, user, "madome refresh token", "_r", REFRESH_SECONDS)
        return [_cookie(ACCESS_COOKIE, access, REFRESH_SECONDS), _cookie(REFRESH_COOKIE, refresh, REFRESH_SECONDS)]

    def close(self, session: str) -> bool:
        """Returns whether the session existed: of two simultaneous rotations only one succeeds."""
        return self._keys.delete(session)

    def verify(self, token: str | None, marker: str, check_exp: bool = True) -> Claims:
        """Verifies a token. `marker` is `_a` for access and `_r` for refresh; neither is valid as the other."""
        if not token:
            raise Refused
        payload = unverified(token)
        pieces = token.split(".")
        key = self._keys.get(str(payload.get("id")))
        if key is None or len(pieces) != 3:
            raise Refused
        try:
            header, signature = json.loads(_decode(pieces[0])), _decode(pieces[2])
        except ValueError as error:
            raise Refused from error
        expected = _sign(key, f"{pieces[0]}.{pieces[1]}")
        if header.get("alg") != "HS256" or not hmac.compare_digest(expected, signature):
            raise Refused
        exp = payload.get("exp")
        if type(exp) is not int or not isinstance(payload.get(marker), bool):
            raise Refused
        if check_exp and time.time() > exp + LEEWAY_SECONDS:
            raise Refused
        return Claims(session=payload["id"], user=payload["user_id"], exp=exp)

    @staticmethod
    def _token(key: str, session: str, user: str, subject: str, marker: str, seconds: int) -> str:
        now = int(time.time())
        header = _encode(b'{"typ":"JWT","alg":"HS256"}')
        claims = {"sub": subject, "iss": "madome.app", "iat": now, "exp": now + seconds, "id": session,
                  "user_id": user, marker: True}
        signed = f"{header}.{_encode(json.dumps(claims, separators=(',', ':')).encode())}"
        return f"{signed}.{_encode(_sign(key, signed))}"


def _cookie(name: str, value: str, max_age: int) -> tuple[str, str]:
    return "set-cookie", f"{name}={value}; Domain={COOKIE_DOMAIN}; Max-Age={max_age}; Path=/; HttpOnly; Secure"


def clearing_cookies() -> list[tuple[str, str]]:
    return [_cookie(ACCESS_COOKIE, "", 0), _cookie(REFRESH_COOKIE, "", 0)]


class Codes:
    """Login codes: valid for 120 s, at most five alive for an address, each used once."""

    def __init__(self, mail: Path, shared: keys.Redis | None = None) -> None:
        self._mail = mail
        self._shared = shared
        self._alive: dict[str, dict[str, float]] = {}
        self._lock = threading.Lock()

    def create(self, email: str) -> bool:
        """Writes the mail to a file. Returns False when five codes are already alive."""
        now = time.monotonic()
        with self._lock:
            alive = {code: end for code, end in self._alive.get(email, {}).items() if end > now}
            self._alive[email] = alive
            if len(alive) >= CODES_PER_ADDRESS:
                return False
            code = "".join(secrets.choice(_CODE_ALPHABET) for _ in range(12))
            alive[code] = now + CODE_SECONDS
            if self._shared is not None:
                self._shared.set(f"{email}:{code}", code, CODE_SECONDS)
            self._post(email, code)
        return True

    def use(self, email: str, code: str) -> bool:
        with self._lock:
            end = self._alive.get(email, {}).pop(code, None)
        if self._shared is not None:
            return self._shared.delete(f"{email}:{code}")
        return end is not None and end > time.monotonic()

    def _post(self, email: str, code: str) -> None:
        folder = self._mail / email
        folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(path.stem) for path in folder.glob("[0-9]*.json")), default=0)
        mail = {"to": email, "template": "authcode", "variables": {"authcode": code}}
        # A reader never sees half a mail.
        draft = folder / f".{number:04}.draft"
        draft.write_text(json.dumps(mail) + "\n")
        os.replace(draft, folder / f"{number:04}.json")
