#!/usr/bin/env python3
"""grpcio as the other side of the interop programs, in both roles.

    peer_grpcio.py server [--tls CERT KEY]             TestService on a free port; prints {"event":"ready",...}
    peer_grpcio.py client ADDRESS CASE [--tls CA NAME] one case, or all; exits 1 when one fails
    peer_grpcio.py client ADDRESS stream:SECONDS       reads a long stream and writes one, side by side
    peer_grpcio.py client ADDRESS small:SECONDS        many small calls

grpcio shows neither the compressed flag of a message it got nor lets a client switch it for one message of a stream,
so the cases that need that are left to the C++ peer.
"""
import json
import sys
import threading
import time
from concurrent import futures

import grpc

from interop_protos import protos

INITIAL, TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
REQUESTS, RESPONSES = (27182, 8, 1828, 45904), (31415, 9, 2653, 58979)
SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
CODES = {code.value[0]: code for code in grpc.StatusCode}
TIMEOUT = 60


def zeros(size):
    return protos.Payload(body=bytes(size))


# ---- the server ---------------------------------------------------------------------------------------------------
def echo_metadata(context):
    for key, value in context.invocation_metadata():
        if key == INITIAL:
            context.send_initial_metadata(((key, value),))
        elif key == TRAILING:
            context.set_trailing_metadata(((key, value),))


def echo_status(request, context):
    if request.HasField("response_status") and request.response_status.code != 0:
        context.abort(CODES[request.response_status.code], request.response_status.message)


def is_wanted(message, field):
    return message.HasField(field) and getattr(message, field).value


def empty_call(request, context):
    echo_metadata(context)
    return protos.Empty()


def unary_call(request, context):
    if is_wanted(request, "response_compressed"):
        context.set_compression(grpc.Compression.Gzip)
    echo_metadata(context)
    echo_status(request, context)
    return protos.SimpleResponse(payload=zeros(request.response_size))


def output_call(request, context):
    if any(is_wanted(p, "compressed") for p in request.response_parameters):
        context.set_compression(grpc.Compression.Gzip)
    yield from outputs(request, context)


def outputs(request, context):
    echo_status(request, context)
    for p in request.response_parameters:
        if p.interval_us > 0:
            time.sleep(p.interval_us / 1e6)
        if not is_wanted(p, "compressed"):
            context.disable_next_message_compression()
        yield protos.StreamingOutputCallResponse(payload=zeros(p.size))


def input_call(requests, context):
    return protos.StreamingInputCallResponse(aggregated_payload_size=sum(len(r.payload.body) for r in requests))


def full_duplex_call(requests, context):
    echo_metadata(context)
    for request in requests:
        yield from outputs(request, context)


def half_duplex_call(requests, context):
    for request in list(requests):
        yield from outputs(request, context)


def cacheable_call(request, context):
    context.send_initial_metadata((("cache-control", "max-age=60, public"),))
    return protos.SimpleResponse(payload=protos.Payload(body=str(time.time_ns()).encode()))


HANDLERS = {"EmptyCall": empty_call, "UnaryCall": unary_call, "CacheableUnaryCall": cacheable_call,
            "StreamingOutputCall": output_call, "StreamingInputCall": input_call, "FullDuplexCall": full_duplex_call,
            "HalfDuplexCall": half_duplex_call}


def handler(name, function):
    _, request, response, client_streams, server_streams = protos.method("TestService", name)
    make = {(False, False): grpc.unary_unary_rpc_method_handler, (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler, (True, True): grpc.stream_stream_rpc_method_handler}
    return make[client_streams, server_streams](function, request.FromString, response.SerializeToString)


def serve(options):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        "grpc.testing.TestService", {name: handler(name, f) for name, f in HANDLERS.items()}),))
    if options[:1] == ["--tls"]:
        certificate, key = (open(name, "rb").read() for name in options[1:3])
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(json.dumps({"event": "ready", "address": f"127.0.0.1:{port}"}), flush=True)
    server.wait_for_termination()


