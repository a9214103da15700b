"""The legacy REST shapes, routes, streams and errors, through the real gateway and server."""
import concurrent.futures
import http.client
import json
import re
import subprocess
import unittest

from harness import CAST, Stack, rest, sse_events

RUN = {"character_names": CAST, "turns": 3, "seed": 11}


class LegacyShapes(Stack):
    def test_root(self):
        for path in ("/", "/api/", "/api"):
            answer = self.rest("GET", path)
            self.assertEqual(answer.status, 200, (path, answer.body))
            self.assertEqual(answer.json()["status"], "ok")
            self.assertTrue(answer.json()["message"])
        self.assertEqual(self.rest("PUT", "/").status, 405)

    def test_health(self):
        for path in ("/health", "/api/health"):
            answer = self.rest("GET", path)
            self.assertEqual(answer.status, 200)
            body = answer.json()
            self.assertEqual(set(body), {"status", "api", "timestamp", "version", "config", "uptime"})
            self.assertEqual((body["status"], body["api"], body["config"]), ("healthy", "running", "loaded"))
            self.assertRegex(body["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
            self.assertIsInstance(body["uptime"], float)
        self.assertNotIn("server", answer.headers)
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")

    def test_characters(self):
        answer = self.rest("GET", "/characters")
        self.assertEqual(answer.status, 200)
        names = answer.json()["characters"]
        self.assertEqual(names, sorted(names))
        self.assertLessEqual({"engineer", "pilot", "scientist", "test", "smuggler"}, set(names))
        self.assertIn("etag", answer.headers)
        again = self.rest("GET", "/characters", headers={"If-None-Match": answer.headers["etag"]})
        self.assertEqual((again.status, again.body), (304, b""))

    def test_character_details(self):
        people = {"pilot": ("Alex Chen", "Galactic Defense Force"), "engineer": ("Jordan Kim", "Engineering Corps"),
                  "scientist": ("Dr. Maya Patel", "Scientific Research Institute"), "test": (None, None)}
        keys = {"character_id", "character_name", "name", "background_summary", "personality_traits",
                "current_status", "narrative_context", "skills", "relationships", "current_location",
                "inventory", "metadata", "structured_data"}
        for who, (name, faction) in people.items():
            answer = self.rest("GET", f"/characters/{who}")
            self.assertEqual(answer.status, 200)
            body = answer.json()
            self.assertLessEqual(keys, set(body))
            self.assertEqual(body["character_id"], who)
            self.assertEqual(body["character_name"], who)
            self.assertTrue(all(0 <= v <= 1 for v in body["skills"].values()))
            self.assertIsInstance(body["inventory"], list)
            self.assertIsInstance(body["metadata"], dict)
            stats = body["structured_data"]["stats"]
            self.assertLessEqual({"name", "faction", "specialization"}, set(stats["character"]))
            self.assertIn("combat_stats", stats)
            if name:
                self.assertEqual(body["name"], name)
                self.assertIn(faction, json.dumps(body))

    def test_unknown_characters_are_404(self):
        for who in ("nobody", "Pilot", "..%2f..%2fetc%2fpasswd", "%2e%2e", "a" * 300, "pilot%00"):
            answer = self.rest("GET", "/characters/" + who)
            self.assert_problem(answer, 404)
            self.assertIn("not found", answer.json()["detail"].lower())

    def test_simulation_roundtrip(self):
        for path in ("/simulations", "/simulate", "/api/simulations"):
            answer = self.rest("POST", path, {**RUN, "no_such_field": {"a": [1]}})
            self.assertEqual(answer.status, 200, answer.body)
            body = answer.json()
            self.assertEqual(body["participants"], CAST)
            self.assertEqual(body["turns_executed"], 3)
            self.assertGreater(body["duration_seconds"], 0)
            self.assertGreater(len(body["story"]), 400)
            self.assertEqual(body["seed"], 11)
        default = self.rest("POST", "/simulations", {"character_names": ["pilot", "scientist"]}).json()
        self.assertEqual(default["turns_executed"], 3)
        self.assertTrue(1 <= default["seed"] < 2 ** 53)

    def test_seed_decides(self):
        first = self.rest("POST", "/simulations", RUN).json()
        second = self.rest("POST", "/simulations", RUN).json()
        other = self.rest("POST", "/simulations", {**RUN, "seed": 12}).json()
        self.assertEqual(first["story"], second["story"])
        self.assertEqual(first["metadata"]["chain_head"], second["metadata"]["chain_head"])
        self.assertNotEqual(first["story"], other["story"])
        self.assertNotEqual(first["metadata"]["chain_head"], other["metadata"]["chain_head"])

    def test_character_life_cycle(self):
        made = self.rest("POST", "/characters", {
            "character_id": "medic", "name": "Ada Quist", "background_summary": "Ship's medic.",
            "skills": {"medicine": 0.9}})
        self.assertEqual(made.status, 201, made.body)
        self.assertTrue(made.headers["location"].endswith("/characters/medic"))
        self.assertEqual(self.rest("POST", "/characters", {"character_id": "medic", "name": "X"}).status, 409)
        changed = self.rest("PATCH", "/characters/medic", {"current_status": "on leave"})
        self.assertEqual(changed.status, 200, changed.body)
        self.assertEqual(changed.json()["current_status"], "on leave")
        self.assertEqual(changed.json()["name"], "Ada Quist")
        self.assertIn("medic", self.rest("GET", "/characters").json()["characters"])
        ran = self.rest("POST", "/simulations", {"character_names": ["medic", "pilot"], "turns": 2, "seed": 5})
        self.assertEqual(ran.status, 200, ran.body)
        self.assertIn("Ada", ran.json()["story"])
        self.assertEqual(self.rest("DELETE", "/characters/medic").status, 204)
        self.assertEqual(self.rest("GET", "/characters/medic").status, 404)

    def test_idempotency_key(self):
        key = {"Idempotency-Key": "5c8c4c2e"}
        body = {"character_id": "cook", "name": "Bo Lind"}
        first = self.rest("POST", "/characters", body, key)
        again = self.rest("POST", "/characters", body, key)
        self.assertEqual((first.status, again.status), (201, 201), again.body)
        self.assertEqual((again.body, again.headers["location"]), (first.body, first.headers["location"]))
        other = self.rest("POST", "/characters", {**body, "name": "Bo"}, key)
        self.assert_problem(other, 422)
        self.assertEqual(other.json()["code"], "IDEMPOTENCY_KEY_REUSED")
        self.assert_problem(self.rest("POST", "/simulations", RUN, key), 422)
        self.assertEqual(self.rest("PATCH", "/characters/pilot", {"current_status": "tired"}).status, 200)
        reset = [self.rest("POST", "/characters/pilot:reset", {}, {"Idempotency-Key": "r1"}) for _ in range(2)]
        self.assertEqual(([r.status for r in reset], reset[0].body), ([200, 200], reset[1].body))
        self.assertEqual(self.rest("DELETE", "/characters/cook").status, 204)

    def test_submit_get_list_log_story_export_delete(self):
        made = self.rest("POST", "/simulations:submit", RUN)
        self.assertEqual(made.status, 202, made.body)
        where = made.headers["location"]
        identifier = made.json()["simulation_id"]
        self.assertTrue(where.endswith("/simulations/" + identifier))
        events = [json.loads(line) for line in self.rest(
            "GET", where + "/events", headers={"Accept": "application/x-ndjson"}).body.splitlines()]
        self.assertEqual(events[-1]["type"], "TYPE_RESULT")
        done = self.rest("GET", where).json()
        self.assertEqual((done["state"], done["progress_percent"]), ("STATE_COMPLETED", 100))
        listed = self.rest("GET", "/simulations?page_size=1000").json()["simulations"]
        self.assertIn(identifier, [s["simulation_id"] for s in listed])
        log = self.rest("GET", where + "/log?page_size=2").json()
        self.assertEqual([e["sequence"] for e in log["events"]], [1, 2])
        self.assertEqual(log["next_after_sequence"], 2)
        story = self.rest("GET", where + "/story", headers={"Accept": "text/markdown"})
        self.assertEqual(story.status, 200)
        self.assertTrue(story.headers["content-type"].startswith("text/markdown"))
        html = self.rest("GET", where + "/story?format=html")
        self.assertIn(b"<p>", html.body)
        # Workers lay them out: many at once are each the same, and whole.
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            for form, first in (("html", b"<!"), ("epub", b"PK"), ("text", b"")):
                again = [pool.submit(self.rest, "GET", where + "/story?format=" + form) for _ in range(24)]
                bodies = {one.result().body for one in again}
                self.assertEqual(len(bodies), 1, form)
                self.assertTrue(bodies.pop().lstrip().startswith(first), form)
        export = self.rest("GET", where + ":export")
        self.assertEqual(export.status, 200)
        self.assertGreater(len(export.body), 1000)
        self.assertEqual(self.rest("DELETE", where).status, 204)
        self.assertEqual(self.rest("GET", where).status, 404)

    def test_system_status_and_policy(self):
        status = self.rest("GET", "/meta/system-status").json()
        self.assertEqual(status["status"], "operational")
        self.assertIn("components", status)
        policy = self.rest("GET", "/meta/policy").json()
        self.assertEqual(policy["brand_status"], "Generic Sci-Fi")
        self.assertTrue(policy["compliance"])

    def test_verbs(self):
        wrong = self.rest("DELETE", "/health")
        self.assert_problem(wrong, 405)
        self.assertIn("GET", wrong.headers["allow"])
        self.assert_problem(self.rest("GET", "/no/such/path"), 404)
        for path in ("/health", "/livez", "/no/such/path"):  # RFC 9110, section 9.1
            self.assert_problem(self.rest("BREW", path), 501)
            self.assertEqual(self.rest("TRACE", path).status, 404 if path.startswith("/no") else 405)
        head = self.rest("HEAD", "/health")
        self.assertEqual((head.status, head.body), (200, b""))
        options = self.rest("OPTIONS", "/simulations", headers={"Origin": "http://example.org"})
        self.assertIn(options.status, (200, 204))
        self.assertIn("POST", options.headers["allow"])
        self.assertNotIn("access-control-allow-origin", options.headers)

    def test_pretty(self):
        plain = self.rest("GET", "/characters/pilot")
        for query in ("?pretty", "?pretty=true", "?$pretty=1", "?%24pretty=true"):
            answer = self.rest("GET", "/characters/pilot" + query)
            self.assertEqual((answer.status, answer.json()), (200, plain.json()))
            self.assertEqual(answer.body.decode(), json.dumps(plain.json(), indent=2, ensure_ascii=False) + "\n")
            self.assertEqual(int(answer.headers["content-length"]), len(answer.body))
        self.assertEqual(self.rest("GET", "/characters/pilot?$pretty=false").body, plain.body)
        self.assertEqual(self.rest("GET", "/characters/pilot?pretty&$fields=name").body, b'{\n  "name": "Alex Chen"\n}\n'
                         .replace(b"Alex Chen", plain.json()["name"].encode()))
        self.assertEqual(self.rest("POST", "/characters/pilot:reset?$pretty", {}).body.count(b"\n"),
                         json.dumps(plain.json(), indent=2).count("\n") + 1)
        self.assert_problem(self.rest("GET", "/simulations?$pretty=maybe"), 422)
        self.assert_problem(self.rest("GET", "/simulations?pretty&pretty"), 422)

    def test_request_id_is_echoed(self):
        self.assertEqual(self.rest("GET", "/health", headers={"X-Request-Id": "abc-123"}).headers["x-request-id"],
                         "abc-123")
        self.assertTrue(self.rest("GET", "/health").headers["x-request-id"])

    def test_probes(self):
        self.assertEqual(self.rest("GET", "/livez").status, 200)
        self.assertEqual(self.rest("GET", "/readyz").status, 200)

    def test_curl(self):
        out = subprocess.run(["curl", "-sS", "--fail", "-d", json.dumps(RUN), "-H", "Content-Type: application/json",
                              f"http://{self.gateway.address}/simulations"], capture_output=True, text=True, timeout=60)
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertEqual(json.loads(out.stdout)["participants"], CAST)


class Streams(Stack):
    def open(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=60)
        connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        self.addCleanup(connection.close)
        return connection.getresponse()

    def test_sse(self):
        response = self.open("POST", "/simulations:stream", json.dumps(RUN), {"Accept": "text/event-stream"})
        self.assertEqual(response.status, 200)
        self.assertTrue(response.getheader("content-type").startswith("text/event-stream"))
        self.assertIn("no-cache", response.getheader("cache-control"))
        events = [e for e in sse_events(response) if "data" in e or "event" in e]
        self.assertEqual(events[-1]["event"], "end")
        kinds = [e["event"] for e in events[:-1]]
        self.assertEqual(kinds[-1], "result")
        self.assertIn("passage", kinds)
        numbers = [int(e["id"]) for e in events if e["event"] == "event"]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        result = json.loads(events[-2]["data"])
        self.assertTrue(result["result"]["story"])
        identifier = result["simulation_id"]

        # Resume from the middle by Last-Event-ID: the rest, nothing twice, nothing lost.
        middle = numbers[len(numbers) // 2]
        watch = f"/simulations/{identifier}/events"
        response = self.open("GET", watch, headers={"Accept": "text/event-stream", "Last-Event-ID": str(middle)})
        resumed = [e for e in sse_events(response) if "event" in e]
        self.assertEqual([int(e["id"]) for e in resumed if e["event"] == "event"],
                         list(range(middle + 1, numbers[-1] + 1)))
        self.assertEqual([e["event"] for e in resumed[-2:]], ["result", "end"])

        # Cut off between the last event and the result: the story is not lost.
        response = self.open("GET", watch, headers={"Accept": "text/event-stream", "Last-Event-ID": str(numbers[-1])})
        self.assertEqual(response.status, 200)
        rest = [e for e in sse_events(response) if "event" in e]
        self.assertEqual([e["event"] for e in rest], kinds[len(numbers):] + ["end"])
        # Who saw the end does not connect again.
        response = self.open("GET", watch, headers={"Accept": "text/event-stream", "Last-Event-ID": events[-1]["id"]})
        self.assertEqual(response.status, 204)

    def test_ndjson_and_array(self):
        response = self.open("POST", "/simulations:stream", json.dumps(RUN), {"Accept": "application/x-ndjson"})
        lines = [json.loads(line) for line in response]
        self.assertEqual(lines[-1]["type"], "TYPE_RESULT")
        response = self.open("POST", "/simulations:stream", json.dumps(RUN), {"Accept": "application/json"})
        array = json.loads(response.read())
        self.assertEqual(array[-1]["result"]["story"], lines[-1]["result"]["story"])

    def test_error_before_first_message_is_a_real_status(self):
        response = self.open("POST", "/simulations:stream", json.dumps({"character_names": ["pilot", "ghost"]}),
                             {"Accept": "text/event-stream"})
        self.assertEqual(response.status, 404)
        self.assertIn("ghost", json.loads(response.read())["detail"])
        response = self.open("GET", "/simulations/nope/events", headers={"Accept": "text/event-stream"})
        self.assertEqual(response.status, 404)


class BadInput(Stack):
    """The table of bad input: each row a clear error, and the programs live on."""

    def run_with(self, **change):
        return self.rest("POST", "/simulations", {**RUN, **change})

    def test_unknown_characters_name_every_one(self):
        answer = self.run_with(character_names=["pilot", "ghost", "phantom"])
        problem = self.assert_problem(answer, 404, "not found")
        self.assertIn("ghost", problem["detail"])
        self.assertIn("phantom", problem["detail"])

    def test_field_errors(self):
        rows = [
            ({"character_names": ["pilot"]}, "character_names"), ({"character_names": []}, "character_names"),
            ({"character_names": ["pilot", "pilot"]}, "character_names"),
            ({"character_names": ["a", "b", "c", "d", "e", "f", "g"]}, "character_names"),
            ({"turns": 0}, "turns"), ({"turns": 51}, "turns"), ({"turns": 999}, "turns"),
            ({"scenario": "x" * 5001}, "scenario"), ({"setting": "\u00e9" * 1001}, "setting"),
            ({"seed": 0}, "seed"), ({"seed": 2 ** 53}, "seed"), ({"mood": "grumpy"}, "mood"),
            ({"narrative_style": "grimdark_dramatic"}, "narrative_style"),
            ({"turns": "many"}, "turns"), ({"turns": 2.5}, "turns"), ({"character_names": "pilot"}, "character_names"),
            ({"character_names": [1, 2]}, "character_names"), ({"scenario": {"a": 1}}, "scenario"),
        ]
        for change, field in rows:
            with self.subTest(change=str(change)[:60]):
                self.assert_problem(self.run_with(**change), 422, fields=[field])
        self.assertEqual(self.run_with(scenario="\u00e9" * 5000).status, 200)
        missing = self.rest("POST", "/simulations", {"turns": 3})
        self.assert_problem(missing, 422, fields=["character_names"])

    def test_malformed_json(self):
        rows = [b"{", b"", b"[1]", b'{"turns":3,}', b'{"turns":1,"turns":2,"character_names":["pilot","engineer"]}',
                b'{"character_names":["pilot","engineer"],"setting":"\xff"}',
                b'{"character_names":["pilot","engineer"],"setting":"\xed\xa0\x80"}', b"nonsense", b'{"a":' * 5000,
                b'{"character_names":["pilot","engineer"]} trailing']
        for body in rows:
            with self.subTest(body=body[:40]):
                answer = self.rest("POST", "/simulations", body)
                self.assert_problem(answer, 422)
                if body[:1] == b"{" and len(body) > 20:
                    self.assertRegex(answer.json()["detail"], r"(?i)line|column|offset|byte|field|key")

    def test_old_reads_ignore_what_they_do_not_know(self):
        """Monitors append things like _=1 so that nothing is cached."""
        for path in ("/health", "/", "/characters", "/characters/pilot", "/meta/policy", "/meta/system-status"):
            self.assertEqual(self.rest("GET", path + "?_=1&nocache=x").status, 200, path)

    def test_last_event_id_is_digits(self):
        for bad in ("1e1", "+1", "1.0", "x", "-1", "0x1"):
            answer = self.rest("GET", "/simulations/sim_none/events",
                               headers={"Accept": "text/event-stream", "Last-Event-ID": bad})
            self.assertEqual(answer.status, 422, bad)

    def test_unknown_field_is_refused_elsewhere(self):
        answer = self.rest("POST", "/simulations:submit", {**RUN, "turnz": 3})
        self.assert_problem(answer, 422)
        self.assertIn("turnz", json.dumps(answer.json()))
        self.assertIn("turns", json.dumps(answer.json()))
        self.assertIn(self.rest("GET", "/simulations?page_sise=3").status, (400, 422))

    def test_body_over_the_limit(self):
        answer = self.rest("POST", "/simulations", b'{"setting":"' + b"x" * (4 << 20) + b'"}')
        self.assert_problem(answer, 413)
        self.assertRegex(answer.json()["detail"], r"4194304|4 MiB")

    def test_hostile_text_never_reaches_the_story(self):
        hostile = ["<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x/y}", "'; DROP TABLE simulations; --",
                   "%s%s%n", "../../etc/passwd", "http://evil.example/x", "\u0000\u001b[31m", "{% raw %}"]
        for text in hostile:
            with self.subTest(text=text):
                answer = self.run_with(setting=text, scenario="A distress call. " + text)
                self.assertEqual(answer.status, 200, answer.body)
                story = answer.json()["story"]
                for bad in ("<script", "alert(1)", "{{", "${", "jndi", "DROP TABLE", "%n", "etc/passwd",
                            "evil.example", "\x1b", "{%"):
                    self.assertNotIn(bad, story)

    def test_alive_at_the_end(self):
        self.assertEqual(self.rest("GET", "/health").status, 200)


class BackendDown(Stack):
    def test_down_and_back(self):
        import pathlib
        from harness import start_gateway, start_server
        data = pathlib.Path(self.folder.name) / "second"
        server = start_server(data)
        gateway = start_gateway(server.address)
        try:
            self.assertEqual(rest(gateway.port, "GET", "/characters").status, 200)
            address = server.address
            server.kill()
            import time
            begin = time.monotonic()
            answer = rest(gateway.port, "GET", "/characters")
            self.assert_problem(answer, 503)
            self.assertLess(time.monotonic() - begin, 2)
            self.assertIn("retry-after", answer.headers)
            health = rest(gateway.port, "GET", "/health")
            self.assertEqual(health.status, 503)
            self.assertEqual(health.json()["status"], "degraded")
            self.assertEqual(rest(gateway.port, "GET", "/livez").status, 200)
            self.assertEqual(rest(gateway.port, "GET", "/readyz").status, 503)
            server = start_server(data, listen=address)
            end = time.monotonic() + 20
            while rest(gateway.port, "GET", "/characters").status != 200:
                self.assertLess(time.monotonic(), end, "the gateway did not recover")
                time.sleep(0.05)
            server.stop()
        finally:
            gateway.stop()
            if server.process.poll() is None:
                server.process.kill()

    def test_a_long_outage_makes_the_recovery_no_longer(self):
        import pathlib
        import time
        from harness import start_gateway, start_server
        data = pathlib.Path(self.folder.name) / "third"
        server = start_server(data)
        gateway = start_gateway(server.address)
        try:
            server.kill()
            end = time.monotonic() + 7  # with doubling alone the next attempts are now 6.4 s apart
            while time.monotonic() < end:
                answer = rest(gateway.port, "GET", "/simulations")
                self.assert_problem(answer, 503)
                self.assertLessEqual(int(answer.headers["retry-after"]), 2)
                time.sleep(0.2)
            server = start_server(data, listen=server.address)
            begin = time.monotonic()
            while rest(gateway.port, "GET", "/simulations").status != 200:
                self.assertLess(time.monotonic() - begin, 3, "the gateway did not recover")
                time.sleep(0.05)
            server.stop()
        finally:
            gateway.stop()
            if server.process.poll() is None:
                server.process.kill()


if __name__ == "__main__":
    unittest.main(verbosity=2)
