"""A thousand forks of one log through the service: ForkSimulation until the last one is completed.
   NOVEL_BUILD=build python3 tests/bench/forks.py [COUNT]"""
import pathlib
import sys
import tempfile
import time
from concurrent import futures

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import grpc

from harness import CAST, start_server
from novelengine.v1 import novel_engine_pb2 as pb
from novelengine.v1 import novel_engine_pb2_grpc as stubs

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
with tempfile.TemporaryDirectory(prefix="novel-forks-") as folder:
    server = start_server(pathlib.Path(folder) / "data")
    engine = stubs.NovelEngineStub(grpc.insecure_channel(server.address))
    request = pb.SimulationRequest(character_names=CAST, scenario="a distress signal from an abandoned mining station")
    request.turns.value, request.seed.value = 10, 7
    parent = engine.RunSimulation(request, timeout=60).simulation_id

    def fork(i):
        edit = pb.Edit(trait=pb.Edit.SetTrait(character="pilot", trait="openness", value=i % 101))
        while True:
            try:
                return engine.ForkSimulation(pb.ForkSimulationRequest(simulation_id=parent, at_turn=i % 10, edits=[edit]),
                                             timeout=60).simulation_id
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
                time.sleep(0.05)

    begin = time.monotonic()
    with futures.ThreadPoolExecutor(16) as pool:
        made = list(pool.map(fork, range(COUNT)))
    accepted = time.monotonic() - begin
    left = set(made)
    while left:
        for identifier in list(left):
            if engine.GetSimulation(pb.GetSimulationRequest(simulation_id=identifier)).state != pb.Simulation.STATE_COMPLETED:
                break
            left.discard(identifier)
        else:
            continue
        time.sleep(0.02)
    whole = time.monotonic() - begin
    print(f"{COUNT} forks through the service: accepted after {accepted:.2f} s, all told and stored after {whole:.2f} s")
    server.stop()
