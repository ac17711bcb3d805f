"""gRPC's health and reflection in Google's own library, and a service that answers with what it got.

usage: server.py PORT
"""

import signal
import sys
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

checks = health.HealthServicer()
begun, cancelled = threading.Semaphore(0), threading.Semaphore(0)


def metadata(context):
    """The caller's own metadata, and whether it set a deadline: without one, years remain."""
    sent = tuple((name, value) for name, value in context.invocation_metadata() if name.startswith("own-"))
    return (*sent, ("own-deadline", "set" if (context.time_remaining() or 1e9) < 3600 else "none"))


def same(message, context):
    context.send_initial_metadata(metadata(context))
    context.set_trailing_metadata((("own-length", str(len(message))), ("own-bin", b"\x00\xff,;")))
    return message


def refuse(message, context):
    context.set_trailing_metadata((("own-detail-bin", message),))
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "nicht möglich: 100 %\n«second line»")


def fail(message, context):
    raise ValueError("a fault of the program")


def count(message, context):
    for number in range(int(message)):
        yield b"%d" % number
    context.abort(grpc.StatusCode.DATA_LOSS, "after all of them")


def collect(messages, context):
    return b"|".join(messages)


def talk(messages, context):
    for message in messages:
        yield message[::-1]


def wait(message, context):
    """Never answers; the end of the call is noted."""
    ended = threading.Event()
    if not context.add_callback(ended.set):
        ended.set()
    begun.release()
    ended.wait()
    cancelled.release()
    return b""


def ended(message, context):
    """Answers when as many calls of `wait` have ended as have begun before."""
    begun.acquire()
    cancelled.acquire()
    return b"ended"


def change(message, context):
    checks.set("books", health_pb2.HealthCheckResponse.ServingStatus.Value(message.decode()))
    return b""


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    checks.set("books", health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection((health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    unary = grpc.unary_unary_rpc_method_handler
    methods = {
        "Same": unary(same),
        "Refuse": unary(refuse),
        "Fail": unary(fail),
        "Wait": unary(wait),
        "Ended": unary(ended),
        "Change": unary(change),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Collect": grpc.stream_unary_rpc_method_handler(collect),
        "Talk": grpc.stream_stream_rpc_method_handler(talk),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("books.Echo", methods),))
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: server.stop(None))
    server.wait_for_termination()


main()