# ---- the client ---------------------------------------------------------------------------------------------------
class Client:
    def __init__(self, address, options):
        arguments = [("grpc.max_receive_message_length", -1)]
        if options[:1] == ["--tls"]:
            credentials = grpc.ssl_channel_credentials(open(options[1], "rb").read())
            arguments.append(("grpc.ssl_target_name_override", options[2]))
            self.channel = grpc.secure_channel(address, credentials, arguments)
        else:
            self.channel = grpc.insecure_channel(address, arguments)

    def call(self, name, service="TestService"):
        path, request, response, client_streams, server_streams = protos.method(service, name)
        make = {(False, False): self.channel.unary_unary, (False, True): self.channel.unary_stream,
                (True, False): self.channel.stream_unary, (True, True): self.channel.stream_stream}
        return make[client_streams, server_streams](path, request.SerializeToString, response.FromString)

    def large(self, **more):
        request = protos.SimpleRequest(response_size=314159, payload=zeros(271828), **more)
        response = self.call("UnaryCall")(request, timeout=TIMEOUT)
        assert response.payload.body == bytes(314159)

    def fails(self, code, function):
        try:
            function()
        except grpc.RpcError as error:
            assert error.code() == code, f"{error.code()} is not {code}: {error.details()}"
            return error
        raise AssertionError(f"no error, where {code} was to come")

    # -- the cases, by their public names
    def empty_unary(self):
        assert self.call("EmptyCall")(protos.Empty(), timeout=TIMEOUT) == protos.Empty()

    def large_unary(self):
        self.large()

    def cacheable_unary(self):
        response, call = self.call("CacheableUnaryCall").with_call(protos.SimpleRequest(), timeout=TIMEOUT)
        assert "max-age=" in dict(call.initial_metadata())["cache-control"]

    def client_compressed_unary(self):
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: self.large(expect_compressed={"value": True}))
        request = protos.SimpleRequest(response_size=314159, payload=zeros(271828), expect_compressed={"value": True})
        for kind in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            assert len(self.call("UnaryCall")(request, compression=kind, timeout=TIMEOUT).payload.body) == 314159
        self.large(expect_compressed={"value": False})

    def server_compressed_unary(self):
        self.large(response_compressed={"value": True})
        self.large(response_compressed={"value": False})

    def client_streaming(self):
        requests = (protos.StreamingInputCallRequest(payload=zeros(n)) for n in REQUESTS)
        assert self.call("StreamingInputCall")(requests, timeout=TIMEOUT).aggregated_payload_size == 74922

    def server_streaming(self, **more):
        request = protos.StreamingOutputCallRequest(response_parameters=[{"size": n, **more} for n in RESPONSES])
        answers = self.call("StreamingOutputCall")(request, timeout=TIMEOUT)
        assert [a.payload.body for a in answers] == [bytes(n) for n in RESPONSES]

    def server_compressed_streaming(self):
        self.server_streaming(compressed={"value": True})

    def ping_pong(self):
        turn = threading.Semaphore(1)

        def requests():
            for request, response in zip(REQUESTS, RESPONSES):
                assert turn.acquire(timeout=TIMEOUT)
                yield protos.StreamingOutputCallRequest(response_parameters=[{"size": response}], payload=zeros(request))
            assert turn.acquire(timeout=TIMEOUT)

        sizes = []
        for answer in self.call("FullDuplexCall")(requests(), timeout=TIMEOUT):
            sizes.append(len(answer.payload.body))
            turn.release()
        assert tuple(sizes) == RESPONSES, sizes

    def half_duplex(self):
        requests = (protos.StreamingOutputCallRequest(response_parameters=[{"size": n}]) for n in RESPONSES)
        answers = self.call("HalfDuplexCall")(requests, timeout=TIMEOUT)
        assert [len(a.payload.body) for a in answers] == list(RESPONSES)

    def empty_stream(self):
        assert list(self.call("FullDuplexCall")(iter(()), timeout=TIMEOUT)) == []

    def custom_metadata(self):
        metadata = ((INITIAL, "test_initial_metadata_value"), (TRAILING, b"\xab\xab\xab"))
        request = protos.SimpleRequest(response_size=314159, payload=zeros(271828))
        _, unary = self.call("UnaryCall").with_call(request, metadata=metadata, timeout=TIMEOUT)
        duplex = self.call("FullDuplexCall")(
            iter([protos.StreamingOutputCallRequest(response_parameters=[{"size": 314159}], payload=zeros(271828))]),
            metadata=metadata, timeout=TIMEOUT)
        assert len(list(duplex)) == 1
        for call in (unary, duplex):
            assert dict(call.initial_metadata())[INITIAL] == "test_initial_metadata_value"
            assert dict(call.trailing_metadata())[TRAILING] == b"\xab\xab\xab"

    def status(self, message):
        echo = protos.EchoStatus(code=2, message=message)
        error = self.fails(grpc.StatusCode.UNKNOWN, lambda: self.call("UnaryCall")(
            protos.SimpleRequest(response_status=echo), timeout=TIMEOUT))
        assert error.details() == message, repr(error.details())
        error = self.fails(grpc.StatusCode.UNKNOWN, lambda: list(self.call("FullDuplexCall")(
            iter([protos.StreamingOutputCallRequest(response_status=echo)]), timeout=TIMEOUT)))
        assert error.details() == message, repr(error.details())

    def status_code_and_message(self):
        self.status("test status message")

    def special_status_message(self):
        self.status(SPECIAL)

    def unimplemented_method(self):
        self.fails(grpc.StatusCode.UNIMPLEMENTED,
                   lambda: self.call("UnimplementedCall")(protos.Empty(), timeout=TIMEOUT))

    def unimplemented_service(self):
        self.fails(grpc.StatusCode.UNIMPLEMENTED, lambda: self.call("UnimplementedCall", "UnimplementedService")(
            protos.Empty(), timeout=TIMEOUT))

    def cancel_after_begin(self):
        hold = threading.Event()

        def nothing():
            hold.wait(TIMEOUT)
            yield from ()

        call = self.call("StreamingInputCall").future(nothing(), timeout=TIMEOUT)
        call.cancel()
        hold.set()
        assert call.cancelled() and call.code() == grpc.StatusCode.CANCELLED

    def cancel_after_first_response(self):
        hold = threading.Event()

        def one():
            yield protos.StreamingOutputCallRequest(response_parameters=[{"size": 31415}], payload=zeros(27182))
            hold.wait(TIMEOUT)

        call = self.call("FullDuplexCall")(one(), timeout=TIMEOUT)
        assert len(next(call).payload.body) == 31415
        call.cancel()
        hold.set()
        self.fails(grpc.StatusCode.CANCELLED, lambda: next(call))

    def timeout_on_sleeping_server(self):
        hold = threading.Event()

        def one():
            yield protos.StreamingOutputCallRequest(payload=zeros(27182))
            hold.wait(TIMEOUT)

        call = self.call("FullDuplexCall")(one(), timeout=0.001)
        self.fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(call))
        hold.set()

    def rpc_soak(self):
        for _ in range(20):
            self.large()

    # -- not a public case: an honest peer for long
    def stream(self, seconds):
        """Reads a fast stream and writes one, until the time is over: none of it may look like abuse."""
        end = time.monotonic() + seconds
        request = protos.SimpleRequest(response_size=20000)
        read = self.call("StreamingFromServer", "BenchmarkService")(request)
        counts = {"read": 0, "pongs": 0}

        def ping():
            while time.monotonic() < end:
                yield protos.SimpleRequest(response_size=100, payload=zeros(100))

        def pong():
            for _ in self.call("StreamingCall", "BenchmarkService")(ping()):
                counts["pongs"] += 1

        thread = threading.Thread(target=pong)
        thread.start()
        for answer in read:
            assert len(answer.payload.body) == 20000
            counts["read"] += 1
            if time.monotonic() >= end:
                break
        read.cancel()
        thread.join()
        assert counts["read"] > 100 and counts["pongs"] > 100, counts
        print(json.dumps({"event": "streamed", **counts}))


    def small(self, seconds):
        """Small calls, one after the other, then a ping-pong."""
        end = time.monotonic() + seconds
        call, request = self.call("UnaryCall", "BenchmarkService"), protos.SimpleRequest(response_size=10)
        calls = 0
        while time.monotonic() < end - seconds / 2:
            call(request, timeout=TIMEOUT)
            calls += 1

        def ping():
            while time.monotonic() < end:
                yield request

        pongs = sum(1 for _ in self.call("StreamingCall", "BenchmarkService")(ping()))
        assert calls > 500 and pongs > 500, (calls, pongs)
        print(json.dumps({"event": "called", "calls": calls, "pongs": pongs}))


CASES = [name for name in vars(Client) if not name.startswith("_") and name not in (
    "call", "large", "fails", "status", "stream", "small")]


def main(arguments):
    if arguments[0] == "server":
        serve(arguments[1:])
        return 0
    client = Client(arguments[1], arguments[3:])
    kind, _, seconds = arguments[2].partition(":")
    if seconds:
        getattr(client, kind)(float(seconds))
        return 0
    failed = 0
    for name in CASES if arguments[2] == "all" else [arguments[2]]:
        try:
            getattr(client, name)()
            print(f"{name}: passed", flush=True)
        except (AssertionError, grpc.RpcError) as error:
            failed += 1
            print(f"{name}: FAILED: {error!r}", flush=True)
    client.channel.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
