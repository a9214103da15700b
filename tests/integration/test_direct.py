"""Directing a simulation live: orders and their answers over gRPC and WebSocket, lost directors, crashes, hundreds of
random orders; every log that comes of it verifies."""
import json
import os
import pathlib
import queue
import random
import subprocess
import tempfile
import threading
import time
import unittest

import grpc

import harness
from harness import BIN, CAST, start_server
from novelengine.v1 import novel_engine_pb2 as pb
from novelengine.v1 import novel_engine_pb2_grpc as stubs
from google.protobuf import empty_pb2, wrappers_pb2
from test_streams import WebSocket

EMPTY = empty_pb2.Empty()
SCENARIO = "a distress signal from an abandoned mining station"
AWAITING, COMPLETED, CANCELLED = pb.Simulation.STATE_AWAITING_DIRECTOR, pb.Simulation.STATE_COMPLETED, pb.Simulation.STATE_CANCELLED
VALID, REJECTED = pb.LawVerdict.VERDICT_VALID, pb.LawVerdict.VERDICT_REJECTED
DETACH = pb.DirectorCommand


def start_request(turns=6, seed=7, cast=CAST):
    return pb.SimulationRequest(character_names=cast, turns=wrappers_pb2.Int32Value(value=turns),
                                seed=wrappers_pb2.UInt64Value(value=seed), scenario=SCENARIO)


class Director:
    """A stream of commands and updates; what is not asked for yet is kept."""

    def __init__(self, engine, first=None, **more):
        self.orders = queue.Queue()
        self.count = 0
        self.events, self.passages, self.result, self.error = [], 0, None, None
        self.stage = self.proposals = None
        self.call = engine.DirectSimulation(iter(self.orders.get, None), timeout=120)
        self.updates = iter(self.call)
        if first is not None:
            self.order(**first, **more)

    def post(self, **command):
        self.count += 1
        name = f"order-{self.count}"
        self.orders.put(pb.DirectorCommand(command_id=name, **command))
        return name

    def take(self):
        update = next(self.updates)
        kind = update.WhichOneof("update")
        if kind == "simulation":
            inner = update.simulation
            if inner.type == pb.SimulationUpdate.TYPE_EVENT:
                if self.events and inner.sequence != self.events[-1].sequence + 1:
                    raise AssertionError(f"event {inner.sequence} after {self.events[-1].sequence}")
                self.events.append(inner.event)
            elif inner.type == pb.SimulationUpdate.TYPE_RESULT:
                self.result = inner.result
            elif inner.type == pb.SimulationUpdate.TYPE_ERROR:
                self.error = inner.error
            else:
                self.passages += 1
        elif kind == "stage":
            self.stage = update.stage
        elif kind == "proposals":
            self.proposals = list(update.proposals.proposals)
        return update

    def order(self, **command):
        """The answer to a command: verdict, error or stage."""
        name = self.post(**command)
        while True:
            update = self.take()
            if update.command_id == name:
                return update

    def verdict(self, **command):
        update = self.order(**command)
        if update.WhichOneof("update") != "verdict":
            raise AssertionError(str(update))
        return update.verdict

    def wait_proposals(self):
        self.proposals = None
        while self.proposals is None:
            self.take()
        return self.proposals

    def step(self, turns=1):
        assert self.verdict(step_turns=turns).verdict == VALID
        if self.result is None:
            try:
                self.wait_proposals()
            except StopIteration:
                pass

    def edit(self, **edit):
        return self.order(edit=pb.Edit(**edit))

    def to_end(self):
        for _ in iter(lambda: self.maybe_take(), None):
            pass
        return self.call.code()

    def maybe_take(self):
        try:
            return self.take()
        except StopIteration:
            return None

    def done(self):
        """Operators of what happened, without what was only asked for."""
        return [e.operator for e in self.events if e.type != pb.SimulationEvent.TYPE_INTERVENTION]

    def lose(self):
        """As a lost connection: RST_STREAM without a word."""
        self.call.cancel()
        self.orders.put(None)

    def names(self, sort):
        return [e.id for e in self.stage.entities if e.sort == sort]


