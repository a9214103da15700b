"""kill -9 in mid-simulation, restart, resume: the chain head is the one an undisturbed run gives."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import grpc

from harness import BIN, CAST, ROOT, start_server
from novelengine.v1 import novel_engine_pb2 as pb
from novelengine.v1 import novel_engine_pb2_grpc as stubs
from google.protobuf import wrappers_pb2

LONG = dict(character_names=CAST + ["smuggler", "test"], turns=wrappers_pb2.Int32Value(value=50))


def request(seed):
    return pb.SimulationRequest(seed=wrappers_pb2.UInt64Value(value=seed), **LONG)


class Crash(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="novel-crash-")
        self.data = pathlib.Path(self.folder.name) / "data"
        self.server = start_server(self.data)
        self.connect()

    def connect(self):
        self.channel = grpc.insecure_channel(self.server.address)
        self.engine = stubs.NovelEngineStub(self.channel)

    def tearDown(self):
        self.channel.close()
        self.server.stop()
        self.folder.cleanup()

    def crash_and_restart(self):
        self.server.kill()
        self.channel.close()
        self.server = start_server(self.data)
        self.connect()

    def undisturbed(self, seed):
        with tempfile.TemporaryDirectory(prefix="novel-calm-") as folder:
            server = start_server(pathlib.Path(folder) / "data")
            try:
                with grpc.insecure_channel(server.address) as channel:
                    return stubs.NovelEngineStub(channel).RunSimulation(request(seed), timeout=120)
            finally:
                server.stop()

    def watch(self, identifier, after):
        return self.engine.WatchSimulation(
            pb.WatchSimulationRequest(simulation_id=identifier, after_sequence=after, view=pb.EVENT_VIEW_FULL),
            timeout=120)

    def test_resumes_to_the_same_head(self):
        calm = self.undisturbed(4242)
        made = self.engine.SubmitSimulation(request(4242))
        identifier, seen, crashes = made.simulation_id, [], 0
        result = None
        while result is None:
            try:
                for update in self.watch(identifier, seen[-1].sequence if seen else 0):
                    if update.type == pb.SimulationUpdate.TYPE_EVENT:
                        seen.append(update)
                        if crashes < 4 and len(seen) % 40 == 0:
                            crashes += 1
                            self.crash_and_restart()
                            break
                    elif update.type == pb.SimulationUpdate.TYPE_RESULT:
                        result = update.result
            except grpc.RpcError as error:
                self.assertIn(error.code(), (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED))
        self.assertGreaterEqual(crashes, 1)
        self.assertEqual([u.sequence for u in seen], list(range(1, len(seen) + 1)))
        self.assertEqual(result.metadata.chain_head, calm.metadata.chain_head)
        self.assertEqual(result.story, calm.story)
        self.assertEqual(seen[-1].event.hash.hex(), calm.metadata.chain_head)

    def test_submitted_work_survives(self):
        made = [self.engine.SubmitSimulation(request(100 + i)).simulation_id for i in range(12)]
        self.crash_and_restart()
        for identifier in made:
            last = list(self.watch(identifier, 0))[-1]
            self.assertEqual(last.result.turns_executed, 50)

    def test_second_server_on_the_same_folder_refuses(self):
        out = subprocess.run([str(BIN / "novel-server"), "--listen", "127.0.0.1:0", "--data", str(self.data)],
                             capture_output=True, text=True, timeout=60)
        self.assertNotEqual(out.returncode, 0)
        self.assertRegex(out.stdout + out.stderr, r"(?i)in use|another|lock")

    def test_sigterm_parks_and_goes_on(self):
        made = self.engine.SubmitSimulation(request(7))
        self.channel.close()
        self.server.stop()
        self.server = start_server(self.data)
        self.connect()
        last = list(self.watch(made.simulation_id, 0))[-1]
        self.assertEqual(last.result.metadata.chain_head, self.undisturbed(7).metadata.chain_head)

    def test_goes_on_with_the_pack_it_was_begun_with(self):
        calm = self.undisturbed(31)
        made = [self.engine.SubmitSimulation(request(31)).simulation_id for _ in range(6)]
        self.server.kill()
        self.channel.close()
        other = pathlib.Path(self.folder.name) / "content"
        shutil.copytree(ROOT / "server" / "content", other)
        for tale in (other / "prose").glob("*.tale"):  # other prose, so another pack
            tale.write_text(tale.read_text() + "\n# changed\n\nclass changed_word\n  one\n  two\n  three\n")
            break
        self.server = start_server(self.data, "--content", str(other))
        self.connect()
        for identifier in made:
            last = list(self.watch(identifier, 0))[-1]
            self.assertEqual(last.result.metadata.chain_head, calm.metadata.chain_head)
            self.assertEqual(last.result.story, calm.story)
        fresh = self.engine.RunSimulation(request(31))
        self.assertNotEqual(fresh.metadata.pack_digest, calm.metadata.pack_digest)

    def test_cancel_stays_cancelled(self):
        made = [self.engine.SubmitSimulation(request(i)).simulation_id for i in range(1, 30)]
        answer = self.engine.CancelSimulation(pb.CancelSimulationRequest(simulation_id=made[-1]))
        self.assertEqual(answer.state, pb.Simulation.STATE_CANCELLED)
        self.crash_and_restart()
        got = self.engine.GetSimulation(pb.GetSimulationRequest(simulation_id=made[-1]))
        self.assertEqual(got.state, pb.Simulation.STATE_CANCELLED)


def small_disk(folder, size):
    """A tmpfs of that size on folder; skips where the machine does not let us mount."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        raise unittest.SkipTest("cannot mount a small tmpfs here: a full disk was NOT tried: " + done.stderr.strip())


