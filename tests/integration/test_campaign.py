"""A novel in chapters: what one chapter leaves behind decides something in a later one."""
import json
import pathlib
import subprocess
import tempfile
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

    # --- chapters ---

    def test_three_chapters_share_memory(self):
        campaign = self.campaign("Three Winters")
        runs = [self.chapter(campaign, n) for n in range(3)]
        got = self.engine.GetCampaign(pb.GetCampaignRequest(campaign_id=campaign))
        self.assertEqual([c.simulation_id for c in got.chapters], [r.simulation_id for r in runs])
        self.assertEqual(len({c.carry_digest for c in got.chapters}), 3)
        self.assertEqual((got.status, got.current_turn), ("completed", 12))
        third = self.log(runs[2].simulation_id)
        # The same chapter standing alone: same request, same seed, nothing before it.
        alone = self.log(self.engine.RunSimulation(pb.SimulationRequest(
            character_names=CAST, turns=wrappers_pb2.Int32Value(value=4), scenario=SCENES[2],
            seed=wrappers_pb2.UInt64Value(value=42))).simulation_id)
        did = [(e.turn, e.actor, e.operator, tuple(e.targets)) for e in third]
        self.assertNotEqual(did, [(e.turn, e.actor, e.operator, tuple(e.targets)) for e in alone])
        # Something that was never so at the start of a lone story is a cause in this one: what was carried.
        started = {c.because for e in third for c in e.causes if c.sequence == 1 and c.because}
        carried = {b for b in started if b.split("(")[0] in
                   ("grudge", "doubts", "wronged", "vowed", "debt", "trust", "knows", "guilt", "grief", "hurt")}
        lone = {c.because for e in alone for c in e.causes if c.sequence == 1 and c.because}
        self.assertTrue(carried - lone or any(e.decision.terms for e in third), (started, lone))
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
        self.engine.DeleteCampaign(pb.DeleteCampaignRequest(campaign_id=campaign, cascade=True))
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
        self.assertIn("A Novel", ctl("campaigns", "show", campaign))
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
