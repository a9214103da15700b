"""A foreign witness: our retries, hedges and reconnects against a grpcio server.
Usage: witness_grpcio_retry.py CLIENT_WITNESS"""
import concurrent.futures
import subprocess
import sys
import time

import grpc


def previous(context):
    """What grpc-previous-rpc-attempts says."""
    return int(dict(context.invocation_metadata()).get("grpc-previous-rpc-attempts", 0))


def unary(request, context):
    word, _, number = request.decode().partition(":")
    if word == "again" and previous(context) < int(number):
        context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
    if word == "later" and previous(context) == 0:
        context.set_trailing_metadata((("grpc-retry-pushback-ms", number),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "later")
    if word == "slow" and previous(context) == 0:
        for _ in range(100):
            if not context.is_active():
                break
            time.sleep(0.05)
    return request


def collect(requests, context):
    sizes = [len(r) for r in requests]
    if previous(context) == 0:
        context.abort(grpc.StatusCode.UNAVAILABLE, "once more")
    return b"%d:%d" % (len(sizes), sum(sizes))


def serve(options):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Collect": grpc.stream_unary_rpc_method_handler(collect)}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"


def main():
    steady, steady_address = serve([])
    # A GOAWAY every fifth of a second.
    ageing, ageing_address = serve([("grpc.max_connection_age_ms", 200), ("grpc.max_connection_age_grace_ms", 5000)])
    narrow, narrow_address = serve([("grpc.max_concurrent_streams", 2)])
    result = subprocess.run([sys.argv[1], steady_address, ageing_address, narrow_address], timeout=100)
    for server in steady, ageing, narrow:
        server.stop(None).wait()
    sys.exit(result.returncode)


main()
