"""Forks and comparisons through the real programs: what is shared, what is refused, crashes, parents that go, forks of
forks, hundreds of random edits; every log that comes of it verifies."""
import json
import os
import pathlib
import random
import subprocess
import time
import unittest

import grpc

import harness
from harness import BIN, CAST
from novelengine.v1 import novel_engine_pb2 as pb
from novelengine.v1 import novel_engine_pb2_grpc as stubs
from google.rpc import error_details_pb2, status_pb2
from test_direct import Base, Director, EMPTY, SCENARIO, start_request

COMPLETED = pb.Simulation.STATE_COMPLETED
EVENT = pb.SimulationEvent
EDITS = (EVENT.TYPE_FORKED, EVENT.TYPE_INTERVENTION)
BELIEVES = 2


class ForkBase(Base):
    def parent(self, turns=8, seed=7, cast=CAST):
        made = self.engine.SubmitSimulation(start_request(turns, seed, cast), timeout=30)
        return self.wait_state(made.simulation_id, COMPLETED)

    def fork(self, parent, at_turn, *edits, seed=None, turns=None, metadata=None, wait=True):
        request = pb.ForkSimulationRequest(simulation_id=parent, at_turn=at_turn, edits=edits)
        if seed is not None:
            request.seed.value = seed
        if turns is not None:
            request.turns.value = turns
        made = self.engine.ForkSimulation(request, timeout=30, metadata=metadata)
        return self.wait_state(made.simulation_id, COMPLETED) if wait else made

    def events(self, identifier):
        out, after = [], 0
        while True:
            page = self.engine.ListEvents(pb.ListEventsRequest(
                simulation_id=identifier, after_sequence=after, page_size=1000, view=pb.EVENT_VIEW_FULL), timeout=30)
            out += page.events
            after = page.next_after_sequence
            if after == 0:
                return out

    def compare(self, one, other):
        return self.engine.CompareSimulations(pb.CompareSimulationsRequest(simulation_id=one, other_id=other), timeout=30)

    def stage(self, turns=8, seed=7, cast=CAST):
        """The names that edits of such a simulation may use."""
        director = Director(self.engine, dict(start=start_request(turns, seed, cast)))
        stage = director.stage
        director.lose()
        self.engine.DeleteSimulation(pb.DeleteSimulationRequest(simulation_id=stage.simulation_id, force=True), timeout=30)
        return stage

    def refused(self, parent, at_turn, *edits, **more):
        count = len(self.engine.ListSimulations(pb.ListSimulationsRequest(), timeout=30).simulations)
        with self.assertRaises(grpc.RpcError) as caught:
            self.fork(parent, at_turn, *edits, **more)
        self.assertEqual(len(self.engine.ListSimulations(pb.ListSimulationsRequest(), timeout=30).simulations), count)
        details = dict(caught.exception.trailing_metadata()).get("grpc-status-details-bin", b"")
        status = status_pb2.Status.FromString(details)
        parts = {}
        for detail in status.details:
            for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.PreconditionFailure):
                if detail.Is(kind.DESCRIPTOR):
                    parts[kind.DESCRIPTOR.name] = message = kind()
                    detail.Unpack(message)
        return caught.exception, parts

    def assert_field(self, refusal, field):
        error, parts = refusal
        self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT, error)
        self.assertEqual([v.field for v in parts["BadRequest"].field_violations], [field])

    def assert_reason(self, refusal, reason, code=grpc.StatusCode.FAILED_PRECONDITION):
        error, parts = refusal
        self.assertEqual(error.code(), code, error)
        self.assertEqual(parts["ErrorInfo"].reason, reason)


def trait(character, name, value):
    return pb.Edit(trait=pb.Edit.SetTrait(character=character, trait=name, value=value))


