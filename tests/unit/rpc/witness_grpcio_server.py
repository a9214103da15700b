"""A foreign witness: our client talks to a grpcio server.  Usage: witness_grpcio_server.py WITNESS_CLIENT"""
import concurrent.futures
import subprocess
import sys

import grpc

ENCODINGS = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate, "identity": grpc.Compression.NoCompression}


def choose(context):
    """Metadata x-answer-in names the encoding of the answers."""
    for key, value in context.invocation_metadata():
        if key == "x-answer-in":
            context.set_compression(ENCODINGS[value])


def unary(request, context):
    choose(context)
    if request.startswith(b"fail:"):
        code, text = request[5:].decode().split(":", 1)
        context.set_trailing_metadata((("x-t", "1"), ("x-t-bin", bytes(range(256)))))
        context.abort(next(c for c in grpc.StatusCode if c.value[0] == int(code)), text)
    return request


def stream(request, context):
    choose(context)
    for i in range(4):
        if i % 2 == 1:
            context.disable_next_message_compression()
        yield request


def collect(requests, context):
    sizes = [len(r) for r in requests]
    return b"%d:%d" % (len(sizes), sum(sizes))


def chat(requests, context):
    choose(context)
    yield from requests


def main():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
        "Collect": grpc.stream_unary_rpc_method_handler(collect),
        "Chat": grpc.stream_stream_rpc_method_handler(chat)}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    result = subprocess.run([sys.argv[1], f"127.0.0.1:{port}"], timeout=100)
    server.stop(None).wait()
    sys.exit(result.returncode)


main()
