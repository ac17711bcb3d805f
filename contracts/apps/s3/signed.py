"""The object store of moto behind a check of every signature, as Amazon S3 has one: a proxy that changes what was signed, the
host for example, makes the signature wrong. The check is botocore's own computation of Signature Version 4."""

import hashlib
import hmac
import urllib.parse

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import create_backend_app

# A key that opens nothing else.
CREDENTIALS = Credentials("AKIAEXAMPLEOFNOBODY0", "a-secret-that-opens-this-store-alone")

store = create_backend_app("s3")


def header_name(variable):
    name = variable.removeprefix("HTTP_") if variable.startswith("HTTP_") else variable
    return name.replace("_", "-").lower()


def fault(environ, body):
    """Why a request is refused; nothing when its signature is right."""
    headers = {header_name(name): value for name, value in environ.items() if name.startswith("HTTP_")}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    headers["content-length"] = environ.get("CONTENT_LENGTH", "")
    parts = urllib.parse.urlsplit("http://" + environ["HTTP_HOST"] + environ["RAW_URI"])
    query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    if "X-Amz-Signature" in query:
        scope, time, given = query["X-Amz-Credential"], query["X-Amz-Date"], query["X-Amz-Signature"]
        signed = query["X-Amz-SignedHeaders"].split(";")
        kept = "&".join(pair for pair in parts.query.split("&") if not pair.startswith("X-Amz-Signature="))
        parts, kind = parts._replace(query=kept), S3SigV4QueryAuth
    else:
        scheme, _, fields = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme != "AWS4-HMAC-SHA256":
            return "AccessDenied"
        fields = dict(field.strip().split("=", 1) for field in fields.split(","))
        scope, given, time = fields["Credential"], fields["Signature"], headers["x-amz-date"]
        signed, kind = fields["SignedHeaders"].split(";"), S3SigV4Auth
        said = headers["x-amz-content-sha256"]
        if not said.startswith(("UNSIGNED-", "STREAMING-")) and said != hashlib.sha256(body).hexdigest():
            return "XAmzContentSHA256Mismatch"
    key, _, region, service, _ = scope.split("/")
    if key != CREDENTIALS.access_key:
        return "InvalidAccessKeyId"
    own = {name: headers[name] for name in signed if name in headers}
    request = AWSRequest(method=environ["REQUEST_METHOD"], url=parts.geturl(), headers=own, data=body)
    request.context["timestamp"] = time
    auth = kind(CREDENTIALS, service, region)
    right = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return None if hmac.compare_digest(right, given) else "SignatureDoesNotMatch"


class Again:
    """A body that was read once, for the application behind."""

    def __init__(self, body):
        self.body = body

    def read(self, size=-1):
        end = len(self.body) if size is None or size < 0 else size
        piece, self.body = self.body[:end], self.body[end:]
        return piece


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    why = fault(environ, body)
    if why is not None:
        text = f"<Error><Code>{why}</Code></Error>".encode()
        start_response("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))])
        return [text]
    environ["wsgi.input"] = Again(body)
    return store(environ, start_response)
