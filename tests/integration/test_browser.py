"""Clients that people really have: a browser's EventSource, WebSocket and fetch, Node's fetch, and slowhttptest as the
client nobody wants.  What is not installed is skipped, loudly."""
import http.server
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import harness

CHROMIUM = shutil.which("chromium")
NODE = shutil.which("node")
SLOW = shutil.which("slowhttptest")

PAGE = """<!doctype html><title>a page</title><script>
const api = "%(api)s", out = {};
const finish = () => fetch("/done", { method: "POST", body: JSON.stringify(out) });
const submit = () => fetch(api + "/simulations:submit", { method: "POST", headers: { "content-type": "application/json" },
  body: JSON.stringify({ character_names: ["pilot", "scientist"], turns: 3 }) }).then(r => r.json());
const bySource = id => new Promise((done, bad) => {
  const source = new EventSource(api + "/simulations/" + id + "/events");
  const seen = [];
  for (const type of ["event", "progress", "passage", "result"])
    source.addEventListener(type, e => seen.push([type, e.lastEventId]));
  source.addEventListener("end", () => { source.close(); done(seen); });
});
// A connection with credentials, as a WebSocket's is: its answer is not for this page.
const warm = () => fetch(api + "/livez", { credentials: "include" }).catch(() => 0);
const bySocket = id => new Promise((done, bad) => {
  const socket = new WebSocket(api.replace("http", "ws") + "/simulations/" + id + "/events");
  const seen = [];
  socket.onmessage = e => seen.push(Object.keys(JSON.parse(e.data)).length);
  socket.onclose = e => done({ seen: seen.length, code: e.code });
});
const forbidden = () => fetch("%(closed)s/health").then(() => "allowed", () => "refused");
(async () => {
  const made = await submit();
  out.id = made.simulation_id;
  out.events = await bySource(made.simulation_id);
  await warm();
  out.socket = await bySocket(made.simulation_id);
  out.forbidden = await forbidden();
  const answer = await fetch(api + "/characters/pilot");
  out.name = (await answer.json()).name;
  out.etag = answer.headers.get("etag");
})().catch(e => { out.error = String(e); }).finally(finish);
</script>"""


class Pages(http.server.BaseHTTPRequestHandler):
    page = ""
    results = queue.Queue()

    def do_GET(self):
        body = self.page.encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.results.put(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def visit(gateway_args=(), browser_args=(), scheme="http"):
    """What the page saw; a gateway's log lines."""
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    origin = f"http://127.0.0.1:{pages.server_port}"
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="novel-test-") as folder:
        server = harness.start_server(pathlib.Path(folder) / "data")
        gateway = harness.start_gateway(server.address, "--cors-origin", origin, *gateway_args)
        closed = harness.start_gateway(server.address)
        Pages.page = PAGE % {"api": f"{scheme}://127.0.0.1:{gateway.port}", "closed": f"http://127.0.0.1:{closed.port}"}
        browser = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", *browser_args,
             f"--user-data-dir={folder}/profile", origin + "/"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            seen = json.loads(Pages.results.get(timeout=120))
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait(30)
            for program in (closed, gateway, server):
                program.stop()
            pages.shutdown()
            pages.server_close()
    requests = [json.loads(line) for line in gateway.lines if '"event":"request"' in line]
    return seen, requests


@unittest.skipIf(CHROMIUM is None, "no chromium: the browser's EventSource and WebSocket are not tried")
class Browser(unittest.TestCase):
    def test_a_page_of_another_origin(self):
        seen, requests = visit()
        self.check(seen)
        self.assertEqual([r["status"] for r in requests if r["status"] == 101], [101])

    def test_over_http2(self):
        """Where the browser has HTTP/2 it opens the WebSocket on that connection (RFC 8441): 200, and no Upgrade."""
        with tempfile.TemporaryDirectory(prefix="novel-test-") as folder:
            key, certificate = f"{folder}/key.pem", f"{folder}/cert.pem"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
                            "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
            seen, requests = visit(("--tls-cert", certificate, "--tls-key", key), ("--ignore-certificate-errors",), "https")
        self.check(seen)
        watches = [r["status"] for r in requests if r["route"] == "/simulations/{simulation_id}/events"]
        self.assertEqual(watches, [200, 200], requests)

    def check(self, seen):
        self.assertNotIn("error", seen)
        types = [kind for kind, _ in seen["events"]]
        self.assertIn("event", types)
        self.assertEqual(types[-1], "result")
        ids = [int(i) for _, i in seen["events"]]
        self.assertEqual(ids, sorted(ids))
        self.assertEqual(seen["socket"], {"seen": len(types), "code": 1000})
        self.assertEqual(seen["forbidden"], "refused")
        self.assertEqual(seen["name"], "Alex Chen")
        self.assertTrue(seen["etag"], "the header is exposed to the page")


NODE_SCRIPT = """
const api = process.argv[1];
(async () => {
  const answer = await fetch(api + "/simulations:stream", { method: "POST", headers: { accept: "application/x-ndjson" },
    body: JSON.stringify({ character_names: ["pilot", "scientist"], turns: 2 }) });
  let text = "", pieces = 0;
  for await (const piece of answer.body) { text += Buffer.from(piece).toString(); pieces++; }
  const lines = text.trim().split("\\n").map(JSON.parse);
  console.log(JSON.stringify({ status: answer.status, coding: answer.headers.get("content-encoding"), pieces,
    last: Object.keys(lines.at(-1)), count: lines.length }));
})();
"""


@unittest.skipIf(NODE is None, "no node: its fetch is not tried")
class Node(harness.Stack):
    def test_fetch_streams(self):
        done = subprocess.run([NODE, "-e", NODE_SCRIPT, f"http://127.0.0.1:{self.gateway.port}"], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        got = json.loads(done.stdout)
        self.assertEqual(got["status"], 200)
        self.assertIn(got["coding"], ("br", "gzip"), "Node's fetch takes codings, and decodes them")
        self.assertIn("result", got["last"])
        self.assertGreater(got["count"], 5)


@unittest.skipIf(SLOW is None, "no slowhttptest: slow heads, bodies and reads are not tried with it")
class Slow(harness.Stack):
    def attack(self, *mode):
        """Runs the attack for a few seconds; honest requests must be served all the while."""
        process = subprocess.Popen([SLOW, *mode, "-c", "300", "-r", "300", "-i", "1", "-l", "5", "-p", "3", "-u",
                                    f"http://127.0.0.1:{self.gateway.port}/simulations"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        served = 0
        while process.poll() is None:
            self.assertEqual(self.rest("GET", "/health", timeout=5).status, 200)
            served += 1
            time.sleep(0.02)
        self.assertGreater(served, 50)

    def test_slow_heads(self):
        self.attack("-H", "-t", "GET", "-x", "24")

    def test_slow_bodies(self):
        self.attack("-B", "-t", "POST", "-s", "8192", "-x", "10")

    def test_slow_reads(self):
        self.attack("-X", "-k", "5", "-n", "1", "-w", "1", "-y", "2", "-z", "8")


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
