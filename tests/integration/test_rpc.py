"""The service through grpcio: every RPC of First light, errors with details, deadlines, cancellation."""
import json
import unittest

import grpc

from harness import BIN, CAST, Stack
from novelengine.v1 import novel_engine_pb2 as pb
from novelengine.v1 import novel_engine_pb2_grpc as stubs
from grpc_health.v1 import health_pb2, health_pb2_grpc  # made by the build from proto/grpc/health
from google.rpc import error_details_pb2, status_pb2
from google.protobuf import field_mask_pb2, wrappers_pb2


def request(**more):
    base = dict(character_names=CAST, turns=wrappers_pb2.Int32Value(value=3), seed=wrappers_pb2.UInt64Value(value=11))
    base.update(more)
    return pb.SimulationRequest(**base)


def details(error):
    """BadRequest fields and ErrorInfo reasons of an RpcError."""
    fields, reasons = [], []
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            for any_ in status.details:
                bad, info = error_details_pb2.BadRequest(), error_details_pb2.ErrorInfo()
                if any_.Unpack(bad):
                    fields += [v.field for v in bad.field_violations]
                elif any_.Unpack(info):
                    reasons.append(info.reason)
    return fields, reasons


class Rpc(Stack):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.channel = grpc.insecure_channel(cls.server.address)
        cls.engine = stubs.NovelEngineStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        super().tearDownClass()

    def refused(self, code, call, *args, **more):
        with self.assertRaises(grpc.RpcError) as caught:
            answer = call(*args, **more)
            if hasattr(answer, "__iter__"):
                list(answer)
        self.assertEqual(caught.exception.code(), code, caught.exception)
        return caught.exception

    def test_system(self):
        health = self.engine.GetHealth(pb.GetHealthRequest())
        self.assertEqual((health.status, health.api, health.config), ("healthy", "running", "loaded"))
        self.assertEqual(self.engine.GetServiceInfo(pb.GetServiceInfoRequest()).status, "ok")
        self.assertEqual(self.engine.GetSystemStatus(pb.GetSystemStatusRequest()).status, "operational")
        self.assertEqual(self.engine.GetPolicy(pb.GetPolicyRequest()).brand_status, "Generic Sci-Fi")

    def test_health_service(self):
        health = health_pb2_grpc.HealthStub(self.channel)
        for name in ("", "novelengine.v1.NovelEngine"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name))
            self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING)
        self.refused(grpc.StatusCode.NOT_FOUND, health.Check, health_pb2.HealthCheckRequest(service="x"))
        watch = health.Watch(health_pb2.HealthCheckRequest(service="x"))
        self.assertEqual(next(watch).status, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
        watch.cancel()

    def test_characters(self):
        listed = self.engine.ListCharacters(pb.ListCharactersRequest())
        self.assertLessEqual({"engineer", "pilot", "scientist", "smuggler", "test"}, set(listed.characters))
        full = self.engine.ListCharacters(pb.ListCharactersRequest(view=pb.ListCharactersRequest.VIEW_FULL))
        self.assertEqual([c.character_id for c in full.profiles], list(full.characters))
        seen, token = [], ""
        while True:
            page = self.engine.ListCharacters(pb.ListCharactersRequest(page_size=2, page_token=token))
            self.assertLessEqual(len(page.characters), 2)
            seen += page.characters
            token = page.next_page_token
            if not token:
                break
        self.assertEqual(seen, list(listed.characters))
        self.refused(grpc.StatusCode.NOT_FOUND, self.engine.GetCharacter, pb.GetCharacterRequest(character_id="x"))

    def test_update_with_mask_and_etag(self):
        pilot = self.engine.GetCharacter(pb.GetCharacterRequest(character_id="pilot"))
        change = pb.Character(character_id="pilot", current_status="resting", name="ignored", etag=pilot.etag)
        mask = field_mask_pb2.FieldMask(paths=["current_status"])
        changed = self.engine.UpdateCharacter(pb.UpdateCharacterRequest(character=change, update_mask=mask))
        self.assertEqual((changed.current_status, changed.name), ("resting", "Alex Chen"))
        self.assertNotEqual(changed.etag, pilot.etag)
        self.refused(grpc.StatusCode.ABORTED, self.engine.UpdateCharacter,
                     pb.UpdateCharacterRequest(character=change, update_mask=mask))

    def test_run(self):
        result = self.engine.RunSimulation(request())
        self.assertEqual(list(result.participants), CAST)
        self.assertEqual((result.turns_executed, result.seed, result.status), (3, 11, "completed"))
        self.assertRegex(result.metadata.chain_head, "^[0-9a-f]{64}$")
        again = self.engine.RunSimulation(request())
        self.assertEqual((again.story, again.metadata.chain_head), (result.story, result.metadata.chain_head))

    def test_stream_then_resume_everywhere(self):
        updates = list(self.engine.StreamSimulation(request(turns=wrappers_pb2.Int32Value(value=4))))
        events = [u for u in updates if u.type == pb.SimulationUpdate.TYPE_EVENT]
        self.assertEqual([e.sequence for e in events], list(range(1, len(events) + 1)))
        self.assertEqual(updates[-1].type, pb.SimulationUpdate.TYPE_RESULT)
        self.assertEqual(events[0].event.type, pb.SimulationEvent.TYPE_STARTED)
        self.assertEqual(events[-1].event.type, pb.SimulationEvent.TYPE_COMPLETED)
        identifier = updates[0].simulation_id
        progress = [u.progress_percent for u in updates]
        self.assertEqual(progress, sorted(progress))
        self.assertEqual(progress[-1], 100)
        for event in events:
            self.assertFalse(event.event.canonical)
            self.assertTrue(event.event.text)
        for after in (0, 1, len(events) // 2, len(events) - 1, len(events)):
            rest = list(self.engine.WatchSimulation(
                pb.WatchSimulationRequest(simulation_id=identifier, after_sequence=after)))
            self.assertEqual([u.sequence for u in rest if u.type == pb.SimulationUpdate.TYPE_EVENT],
                             list(range(after + 1, len(events) + 1)))
            self.assertEqual(rest[-1].result.story, updates[-1].result.story)
        full = list(self.engine.WatchSimulation(pb.WatchSimulationRequest(
            simulation_id=identifier, view=pb.EVENT_VIEW_FULL)))
        self.assertTrue(all(u.event.canonical for u in full if u.type == pb.SimulationUpdate.TYPE_EVENT))

        # The chain, checked here without any code of ours: hash = SHA-256(previous || canonical).
        import hashlib
        hashed = [u.event for u in full if u.type == pb.SimulationUpdate.TYPE_EVENT]
        for before, event in zip(hashed, hashed[1:]):
            self.assertEqual(hashlib.sha256(before.hash + event.canonical).digest(), event.hash)
        self.assertEqual(hashed[-1].hash.hex(), updates[-1].result.metadata.chain_head)

    def test_submit_watch_list_delete(self):
        made = self.engine.SubmitSimulation(request())
        list(self.engine.WatchSimulation(pb.WatchSimulationRequest(simulation_id=made.simulation_id)))
        got = self.engine.GetSimulation(pb.GetSimulationRequest(simulation_id=made.simulation_id))
        self.assertEqual(got.state, pb.Simulation.STATE_COMPLETED)
        self.assertEqual(got.request.seed.value, 11)
        self.refused(grpc.StatusCode.FAILED_PRECONDITION, self.engine.CancelSimulation,
                     pb.CancelSimulationRequest(simulation_id=made.simulation_id))
        log = self.engine.ListEvents(pb.ListEventsRequest(simulation_id=made.simulation_id, page_size=3))
        self.assertEqual(len(log.events), 3)
        story = self.engine.GetStory(pb.GetStoryRequest(simulation_id=made.simulation_id, format="text"))
        self.assertTrue(story.content_type.startswith("text/plain"))
        self.engine.DeleteSimulation(pb.DeleteSimulationRequest(simulation_id=made.simulation_id))
        self.refused(grpc.StatusCode.NOT_FOUND, self.engine.GetSimulation,
                     pb.GetSimulationRequest(simulation_id=made.simulation_id))

    def test_export_verifies_offline(self):
        import subprocess
        import tempfile
        result = self.engine.RunSimulation(request())
        body = b"".join(p.data for p in self.engine.ExportSimulation(
            pb.ExportSimulationRequest(simulation_id=result.simulation_id)))
        with tempfile.NamedTemporaryFile(suffix=".nvlog") as file:
            file.write(body)
            file.flush()
            out = subprocess.run([str(BIN / "novel-verify"), file.name], capture_output=True, text=True, timeout=60)
            self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
            self.assertIn(result.metadata.chain_head[:12], out.stdout)
            broken = bytearray(body)
            broken[len(broken) // 2] ^= 1
            file.seek(0)
            file.write(broken)
            file.flush()
            out = subprocess.run([str(BIN / "novel-verify"), file.name], capture_output=True, text=True, timeout=60)
            self.assertNotEqual(out.returncode, 0)

    def test_idempotency(self):
        key = (("idempotency-key", "key-1"),)
        first = self.engine.RunSimulation(request(), metadata=key)
        again = self.engine.RunSimulation(request(), metadata=key)
        self.assertEqual(first.simulation_id, again.simulation_id)
        self.refused(grpc.StatusCode.FAILED_PRECONDITION, self.engine.RunSimulation,
                     request(setting="elsewhere"), metadata=key)

    def test_idempotency_of_characters(self):
        def create(key, name="Ada Quist", who="nurse"):
            return self.engine.CreateCharacter(
                pb.CreateCharacterRequest(character=pb.Character(character_id=who, name=name)),
                metadata=(("idempotency-key", key),))
        first = create("make-nurse")
        self.engine.UpdateCharacter(pb.UpdateCharacterRequest(
            character=pb.Character(character_id="nurse", current_status="asleep")))
        self.assertEqual(create("make-nurse").SerializeToString(), first.SerializeToString())  # as it was answered
        self.refused(grpc.StatusCode.FAILED_PRECONDITION, create, "make-nurse", name="Eve Quist")
        self.refused(grpc.StatusCode.FAILED_PRECONDITION, create, "make-nurse", who="nurse_two")
        self.refused(grpc.StatusCode.ALREADY_EXISTS, create, "another-key")
        self.refused(grpc.StatusCode.INVALID_ARGUMENT, create, "k" * 256)
        self.refused(grpc.StatusCode.FAILED_PRECONDITION, self.engine.RunSimulation, request(),
                     metadata=(("idempotency-key", "make-nurse"),))
        self.refused(grpc.StatusCode.FAILED_PRECONDITION, self.engine.DeleteCharacter,
                     pb.DeleteCharacterRequest(character_id="nurse"), metadata=(("idempotency-key", "make-nurse"),))
        for _ in range(2):  # the second time the character is gone, and the answer the same
            self.engine.DeleteCharacter(pb.DeleteCharacterRequest(character_id="nurse"),
                                        metadata=(("idempotency-key", "drop-nurse"),))
        self.refused(grpc.StatusCode.NOT_FOUND, self.engine.DeleteCharacter,
                     pb.DeleteCharacterRequest(character_id="nurse"))
        # A refused call leaves its key free.
        self.assertEqual(create("another-key").character_id, "nurse")
        # Many at once with one key: one creation, one answer.
        calls = [self.engine.CreateCharacter.future(
            pb.CreateCharacterRequest(character=pb.Character(character_id="porter", name="Po")),
            metadata=(("idempotency-key", "at-once"),)) for _ in range(20)]
        self.assertEqual(len({c.result(timeout=20).SerializeToString() for c in calls}), 1)
        for who in ("nurse", "porter"):
            self.engine.DeleteCharacter(pb.DeleteCharacterRequest(character_id=who))

    def test_bad_input(self):
        rows = [
            (dict(character_names=["pilot"]), "character_names"), (dict(character_names=[]), "character_names"),
            (dict(character_names=["pilot", "pilot"]), "character_names"),
            (dict(character_names=list("abcdefg")), "character_names"),
            (dict(turns=wrappers_pb2.Int32Value(value=0)), "turns"), (dict(turns=wrappers_pb2.Int32Value(value=51)), "turns"),
            (dict(scenario="x" * 5001), "scenario"), (dict(setting="x" * 1001), "setting"),
            (dict(seed=wrappers_pb2.UInt64Value(value=0)), "seed"), (dict(mood="grumpy"), "mood"),
        ]
        for change, field in rows:
            with self.subTest(field=field, change=str(change)[:50]):
                error = self.refused(grpc.StatusCode.INVALID_ARGUMENT, self.engine.RunSimulation, request(**change))
                fields, reasons = details(error)
                self.assertTrue(any(f.startswith(field) for f in fields), fields)
                self.assertEqual(len(reasons), 1)
        error = self.refused(grpc.StatusCode.NOT_FOUND, self.engine.RunSimulation,
                             request(character_names=["pilot", "ghost", "phantom"]))
        self.assertIn("ghost", error.details())
        self.assertIn("phantom", error.details())

    def test_unknown_method_and_raw_bytes(self):
        for path in ("/novelengine.v1.NovelEngine/NoSuch", "/no.such.Service/Method"):
            call = self.channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
            self.refused(grpc.StatusCode.UNIMPLEMENTED, call, b"")
        call = self.channel.unary_unary("/novelengine.v1.NovelEngine/CreateCharacter",
                                        request_serializer=bytes, response_deserializer=bytes)
        with self.assertRaises(grpc.RpcError) as caught:
            call(b"\x0a\xff\xff\xff\xff\x0f")
        self.assertIn(caught.exception.code(), (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL))
        nested = b""
        for _ in range(10000):  # Struct in Value in Struct ...: 10,000 deep
            nested = b"\x2a" + varint(len(nested)) + nested
            nested = b"\x0a" + varint(len(nested) + 5) + b"\x0a\x01a\x12" + varint(len(nested)) + nested \
                if len(nested) < 100 else b"\x2a" + varint(len(nested)) + nested
        deep = b"\x0a" + varint(len(nested) + 4) + b"\x62" + varint(len(nested)) + nested
        with self.assertRaises(grpc.RpcError):
            call(deep)
        self.assertEqual(self.engine.GetHealth(pb.GetHealthRequest()).status, "healthy")

    def test_deadline_and_cancel(self):
        error = self.refused(grpc.StatusCode.DEADLINE_EXCEEDED, self.engine.StreamSimulation,
                             request(turns=wrappers_pb2.Int32Value(value=50)), timeout=0.001)
        self.assertTrue(error)
        stream = self.engine.StreamSimulation(request(turns=wrappers_pb2.Int32Value(value=50),
                                                      seed=wrappers_pb2.UInt64Value(value=77)))
        first = next(stream)
        stream.cancel()
        # The simulation goes on without its watcher.
        rest = list(self.engine.WatchSimulation(pb.WatchSimulationRequest(simulation_id=first.simulation_id)))
        self.assertEqual(rest[-1].result.turns_executed, 50)

    def test_many_at_once(self):
        futures = [self.engine.RunSimulation.future(request(seed=wrappers_pb2.UInt64Value(value=1 + i % 5)))
                   for i in range(40)]
        stories = {}
        for i, future in enumerate(futures):
            stories.setdefault(i % 5, set()).add(future.result(timeout=120).story)
        self.assertTrue(all(len(s) == 1 for s in stories.values()))
        self.assertEqual(len(set.union(*stories.values())), 5)


def varint(n):
    out = b""
    while True:
        n, low = n >> 7, n & 127
        if n == 0:
            return out + bytes([low])
        out += bytes([low | 128])


if __name__ == "__main__":
    unittest.main(verbosity=2)
