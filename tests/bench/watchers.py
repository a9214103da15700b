#!/usr/bin/env python3
"""What a thousand watchers that do not read cost a fast caller: latency of sequential GetHealth calls, with and without
them, interleaved.  Not a test: prints a table.

Run with Debian's python3:  NOVEL_BUILD=build /usr/bin/python3 tests/bench/watchers.py [ROUNDS [CALLS]]
"""
import pathlib
import statistics
import struct
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import grpc  # noqa: E402
from harness import start_server  # noqa: E402
from novelengine.v1 import novel_engine_pb2 as pb, novel_engine_pb2_grpc as stubs  # noqa: E402
from test_abuse import DATA, END_HEADERS, HEADERS, Peer, frame, message, number, request  # noqa: E402

CONNECTIONS, STREAMS = 10, 100
QUESTION = bytes([0x22]) + number(7, 0, 26) + b"novelengine.v1.NovelEngine"


def watch(port):
    """A hundred streams, each with an answer of some 40 KB that its window of 0 holds back."""
    peer = Peer(port, settings=struct.pack(">HI", 4, 0))
    for _ in range(STREAMS):
        stream = peer.next_stream()
        peer.send(frame(HEADERS, END_HEADERS, stream, request("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")))
        peer.send(frame(DATA, 0, stream, message(QUESTION)))
    return peer


def measure(engine, calls):
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        engine.GetHealth(pb.GetHealthRequest(), timeout=20)
        took.append((time.perf_counter() - began) * 1e6)
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


def main():
    rounds, calls = (int(a) for a in (sys.argv[1:] + ["5", "2000"][len(sys.argv) - 1:])[:2])
    table = {"alone": [], "with 1,000 watchers": []}
    with tempfile.TemporaryDirectory(prefix="novel-bench-") as folder:
        server = start_server(folder + "/data", "--threads", "1", "--stall-ms", "3600000", "--log-calls", "errors")
        with grpc.insecure_channel(server.address) as channel:
            engine = stubs.NovelEngineStub(channel)
            measure(engine, calls)  # warm
            for _ in range(rounds):
                table["alone"].append(measure(engine, calls))
                peers = [watch(server.port) for _ in range(CONNECTIONS)]
                time.sleep(0.5)
                table["with 1,000 watchers"].append(measure(engine, calls))
                for peer in peers:
                    peer.close()
        server.stop()
    print(f"{'':22} {'p50 µs':>8} {'p99 µs':>8}   p99 of each round")
    for name, rows in table.items():
        print(f"{name:22} {statistics.median(r[0] for r in rows):8.0f} {statistics.median(r[1] for r in rows):8.0f}   "
              + " ".join(f"{r[1]:.0f}" for r in rows))


if __name__ == "__main__":
    main()