class Base(unittest.TestCase):
    args = ("--director-wait-ms", "700")

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="novel-direct-")
        self.data = pathlib.Path(self.folder.name) / "data"
        self.server = start_server(self.data, *self.args)
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
        self.server = start_server(self.data, *self.args)
        self.connect()

    def get(self, identifier):
        return self.engine.GetSimulation(pb.GetSimulationRequest(simulation_id=identifier), timeout=30)

    def wait_state(self, identifier, state, seconds=30):
        end = time.monotonic() + seconds
        while (now := self.get(identifier)).state != state:
            self.assertLess(time.monotonic(), end, now)
            time.sleep(0.02)
        return now

    def start(self, turns=6, seed=7, cast=CAST, **more):
        director = Director(self.engine, dict(start=start_request(turns, seed, cast)), **more)
        self.assertIsNotNone(director.stage)
        director.wait_proposals()
        return director

    def attach(self, identifier, on_detach=DETACH.ON_DETACH_CONTINUE, after=0):
        director = Director(self.engine, dict(attach=pb.DirectorCommand.Attach(
            simulation_id=identifier, on_detach=on_detach, after_sequence=after)))
        return director

    def verify(self, identifier):
        """The exported log verifies offline."""
        file = pathlib.Path(self.folder.name) / "log.nvlog"
        with file.open("wb") as out:
            for body in self.engine.ExportSimulation(pb.ExportSimulationRequest(simulation_id=identifier), timeout=60):
                out.write(body.data)
        run = subprocess.run([str(BIN / "novel-verify"), str(file)], capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run.stdout

    def assert_refused(self, code, reason, run):
        with self.assertRaises(grpc.RpcError) as caught:
            run()
        self.assertEqual(caught.exception.code(), code, caught.exception)
        details = dict(caught.exception.trailing_metadata()).get("grpc-status-details-bin", b"")
        self.assertIn(reason.encode(), details)

    def assert_field(self, update, field, code=grpc.StatusCode.INVALID_ARGUMENT):
        self.assertEqual(update.WhichOneof("update"), "error", update)
        self.assertEqual(update.error.code, code.value[0], update)
        self.assertIn(field.encode(), b"".join(d.value for d in update.error.details), update)


class Orders(Base):
    def test_undirected_run_is_what_a_director_who_says_nothing_gets(self):
        plain = self.engine.RunSimulation(start_request(), timeout=60)
        director = self.start()
        identifier = director.stage.simulation_id
        self.assertEqual(director.events, [])
        self.assertEqual(self.get(identifier).state, AWAITING)
        director.step(2)
        self.assertEqual(max(e.turn for e in director.events), 2)
        now = self.get(identifier)
        self.assertEqual((now.state, now.turns_done, now.last_sequence), (AWAITING, 2, len(director.events)))
        time.sleep(0.2)  # nothing comes by itself
        self.assertEqual(self.get(identifier).turns_done, 2)
        self.assertEqual(director.verdict(resume=EMPTY).verdict, VALID)
        self.assertEqual(director.to_end(), grpc.StatusCode.OK)
        self.assertEqual(director.result.metadata.chain_head, plain.metadata.chain_head)
        self.assertEqual(director.result.story, plain.story)
        self.assertGreater(director.passages, 0)
        self.verify(identifier)

    def test_stage_names_what_edits_may_name(self):
        director = self.start()
        self.assertEqual(director.names("character")[:3], CAST)
        for sort in ("place", "item", "fact"):
            self.assertTrue(director.names(sort), sort)
        self.assertEqual((director.stage.turns, director.stage.turns_done), (6, 0))
        names = {o.name for o in director.stage.operators}
        self.assertTrue({p.operator for p in director.proposals} <= names)
        self.assertTrue(director.stage.incidents)
        numbers = [p.proposal for p in director.proposals]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertTrue({p.actor for p in director.proposals} <= set(director.names("character")))
        director.lose()

    def test_whisper_is_answered_once_durable_and_is_in_the_log(self):
        director = self.start()
        fact = director.names("fact")[0]
        update = director.edit(whisper=pb.Edit.Whisper(character="pilot", fact=fact, belief=pb.BELIEF_BELIEVES))
        self.assertEqual(update.verdict.verdict, VALID, update)
        # The event came before the verdict: STARTED, held back until now, and the intervention.
        self.assertEqual([e.type for e in director.events],
                         [pb.SimulationEvent.TYPE_STARTED, pb.SimulationEvent.TYPE_INTERVENTION])
        self.assertEqual(director.events[1].actor, "director")
        self.assertEqual(self.get(director.stage.simulation_id).last_sequence, 2)
        director.wait_proposals()
        self.assertEqual(director.verdict(finish=EMPTY).verdict, VALID)
        self.assertEqual(director.to_end(), grpc.StatusCode.OK)
        self.verify(director.stage.simulation_id)

    def test_traits_items_forbidding_incidents(self):
        director = self.start(turns=8)
        self.assertEqual(director.edit(trait=pb.Edit.SetTrait(character="pilot", trait="honesty", value=3)).verdict.verdict, VALID)
        verdicts = [director.edit(item=pb.Edit.MoveItem(item=i, to="engineer")).verdict for i in director.names("item")]
        self.assertIn(VALID, [v.verdict for v in verdicts])
        director.wait_proposals()
        unwanted = director.proposals[0]
        self.assertEqual(director.edit(forbid=pb.Edit.ForbidOperator(actor="", operator=unwanted.operator)).verdict.verdict, VALID)
        director.wait_proposals()
        self.assertNotIn(unwanted.operator, [p.operator for p in director.proposals])
        for incident in director.stage.incidents[:40]:
            verdict = director.edit(incident=incident).verdict
            if verdict.verdict == REJECTED:
                self.assertTrue(verdict.reason)
        director.step(2)
        self.assertNotIn(unwanted.operator, director.done())
        director.verdict(finish=EMPTY)
        director.to_end()
        self.verify(director.stage.simulation_id)

    def test_what_the_laws_forbid_is_rejected_with_codes_and_leaves_no_trace(self):
        director = self.start()
        rejected = None
        for operator in director.stage.operators:
            verdict = director.edit(act=pb.Edit.Act(actor="pilot", operator=operator.name)).verdict
            if verdict.verdict == REJECTED:
                rejected = verdict
                break
        self.assertIsNotNone(rejected)
        self.assertRegex(rejected.codes[0], r"^E00[1-5]")
        self.assertGreater(len(rejected.reason), 10)
        before = len(director.events)
        director.verdict(finish=EMPTY)
        director.to_end()
        self.assertEqual(sum(e.type == pb.SimulationEvent.TYPE_INTERVENTION for e in director.events[before:]), 0)

    def test_an_ordered_act_is_done(self):
        director = self.start(turns=8)
        for proposal in director.proposals:  # what another would do is a fair thing to ask for
            verdict = director.edit(act=pb.Edit.Act(actor=proposal.actor, operator=proposal.operator,
                                                    targets=proposal.targets)).verdict
            if verdict.verdict == VALID:
                break
        self.assertEqual(verdict.verdict, VALID)
        director.step(1)
        self.assertIn(proposal.operator, director.done())
        director.verdict(finish=EMPTY)
        director.to_end()
        self.verify(director.stage.simulation_id)

    def test_veto_takes_a_proposal_away(self):
        director = self.start()
        victim = director.proposals[0]
        self.assertEqual(director.verdict(veto=pb.DirectorCommand.Veto(proposal=victim.proposal)).verdict, VALID)
        director.wait_proposals()
        key = (victim.actor, victim.operator, list(victim.targets))
        self.assertNotIn(key, [(p.actor, p.operator, list(p.targets)) for p in director.proposals])
        # Numbers are never used twice, so an old one is an error, not another's veto.
        self.assert_field(director.order(veto=pb.DirectorCommand.Veto(proposal=victim.proposal)), "veto.proposal")
        director.step(1)
        director.verdict(finish=EMPTY)
        director.to_end()
        self.verify(director.stage.simulation_id)

    def test_unknown_names_are_errors_with_their_field(self):
        director = self.start()
        for field, edit in (("edit.whisper.character", dict(whisper=pb.Edit.Whisper(character="nobody", fact=director.names("fact")[0], belief=2))),
                            ("edit.whisper.fact", dict(whisper=pb.Edit.Whisper(character="pilot", fact="nothing", belief=2))),
                            ("edit.trait.trait", dict(trait=pb.Edit.SetTrait(character="pilot", trait="charm", value=5))),
                            ("edit.trait.value", dict(trait=pb.Edit.SetTrait(character="pilot", trait="honesty", value=500))),
                            ("edit.item.item", dict(item=pb.Edit.MoveItem(item="nothing", to="pilot"))),
                            ("edit.item.to", dict(item=pb.Edit.MoveItem(item=director.names("item")[0], to="nowhere"))),
                            ("edit.act.operator", dict(act=pb.Edit.Act(actor="pilot", operator="fly away"))),
                            ("edit.act.actor", dict(act=pb.Edit.Act(actor="nobody", operator=director.stage.operators[0].name))),
                            ("edit.incident", dict(incident="doomsday")),
                            ("edit.forbid.operator", dict(forbid=pb.Edit.ForbidOperator(actor="pilot", operator="x"))),
                            ("edit.swap.in", dict(swap=pb.Edit.SwapCharacter(out="pilot", **{"in": "nobody"}))),
                            ("edit.swap.out", dict(swap=pb.Edit.SwapCharacter(out="nobody", **{"in": "smuggler"}))),
                            ("edit", dict())):
            with self.subTest(field):
                self.assert_field(director.edit(**edit), field)
        self.assert_field(director.order(step_turns=0), "step_turns")
        self.assert_field(director.order(step_turns=51), "step_turns")
        self.assert_field(director.order(), "command")
        self.assert_field(director.order(start=start_request()), "command")
        self.assertEqual(director.events, [])
        self.assertEqual(director.verdict(finish=EMPTY).verdict, VALID)
        self.assertEqual(director.order(pause=EMPTY).error.code, grpc.StatusCode.FAILED_PRECONDITION.value[0])
        self.assertEqual(director.to_end(), grpc.StatusCode.OK)

    def test_swap_before_anything_happened(self):
        plain = self.engine.RunSimulation(start_request(cast=["engineer", "smuggler", "scientist"]), timeout=60)
        director = self.start()
        self.assertEqual(director.edit(swap=pb.Edit.SwapCharacter(out="pilot", **{"in": "smuggler"})).verdict.verdict, VALID)
        director.wait_proposals()
        self.assertEqual(director.names("character")[:3], ["engineer", "smuggler", "scientist"])
        self.assertEqual(list(self.get(director.stage.simulation_id).request.character_names), ["engineer", "smuggler", "scientist"])
        director.step(1)
        update = director.edit(swap=pb.Edit.SwapCharacter(out="engineer", **{"in": "pilot"}))
        self.assertEqual(update.error.code, grpc.StatusCode.FAILED_PRECONDITION.value[0], update)
        director.verdict(finish=EMPTY)
        director.to_end()
        self.assertEqual(director.result.metadata.chain_head, plain.metadata.chain_head)
        self.verify(director.stage.simulation_id)

    def test_first_command_opens_or_ends_the_stream(self):
        missing = dict(attach=pb.DirectorCommand.Attach(simulation_id="sim_nothing"))
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "SIMULATION_NOT_FOUND", lambda: Director(self.engine, missing))
        self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "command", lambda: Director(self.engine, dict(pause=EMPTY)))
        self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "attach.simulation_id",
                            lambda: Director(self.engine, dict(attach=pb.DirectorCommand.Attach())))
        self.assert_refused(grpc.StatusCode.NOT_FOUND, "CHARACTER_NOT_FOUND",
                            lambda: Director(self.engine, dict(start=start_request(cast=["pilot", "nobody"]))))
        done = self.engine.RunSimulation(start_request(turns=1), timeout=60)
        self.assert_refused(grpc.StatusCode.FAILED_PRECONDITION, "SIMULATION_FINISHED",
                            lambda: self.attach(done.simulation_id))
        silent = Director(self.engine)
        silent.orders.put(None)
        self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, "command", lambda: next(silent.updates))

    def test_only_one_director(self):
        director = self.start()
        identifier = director.stage.simulation_id
        self.assert_refused(grpc.StatusCode.FAILED_PRECONDITION, "DIRECTED", lambda: self.attach(identifier))
        director.step(1)
        director.verdict(finish=EMPTY)
        director.to_end()

    def test_cancel_and_delete_under_direction(self):
        director = self.start()
        identifier = director.stage.simulation_id
        director.step(1)
        self.engine.CancelSimulation(pb.CancelSimulationRequest(simulation_id=identifier), timeout=30)
        self.assertEqual(director.to_end(), grpc.StatusCode.OK)
        self.assertEqual(director.error.code, grpc.StatusCode.CANCELLED.value[0])
        self.verify(identifier)
        director = self.start()
        self.engine.DeleteSimulation(pb.DeleteSimulationRequest(simulation_id=director.stage.simulation_id, force=True), timeout=30)
        director.maybe_take()
        try:
            self.assertIn(director.to_end(), (grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND))
        except grpc.RpcError as error:
            self.assertEqual(error.code(), grpc.StatusCode.NOT_FOUND)

    def test_attach_to_a_running_one_stops_it_and_shows_its_log(self):
        made = self.engine.SubmitSimulation(start_request(turns=50, seed=3, cast=CAST + ["smuggler", "test"]), timeout=30)
        try:
            director = self.attach(made.simulation_id)
        except grpc.RpcError as error:  # it was faster
            self.assertEqual(error.code(), grpc.StatusCode.FAILED_PRECONDITION)
            return
        director.wait_proposals()
        now = self.get(made.simulation_id)
        self.assertEqual(now.state, AWAITING)
        self.assertEqual(len(director.events), now.last_sequence)
        director.verdict(finish=EMPTY)
        director.to_end()
        self.assertEqual(self.get(made.simulation_id).state, COMPLETED)

    def test_pause_while_it_runs(self):
        for seed in range(5):
            director = self.start(turns=50, seed=seed + 1, cast=CAST + ["smuggler", "test"])
            director.verdict(resume=EMPTY)
            update = director.order(pause=EMPTY)
            if update.WhichOneof("update") == "verdict":
                now = self.get(director.stage.simulation_id)
                self.assertEqual((now.state, now.last_sequence), (AWAITING, len(director.events)))
                director.verdict(finish=EMPTY)
            self.assertEqual(director.to_end(), grpc.StatusCode.OK)


