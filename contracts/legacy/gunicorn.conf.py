"""Serves the legacy sample: `gunicorn -c contracts/legacy/gunicorn.conf.py legacy.app:application`.

Environment:
  LEGACY_ADDRESS  address to listen on (default 127.0.0.1:3000; port 0 selects a free port and logs it)
  LEGACY_WIRE     1 opens /wire/* and freezes `Date` (tests only)
  LEGACY_PEOPLE   a file with people in place of the three in fixtures.py (a JSON array), such as people.json
  LEGACY_CODES_PREFIX  with LEGACY_SESSIONS_REDIS: login codes are there, under this prefix and ADDRESS:CODE
  AUTH_URL        where users and library look sessions up with each request, as in the old product, such as the
                  edge; unset: at the sample's own auth service
  LEGACY_SESSIONS_REDIS, LEGACY_SESSIONS_PREFIX
                  Redis with the sessions' keys, as in the old product, and the text before a session's id in their
                  names; unset: the keys are in this process
  ROOT_DOMAIN     bare name of the web host (default dev-domain.test)
  CUTOVER_HOME    login codes are written to its mail/ directory (default .run)
"""

import os
import sys
from pathlib import Path

pythonpath = str(Path(__file__).resolve().parent.parent)
# The arbiter reads this file before it extends the path for the workers.
sys.path.insert(0, pythonpath)

from legacy import recorder  # noqa: E402

bind = os.environ.get("LEGACY_ADDRESS", "127.0.0.1:3000")
proc_name = "legacy"

# Sessions and activity live in this one process. It needs threads: the synchronous worker would close every
# connection, and a waiting request may cause another one through the edge (AUTH_URL).
workers = 1
worker_class = "gthread"
threads = 32
worker_connections = 2048
# Longer than any proxy in front keeps an idle connection, so that the proxy closes first.
keepalive = 120
# A 64 MiB body on a slow test machine must not look like a hung worker.
timeout = 120
graceful_timeout = 5

# Large heads are allowed: the tests send 60 KB paths and 50 KB cookies through the edge, and the edge sets the
# limit.
limit_request_line = 0
limit_request_fields = 1000
limit_request_field_size = 65536
http_parser = "python"

# Trust no client: the tests forge forwarding headers.
forwarded_allow_ips = ""
secure_scheme_headers = {}
forwarder_headers = ""
permit_unconventional_http_method = True

control_socket_disable = True

logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stdout"}},
    "root": {"level": "INFO", "handlers": ["stdout"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["stdout"], "propagate": False},
        "gunicorn.access": {"level": "INFO", "handlers": ["stdout"], "propagate": False},
    },
}
accesslog = "-"
# No cookie, no query: both can carry secrets.
access_log_format = '"%(m)s %(U)s" %(s)s %(B)s %(L)s request-id=%({x-request-id}i)s'

recorder.install(frozen_date=os.environ.get("LEGACY_WIRE") == "1")


def pre_request(worker, req):
    recorder.begin(req)
