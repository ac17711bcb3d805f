"""A program with Google's gRPC library: it prints what each call gave, one JSON object in a line.

usage: client.py HOST:PORT
"""

import hashlib
import json
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PATIENCE = 20
channel = grpc.insecure_channel(sys.argv[1], options=[("grpc.default_authority", "app.test"), ("grpc.enable_retries", 0)])


def pairs(metadata):
    """Metadata as text. The date is the time of the answer."""
    return [[name, repr(value)] for name, value in metadata or () if name != "date"]


def text(message):
    """A message, or the digest of a long one."""
    shown = repr(message)
    return shown if len(shown) < 500 else f"{len(shown)} characters, sha256 {hashlib.sha256(shown.encode()).hexdigest()}"


def show(step, call, messages):
    """Prints the messages of `call`, and how it ended."""
    read = []
    try:
        for message in messages:
            read.append(text(message))
    except grpc.RpcError:
        pass  # The code and the trailers say why.
    # The library itself describes a call that it ended, in one of several ways.
    own = call.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
    print(json.dumps({
        "step": step,
        "messages": read,
        "code": str(call.code()),
        "details": None if own else call.details(),
        "headers": pairs(call.initial_metadata()),
        "trailers": pairs(call.trailing_metadata()),
    }))


def result(call):
    """The one message of a call."""
    yield call.result()


def unary(step, method, message, timeout=PATIENCE, **more):
    call = channel.unary_unary(f"/books.Echo/{method}").future(message, timeout=timeout, **more)
    show(step, call, result(call))


own = (("own-text", "a  b;=,"), ("own-twice", "1"), ("own-twice", "2"), ("own-data-bin", bytes(range(256))))
unary("a message and metadata", "Same", b"text", metadata=own)
unary("an empty message", "Same", b"")
unary("no deadline", "Same", b"text", timeout=None)
unary("a large message", "Same", bytes(range(256)) * 12_000)
unary("a compressed message", "Same", b"again " * 10_000, compression=grpc.Compression.Gzip)
unary("a refusal with details", "Refuse", bytes(range(256)))
unary("a fault of the program", "Fail", b"")
unary("an unknown method", "None", b"")
unary("a deadline that passes", "Wait", b"", timeout=2)
unary("the server has seen its end", "Ended", b"")

waiting = channel.unary_unary("/books.Echo/Wait").future(b"", timeout=PATIENCE)
waiting.cancel()
show("a call that is cancelled", waiting, ())

call = channel.unary_stream("/books.Echo/Count")(b"1000", timeout=PATIENCE)
show("a thousand messages and an error", call, call)
call = channel.stream_unary("/books.Echo/Collect").future(iter([b"a", b"", b"c" * 70_000]), timeout=PATIENCE)
show("messages of the caller", call, result(call))
call = channel.stream_stream("/books.Echo/Talk")(iter([b"one", b"two", b"three"]), timeout=PATIENCE)
show("a conversation", call, call)

checks = health_pb2_grpc.HealthStub(channel)
for service in ("books", "", "unknown"):
    call = checks.Check.future(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE)
    show(f"health of {service!r}", call, result(call))
watch = checks.Watch(health_pb2.HealthCheckRequest(service="books"), timeout=PATIENCE)
seen = [repr(next(watch))]
for status in (b"NOT_SERVING", b"SERVING"):
    channel.unary_unary("/books.Echo/Change")(status, timeout=PATIENCE)
    seen.append(repr(next(watch)))
watch.cancel()
print(json.dumps({"step": "health is watched", "messages": seen}))

described = ProtoReflectionDescriptorDatabase(channel)
file = described.FindFileContainingSymbol("grpc.health.v1.Health")
print(json.dumps({"step": "reflection", "services": list(described.get_services()), "file": repr(file)}))
try:
    described.FindFileByName("absent.proto")
except KeyError as error:
    print(json.dumps({"step": "reflection of an absent file", "error": repr(error)}))
