"""novelctl against a server that is not ours: stock grpcio serves the contract, dies in the middle, comes back.

Usage: witness_grpcio.py NOVELCTL STUBS          serves as its own peer with: witness_grpcio.py --serve PORT DIE_AFTER
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import unittest

EVENTS, PASSAGES = 30, 3


def serve(port, die_after):
    """Serves until killed; with die_after the process is gone right behind so many streamed updates."""
    from concurrent import futures

    import grpc
    from google.api import httpbody_pb2
    from google.protobuf import any_pb2
    from google.rpc import error_details_pb2, status_pb2
    from novelengine.v1 import novel_engine_pb2 as pb
    from novelengine.v1 import novel_engine_pb2_grpc as stubs

    sent = 0

    def updates(identifier, after):
        for i in range(after + 1, EVENTS + 1):
            event = pb.SimulationEvent(sequence=i, turn=1 + i // 6, type=pb.SimulationEvent.TYPE_ACTION,
                                       text=f"event {i}", tension=i)
            yield pb.SimulationUpdate(sequence=i, type=pb.SimulationUpdate.TYPE_EVENT, simulation_id=identifier,
                                      progress_percent=i * 100 // EVENTS, event=event)
        for scene in range(PASSAGES):
            yield pb.SimulationUpdate(sequence=EVENTS, type=pb.SimulationUpdate.TYPE_PASSAGE, simulation_id=identifier,
                                      progress_percent=100, passage=pb.Passage(scene=scene))
        result = pb.SimulationResult(simulation_id=identifier, story="# The Title\n\nThe story.", seed=7)
        yield pb.SimulationUpdate(sequence=EVENTS, type=pb.SimulationUpdate.TYPE_RESULT, simulation_id=identifier,
                                  progress_percent=100, result=result)

    class Engine(stubs.NovelEngineServicer):
        def stream(self, identifier, after):
            nonlocal sent
            for update in updates(identifier, after):
                if die_after and sent == die_after:
                    os._exit(9)
                yield update
                sent += 1

        def StreamSimulation(self, request, context):
            if len(request.character_names) < 2:
                bad, packed = error_details_pb2.BadRequest(), any_pb2.Any()
                bad.field_violations.add(field="character_names", description="must have 2 to 6 items, not 1")
                packed.Pack(bad)
                status = status_pb2.Status(code=3, message="refused", details=[packed])
                context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "refused")
            yield from self.stream("sim_1", 0)

        def WatchSimulation(self, request, context):
            yield from self.stream(request.simulation_id, request.after_sequence)

        def ListCharacters(self, request, context):
            return pb.ListCharactersResponse(characters=["pilot"], count=1)

        def ExportSimulation(self, request, context):
            for _ in range(40):
                yield httpbody_pb2.HttpBody(data=bytes(range(256)) * 200)

        def GetHealth(self, request, context):
            if context.time_remaining() > 86400:
                context.abort(grpc.StatusCode.INTERNAL, "no deadline came")
            return pb.Health(status="healthy", version=dict(context.invocation_metadata()).get("user-agent", ""))

        def GetSimulation(self, request, context):
            context.abort(grpc.StatusCode.NOT_FOUND, "keine Simulation » " + request.simulation_id)

        def GetStory(self, request, context):
            threading.Event().wait(20)
            return httpbody_pb2.HttpBody()

    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    stubs.add_NovelEngineServicer_to_server(Engine(), server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print(bound, flush=True)
    signal.pause()


class Peer:
    def __init__(self, port=0, die_after=0):
        self.process = subprocess.Popen([sys.executable, __file__, "--serve", str(port), str(die_after)],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.kill()
        self.process.wait(30)
        self.process.stdout.close()


class Witness(unittest.TestCase):
    def ctl(self, port, *args, status=0):
        out = subprocess.run([NOVELCTL, "--server", f"127.0.0.1:{port}", *args], capture_output=True, text=False,
                             timeout=100)
        self.assertEqual(out.returncode, status, (args, out.stdout[-600:], out.stderr[-3000:]))
        return out

    @classmethod
    def setUpClass(cls):
        cls.peer = Peer()

    @classmethod
    def tearDownClass(cls):
        cls.peer.stop()

    def test_unary(self):
        out = self.ctl(self.peer.port, "--json", "health")
        self.assertTrue(json.loads(out.stdout)["version"].startswith("novelctl/"))
        self.assertIn(b"pilot", self.ctl(self.peer.port, "characters").stdout)

    def test_errors(self):
        self.assertIn("keine Simulation » x".encode(), self.ctl(self.peer.port, "show", "x", status=3).stderr)
        out = self.ctl(self.peer.port, "simulate", "pilot", status=5)
        self.assertIn(b"refused", out.stderr)
        out = self.ctl(self.peer.port, "--json", "simulate", "pilot", status=5)
        violation = json.loads(out.stderr)["details"][0]["value"]["field_violations"][0]
        self.assertEqual(violation["field"], "character_names")
        self.ctl(self.peer.port, "list", status=1)  # UNIMPLEMENTED there
        self.ctl(self.peer.port, "--timeout", "0.3", "story", "sim_1", status=7)

    def test_export_is_whole(self):
        self.assertEqual(self.ctl(self.peer.port, "export", "sim_1").stdout, bytes(range(256)) * 200 * 40)

    def check_lines(self, out, first=1):
        lines = [json.loads(line) for line in out.stdout.splitlines()]
        events = [u["sequence"] for u in lines if u["type"] == "TYPE_EVENT"]
        scenes = [u["passage"]["scene"] for u in lines if u["type"] == "TYPE_PASSAGE"]
        self.assertEqual(events, list(range(first, EVENTS + 1)))
        self.assertEqual(scenes, list(range(PASSAGES)))
        self.assertEqual([u["result"]["seed"] for u in lines if u["type"] == "TYPE_RESULT"], [7])

    def test_streams(self):
        self.check_lines(self.ctl(self.peer.port, "--json", "simulate", "a", "b"))
        self.check_lines(self.ctl(self.peer.port, "--json", "watch", "sim_1", "--after", "7"), first=8)
        self.assertEqual(self.ctl(self.peer.port, "simulate", "a", "b").stdout, b"# The Title\n\nThe story.\n")

    def test_the_server_dies_in_the_middle(self):
        for command in (["simulate", "a", "b"], ["watch", "sim_1"]):
            for die_after in (1, 17, EVENTS, EVENTS + 2):
                with self.subTest(command=command, die_after=die_after):
                    first = Peer(0, die_after)
                    second = []

                    def replace():
                        first.process.wait(60)
                        second.append(Peer(first.port))

                    replacer = threading.Thread(target=replace)
                    replacer.start()
                    out = self.ctl(first.port, "--json", *command)
                    replacer.join(60)
                    self.check_lines(out)
                    first.stop()
                    second[0].stop()

    def test_nobody_comes_back(self):
        peer = Peer(0, 5)
        out = self.ctl(peer.port, "simulate", "a", "b", "--patience", "0.5", status=4)
        self.assertIn(b"watch sim_1 --after 5", out.stderr)
        peer.stop()
        self.assertIn(b"no answer from novel-server", self.ctl(peer.port, "health", status=4).stderr)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        sys.path.insert(0, os.environ["STUBS"])
        serve(int(sys.argv[2]), int(sys.argv[3]))
    else:
        NOVELCTL = sys.argv[1]
        os.environ["STUBS"] = str(pathlib.Path(sys.argv[2]).resolve())
        unittest.main(argv=sys.argv[:1], verbosity=2)
