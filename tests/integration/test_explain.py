"""Why and why not, beliefs, and proof: over gRPC, REST and the command line."""
import json
import re
import sqlite3
import subprocess
import unittest

import grpc

from harness import BIN, CAST, Stack, start_server
from novelengine.v1 import novel_engine_pb2 as pb
from novelengine.v1 import novel_engine_pb2_grpc as stubs
from google.protobuf import wrappers_pb2
from google.rpc import error_details_pb2, status_pb2

SCENARIO = "a distress signal from an abandoned mining station"
RAW = re.compile(r"[{}<>|@\\]|%[a-z+]|\b[a-z]+_[a-z_]+\b")  # nothing of the pack's own notation in a sentence


def reasons(error):
    found, fields = [], []
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for any_ in status_pb2.Status.FromString(value).details:
                info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
                if any_.Unpack(info):
                    found.append(info.reason)
                elif any_.Unpack(bad):
                    fields += [v.field for v in bad.field_violations]
    return found, fields


class Explain(Stack):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.channel = grpc.insecure_channel(cls.server.address)
        cls.engine = stubs.NovelEngineStub(cls.channel)
        cls.runs = [cls.run_one(seed, turns, scenario) for seed, turns, scenario in
                    ((3, 3, SCENARIO), (5, 6, "somebody has stolen the harbour master's logbook"), (9, 8, ""))]

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        super().tearDownClass()

    @classmethod
    def run_one(cls, seed, turns, scenario):
        answer = cls.engine.RunSimulation(pb.SimulationRequest(
            character_names=CAST, turns=wrappers_pb2.Int32Value(value=turns),
            seed=wrappers_pb2.UInt64Value(value=seed), scenario=scenario))
        return answer.simulation_id

    def log(self, simulation):
        events, after = [], 0
        while True:
            page = self.engine.ListEvents(pb.ListEventsRequest(
                simulation_id=simulation, after_sequence=after, view=pb.EVENT_VIEW_FULL))
            events += page.events
            after = page.next_after_sequence
            if after == 0:
                return events

    def refused(self, code, call, request):
        with self.assertRaises(grpc.RpcError) as caught:
            call(request)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return caught.exception

    # --- why ---

    def test_every_tree_is_closed_under_the_causes_of_the_log(self):
        for simulation in self.runs:
            events = self.log(simulation)
            causes = {e.sequence: sorted((c.sequence, c.kind) for c in e.causes) for e in events}
            for e in events:
                x = self.engine.ExplainEvent(pb.ExplainEventRequest(
                    simulation_id=simulation, sequence=e.sequence, max_depth=64))
                self.assertEqual(x.event.sequence, e.sequence)
                reached, edges, last = {e.sequence}, {}, 0
                for node in x.nodes:
                    self.assertGreaterEqual(node.depth, last)  # nearest first
                    last = node.depth
                    self.assertIn(node.effect, reached)
                    reached.add(node.event.sequence)
                    edges.setdefault(node.effect, []).append((node.event.sequence, node.kind))
                for sequence in reached:
                    self.assertEqual(sorted(edges.get(sequence, [])), causes[sequence], (simulation, e.sequence, sequence))

    def test_a_reader_understands_the_sentences(self):
        told = untold = 0
        for simulation in self.runs:
            for e in self.log(simulation):
                x = self.engine.ExplainEvent(pb.ExplainEventRequest(simulation_id=simulation, sequence=e.sequence))
                self.assertTrue(x.text.endswith((".", "!", "?")), x.text)
                self.assertIn(f"event {e.sequence}", x.text)
                self.assertIsNone(RAW.search(x.text), x.text)
                self.assertNotIn("  ", x.text)
                self.assertNotIn("[", x.text)
                for lead in ("What made it possible", "And what made it possible"):
                    # one sentence for causes of one kind
                    self.assertTrue(all(p.count(lead + ": ") < 2 for p in x.text.split("\n\n")), x.text)
                if e.HasField("decision") and e.decision.terms:
                    self.assertIn("What weighed most", x.text)
                for a in e.decision.alternatives:
                    gap = e.decision.utility - a.utility
                    self.assertIn(f"({gap} behind)" if gap >= 0 else f"({-gap} ahead, and ruled out)", x.text)
                self.assertNotEqual(len(x.told) > 0, x.untold != "", x)
                told += len(x.told) > 0
                untold += x.untold != ""
                for s in x.told:
                    self.assertIn(e.sequence, s.events)
                if x.untold:
                    self.assertTrue(x.untold.startswith("Untold"), x.untold)
        self.assertGreater(told, 20)
        self.assertGreater(untold, 20)

    def test_told_sentences_are_those_of_the_story(self):
        simulation = self.runs[0]
        story = self.rest("GET", f"/simulations/{simulation}/story").body.decode()
        seen = 0
        for e in self.log(simulation):
            for s in self.engine.ExplainEvent(pb.ExplainEventRequest(simulation_id=simulation, sequence=e.sequence)).told:
                self.assertIn(s.text, story)
                seen += 1
        self.assertGreater(seen, 10)

    def test_an_event_that_is_not_there(self):
        error = self.refused(grpc.StatusCode.NOT_FOUND, self.engine.ExplainEvent,
                             pb.ExplainEventRequest(simulation_id=self.runs[0], sequence=100000))
        self.assertEqual(reasons(error)[0], ["EVENT_NOT_FOUND"])
        self.refused(grpc.StatusCode.NOT_FOUND, self.engine.ExplainEvent,
                     pb.ExplainEventRequest(simulation_id="sim_nobody", sequence=1))
        self.refused(grpc.StatusCode.INVALID_ARGUMENT, self.engine.ExplainEvent,
                     pb.ExplainEventRequest(simulation_id=self.runs[0], sequence=0))

    # --- why not ---

    def test_what_happened_is_said_to_have_happened_and_nothing_else(self):
        simulation = self.runs[1]
        events = [e for e in self.log(simulation) if e.actor in CAST and e.operator and e.type not in
                  (pb.SimulationEvent.TYPE_REJECTED, pb.SimulationEvent.TYPE_INTERVENTION)]
        done = {(e.turn, e.actor, e.operator) for e in events}
        turns = max(e.turn for e in events)
        operators = sorted({e.operator for e in events})
        counted = {}
        for turn in range(1, turns + 1):
            for actor in CAST:
                for operator in operators:
                    x = self.engine.ExplainAbsence(pb.ExplainAbsenceRequest(
                        simulation_id=simulation, turn=turn, actor=actor, operator=operator))
                    self.assertEqual(x.reason == pb.AbsenceExplanation.REASON_IT_HAPPENED,
                                     (turn, actor, operator) in done, (turn, actor, operator, x))
                    self.assertNotEqual(x.reason, 0)
                    self.assertTrue(x.text.endswith("."), x.text)
                    counted[x.reason] = counted.get(x.reason, 0) + 1
        self.assertGreaterEqual(len(counted), 3, counted)

    def test_what_was_tried_was_forbidden_by_the_law_in_the_log(self):
        checked = 0
        for simulation in self.runs:
            log = self.log(simulation)
            for e in log:
                tried = (e.turn, e.actor, e.operator)
                if e.type != pb.SimulationEvent.TYPE_REJECTED or e.actor not in CAST or checked > 20:
                    continue
                same = [o for o in log if (o.turn, o.actor, o.operator) == tried]
                if len(same) > 1:
                    continue
                x = self.engine.ExplainAbsence(pb.ExplainAbsenceRequest(
                    simulation_id=simulation, turn=e.turn, actor=e.actor, operator=e.operator, targets=e.targets))
                self.assertEqual(x.reason, pb.AbsenceExplanation.REASON_FORBIDDEN, x)
                self.assertEqual((x.event.sequence, x.detail), (e.sequence, e.law.codes[0]))
                self.assertTrue(x.text.endswith("."), x.text)
                checked += 1
        self.assertGreater(checked, 0)

    def test_the_runner_up_was_outscored_by_what_the_log_says(self):
        checked = 0
        for simulation in self.runs:
            log = self.log(simulation)
            for e in log:
                if e.actor not in CAST or not e.decision.alternatives or e.law.verdict == pb.LawVerdict.VERDICT_REPAIRED:
                    continue
                a = e.decision.alternatives[0]
                if any(o.turn == e.turn and o.actor == e.actor and o.operator == a.operator for o in log):
                    continue
                x = self.engine.ExplainAbsence(pb.ExplainAbsenceRequest(
                    simulation_id=simulation, turn=e.turn, actor=e.actor, operator=a.operator, targets=a.targets))
                if x.reason != pb.AbsenceExplanation.REASON_OUTSCORED:
                    continue  # a director's or a law's word in another pass of the turn
                self.assertLessEqual(x.chosen_utility - x.utility, e.decision.utility - a.utility, (e.sequence, x))
                self.assertEqual(sum(t.value for t in x.terms), x.utility)
                checked += 1
        self.assertGreater(checked, 10)

    def test_names_that_do_not_exist(self):
        for more, field in (({"actor": "nobody"}, "actor"), ({"operator": "fly"}, "operator"),
                            ({"targets": ["nowhere"]}, "targets[0]"), ({"turn": 40}, "turn")):
            ask = dict(simulation_id=self.runs[0], turn=1, actor=CAST[0], operator="go")
            ask.update(more)
            error = self.refused(grpc.StatusCode.INVALID_ARGUMENT, self.engine.ExplainAbsence, pb.ExplainAbsenceRequest(**ask))
            self.assertEqual(reasons(error)[1], [field])

    # --- beliefs ---

    def test_beliefs_are_those_of_the_log(self):
        mistaken = 0
        for simulation in self.runs:
            log = self.log(simulation)
            truth = {}  # a fact is so or not, whoever holds it
            for who in CAST:
                state = self.engine.GetBeliefs(pb.GetBeliefsRequest(simulation_id=simulation, character_id=who))
                expected = [(e.sequence, b.fact, b.after) for e in log for b in e.beliefs if b.character == who]
                got = [(b.sequence, b.fact, b.after) for b in state.beliefs if b.sequence > 1]
                self.assertEqual(got, expected)
                self.assertEqual([b.is_true for b in state.beliefs if b.sequence > 1],
                                 [b.is_true for e in log for b in e.beliefs if b.character == who])
                for b in state.beliefs:
                    held = b.after in (pb.BELIEF_SUSPECTS, pb.BELIEF_BELIEVES)
                    self.assertEqual(truth.setdefault(b.fact, b.is_true == held), b.is_true == held, (b.fact, b))
                    self.assertTrue(b.text.endswith("."))
                for m in state.mistakes:
                    self.assertNotEqual(m.believed, m.actual)
                    self.assertIsNone(RAW.search(m.text), m.text)
                    self.assertNotIn(" nothing", m.text)
                    for value in (m.believed, m.actual):  # a place or a holder by its name, not by its id
                        if m.fluent == "at" and len(value) > 2:
                            self.assertFalse(m.text.endswith(f"is {value}."), m.text)
                    mistaken += 1
                early = self.engine.GetBeliefs(pb.GetBeliefsRequest(simulation_id=simulation, character_id=who, at_turn=1))
                self.assertTrue(all(b.turn <= 1 for b in early.beliefs))
        self.assertGreater(mistaken, 3)
        self.refused(grpc.StatusCode.INVALID_ARGUMENT, self.engine.GetBeliefs,
                     pb.GetBeliefsRequest(simulation_id=self.runs[0], character_id="nobody"))

    # --- proof ---

    def test_a_sound_log_verifies(self):
        for simulation in self.runs:
            v = self.engine.VerifySimulation(pb.VerifySimulationRequest(simulation_id=simulation))
            got = self.engine.GetSimulation(pb.GetSimulationRequest(simulation_id=simulation))
            self.assertTrue(v.chain_intact)
            self.assertTrue(v.laws_checked)
            self.assertEqual(list(v.violations), [])
            self.assertEqual(v.events_checked, got.last_sequence)
            self.assertEqual(v.chain_head, got.chain_head)
            self.assertEqual(v.replay, pb.Verification.REPLAY_MATCH)

    def test_rest_and_command_line(self):
        simulation = self.runs[0]
        answer = self.rest("GET", f"/simulations/{simulation}/events/12:explain?max_depth=2")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(int(answer.json()["event"]["sequence"]), 12)
        self.assertEqual(self.rest("GET", f"/simulations/{simulation}/events/0:explain").status, 422)
        answer = self.rest("POST", f"/simulations/{simulation}:explainAbsence",
                           {"turn": 1, "actor": "pilot", "operator": "console"})
        self.assertEqual(answer.status, 200, answer.body)
        self.assertIn("reason", answer.json())
        answer = self.rest("GET", f"/simulations/{simulation}/beliefs/pilot")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertIn("beliefs", answer.json())
        answer = self.rest("POST", f"/simulations/{simulation}:verify", {})
        self.assertEqual(answer.status, 200, answer.body)
        self.assertIs(answer.json()["chain_intact"], True)

        def ctl(*args):
            return subprocess.run([BIN / "novelctl", "--server", self.server.address, *args], capture_output=True,
                                  text=True, timeout=60)
        for args, has in ((("why", simulation, "12"), "event 12"),
                          (("why-not", simulation, "1", "pilot", "console"), "."),
                          (("beliefs", simulation, "pilot"), "turn"),
                          (("verify", simulation), "sound")):
            done = ctl(*args)
            self.assertEqual(done.returncode, 0, (args, done.stdout, done.stderr))
            self.assertIn(has, done.stdout)
            self.assertEqual(json.loads(ctl(*args, "--json").stdout) is not None, True)