class Lost(Base):
    def test_continue(self):
        plain = self.engine.RunSimulation(start_request(), timeout=60)
        director = self.start()
        director.step(1)
        identifier = director.stage.simulation_id
        director.lose()
        time.sleep(0.3)
        self.assertEqual(self.get(identifier).state, AWAITING)
        done = self.wait_state(identifier, COMPLETED)
        self.assertEqual(done.chain_head, plain.metadata.chain_head)

    def test_back_in_time(self):
        director = self.start()
        director.step(2)
        identifier, seen = director.stage.simulation_id, len(director.events)
        director.lose()
        end = time.monotonic() + 20
        while True:  # the server may not know yet that the other is gone
            try:
                again = self.attach(identifier, after=seen)
                break
            except grpc.RpcError as error:
                self.assertIn("directs", error.details())
                self.assertLess(time.monotonic(), end)
        again.wait_proposals()
        self.assertEqual(again.events, [])
        self.assertEqual(again.stage.turns_done, 2)
        time.sleep(1)  # longer than the wait: he is here
        self.assertEqual(self.get(identifier).state, AWAITING)
        again.step(1)
        self.assertEqual(again.events[0].sequence, seen + 1)
        again.verdict(finish=EMPTY)
        again.to_end()
        self.verify(identifier)

    def test_pause_waits_for_good(self):
        director = self.start(on_detach=DETACH.ON_DETACH_PAUSE)
        director.step(1)
        identifier = director.stage.simulation_id
        director.lose()
        time.sleep(1.5)
        self.assertEqual(self.get(identifier).state, AWAITING)
        self.crash_and_restart()
        time.sleep(1.2)
        self.assertEqual(self.get(identifier).state, AWAITING)
        again = self.attach(identifier)
        again.wait_proposals()
        self.assertEqual([e.sequence for e in again.events], [e.sequence for e in director.events])
        again.verdict(finish=EMPTY)
        again.to_end()
        self.assertEqual(self.get(identifier).state, COMPLETED)

    def test_cancel(self):
        director = self.start(on_detach=DETACH.ON_DETACH_CANCEL)
        director.step(1)
        director.lose()
        self.wait_state(director.stage.simulation_id, CANCELLED)
        self.verify(director.stage.simulation_id)

    def test_no_more_commands_is_leaving(self):
        director = self.start()
        director.step(1)
        director.orders.put(None)  # half-close: he still watches
        self.assertEqual(director.to_end(), grpc.StatusCode.OK)
        self.assertIsNotNone(director.result)

    def test_lost_while_it_runs(self):
        director = self.start(turns=50, cast=CAST + ["smuggler", "test"], on_detach=DETACH.ON_DETACH_PAUSE)
        director.verdict(resume=EMPTY)
        director.lose()
        identifier = director.stage.simulation_id
        end = time.monotonic() + 20
        while (now := self.get(identifier)).state not in (AWAITING, COMPLETED):
            self.assertLess(time.monotonic(), end)
        if now.state == AWAITING:
            again = self.attach(identifier)
            again.verdict(finish=EMPTY)
            again.to_end()
        self.verify(identifier)

    def test_waiting_is_not_running(self):
        self.server.stop()
        self.server = start_server(self.data, "--max-run-ms", "1500", "--director-wait-ms", "100")
        self.channel.close()
        self.connect()
        director = self.start()
        director.step(1)
        time.sleep(2)
        director.step(1)
        director.verdict(finish=EMPTY)
        self.assertEqual(director.to_end(), grpc.StatusCode.OK)
        self.assertIsNotNone(director.result, director.error)

    def test_seats_are_bounded(self):
        self.server.stop()
        self.server = start_server(self.data, "--max-directed", "2", "--max-running", "1")
        self.channel.close()
        self.connect()
        directors = [self.start(), self.start()]
        self.assert_refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "DIRECTORS_FULL", self.start)
        self.engine.RunSimulation(start_request(turns=1), timeout=60)  # they take no place from others
        directors[0].verdict(finish=EMPTY)
        directors[0].to_end()
        self.start().lose()

    def test_who_does_not_read_is_not_read(self):
        """Commands without end from a director who takes no answers: he is stopped by his window, and nothing piles up."""
        director = self.start()
        memory = lambda: int(pathlib.Path(f"/proc/{self.server.process.pid}/statm").read_text().split()[1]) * 4096
        before, fact = memory(), "nothing_" + "x" * 3000
        for _ in range(20000):
            director.post(edit=pb.Edit(whisper=pb.Edit.Whisper(character="pilot", fact=fact, belief=2)))
        time.sleep(2)
        if not os.environ.get("NOVEL_SANITIZE"):  # its quarantine keeps what was freed
            self.assertLess(memory() - before, 32 << 20)  # of 60 MB
        start = time.monotonic()
        self.engine.GetHealth(pb.GetHealthRequest(), timeout=10)  # others are served
        self.assertLess(time.monotonic() - start, 2)
        answered = 0
        for _ in range(3000):
            update = director.take()
            if update.WhichOneof("update") == "error":
                answered += 1
                self.assertEqual(update.command_id, f"order-{answered + 1}")  # each one, in order
        self.assertGreater(answered, 1000)
        director.lose()

    def test_the_server_may_stop_while_directors_wait(self):
        directors = [self.start(on_detach=DETACH.ON_DETACH_PAUSE) for _ in range(3)]
        started = time.monotonic()
        self.server.stop()
        self.assertLess(time.monotonic() - started, 8)
        for director in directors:
            with self.assertRaises(grpc.RpcError) as caught:
                while True:
                    director.take()
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.channel.close()
        self.server = start_server(self.data, *self.args)
        self.connect()
        for director in directors:
            self.assertEqual(self.get(director.stage.simulation_id).state, AWAITING)


