#!/usr/bin/env python3
"""How long a director waits for the verdict on a command when nothing else runs: from the command's send to the update
that answers it, over gRPC on loopback; what is valid is on the disk by then.  Not a test: prints a table.

Run with Debian's python3:  NOVEL_BUILD=build /usr/bin/python3 tests/bench/director.py [ROUNDS]
"""
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import grpc  # noqa: E402
from harness import start_server  # noqa: E402
from novelengine.v1 import novel_engine_pb2 as pb, novel_engine_pb2_grpc as stubs  # noqa: E402
from test_direct import EMPTY, VALID, Director, start_request  # noqa: E402


def timed(director, command, took, name):
    began = time.perf_counter()
    update = director.order(**command)
    took.setdefault(name, []).append((time.perf_counter() - began) * 1e3)
    return update


def play(engine, seed, took):
    director = Director(engine, dict(start=start_request(turns=10, seed=seed)))
    director.wait_proposals()
    facts, who = director.names("fact"), director.names("character")
    for i in range(30):
        edit = pb.Edit(whisper=pb.Edit.Whisper(character=who[i % 3], fact=facts[i % len(facts)], belief=1 + i % 3))
        verdict = timed(director, dict(edit=edit), took, "edit").verdict
        if verdict.verdict != VALID:  # nothing was written: another row
            took.setdefault("edit, rejected", []).append(took["edit"].pop())
        director.wait_proposals()
        timed(director, dict(pause=EMPTY), took, "pause (it waits already)")
        if i % 3 == 2 and director.result is None:
            began = time.perf_counter()
            director.step(1)
            took.setdefault("step 1, to its proposals", []).append((time.perf_counter() - began) * 1e3)
            if director.result is not None or i >= 26:
                break
    director.verdict(finish=EMPTY)
    director.to_end()


def main():
    rounds = int((sys.argv[1:] + ["10"])[0])
    took = {}
    with tempfile.TemporaryDirectory(prefix="novel-bench-") as folder:
        server = start_server(folder + "/data", "--log-calls", "errors")
        with grpc.insecure_channel(server.address) as channel:
            engine = stubs.NovelEngineStub(channel)
            play(engine, 1, {})  # warm
            for seed in range(rounds):
                play(engine, seed + 2, took)
        server.stop()
    print(f"{'':26} {'count':>6} {'p50 ms':>8} {'p99 ms':>8}")
    for name, values in took.items():
        values.sort()
        print(f"{name:26} {len(values):6} {values[len(values) // 2]:8.2f} {values[len(values) * 99 // 100]:8.2f}")


if __name__ == "__main__":
    main()
