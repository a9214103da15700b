"""A novel in chapters: what one chapter leaves behind decides something in a later one."""
import concurrent.futures
import json
import pathlib
import re
import subprocess
import tempfile
import time
import unittest

import grpc

from harness import BIN, CAST, Stack, start_server
from novelengine.v1 import novel_engine_pb2 as pb
from novelengine.v1 import novel_engine_pb2_grpc as stubs
from google.protobuf import wrappers_pb2
from google.rpc import error_details_pb2, status_pb2

SCENES = ("a distress signal from an abandoned mining station", "somebody has stolen the station's logbook",
          "the dam is cracking and the town does not believe it")


def reason(error):
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for any_ in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if any_.Unpack(info):
                    return info.reason
    return None


class Campaigns(Stack):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.channel = grpc.insecure_channel(cls.server.address)
        cls.engine = stubs.NovelEngineStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        super().tearDownClass()

    def refused(self, code, call, request):
        with self.assertRaises(grpc.RpcError) as caught:
            call(request)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return reason(caught.exception)

    def campaign(self, name="The Long Way"):
        return self.engine.CreateCampaign(pb.CreateCampaignRequest(
            campaign=pb.Campaign(name=name, participants=CAST))).campaign_id

    def chapter(self, campaign, n, seed=None, turns=4, engine=None):
        return (engine or self.engine).RunSimulation(pb.SimulationRequest(
            character_names=CAST, turns=wrappers_pb2.Int32Value(value=turns), scenario=SCENES[n % 3],
            seed=wrappers_pb2.UInt64Value(value=seed or 40 + n), campaign_id=campaign))

    def log(self, simulation):
        events, after = [], 0
        while True:
            page = self.engine.ListEvents(pb.ListEventsRequest(simulation_id=simulation, after_sequence=after,
                                                               view=pb.EVENT_VIEW_FULL))
            events += page.events
            after = page.next_after_sequence
            if after == 0:
                return events

    # --- bounds ---

    def test_participants_are_bounded_and_named_once(self):
        for participants in (["pilot"] * 2, ["pilot"] * 400000):
            self.assertEqual("INVALID_FIELD", self.refused(
                grpc.StatusCode.INVALID_ARGUMENT, self.engine.CreateCampaign,
                pb.CreateCampaignRequest(campaign=pb.Campaign(name="Much", participants=participants))))

    def test_a_list_of_all_stays_below_what_a_client_takes(self):
        """More campaigns than a message holds, asked for at once: pages that all come through, each campaign once."""
        made, waiting, long = set(), [], "\U0001d538" * 1000
        for i in range(700):
            waiting.append(self.engine.CreateCampaign.future(pb.CreateCampaignRequest(
                campaign=pb.Campaign(name=f"Number {i}", description=long, participants=["pilot"]))))
            if len(waiting) == 100 or i == 699:
                made |= {one.result().campaign_id for one in waiting}
                waiting = []
        seen, token, pages = [], "", 0
        while token or pages == 0:
            page = self.engine.ListCampaigns(pb.ListCampaignsRequest(page_token=token))
            self.assertLess(page.ByteSize(), 3 << 20)
            self.assertEqual(page.count, len(page.campaigns))
            self.assertEqual([c.campaign_id for c in page.details], list(page.campaigns))
            seen += page.campaigns
            token = page.next_page_token
            pages += 1
        self.assertGreater(pages, 1)
        self.assertEqual(len(seen), len(set(seen)))
        self.assertLessEqual(made, set(seen))
        for campaign in made:
            self.engine.DeleteCampaign(pb.DeleteCampaignRequest(campaign_id=campaign))

    # --- the old shapes ---

    def test_legacy_rows(self):
        for prefix in ("", "/api"):
            answer = self.rest("POST", f"{prefix}/campaigns", {"name": "Dawn", "description": "d", "participants": ["pilot"],
                                                               "unknown": 1})
            self.assertEqual(answer.status, 200, answer.body)
            made = answer.json()
            self.assertRegex(made["campaign_id"], r"^campaign_[a-z0-9]+$")
            self.assertEqual((made["name"], made["status"]), ("Dawn", "created"))
            self.assertRegex(made["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            got = self.rest("GET", f"{prefix}/campaigns/{made['campaign_id']}").json()
            self.assertEqual({k: got[k] for k in ("campaign_id", "name", "status", "created_at", "description", "current_turn")},
                             {"campaign_id": made["campaign_id"], "name": "Dawn", "status": "created",
                              "created_at": made["created_at"], "description": "d", "current_turn": 0})
            self.assertIn("updated_at", got)
            ids = self.rest("GET", f"{prefix}/campaigns").json()["campaigns"]
            self.assertIn(made["campaign_id"], ids)
            self.assertEqual(ids, sorted(ids))
            self.assert_problem(self.rest("GET", f"{prefix}/campaigns/campaign_none"), 404, "not found")
            for bad in ({"name": "", "participants": ["pilot"]}, {"name": "x" * 101, "participants": ["pilot"]},
                        {"name": "x", "participants": []}, {"name": "x"}, {"participants": ["pilot"]},
                        {"name": "x", "description": "y" * 1001, "participants": ["pilot"]}, {"name": 5, "participants": ["pilot"]}):
                self.assert_problem(self.rest("POST", f"{prefix}/campaigns", bad), 422)
            self.assert_problem(self.rest("POST", f"{prefix}/campaigns", {"name": "x", "participants": ["nobody"]}), 404, "not found")

    def test_change_and_delete(self):
        campaign = self.campaign()
        answer = self.rest("PATCH", f"/campaigns/{campaign}", {"description": "more"})
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual((answer.json()["name"], answer.json()["description"]), ("The Long Way", "more"))
        self.assert_problem(self.rest("PATCH", f"/campaigns/{campaign}", {"name": ""}), 422)
        self.assert_problem(self.rest("PATCH", "/campaigns/campaign_none", {"name": "x"}), 404)
        self.assertEqual(self.rest("DELETE", f"/campaigns/{campaign}").status, 204)
        self.assertEqual(self.rest("GET", f"/campaigns/{campaign}").status, 404)
        page = self.engine.ListCampaigns(pb.ListCampaignsRequest(page_size=1))
        for _ in range(3):
            self.campaign()
        seen, token = [], ""
        while True:
            page = self.engine.ListCampaigns(pb.ListCampaignsRequest(page_size=2, page_token=token))
            seen += page.campaigns
            token = page.next_page_token
            if not token:
                break
        self.assertEqual(seen, sorted(seen))
        self.assertEqual(seen, list(self.engine.ListCampaigns(pb.ListCampaignsRequest()).campaigns))

    def test_no_change_is_lost(self):
        """Two who change different things at once: each finds the other's change in place."""
        campaign = self.campaign()

        def change(field):
            for n in range(40):
                answer = self.rest("PATCH", f"/campaigns/{campaign}", {field: f"{field} {n}"})
                self.assertEqual((answer.status, answer.json()[field]), (200, f"{field} {n}"))
                got = self.rest("GET", f"/campaigns/{campaign}").json()
                self.assertEqual(got[field], f"{field} {n}")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for one in [pool.submit(change, field) for field in ("name", "description")]:
                one.result()

    def test_a_tag_guards_a_change(self):
        campaign = self.campaign()
        where = f"/campaigns/{campaign}"
        got = self.rest("GET", where)
        tag = got.headers["etag"]
        self.assertEqual(got.json()["etag"], tag)
        self.assertEqual(self.rest("GET", where, headers={"If-None-Match": tag}).status, 304)
        # One of many with the same tag is the first; the others hear that they are not.
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = [one.result() for one in [
                pool.submit(self.rest, "PATCH", where, {"name": f"Number {n}"}, {"If-Match": tag}) for n in range(8)]]
        self.assertEqual(sorted(a.status for a in answers), [200] + [412] * 7)
        done = next(a for a in answers if a.status == 200)
        self.assertEqual(self.rest("GET", where).json(), done.json())
        self.assertNotEqual(done.json()["etag"], tag)
        self.assert_problem(self.rest("DELETE", where, headers={"If-Match": tag}), 412, "has changed")
        with self.assertRaises(grpc.RpcError) as caught:
            self.engine.UpdateCampaign(pb.UpdateCampaignRequest(campaign=pb.Campaign(
                campaign_id=campaign, name="x", etag=tag)))
        self.assertEqual((caught.exception.code(), reason(caught.exception)), (grpc.StatusCode.ABORTED, "ETAG_MISMATCH"))
        # A chapter changes what is shown, and so the tag.
        tag = done.json()["etag"]
        self.chapter(campaign, 0, turns=2)
        self.assert_problem(self.rest("PATCH", where, {"name": "y"}, {"If-Match": tag}), 412)
        self.assertEqual(self.rest("PATCH", where, {"name": "y"}, {"If-Match": "*"}).status, 200)
        tag = self.rest("GET", where).headers["etag"]
        self.assertEqual(self.rest("DELETE", where + "?cascade=true", headers={"If-Match": tag}).status, 204)
        self.assert_problem(self.rest("DELETE", where, headers={"If-Match": tag}), 404)

    def test_what_was_read_can_be_sent_back(self):
        where = f"/campaigns/{self.campaign()}"
        read = self.rest("GET", where).json()
        read["name"] = "Sent Back"
        self.assertEqual(self.rest("PATCH", where, read).json()["name"], "Sent Back")
        self.assert_problem(self.rest("PATCH", where, read), 409, "has changed")  # its etag is of what was read
        pilot = self.rest("GET", "/characters/pilot").json()
        pilot["current_status"] = "on leave"
        answer = self.rest("PATCH", "/characters/pilot", pilot)
        self.assertEqual((answer.status, answer.json()["current_status"]), (200, "on leave"))

    # --- chapters ---

    def test_three_chapters_share_memory(self):
        campaign = self.campaign("Three Winters")
        runs = [self.chapter(campaign, n) for n in range(3)]
        got = self.engine.GetCampaign(pb.GetCampaignRequest(campaign_id=campaign))
        self.assertEqual([c.simulation_id for c in got.chapters], [r.simulation_id for r in runs])
        self.assertEqual(len({c.carry_digest for c in got.chapters}), 3)
        self.assertEqual((got.status, got.current_turn), ("completed", 12))
        for run in runs:
            v = self.engine.VerifySimulation(pb.VerifySimulationRequest(simulation_id=run.simulation_id))
            self.assertEqual((v.chain_intact, list(v.violations), v.replay), (True, [], pb.Verification.REPLAY_MATCH))
        with tempfile.TemporaryDirectory(prefix="novel-test-") as folder:
            path = pathlib.Path(folder) / "third.nvlog"
            path.write_bytes(b"".join(c.data for c in self.engine.ExportSimulation(
                pb.ExportSimulationRequest(simulation_id=runs[2].simulation_id))))
            done = subprocess.run([BIN / "novel-verify", path], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            raw = path.read_bytes()
            at = raw.index(b"CARY") + 80  # a byte of the carry pack
            path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1:])
            done = subprocess.run([BIN / "novel-verify", path], capture_output=True, text=True, timeout=60)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("carry", done.stdout + done.stderr)
        text = self.rest("GET", f"/campaigns/{campaign}/manuscript?format=text").body.decode()
        at = [text.index(r.metadata.title, 10) for r in runs]
        self.assertIn("Three Winters", text)
        self.assertEqual(at, sorted(at))
        page = self.rest("GET", f"/campaigns/{campaign}/manuscript", headers={"Accept": "text/html"})
        self.assertEqual(page.status, 200)
        for form, kind in (("html", "text/html"), ("epub", "application/epub+zip"), ("markdown", "text/markdown")):
            answer = self.rest("GET", f"/campaigns/{campaign}/manuscript?format={form}")
            self.assertEqual(answer.status, 200, answer.body[:300])
            self.assertEqual(answer.headers["content-type"].split(";")[0], kind)

    def decided_by_the_past(self, seed):
        """(event of chapter three, its cause, why it was not done there by the same people who have no past), or None."""
        campaign = self.campaign(f"Decided {seed}")
        runs = [self.chapter(campaign, n, seed * 10 + n) for n in range(3)]
        alone = self.engine.RunSimulation(pb.SimulationRequest(
            character_names=CAST, turns=wrappers_pb2.Int32Value(value=4), scenario=SCENES[2],
            seed=wrappers_pb2.UInt64Value(value=seed * 10 + 2))).simulation_id
        done_alone = {(e.actor, e.operator, tuple(e.targets)) for e in self.log(alone)}
        written = {f"{f.fluent}({', '.join(f.arguments)})" for r in runs[:2] for e in self.log(r.simulation_id)
                   for f in e.effects}
        for e in self.log(runs[2].simulation_id):
            if not e.actor or not e.decision.terms or (e.actor, e.operator, tuple(e.targets)) in done_alone:
                continue
            for cause in e.causes:
                if cause.sequence != 1 or cause.because not in written:
                    continue
                why = self.engine.ExplainAbsence(pb.ExplainAbsenceRequest(
                    simulation_id=alone, turn=e.turn, actor=e.actor, operator=e.operator, targets=e.targets))
                if why.reason == pb.AbsenceExplanation.REASON_PRECONDITION and \
                        why.detail.startswith(cause.because.split("(")[0] + " of "):
                    return runs[2].simulation_id, e, cause, why
        return None

    def test_the_past_decides(self):
        """What chapter one or two wrote makes somebody do in chapter three what they could not have done without:
        the event names it as its cause, and the same chapter alone says that exactly this was missing."""
        found = {}
        for seed in range(1, 40):
            hit = self.decided_by_the_past(seed)
            if hit is not None:
                found[hit[2].because.split("(")[0]] = hit
            if len(found) == 2:
                break
        self.assertEqual(len(found), 2, found.keys())  # two kinds of memory: say, guilt and doubt
        for fluent, (simulation, event, cause, why) in found.items():
            self.assertEqual(cause.kind, pb.Cause.KIND_ENABLES)
            self.assertIn(" could not: when the turn began, ", why.text)
            told = self.engine.ExplainEvent(pb.ExplainEventRequest(simulation_id=simulation, sequence=event.sequence))
            self.assertIn(fluent, str(told))

    def test_a_chapter_is_told_explained_and_exported(self):
        campaign = self.campaign("Again")
        runs = [self.chapter(campaign, n) for n in range(3)]
        ended = [[e for e in self.log(run.simulation_id) if e.type == pb.SimulationEvent.TYPE_COMPLETED][0].text
                 for run in runs]
        for style in ("sci_fi_dramatic", "tactical", "philosophical", "literary", "noir", "fable"):
            for n, run in enumerate(runs):
                told = self.engine.TellStory(pb.TellStoryRequest(simulation_id=run.simulation_id, telling=pb.Telling(
                    narrative_style=style)))
                opening = told.markdown[:1500].lower()
                for k, text in enumerate(ended):  # how the chapter before ended, and no other
                    self.assertEqual(text.rstrip(".").lower() in opening, k == n - 1, (style, n, text, opening))
                if style == "sci_fi_dramatic":  # as it was told the first time
                    self.assertEqual(told.markdown, self.engine.GetStory(pb.GetStoryRequest(
                        simulation_id=run.simulation_id, format="markdown")).data.decode())
        second = self.log(runs[1].simulation_id)
        for e in second:
            self.assertTrue(self.engine.ExplainEvent(pb.ExplainEventRequest(
                simulation_id=runs[1].simulation_id, sequence=e.sequence)).text)
        for run in runs:
            with tempfile.TemporaryDirectory(prefix="novel-test-") as folder:
                path = pathlib.Path(folder) / "chapter.nvlog"
                path.write_bytes(b"".join(c.data for c in self.engine.ExportSimulation(
                    pb.ExportSimulationRequest(simulation_id=run.simulation_id))))
                done = subprocess.run([BIN / "novel-verify", path], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(b"CARY" in path.read_bytes(), run is not runs[0])

    def test_a_key_that_comes_again(self):
        """A chapter sent twice under one key is one chapter, whatever has become of the novel meanwhile."""
        campaign, key = self.campaign("Keys"), (("idempotency-key", "chapter-one"),)
        ask = pb.SimulationRequest(character_names=CAST, turns=wrappers_pb2.Int32Value(value=3),
                                   seed=wrappers_pb2.UInt64Value(value=5), campaign_id=campaign)
        first = self.engine.RunSimulation(ask, metadata=key)
        self.assertEqual(self.engine.RunSimulation(ask, metadata=key).simulation_id, first.simulation_id)
        self.chapter(campaign, 1)
        self.assertEqual(self.engine.SubmitSimulation(ask, metadata=key).simulation_id, first.simulation_id)
        self.assertEqual(len(self.engine.GetCampaign(pb.GetCampaignRequest(campaign_id=campaign)).chapters), 2)
        ask.campaign_id = self.campaign("Other")
        with self.assertRaises(grpc.RpcError) as caught:
            self.engine.SubmitSimulation(ask, metadata=key)
        self.assertEqual(reason(caught.exception), "IDEMPOTENCY_KEY_REUSED")

    def test_chapters_that_race(self):
        """Many want to write the next chapter at once, over and over: each that was taken goes on from the one before."""
        campaign = self.campaign("Race")
        taken, refused = [], set()

        def write(seed):
            until = time.monotonic() + 60
            while time.monotonic() < until:
                try:
                    taken.append(self.engine.RunSimulation(pb.SimulationRequest(
                        character_names=CAST, turns=wrappers_pb2.Int32Value(value=1), campaign_id=campaign,
                        seed=wrappers_pb2.UInt64Value(value=seed))).simulation_id)
                    return
                except grpc.RpcError as error:
                    refused.add(reason(error))
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(write, range(1, 19)))
        self.assertEqual(len(taken), 18)
        self.assertLessEqual(refused, {"CHAPTER_OPEN"})
        got = self.engine.GetCampaign(pb.GetCampaignRequest(campaign_id=campaign)).chapters
        self.assertEqual({c.simulation_id for c in got}, set(taken))
        before = None
        for chapter in got:
            log = b"".join(c.data for c in self.engine.ExportSimulation(
                pb.ExportSimulationRequest(simulation_id=chapter.simulation_id)))
            named = log[log.index(b"NVL1") + 42:][:32].hex()
            self.assertEqual(named, before or "00" * 32)
            before = chapter.carry_digest

    def test_a_secret_learned_in_chapter_one_is_known_in_chapter_three(self):
        """Over several seeds some chapter tells a secret; whoever heard it still knows it two chapters later."""
        for seed in range(1, 40):
            campaign = self.campaign(f"Secrets {seed}")
            first = self.chapter(campaign, 0, seed, turns=6)
            told = [b for e in self.log(first.simulation_id) for b in e.beliefs
                    if b.fact.startswith("secret_") and b.after == pb.BELIEF_BELIEVES and b.character in CAST
                    and b.fact != f"secret_{b.character}"]
            if not told:
                continue
            self.chapter(campaign, 1, seed)
            third = self.chapter(campaign, 2, seed)
            beliefs = self.engine.GetBeliefs(pb.GetBeliefsRequest(simulation_id=third.simulation_id,
                                                                  character_id=told[0].character)).beliefs
            self.assertIn((told[0].fact, 1), [(b.fact, b.sequence) for b in beliefs])
            return
        self.fail("no secret was told in forty chapters")

    def test_what_is_refused(self):
        campaign = self.campaign()
        self.assertEqual(self.refused(grpc.StatusCode.NOT_FOUND, self.engine.RunSimulation, pb.SimulationRequest(
            character_names=CAST, campaign_id="campaign_none")), "CAMPAIGN_NOT_FOUND")
        self.assertEqual(self.refused(grpc.StatusCode.FAILED_PRECONDITION, self.engine.GetManuscript,
                                      pb.GetManuscriptRequest(campaign_id=campaign)), "STORY_NOT_READY")
        first = self.chapter(campaign, 0)
        second = self.chapter(campaign, 1)
        self.assertEqual(self.refused(grpc.StatusCode.FAILED_PRECONDITION, self.engine.DeleteSimulation,
                                      pb.DeleteSimulationRequest(simulation_id=first.simulation_id)), "CHAPTER_CONTINUED")
        self.assertEqual(self.refused(grpc.StatusCode.FAILED_PRECONDITION, self.engine.DeleteCampaign,
                                      pb.DeleteCampaignRequest(campaign_id=campaign)), "CAMPAIGN_HAS_CHAPTERS")
        self.engine.DeleteSimulation(pb.DeleteSimulationRequest(simulation_id=second.simulation_id))
        again = self.chapter(campaign, 1, seed=77)
        self.assertTrue(again.story)
        listed = self.engine.ListSimulations(pb.ListSimulationsRequest(campaign_id=campaign))
        self.assertEqual({s.simulation_id for s in listed.simulations}, {first.simulation_id, again.simulation_id})
        self.assert_problem(self.rest("DELETE", f"/campaigns/{campaign}"), 400, "has chapters")
        self.assertEqual(self.rest("DELETE", f"/campaigns/{campaign}?cascade=true").status, 204)
        self.refused(grpc.StatusCode.NOT_FOUND, self.engine.GetSimulation,
                     pb.GetSimulationRequest(simulation_id=first.simulation_id))

    def test_a_key_makes_one_campaign(self):
        body = {"name": "Once", "participants": ["pilot"]}
        key = {"Idempotency-Key": "once-upon-a-time"}
        first = self.rest("POST", "/campaigns", body, headers=key)
        again = self.rest("POST", "/campaigns", body, headers=key)
        self.assertEqual((first.status, first.json()), (200, again.json()))
        self.assert_problem(self.rest("POST", "/campaigns", {**body, "name": "Twice"}, headers=key), 422)

    def test_one_chapter_at_a_time(self):
        campaign = self.campaign()
        ask = pb.SimulationRequest(character_names=CAST, turns=wrappers_pb2.Int32Value(value=50),
                                   seed=wrappers_pb2.UInt64Value(value=5), campaign_id=campaign)
        open_ = self.engine.SubmitSimulation(ask)
        codes = []
        try:
            self.engine.SubmitSimulation(ask)
        except grpc.RpcError as error:
            codes.append(reason(error))
        if not codes:  # the first was done already
            self.assertEqual(self.engine.GetSimulation(pb.GetSimulationRequest(
                simulation_id=open_.simulation_id)).state, pb.Simulation.STATE_COMPLETED)
        else:
            self.assertEqual(codes, ["CHAPTER_OPEN"])

    def test_command_line(self):
        def ctl(*args, code=0):
            done = subprocess.run([BIN / "novelctl", "--server", self.server.address, *args], capture_output=True,
                                  text=True, timeout=60)
            self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
            return done.stdout
        campaign = ctl("campaigns", "create", "A Novel", "pilot", "scientist").split()[0]
        self.assertRegex(campaign, r"^campaign_")
        ctl("simulate", "pilot", "scientist", "--campaign", campaign, "--turns", "2", "--seed", "3")
        self.assertIn(campaign, ctl("campaigns"))
        shown = ctl("campaigns", "show", campaign)
        self.assertIn("A Novel", shown)
        chapter = next(word for word in shown.split() if word.startswith("sim_"))
        self.assertIn(f"chapter of  {campaign}", ctl("show", chapter))
        self.assertIn("A Novel", ctl("campaigns", "manuscript", campaign))
        json.loads(ctl("--json", "campaigns", "show", campaign))
        ctl("campaigns", "delete", campaign, code=6)
        ctl("campaigns", "delete", campaign, "--force")
        ctl("campaigns", "show", campaign, code=3)


class Crash(unittest.TestCase):
    def test_chapters_survive_a_killed_server(self):
        with tempfile.TemporaryDirectory(prefix="novel-test-") as folder:
            data = pathlib.Path(folder) / "data"
            heads = []
            for kills in (False, True):
                server = start_server(data / str(kills))
                channel = grpc.insecure_channel(server.address)
                engine = stubs.NovelEngineStub(channel)
                campaign = engine.CreateCampaign(pb.CreateCampaignRequest(
                    campaign=pb.Campaign(name="Iron", participants=CAST))).campaign_id
                for n in range(3):
                    made = engine.SubmitSimulation(pb.SimulationRequest(
                        character_names=CAST, turns=wrappers_pb2.Int32Value(value=12), scenario=SCENES[n],
                        seed=wrappers_pb2.UInt64Value(value=60 + n), campaign_id=campaign))
                    if kills:
                        server.kill()
                        channel.close()
                        server = start_server(data / str(kills))
                        channel = grpc.insecure_channel(server.address)
                        engine = stubs.NovelEngineStub(channel)
                    for _ in engine.WatchSimulation(pb.WatchSimulationRequest(simulation_id=made.simulation_id)):
                        pass
                    heads.append(engine.GetSimulation(pb.GetSimulationRequest(simulation_id=made.simulation_id)).chain_head)
                channel.close()
                server.stop()
            self.assertEqual(heads[:3], heads[3:])


if __name__ == "__main__":
    unittest.main()