class Crashes(Base):
    args = ("--director-wait-ms", "60000")

    def random_orders(self, director, rng, count):
        answers = {"verdict": 0, "rejected": 0, "error": 0}
        for _ in range(count):
            if director.result is not None or director.error is not None:
                break
            try:
                update = director.order(**self.random_order(director, rng))
            except StopIteration:
                break
            kind = update.WhichOneof("update")
            if kind == "verdict":
                answers["rejected" if update.verdict.verdict == REJECTED else "verdict"] += 1
            else:
                answers[kind] += 1
        return answers

    def random_order(self, director, rng):
        pick = lambda sort: rng.choice(director.names(sort) or ["none"])
        who = pick("character")
        operator = rng.choice(director.stage.operators)
        kinds = [
            lambda: dict(edit=pb.Edit(whisper=pb.Edit.Whisper(character=who, fact=pick("fact"), belief=rng.randrange(4)))),
            lambda: dict(edit=pb.Edit(trait=pb.Edit.SetTrait(character=who, trait=rng.choice(director.stage.traits),
                                                             value=rng.randrange(-5, 106)))),
            lambda: dict(edit=pb.Edit(item=pb.Edit.MoveItem(item=pick("item"), to=rng.choice([who, pick("place"), "void"])))),
            lambda: dict(edit=pb.Edit(incident=rng.choice(director.stage.incidents))),
            lambda: dict(edit=pb.Edit(act=pb.Edit.Act(actor=who, operator=operator.name,
                                                      targets=[pick(s) for s in operator.targets]))),
            lambda: dict(edit=pb.Edit(forbid=pb.Edit.ForbidOperator(actor=rng.choice([who, ""]), operator=operator.name)))
            if rng.random() < 0.2 else dict(pause=EMPTY),
            lambda: dict(veto=pb.DirectorCommand.Veto(proposal=rng.choice([p.proposal for p in director.proposals or []] or [0]))),
            lambda: dict(step_turns=1) if rng.random() < 0.3 else dict(pause=EMPTY),
            lambda: dict(resume=EMPTY) if rng.random() < 0.02 else dict(pause=EMPTY),
        ]
        return rng.choice(kinds)()

    def test_kill_in_the_middle(self):
        director = self.start(turns=10)
        identifier = director.stage.simulation_id
        fact = director.names("fact")[0]
        director.edit(whisper=pb.Edit.Whisper(character="pilot", fact=fact, belief=pb.BELIEF_BELIEVES))
        director.step(3)
        director.edit(trait=pb.Edit.SetTrait(character="scientist", trait="honesty", value=1))
        seen = [(e.sequence, e.hash) for e in director.events]
        self.crash_and_restart()
        self.assertEqual(self.get(identifier).state, AWAITING)
        again = self.attach(identifier)
        again.wait_proposals()
        self.assertEqual([(e.sequence, e.hash) for e in again.events], seen)
        again.step(2)
        again.edit(whisper=pb.Edit.Whisper(character="engineer", fact=fact, belief=pb.BELIEF_SUSPECTS))
        self.crash_and_restart()
        third = self.attach(identifier)
        third.verdict(finish=EMPTY)
        self.assertEqual(third.to_end(), grpc.StatusCode.OK)
        self.assertEqual([(e.sequence, e.hash) for e in third.events][:len(again.events)],
                         [(e.sequence, e.hash) for e in again.events])
        self.verify(identifier)

    def test_kills_at_any_moment(self):
        rng = random.Random(11)
        for _ in range(4):
            director = self.start(turns=12, seed=rng.randrange(1, 1000))
            identifier = director.stage.simulation_id
            killer = threading.Timer(rng.random() * 0.25, self.server.kill)
            killer.start()
            acknowledged = 0
            try:
                while True:
                    update = director.order(**self.random_order(director, rng))
                    if update.WhichOneof("update") == "verdict" and update.verdict.verdict == VALID:
                        acknowledged = len(director.events)
            except (grpc.RpcError, StopIteration):
                pass
            killer.join()
            self.crash_and_restart()
            if self.get(identifier).state == AWAITING:
                again = self.attach(identifier)
                again.verdict(finish=EMPTY)
                self.assertEqual(again.to_end(), grpc.StatusCode.OK)
                self.assertGreaterEqual(len(again.events), acknowledged)
                self.assertEqual([e.hash for e in again.events][:acknowledged],
                                 [e.hash for e in director.events][:acknowledged])
            self.verify(identifier)

    def test_hundreds_of_random_orders_break_no_law(self):
        rng = random.Random(5)
        totals = {"verdict": 0, "rejected": 0, "error": 0}
        for script in range(6):
            cast = CAST if script % 2 == 0 else CAST + ["smuggler"]
            director = self.start(turns=rng.randrange(3, 20), seed=rng.randrange(1, 10000), cast=cast)
            for kind, count in self.random_orders(director, rng, 120).items():
                totals[kind] += count
            if director.result is None:
                finish = director.order(finish=EMPTY)
                if finish.WhichOneof("update") == "error":  # the story came to its end meanwhile
                    self.assertIn("has already ended", finish.error.message)
                self.assertEqual(director.to_end(), grpc.StatusCode.OK)
            self.assertIsNotNone(director.result, director.error)
            self.verify(director.stage.simulation_id)
        self.assertGreater(totals["verdict"], 100, totals)
        self.assertGreater(totals["rejected"], 20, totals)
        self.assertGreater(totals["error"], 10, totals)


