"""Selects the service that answers a request: by host, then by the first element of the raw path."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

from legacy import keys, pages, recorder, wire
from legacy.activity import Activity, ConnectionAborted
from legacy.auth import Auth
from legacy.books import Library
from legacy.exchange import Answer, BadRequest, Request, text
from legacy.files import Files
from legacy.gate import Gate
from legacy.sessions import Codes, Sessions
from legacy.users import Users

log = logging.getLogger("legacy")


class Legacy:
    def __init__(self) -> None:
        root = os.environ.get("ROOT_DOMAIN", "dev-domain.test")
        self._web_host, self._file_host = root, f"file.{root}"
        self._wire = os.environ.get("LEGACY_WIRE") == "1"
        sessions = Sessions()
        gate = Gate(sessions)
        home = Path(os.environ.get("CUTOVER_HOME", ".run"))
        self._auth = Auth(sessions, Codes(home / "mail", keys.of_codes()))
        self._users = Users(gate, Activity())
        self._library = Library(gate, self._file_host)
        self._files = Files(gate, self._file_host)

    def __call__(self, environ, start_response):
        request = Request(environ, recorder.current())
        try:
            answer = self._answer(request)
        except ConnectionAborted:
            # Both directions at once: the client must see a closed connection and no answer.
            environ["gunicorn.socket"].shutdown(socket.SHUT_RDWR)
            answer = Answer(500)
        except BadRequest as error:
            answer = text(400, str(error))
        except Exception:
            log.exception("a request failed: method=%s", request.method)
            answer = text(500, "Internal server error")
        start_response(answer.status_line(), answer.all_headers())
        if answer.pieces is not None:
            return answer.pieces
        # HEAD keeps the length of the answer to GET.
        return [] if request.method == "HEAD" else [answer.body]

    def _answer(self, request: Request) -> Answer:
        if self._wire:
            name = wire.wanted(request)
            if name is not None:
                return wire.answer(request, name)
        if request.host == self._web_host:
            return pages.web(request)
        if request.host == self._file_host:
            return self._files.answer(request)
        path = request.raw_path
        if _under(path, "/auth"):
            return self._auth.answer(request)
        # Doubled slashes go to the user service, which has no such path.
        if _under("/" + path.lstrip("/"), "/users"):
            return self._users.answer(request)
        if self._library.owns(path):
            return self._library.answer(request)
        if _under(path, "/open-graph"):
            return pages.open_graph(request)
        if _under(path, "/openapi"):
            return pages.openapi(request)
        return text(404, "Not found")


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")


application = Legacy()