class Disk(unittest.TestCase):
    """A disk that is full or can't be written: a clear status, nothing half-written, and it goes on afterwards."""

    def test_full_disk(self):
        with tempfile.TemporaryDirectory(prefix="novel-full-") as folder:
            small_disk(folder, "96m")
            data, filler = pathlib.Path(folder) / "data", pathlib.Path(folder) / "filler"
            server = None
            try:
                server = start_server(data)
                with grpc.insecure_channel(server.address) as channel:
                    engine = stubs.NovelEngineStub(channel)
                    first = engine.RunSimulation(request(1), timeout=60)
                    try:
                        with open(filler, "wb") as f:
                            while True:
                                f.write(b"x" * 65536)
                                f.flush()
                    except OSError:
                        pass
                    refused = None
                    for seed in range(2, 400):
                        try:
                            engine.SubmitSimulation(request(seed), timeout=60)
                        except grpc.RpcError as error:
                            refused = error
                            break
                    self.assertIsNotNone(refused, "the disk never became full")
                    self.assertEqual(refused.code(), grpc.StatusCode.RESOURCE_EXHAUSTED, refused)
                    self.assertIn("full", refused.details())
                    # Reads go on, and health tells.
                    story = engine.GetStory(pb.GetStoryRequest(simulation_id=first.simulation_id, format="text"))
                    self.assertTrue(story.data)
                    self.assertEqual(engine.GetHealth(pb.GetHealthRequest()).status, "degraded")
                    filler.unlink()
                    # What was accepted ends, with the heads it would have had.
                    for simulation in engine.ListSimulations(pb.ListSimulationsRequest(page_size=1000)).simulations:
                        last = list(engine.WatchSimulation(pb.WatchSimulationRequest(
                            simulation_id=simulation.simulation_id), timeout=120))[-1]
                        self.assertEqual(last.result.turns_executed, 50, last)
                    again = engine.RunSimulation(request(1), timeout=240)
                    self.assertEqual(again.metadata.chain_head, first.metadata.chain_head)
                server.stop()
            finally:
                if server is not None and server.process.poll() is None:
                    server.kill()
                subprocess.run(["umount", "-l", folder], check=True)

    def test_read_only_disk(self):
        with tempfile.TemporaryDirectory(prefix="novel-ro-") as folder:
            small_disk(folder, "16m")
            server = None
            try:
                server = start_server(pathlib.Path(folder) / "data")
                with grpc.insecure_channel(server.address) as channel:
                    first = stubs.NovelEngineStub(channel).RunSimulation(request(1), timeout=60)
                server.stop()
                subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
                server = start_server(pathlib.Path(folder) / "data")
                with grpc.insecure_channel(server.address) as channel:
                    engine = stubs.NovelEngineStub(channel)
                    story = engine.GetStory(pb.GetStoryRequest(simulation_id=first.simulation_id))
                    self.assertTrue(story.data)
                    with self.assertRaises(grpc.RpcError) as caught:
                        engine.RunSimulation(request(2), timeout=60)
                    self.assertEqual(caught.exception.code(), grpc.StatusCode.FAILED_PRECONDITION)
                    self.assertIn("cannot be written", caught.exception.details())
                server.stop()
            finally:
                if server is not None and server.process.poll() is None:
                    server.kill()
                subprocess.run(["umount", "-l", folder], check=True)

    def test_unwritable_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            blocked = pathlib.Path(folder) / "file"
            blocked.write_text("not a folder")
            out = subprocess.run([str(BIN / "novel-server"), "--listen", "127.0.0.1:0", "--data", str(blocked / "x")],
                                 capture_output=True, text=True, timeout=60)
            self.assertNotEqual(out.returncode, 0)
            self.assertIn(str(blocked), out.stdout + out.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