class OverWebSocket(Base):
    def setUp(self):
        super().setUp()
        self.gateway = harness.start_gateway(self.server.address)

    def tearDown(self):
        self.gateway.stop()
        super().tearDown()

    def test_json_commands_and_answers(self):
        ws = WebSocket(self.gateway.port, "/simulations:direct")
        ws.send({"command_id": "a", "start": {"character_names": CAST, "turns": 3, "seed": 7, "scenario": SCENARIO}})
        stage = ws.message()
        self.assertEqual(stage["command_id"], "a")
        identifier = stage["stage"]["simulation_id"]
        facts = [e["id"] for e in stage["stage"]["entities"] if e["sort"] == "fact"]
        self.assertTrue(ws.message()["proposals"]["proposals"])
        ws.send({"command_id": "b", "edit": {"whisper": {"character": "pilot", "fact": facts[0], "belief": "BELIEF_BELIEVES"}}})
        seen = []
        while "verdict" not in (seen.append(ws.message()) or seen[-1]):
            pass
        self.assertEqual([u["simulation"]["sequence"] for u in seen[:-1]], [1, 2])
        self.assertEqual((seen[-1]["command_id"], seen[-1]["verdict"]["verdict"]), ("b", "VERDICT_VALID"))
        ws.send({"command_id": "c", "edit": {"whisper": {"character": "pilot", "fact": "nothing", "belief": "BELIEF_BELIEVES"}}})
        answer = ws.message()
        while answer.get("command_id") != "c":
            answer = ws.message()
        self.assertEqual(answer["error"]["code"], 3)
        ws.send({"command_id": "d", "step_turns": 1})
        ws.send({"command_id": "e", "finish": {}})
        kinds = set()
        while True:
            opcode, payload = ws.read()
            if opcode == 8:
                break
            if opcode == 1:
                kinds |= set(json.loads(payload).get("simulation", {}))
        self.assertTrue({"event", "passage", "result"} <= kinds, kinds)
        self.assertEqual(int.from_bytes(payload[:2], "big"), 1000, payload)
        ws.close()
        self.assertEqual(self.get(identifier).state, COMPLETED)

    def test_a_refused_start_is_a_problem(self):
        ws = WebSocket(self.gateway.port, "/simulations:direct")
        ws.send({"start": {"character_names": ["pilot"]}})
        self.assertIn("character_names", json.dumps(ws.message()))
        ws.close()

    def test_a_lost_socket_is_a_lost_director(self):
        ws = WebSocket(self.gateway.port, "/simulations:direct")
        ws.send({"on_detach": "ON_DETACH_CANCEL", "start": {"character_names": CAST, "turns": 3, "seed": 7}})
        identifier = ws.message()["stage"]["simulation_id"]
        ws.close()
        self.wait_state(identifier, CANCELLED)