class Forks(ForkBase):
    def test_prefix_is_the_parents_and_the_fork_says_what_it_is(self):
        parent = self.parent()
        child = self.fork(parent.simulation_id, 4, trait("pilot", "openness", 3))
        self.assertEqual((child.parent_id, child.fork_turn, child.turns_done), (parent.simulation_id, 4, 8))
        old, new = self.events(parent.simulation_id), self.events(child.simulation_id)
        shared = [e for e in old if e.turn <= 4]
        self.assertEqual([e.canonical for e in new[:len(shared)]], [e.canonical for e in shared])
        self.assertEqual([e.hash for e in new[:len(shared)]], [e.hash for e in shared])
        self.assertEqual([e.type for e in new[len(shared):len(shared) + 2]], list(EDITS))
        self.assertEqual(child.chain_head, new[-1].hash.hex())
        self.assertEqual(child.result.metadata.chain_head, child.chain_head)
        self.assertEqual([e.sequence for e in new], list(range(1, len(new) + 1)))
        self.verify(child.simulation_id)
        self.assertTrue(child.result.story)

    def test_fork_without_an_effect_changes_nothing_after_it(self):
        parent = self.parent()
        child = self.fork(parent.simulation_id, 3)
        found = self.compare(parent.simulation_id, child.simulation_id)
        self.assertEqual((found.first_divergence, found.other_first_divergence, len(found.differences)), (0, 0, 0))
        self.assertTrue(found.same_beginning)
        self.assertEqual([e.type for e in found.other_edits], [EVENT.TYPE_FORKED])
        self.assertEqual(found.same_events, len(self.events(parent.simulation_id)))
        self.assertEqual(child.result.story, parent.result.story)

    def test_comparison_finds_the_divergence_and_its_cause(self):
        parent = self.parent()
        parent_events = self.events(parent.simulation_id)
        actor = next(e for e in parent_events if e.turn == 5 and e.type == EVENT.TYPE_ACTION)
        child = self.fork(parent.simulation_id, 4, pb.Edit(forbid=pb.Edit.ForbidOperator(
            actor=actor.actor, operator=actor.operator)))
        found = self.compare(parent.simulation_id, child.simulation_id)
        self.assertGreater(len(found.differences), 0)
        first = found.differences[0]
        self.assertEqual(first.event.sequence, found.first_divergence)
        self.assertEqual(first.event.turn, 5)
        self.assertLessEqual(found.first_divergence, actor.sequence)
        self.assertEqual((found.ending, found.other_ending),
                         (parent.result.metadata.ending, child.result.metadata.ending))
        new = {e.sequence: e for e in self.events(child.simulation_id)}
        edits = {e.sequence for e in found.other_edits}
        paths = [d.because for d in found.differences if d.because]
        for difference in found.differences:
            path = list(difference.because)
            if not path:
                continue
            self.assertTrue(difference.because_in_other)
            self.assertIn(path[0], edits)
            self.assertEqual(path[-1], difference.other.sequence)
            for before, after in zip(path, path[1:]):
                self.assertIn(before, [c.sequence for c in new[after].causes])
        self.assertTrue(paths or not any(c.sequence in edits for e in new.values() for c in e.causes))

    def test_comparison_of_strangers_says_so(self):
        one, other = self.parent(), self.parent(seed=8)
        found = self.compare(one.simulation_id, other.simulation_id)
        self.assertFalse(found.same_beginning)
        self.assertGreater(len(found.differences), 5)
        self.assertEqual(self.compare(one.simulation_id, one.simulation_id).first_divergence, 0)

    def test_another_seed_and_more_turns(self):
        parent = self.parent()
        child = self.fork(parent.simulation_id, 8, turns=12)
        self.assertEqual((child.turns_done, child.request.turns.value), (12, 12))
        self.verify(child.simulation_id)
        lucky = self.fork(parent.simulation_id, 2, seed=99)
        self.assertEqual((lucky.request.seed.value, lucky.result.seed), (99, 99))
        self.assertNotEqual(lucky.chain_head, parent.chain_head)
        self.verify(lucky.simulation_id)

    def test_exchanged_cast(self):
        parent = self.parent(cast=["engineer", "pilot"])
        child = self.fork(parent.simulation_id, 0, pb.Edit(swap=pb.Edit.SwapCharacter(out="pilot", **{"in": "scientist"})))
        self.assertEqual(list(child.request.character_names), ["engineer", "scientist"])
        self.assertEqual([e.type for e in self.events(child.simulation_id)[:2]], [EVENT.TYPE_STARTED, EVENT.TYPE_FORKED])
        self.verify(child.simulation_id)
        same = self.engine.RunSimulation(start_request(8, 7, ["engineer", "scientist"]), timeout=60)
        self.assertEqual(same.story, child.result.story)
        self.assert_field(self.refused(parent.simulation_id, 2, pb.Edit(swap=pb.Edit.SwapCharacter(
            out="pilot", **{"in": "scientist"}))), "edits[0].swap")
        self.assert_field(self.refused(parent.simulation_id, 0, pb.Edit(swap=pb.Edit.SwapCharacter(
            out="pilot", **{"in": "nobody_here"}))), "edits[0].swap.in")
        again = self.refused(child.simulation_id, 0, pb.Edit(swap=pb.Edit.SwapCharacter(
            out="engineer", **{"in": "pilot"})))
        self.assert_reason(again, "SIMULATION_BEGUN")

    def test_refusals_create_nothing(self):
        parent = self.parent()
        at = parent.simulation_id
        self.assert_reason(self.refused("sim_00000000000000000000000000", 1), "SIMULATION_NOT_FOUND", grpc.StatusCode.NOT_FOUND)
        self.assert_field(self.refused(at, 9), "at_turn")
        self.assert_field(self.refused(at, 8), "at_turn")
        self.assert_field(self.refused(at, 4, turns=4), "turns")
        self.assert_field(self.refused(at, 4, pb.Edit()), "edits[0].edit")
        self.assert_field(self.refused(at, 4, trait("pilot", "openness", 5), pb.Edit(whisper=pb.Edit.Whisper(
            character="pilot", fact="no_such_fact", belief=BELIEVES))), "edits[1].whisper.fact")
        self.assert_field(self.refused(at, 4, trait("pilot", "openness", 101)), "edits[0].trait.value")
        self.assert_field(self.refused(at, 4, *[trait("pilot", "openness", 5)] * 65), "edits")

    def test_law_refuses_an_edit(self):
        parent = self.parent()
        stage = self.stage()
        cast = [e.id for e in stage.entities if e.sort == "character"]
        found = None
        for operator in stage.operators:
            if operator.targets != ["character"]:
                continue
            for turn in (1, 3, 6):
                act = pb.Edit(act=pb.Edit.Act(actor="pilot", operator=operator.name, targets=[cast[0]]))
                try:
                    self.fork(parent.simulation_id, turn, act, wait=False)
                except grpc.RpcError as error:
                    if "forbidden" in error.details():
                        found = self.refused(parent.simulation_id, turn, act)
                        break
            if found:
                break
        self.assertIsNotNone(found)
        self.assert_reason(found, "EDIT_REJECTED")
        violation = found[1]["PreconditionFailure"].violations[0]
        self.assertRegex(violation.type, r"^E00\d\.\d$")
        self.assertEqual(violation.subject, "edits[0]")
        self.assertTrue(violation.description)

    def test_key_makes_a_retry_the_same_fork(self):
        parent = self.parent()
        key = (("idempotency-key", "fork-once"),)
        first = self.fork(parent.simulation_id, 2, metadata=key)
        self.assertEqual(self.fork(parent.simulation_id, 2, metadata=key).simulation_id, first.simulation_id)
        self.assert_reason(self.refused(parent.simulation_id, 3, metadata=key), "IDEMPOTENCY_KEY_REUSED")

    def test_watching_a_fork_shows_its_whole_log(self):
        parent = self.parent()
        child = self.fork(parent.simulation_id, 4, wait=False)
        updates = list(self.engine.WatchSimulation(pb.WatchSimulationRequest(simulation_id=child.simulation_id), timeout=60))
        events = [u.event for u in updates if u.type == pb.SimulationUpdate.TYPE_EVENT]
        self.assertEqual([e.sequence for e in events], list(range(1, len(events) + 1)))
        self.assertTrue(all(u.simulation_id == child.simulation_id for u in updates))
        percents = [u.progress_percent for u in updates]
        self.assertEqual(percents, sorted(percents))
        self.assertEqual(updates[-1].type, pb.SimulationUpdate.TYPE_RESULT)

    def test_fork_of_a_fork_whose_parents_are_gone(self):
        parent = self.parent()
        child = self.fork(parent.simulation_id, 3, trait("pilot", "honesty", 2))
        self.engine.DeleteSimulation(pb.DeleteSimulationRequest(simulation_id=parent.simulation_id), timeout=30)
        grandchild = self.fork(child.simulation_id, 5, trait("engineer", "openness", 97), trait("pilot", "honesty", 90))
        self.engine.DeleteSimulation(pb.DeleteSimulationRequest(simulation_id=child.simulation_id), timeout=30)
        types = [e.type for e in self.events(grandchild.simulation_id) if e.type in EDITS]
        self.assertEqual(types, [EVENT.TYPE_FORKED, EVENT.TYPE_INTERVENTION] + [EVENT.TYPE_FORKED] + [EVENT.TYPE_INTERVENTION] * 2)
        self.verify(grandchild.simulation_id)

    def test_killed_while_forks_run(self):
        parent = self.parent(turns=50)
        edits = [trait("pilot", "openness", 1), trait("engineer", "honesty", 99)]
        calm = self.fork(parent.simulation_id, 20, *edits)
        children = [self.fork(parent.simulation_id, 20, *edits, wait=False).simulation_id for _ in range(30)]
        self.engine.DeleteSimulation(pb.DeleteSimulationRequest(simulation_id=parent.simulation_id), timeout=30)
        self.crash_and_restart()
        for _ in range(2):
            time.sleep(0.05)
            self.crash_and_restart()
        for child in children:
            self.assertEqual(self.wait_state(child, COMPLETED).chain_head, calm.chain_head)
        self.verify(children[-1])

    def test_running_parent(self):
        director = self.start(turns=6)
        identifier = director.stage.simulation_id
        director.step(3)
        child = self.fork(identifier, 2)
        self.assertEqual(child.turns_done, 6)
        self.assert_reason(self.refused(identifier, 5), "TURN_NOT_DONE")
        director.edit(trait=pb.Edit.SetTrait(character="pilot", trait="openness", value=1))
        other = self.fork(identifier, 3)
        self.assertIn(EVENT.TYPE_INTERVENTION, [e.type for e in self.events(other.simulation_id)])
        director.post(finish=EMPTY)
        director.to_end()
        whole = self.wait_state(identifier, COMPLETED)
        self.assertEqual(whole.result.story, other.result.story)

    def test_hundreds_of_random_edits_break_no_law(self):
        rounds = int(os.environ.get("NOVEL_FORK_EDITS", "300"))
        chance = random.Random(20)
        made, rejected = [], 0
        for seed in range(1, 4):
            stage, parent = self.stage(seed=seed), self.parent(seed=seed)
            names = {sort: [e.id for e in stage.entities if e.sort == sort]
                     for sort in ("character", "place", "item", "fact")}
            for _ in range(rounds // 3):
                edits = [random_edit(chance, stage, names) for _ in range(chance.randint(1, 3))]
                try:
                    made.append(self.fork(parent.simulation_id, chance.randint(0, 7), *edits, wait=False).simulation_id)
                except grpc.RpcError as error:
                    senseless = "twice" in error.details() or "in answer to another act" in error.details()
                    expected = grpc.StatusCode.INVALID_ARGUMENT if senseless else grpc.StatusCode.FAILED_PRECONDITION
                    self.assertEqual(error.code(), expected, f"{error} {edits}")
                    rejected += 1
        self.assertGreater(len(made), rounds // 5)
        for identifier in made:
            self.wait_state(identifier, COMPLETED)
            self.verify(identifier)


class OtherWays(ForkBase):
    def ctl(self, *args, code=0):
        run = subprocess.run([str(BIN / "novelctl"), "--server", self.server.address, *args], capture_output=True,
                             text=True, timeout=120)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run.stdout if code == 0 else run.stderr

    def test_rest(self):
        parent = self.parent()
        gateway = harness.start_gateway(self.server.address)
        try:
            path = f"/simulations/{parent.simulation_id}"
            body = {"at_turn": 4, "edits": [{"trait": {"character": "pilot", "trait": "openness", "value": 3}}]}
            answer = harness.rest(gateway.port, "POST", path + ":fork", body, {"Idempotency-Key": "one"})
            self.assertEqual(answer.status, 202, answer.body)
            made = answer.json()
            self.assertEqual((made["parent_id"], made["fork_turn"]), (parent.simulation_id, 4))
            again = harness.rest(gateway.port, "POST", path + ":fork", body, {"Idempotency-Key": "one"})
            self.assertEqual(again.json()["simulation_id"], made["simulation_id"])
            self.wait_state(made["simulation_id"], COMPLETED)
            found = harness.rest(gateway.port, "GET", f"{path}:compare?other_id={made['simulation_id']}")
            self.assertEqual(found.status, 200, found.body)
            self.assertTrue(found.json()["same_beginning"])
            body["edits"].append({"whisper": {"character": "pilot", "fact": "no_such_fact"}})
            wrong = harness.rest(gateway.port, "POST", path + ":fork", body)
            self.assertEqual(wrong.status, 422, wrong.body)
            self.assertIn("edits[1].whisper", wrong.body.decode() if isinstance(wrong.body, bytes) else wrong.body)
            self.assertEqual(harness.rest(gateway.port, "POST", "/simulations/sim_nobody:fork", {}).status, 404)
        finally:
            gateway.stop()

    def test_novelctl(self):
        parent = self.parent().simulation_id
        child = self.ctl("fork", parent, "--at", "4", "--edit", "trait:pilot:openness=2", "--edit",
                         "forbid:anyone:let_be").strip()
        self.wait_state(child, COMPLETED)
        types = [e.type for e in self.events(child) if e.type in EDITS]
        self.assertEqual(types, [EVENT.TYPE_FORKED, EVENT.TYPE_INTERVENTION, EVENT.TYPE_INTERVENTION])
        self.assertIn(f"fork of     {parent}, after turn 4", self.ctl("show", child))
        self.assertIn("fork --help", self.ctl("fork", parent, "--at", "4", "--edit", "wish:pilot:rain", code=2))
        sheet = self.ctl("compare", parent, child)
        self.assertIn("They part in turn", sheet)
        self.assertIn("openness", sheet)
        self.assertIn("They are the same", self.ctl("compare", parent, parent))
        self.assertIn("begun otherwise", self.ctl("compare", parent, self.parent(seed=3).simulation_id))
        self.assertEqual(json.loads(self.ctl("--json", "compare", parent, child))["same_beginning"], True)
        story = self.ctl("fork", parent, "--at", "6", "--wait")
        self.assertEqual(story.strip(), self.get(parent).result.story.strip())
        self.assertIn("whisper", self.ctl("fork", parent, "--at", "4", "--edit", "whisper:pilot", code=2))
        self.assertIn("edits[0].whisper.fact", self.ctl("fork", parent, "--at", "4", "--edit", "whisper:pilot:no:believes", code=5))
        self.assertIn("--at", self.ctl("fork", parent, code=2))
        self.ctl("fork", "sim_nobody", "--at", "0", code=3)
        self.ctl("compare", parent, "sim_nobody", code=3)

    def test_seek(self):
        def seek(*args, code=0):
            out = self.ctl("--json", "seek", *CAST, "--turns", "5", "--scenario", SCENARIO, *args, code=code)
            return [json.loads(line) for line in out.splitlines()] if code == 0 else out
        everything = seek("--seeds", "40", "--seed", "100", "--keep")
        self.assertEqual([int(r["seed"]) for r in everything], list(range(100, 140)))
        truth = {}
        for r in everything:
            events = self.events(r["simulation_id"])
            truth[int(r["seed"])] = dict(
                hurt=any(x.fluent == "hurt" and x.after > x.before for e in events for x in e.effects),
                does={e.operator for e in events if e.type != EVENT.TYPE_REJECTED}, ending=r["metadata"]["ending"])
        stored = len(self.engine.ListSimulations(pb.ListSimulationsRequest(page_size=1000)).simulations)
        ask = ("--seeds", "40", "--seed", "100")
        operator = sorted(set.union(*(t["does"] for t in truth.values())) - set.intersection(*(t["does"] for t in truth.values())))[0]
        ending = truth[100]["ending"]
        for where, holds in (("nobody-hurt", lambda t: not t["hurt"]), (f"has={operator}", lambda t: operator in t["does"]),
                             (f"lacks={operator}", lambda t: operator not in t["does"]),
                             (f"ending={ending}", lambda t: ending in t["ending"])):
            found = {int(r["seed"]) for r in seek(*ask, "--where", where)}
            self.assertEqual(found, {s for s, t in truth.items() if holds(t)}, where)
            stored += len(found)  # those that were not chosen are gone again
            self.assertEqual(len(self.engine.ListSimulations(pb.ListSimulationsRequest(page_size=1000)).simulations), stored)
        chosen = seek(*ask, "--most-different", "4")
        self.assertEqual(len({r["seed"] for r in chosen}), 4)
        self.assertEqual(chosen, sorted(chosen, key=chosen.index))
        self.assertIn("--where", self.ctl("seek", *CAST, "--where", "nonsense", code=2))


def random_edit(chance, stage, names):
    kind = chance.choice(("whisper", "trait", "item", "incident", "forbid", "act"))
    person = chance.choice(CAST)
    if kind == "whisper":
        return pb.Edit(whisper=pb.Edit.Whisper(character=person, fact=chance.choice(names["fact"]), belief=chance.randint(1, 3)))
    if kind == "trait":
        return trait(person, chance.choice(stage.traits), chance.randint(0, 100))
    if kind == "item" and names["item"]:
        return pb.Edit(item=pb.Edit.MoveItem(item=chance.choice(names["item"]),
                                             to=chance.choice(names["place"] + CAST)))
    if kind == "incident":
        return pb.Edit(incident=chance.choice(stage.incidents))
    operator = chance.choice(stage.operators)
    if kind == "act" and all(names.get(sort) for sort in operator.targets):
        return pb.Edit(act=pb.Edit.Act(actor=person, operator=operator.name,
                                       targets=[chance.choice(names[sort]) for sort in operator.targets]))
    return pb.Edit(forbid=pb.Edit.ForbidOperator(actor=chance.choice(CAST + [""]), operator=operator.name))


if __name__ == "__main__":
    unittest.main()
