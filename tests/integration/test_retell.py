"""Tell it again: one log by everybody who was in it, in every format, through RPC, REST and novelctl."""
import hashlib
import io
import json
import pathlib
import re
import subprocess
import unittest
import xml.etree.ElementTree as xml
import zipfile

import grpc

from harness import BIN, CAST, Stack
from novelengine.v1 import novel_engine_pb2 as pb
from novelengine.v1 import novel_engine_pb2_grpc as stubs
from google.protobuf import wrappers_pb2
from google.rpc import error_details_pb2, status_pb2

RUN = {"character_names": CAST, "turns": 8, "seed": 11, "scenario": "a fire on the abandoned mining station"}
EPUB = "application/epub+zip"
OPF = "{http://www.idpf.org/2007/opf}"
XHTML = "{http://www.w3.org/1999/xhtml}"
DC = "{http://purl.org/dc/elements/1.1/}"


def sentences(document):
    return [s for p in document["passages"] for s in p["sentences"]]


def narration(document):
    """What is told, without what is said; quotations may run over sentences of a paragraph."""
    return re.sub(r'"[^"]*"', '""', " ".join(s["text"] for s in sentences(document)))


def check_epub(test, data):
    """What a reader relies on (EPUB 3.3, OCF); the texts of its chapters."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    test.assertIsNone(archive.testzip())
    first = archive.infolist()[0]
    test.assertEqual((first.filename, first.compress_type, first.extra), ("mimetype", zipfile.ZIP_STORED, b""))
    test.assertEqual(archive.read("mimetype"), EPUB.encode())
    container = xml.fromstring(archive.read("META-INF/container.xml"))
    root = container.find(".//{urn:oasis:names:tc:opendocument:xmlns:container}rootfile").get("full-path")
    package = xml.fromstring(archive.read(root))
    test.assertEqual(package.get("version"), "3.0")
    identifier = [e for e in package.iter(DC + "identifier") if e.get("id") == package.get("unique-identifier")]
    test.assertEqual(len(identifier), 1)
    test.assertTrue(identifier[0].text.startswith("urn:"))
    test.assertTrue(package.find(f".//{DC}title").text)
    test.assertTrue(package.find(f".//{DC}language").text)
    modified = [m.text for m in package.iter(OPF + "meta") if m.get("property") == "dcterms:modified"]
    test.assertEqual(len(modified), 1)
    test.assertRegex(modified[0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    folder = pathlib.PurePosixPath(root).parent
    items = {i.get("id"): i for i in package.iter(OPF + "item")}
    files = {str(folder / i.get("href")) for i in items.values()}
    test.assertEqual(files | {"mimetype", "META-INF/container.xml", root}, set(archive.namelist()))
    spine = [i.get("idref") for i in package.iter(OPF + "itemref")]
    test.assertLessEqual(set(spine), set(items))
    test.assertEqual(len(spine), len(set(spine)))
    navs = [i for i in items.values() if i.get("properties") == "nav"]
    test.assertEqual(len(navs), 1)
    nav = xml.fromstring(archive.read(str(folder / navs[0].get("href"))))
    toc = nav.find(f".//{XHTML}nav[@{{http://www.idpf.org/2007/ops}}type='toc']")
    links = [a.get("href") for a in toc.iter(XHTML + "a")]
    test.assertTrue(links)
    for link in links:
        test.assertIn(str(folder / link), archive.namelist())
    texts = []
    for name in spine:
        page = xml.fromstring(archive.read(str(folder / items[name].get("href"))))
        test.assertTrue(page.find(f"{XHTML}head/{XHTML}title").text)
        for style in page.iter(XHTML + "link"):
            test.assertIn(str(folder / style.get("href")), archive.namelist())
        texts.append(["".join(p.itertext()) for p in page.iter(XHTML + "p")])
    return texts


class Retell(Stack):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.channel = grpc.insecure_channel(cls.server.address)
        cls.engine = stubs.NovelEngineStub(cls.channel)
        made = cls.rest(cls, "POST", "/simulations", RUN)
        assert made.status == 200, made.body
        cls.made = made.json()
        cls.id = cls.made["simulation_id"]
        cls.where = "/simulations/" + cls.id
        cls.log = cls.rest(cls, "GET", cls.where + "/log?page_size=1000&view=EVENT_VIEW_FULL").json()["events"]

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        super().tearDownClass()

    def tell(self, **telling):
        answer = self.rest("POST", self.where + ":tell", {"telling": telling})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def refused(self, code, **request):
        with self.assertRaises(grpc.RpcError) as caught:
            self.engine.TellStory(pb.TellStoryRequest(**request))
        self.assertEqual(caught.exception.code(), code, caught.exception)
        reasons, fields = [], []
        for key, value in caught.exception.trailing_metadata():
            if key == "grpc-status-details-bin":
                for detail in status_pb2.Status.FromString(value).details:
                    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
                    if detail.Unpack(info):
                        reasons.append(info.reason)
                    elif detail.Unpack(bad):
                        fields += [v.field for v in bad.field_violations]
        return reasons, fields

    # --- what is told -------------------------------------------------------------------------

    def test_everybody_tells_what_they_witnessed(self):
        """Witnesses and endings are worked out here, from the log as the service shows it."""
        events = {int(e["sequence"]): e for e in self.log}
        perceives = lambda e, who: e.get("actor") == who or who in e.get("witnesses", [])
        settled = next((e for e in self.log for x in e.get("effects", []) if x["fluent"] == "settled"), None)
        told = {}
        for who in CAST:
            knows_ending = settled is None or perceives(settled, who) or any(
                int(e["sequence"]) > int(settled["sequence"]) and perceives(e, who) and other != who
                and perceives(e, other) and perceives(settled, other) for e in self.log for other in CAST)
            for perspective in ("third_limited", "first_person", "journal"):
                document = self.tell(focaliser=who, perspective=perspective)
                told[who, perspective] = document["markdown"]
                self.assertEqual(document["telling"]["focaliser"], who)
                self.assertTrue(all(p["focaliser"] == who for p in document["passages"]))
                for s in sentences(document):
                    for sequence in s["events"]:
                        e = events[int(sequence)]
                        fine = (e["type"] == "TYPE_STARTED"
                                or (knows_ending if e["type"] == "TYPE_COMPLETED" else perceives(e, who)
                                    and (e["type"] != "TYPE_THOUGHT" or e["actor"] == who)))
                        self.assertTrue(fine, (who, perspective, s, e))
        self.assertEqual(len(set(told.values())), 9)  # nine tellings, and no two alike

    def test_first_person(self):
        text = narration(self.tell(focaliser="engineer", perspective="first_person"))
        self.assertRegex(text, r"\bI\b")
        self.assertRegex(text, r"\b[Mm]y\b")
        self.assertNotRegex(re.sub(r"My name is Jordan\b", "", text), r"\bJordan\b|\bthe engineer\b|\bI (is|has|does|am)'?\b")
        other = narration(self.tell(focaliser="pilot", perspective="first_person"))
        self.assertRegex(other, r"\bJordan\b")

    def test_journal(self):
        document = self.tell(focaliser="scientist", perspective="journal")
        days = [s["text"] for s in sentences(document) if re.match(r"Day \d+, ", s["text"])]
        self.assertGreaterEqual(len(days), 1)
        self.assertTrue(sentences(document)[0]["text"].startswith("Day 1, "))
        said = sum(len(q.split()) for q in re.findall(r'"([^"]*)"', document["markdown"]))
        quoted = self.tell(focaliser="scientist", perspective="first_person")["markdown"]
        self.assertLess(said, sum(len(q.split()) for q in re.findall(r'"([^"]*)"', quoted)))

    def test_length_and_style(self):
        for words in (150, 400, 900):
            told = len(re.findall(r"[A-Za-z0-9'-]+", " ".join(s["text"] for s in sentences(self.tell(words=words)))))
            self.assertLess(abs(told - words), words * 0.25, words)
        seen = {self.tell(narrative_style=style)["markdown"] for style in
                ("sci_fi_dramatic", "tactical", "philosophical", "literary", "noir", "fable")}
        self.assertEqual(len(seen), 6)

    def test_the_same_telling_is_the_same_story_and_the_log_stays(self):
        before = hashlib.sha256(self.rest("GET", self.where + ":export").body).hexdigest()
        again = self.tell()
        self.assertEqual(again["markdown"], self.made["story"])  # the defaults are those of a new story
        self.assertEqual(again, self.tell())
        self.assertEqual(again["telling"]["perspective"], "third_limited")
        self.assertEqual(again["telling"]["narrative_style"], "sci_fi_dramatic")
        self.tell(focaliser="pilot", perspective="journal")
        self.assertEqual(hashlib.sha256(self.rest("GET", self.where + ":export").body).hexdigest(), before)
        self.assertEqual(self.rest("GET", self.where + "/story").body.decode(), self.made["story"])

    def test_a_new_story_may_be_told_so_too(self):
        made = self.rest("POST", "/simulations", {**RUN, "telling": {"perspective": "first_person", "focaliser": "pilot"}})
        self.assertEqual(made.status, 200, made.body)
        self.assertEqual(made.json()["story"], self.tell(perspective="first_person", focaliser="pilot")["markdown"])
        old = self.rest("POST", "/simulations", {**RUN, "constraints": {"perspective": "journal"}})
        self.assertRegex(old.json()["story"], r"\n\nDay 1, ")

    # --- what is refused ----------------------------------------------------------------------

    def test_refusals(self):
        self.assertIn("telling.focaliser", self.refused(
            grpc.StatusCode.INVALID_ARGUMENT, simulation_id=self.id, telling=pb.Telling(focaliser="nobody"))[1])
        self.assertIn("telling.perspective", self.refused(
            grpc.StatusCode.INVALID_ARGUMENT, simulation_id=self.id, telling=pb.Telling(perspective="second_person"))[1])
        self.assertIn("telling.words", self.refused(
            grpc.StatusCode.INVALID_ARGUMENT, simulation_id=self.id,
            telling=pb.Telling(words=wrappers_pb2.UInt32Value(value=0)))[1])
        self.assertIn("NARRATOR_NOT_CONFIGURED", self.refused(
            grpc.StatusCode.FAILED_PRECONDITION, simulation_id=self.id,
            telling=pb.Telling(narrator=pb.Telling.NARRATOR_MODEL))[0])
        self.assertIn("SIMULATION_NOT_FOUND", self.refused(grpc.StatusCode.NOT_FOUND, simulation_id="sim_x")[0])
        self.refused(grpc.StatusCode.INVALID_ARGUMENT, simulation_id="")
        self.assert_problem(self.rest("POST", self.where + ":tell", {"telling": {"focaliser": "smuggler"}}), 422,
                            fields=["telling.focaliser"])
        self.assert_problem(self.rest("POST", "/simulations/sim_x:tell", {}), 404)

    def test_unfinished_and_cancelled(self):
        cast = ["engineer", "pilot", "scientist", "smuggler", "test"]
        long = dict(character_names=cast, turns=wrappers_pb2.Int32Value(value=50))
        for _ in range(60):
            made = self.engine.SubmitSimulation(pb.SimulationRequest(**long))
        self.assertIn("STORY_NOT_READY", self.refused(
            grpc.StatusCode.FAILED_PRECONDITION, simulation_id=made.simulation_id)[0])
        for _ in range(20):  # somebody watches, so it goes turn by turn; now and then it is quicker all the same
            stream = self.engine.StreamSimulation(pb.SimulationRequest(**long))
            update = next(stream)
            stopped = self.engine.CancelSimulation(pb.CancelSimulationRequest(simulation_id=update.simulation_id)) \
                if update.type == pb.SimulationUpdate.TYPE_EVENT else None
            stream.cancel()
            if stopped is not None and stopped.state == pb.Simulation.STATE_CANCELLED and stopped.last_sequence > 5:
                break
        self.assertEqual(stopped.state, pb.Simulation.STATE_CANCELLED)
        part = self.engine.TellStory(pb.TellStoryRequest(
            simulation_id=stopped.simulation_id, telling=pb.Telling(focaliser="pilot", perspective="first_person")))
        self.assertGreater(len(part.markdown), 200)
        last = max(e for p in part.passages for s in p.sentences for e in s.events)
        self.assertLessEqual(last, stopped.last_sequence)

    # --- formats ------------------------------------------------------------------------------

    def test_story_as_epub(self):
        one = self.rest("GET", self.where + "/story", headers={"Accept": EPUB})
        self.assertEqual((one.status, one.headers["content-type"]), (200, EPUB))
        two = self.rest("GET", self.where + "/story?format=epub")
        self.assertEqual(one.body, two.body)
        texts = check_epub(self, one.body)
        words = lambda text: re.findall(r"[A-Za-z]+", text)
        title, body = self.made["story"].split("\n\n", 1)
        self.assertEqual(words(" ".join(texts[-1])), words(body))

    def test_story_as_page(self):
        page = self.rest("GET", self.where + "/story", headers={"Accept": "text/html"})
        self.assertEqual(page.headers["content-type"], "text/html; charset=utf-8")
        text = page.body.decode()
        self.assertIn("prefers-color-scheme: dark", text)
        self.assertNotRegex(text, r"<script|https?://|@import")
        told = {int(n) for found in re.findall(r'data-events="([0-9,]+)"', text) for n in found.split(",")}
        self.assertLessEqual(told, {int(e["sequence"]) for e in self.log})
        self.assertGreater(len(told), 5)
        self.assertIn('data-focaliser="', text)

    def test_story_as_text(self):
        text = self.rest("GET", self.where + "/story?format=text").body.decode()
        self.assertEqual(text, self.made["story"].removeprefix("# ").replace("*", ""))
        self.assert_problem(self.rest("GET", self.where + "/story?format=pdf"), 422, fields=["format"])

    # --- novelctl -----------------------------------------------------------------------------

    def ctl(self, *args, status=0):
        out = subprocess.run([str(BIN / "novelctl"), "--server", self.server.address, *args], capture_output=True, timeout=60)
        self.assertEqual(out.returncode, status, out.stderr)
        return out

    def test_novelctl(self):
        folder = pathlib.Path(self.folder.name)
        told = self.ctl("tell", self.id, "--focaliser", "pilot", "--perspective", "first_person").stdout.decode()
        self.assertEqual(told, self.tell(focaliser="pilot", perspective="first_person")["markdown"])
        self.ctl("tell", self.id, "--style", "noir", "--words", "300", "--format", "epub", "-o", str(folder / "a.epub"))
        check_epub(self, (folder / "a.epub").read_bytes())
        self.ctl("story", self.id, "--format", "epub", "-o", str(folder / "b.epub"))
        self.assertEqual((folder / "b.epub").read_bytes(), self.rest("GET", self.where + "/story?format=epub").body)
        page = self.ctl("tell", self.id, "--perspective", "journal", "--format", "html").stdout
        self.assertIn(b"<p>", page)
        document = json.loads(self.ctl("--json", "tell", self.id).stdout)
        self.assertEqual(document["markdown"], self.made["story"])
        self.assertIn(b"focaliser", self.ctl("tell", self.id, "--focaliser", "nobody", status=5).stderr)
        self.ctl("tell", self.id, "--format", "pdf", status=2)
        self.ctl("tell", "sim_x", status=3)
        self.assertIn(b"--focaliser ID", self.ctl("tell", "--help").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