class Terminal(Base):
    def ctl(self, *args, script=None, status=0):
        out = subprocess.run([str(BIN / "novelctl"), "--server", self.server.address, *args], input=script,
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(out.returncode, status, (out.stdout[-2000:], out.stderr[-2000:]))
        return out

    def direct(self, *args, script, status=0):
        return self.ctl("direct", *args, "--seed", "7", "--scenario", SCENARIO, script=script, status=status)

    def test_a_script_from_a_pipe(self):
        out = self.direct(*CAST, "--turns", "4", script="# a comment\n\nfacts\nwho\nstep 2\nwhisper pilot secret_engineer\nfinish\n")
        for text in ("0 of 4 turns played", "secret_engineer", "Alex Chen", "Next, unless you say otherwise:",
                     "Done; it is in the log.", "turn 4", "You have left"):
            self.assertIn(text, out.stdout)
        self.assertLess(out.stdout.index("turn 2"), out.stdout.index("Done; it is in the log."))  # step was played first
        self.assertIn("novelctl", out.stderr)
        identifier = out.stdout.split(":")[0]
        self.assertEqual(self.get(identifier).state, COMPLETED)
        self.verify(identifier)

    def test_resume_and_the_end_of_the_script(self):
        out = self.direct(*CAST, "--turns", "4", script="resume")
        self.assertEqual(self.get(out.stdout.split(":")[0]).state, COMPLETED)
        self.assertIn("It runs.", out.stdout)

    def test_leaving_and_coming_back(self):
        out = self.direct(*CAST, "--turns", "4", "--on-detach", "pause", script="step\nquit\n")
        identifier = out.stdout.split(":")[0]
        self.assertIn(f"--attach {identifier} --after", out.stderr)
        self.assertEqual(self.get(identifier).state, AWAITING)
        after = out.stderr.split("--after ")[1].split()[0]
        out = self.ctl("direct", "--attach", identifier, "--after", after, script="finish\n")
        self.assertIn("1 of 4 turns played", out.stdout)
        self.assertNotIn("  turn 1 ", out.stdout)
        self.assertEqual(self.get(identifier).state, COMPLETED)

    def test_mistakes_are_told_with_their_line(self):
        out = self.direct(*CAST, "--turns", "2", status=5, script="whispr pilot x\nwhisper pilto secret_engineer\nstep 99\n"
                          "trait pilot honesty 101\nveto 999\nact pilot\nfinish\n")
        for text in ("line 1: there is no order 'whispr'; did you mean 'whisper'?",
                     "line 2: there is no character 'pilto'; did you mean 'pilot'?", "line 3: the number of turns must be 1 to 50",
                     "line 4: a trait must be 0 to 100", "line 5: veto.proposal", "line 6: say it so: act WHO OPERATOR"):
            self.assertIn(text, out.stderr)
        self.ctl("direct", status=2)
        self.ctl("direct", "pilot", "--attach", "x", status=2)
        self.ctl("direct", "--attach", "sim_nothing", script="", status=3)
        self.ctl("direct", *CAST, "--on-detach", "explode", status=2)

    def test_json(self):
        out = self.ctl("--json", "direct", *CAST, "--turns", "2", "--seed", "7", script="step\nfinish\n")
        updates = [json.loads(line) for line in out.stdout.splitlines()]
        self.assertIn("stage", updates[0])
        self.assertIn("result", updates[-1]["simulation"])

    def test_at_a_terminal(self):
        import os
        import pty
        import select
        parent, child = pty.openpty()
        run = subprocess.Popen([str(BIN / "novelctl"), "--server", self.server.address, "direct", *CAST, "--turns", "2",
                                "--seed", "7", "--no-color"], stdin=child, stdout=child, stderr=child)
        os.close(child)
        shown = b""

        def wait_for(text):
            nonlocal shown
            end = time.monotonic() + 30
            while text not in shown:
                self.assertLess(time.monotonic(), end, shown)
                if select.select([parent], [], [], 1)[0]:
                    try:
                        shown += os.read(parent, 65536)
                    except OSError:
                        self.fail(shown)
            shown = shown[shown.index(text) + len(text):]

        wait_for(b"direct> ")
        wait_for(b"unless you say otherwise")
        wait_for(b"direct> ")
        os.write(parent, b"help\n")
        wait_for(b"whisper WHO FACT")
        wait_for(b"direct> ")
        os.write(parent, b"step\n")
        wait_for(b"turn 1")
        wait_for(b"unless you say otherwise")
        os.write(parent, b"\x04")
        wait_for(b"come back:")
        self.assertEqual(run.wait(20), 0)
        os.close(parent)


if __name__ == "__main__":
    unittest.main(verbosity=2)