class Tampered(unittest.TestCase):
    def with_changed_row(self, change, look):
        """One simulation whose ninth event is changed on the disk."""
        import pathlib
        import tempfile
        with tempfile.TemporaryDirectory(prefix="novel-test-") as folder:
            data = pathlib.Path(folder) / "data"
            server = start_server(data)
            with grpc.insecure_channel(server.address) as channel:
                engine = stubs.NovelEngineStub(channel)
                run = engine.RunSimulation(pb.SimulationRequest(
                    character_names=CAST, turns=wrappers_pb2.Int32Value(value=3), seed=wrappers_pb2.UInt64Value(value=4)))
                simulation = run.simulation_id
            server.stop()
            with sqlite3.connect(next(data.glob("*.db*"))) as db:
                number, = db.execute("SELECT number FROM simulations WHERE id = ?", (simulation,)).fetchone()
                canonical, = db.execute("SELECT canonical FROM events WHERE simulation = ? AND sequence = 9", (number,)).fetchone()
                changed = bytearray(canonical)
                change(changed)
                db.execute("UPDATE events SET canonical = ? WHERE simulation = ? AND sequence = 9", (bytes(changed), number))
            server = start_server(data)
            try:
                with grpc.insecure_channel(server.address) as channel:
                    look(stubs.NovelEngineStub(channel), simulation)
            finally:
                server.stop()

    def test_a_changed_row_is_named(self):
        def change(canonical):
            canonical[8] ^= 1  # the minute

        def look(engine, simulation):
            v = engine.VerifySimulation(pb.VerifySimulationRequest(simulation_id=simulation))
            self.assertFalse(v.chain_intact)
            self.assertEqual(v.first_bad_event, 9)
            self.assertTrue(any("event 9" in line for line in v.violations), v.violations)
            self.assertEqual(v.replay, pb.Verification.REPLAY_MISMATCH)
        self.with_changed_row(change, look)

    def test_a_damaged_row_is_no_ground_for_an_answer(self):
        """The bytes decode, but what they point at is not there."""
        def change(canonical):
            arguments = canonical[18]
            alternative = 18 + 1 + arguments + 1 + 8 + 6 + 3 + 2  # place, sets, roll, tension, verdict and repair …
            codes = canonical[alternative]
            alternative += 1 + codes + 4 + 4 + 2 * 10  # … codes, reason to plan, utility, terms
            canonical[16:18] = b"\xf0\x7f"  # the operator
            canonical[alternative:alternative + 2] = b"\xf0\x7f"

        def look(engine, simulation):
            for call, request in (
                    (engine.ExplainEvent, pb.ExplainEventRequest(simulation_id=simulation, sequence=9)),
                    (engine.ExplainAbsence, pb.ExplainAbsenceRequest(
                        simulation_id=simulation, turn=1, actor="pilot", operator="console")),
                    (engine.GetBeliefs, pb.GetBeliefsRequest(simulation_id=simulation, character_id="pilot"))):
                with self.assertRaises(grpc.RpcError) as caught:
                    call(request)
                self.assertEqual(caught.exception.code(), grpc.StatusCode.FAILED_PRECONDITION, caught.exception.details())
                self.assertIn("verify the simulation", caught.exception.details())
            with self.assertRaises(grpc.RpcError) as caught:
                engine.TellStory(pb.TellStoryRequest(simulation_id=simulation))
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INTERNAL, caught.exception.details())
            v = engine.VerifySimulation(pb.VerifySimulationRequest(simulation_id=simulation))
            self.assertFalse(v.chain_intact)
            self.assertTrue(any("event 9" in line for line in v.violations), v.violations)
        self.with_changed_row(change, look)

    def test_no_story_is_told_of_changed_bytes(self):
        def change(canonical):
            canonical[8] ^= 1  # the minute: it decodes, and every index is sound

        def look(engine, simulation):
            with self.assertRaises(grpc.RpcError) as caught:
                engine.TellStory(pb.TellStoryRequest(simulation_id=simulation))
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INTERNAL, caught.exception.details())
            self.assertIn("verify it", caught.exception.details())
        self.with_changed_row(change, look)


if __name__ == "__main__":
    unittest.main()
