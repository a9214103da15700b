"""Starts the real programs on free loopback ports, and talks to them with clients that are not ours."""
import atexit
import http.client
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("NOVEL_BUILD", ROOT / "build"))
BIN = BUILD / "bin"
STUBS = BUILD / "gen" / "python"
sys.path.insert(0, str(STUBS))

READY_SECONDS = 60  # sanitizer builds start slowly on a busy machine
CAST = ["engineer", "pilot", "scientist"]


class Program:
    """One of our programs, running; its log lines are kept."""

    def __init__(self, name, *args, env=None):
        self.name = name
        self.lines = []
        self.events = queue.Queue()
        self.process = subprocess.Popen(
            [str(BIN / name), *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})}, text=True, errors="replace")
        atexit.register(self.process.kill)  # a test that fails leaves nothing running
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            self.events.put(entry)
        self.process.stdout.close()
        self.events.put(None)

    def wait_event(self, name, seconds=READY_SECONDS):
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{self.name}: no '{name}' in time:\n" + "\n".join(self.lines[-20:]))
            try:
                entry = self.events.get(timeout=left)
            except queue.Empty:
                continue
            if entry is None:
                raise AssertionError(f"{self.name} ended ({self.process.poll()}):\n" + "\n".join(self.lines[-40:]))
            if entry.get("event") == name:
                return entry

    def ready(self):
        self.address = self.wait_event("ready")["address"]
        return self

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def stop(self, seconds=30):
        """SIGTERM; the exit status, which must be 0."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"{self.name} did not stop on SIGTERM:\n" + "\n".join(self.lines[-20:]))
        self.reader.join(5)
        if status != 0:
            raise AssertionError(f"{self.name} ended with {status}:\n" + "\n".join(self.lines[-60:]))


def start_server(data, *args, listen="127.0.0.1:0", env=None):
    return Program("novel-server", "--listen", listen, "--data", str(data), *args, env=env).ready()


def start_gateway(backend, *args, listen="127.0.0.1:0"):
    return Program("novel-gateway", "--listen", listen, "--backend", backend, *args).ready()


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


def rest(port, method, path, body=None, headers=None, timeout=60):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def sse_events(response):
    """Events of an open SSE response as dicts with id, event, data; ends with the stream."""
    current = {}
    for raw in response:
        line = raw.decode().rstrip("\n").rstrip("\r")
        if line == "":
            if current:
                yield current
            current = {}
        elif line.startswith(":"):
            continue
        else:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            current[field] = current[field] + "\n" + value if field in current else value


class Stack(unittest.TestCase):
    """A server and a gateway for a class of tests."""

    server_args = ()
    gateway_args = ()

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="novel-test-")
        cls.data = pathlib.Path(cls.folder.name) / "data"
        cls.server = start_server(cls.data, *cls.server_args)
        cls.gateway = start_gateway(cls.server.address, *cls.gateway_args)

    @classmethod
    def tearDownClass(cls):
        try:
            cls.gateway.stop()
            cls.server.stop()
        finally:
            for program in (cls.gateway, cls.server):
                if program.process.poll() is None:
                    program.process.kill()
            cls.folder.cleanup()

    def rest(self, method, path, body=None, headers=None, **more):
        return rest(self.gateway.port, method, path, body, headers, **more)

    def assert_problem(self, answer, status, detail=None, fields=None):
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers["content-type"].split(";")[0], "application/problem+json")
        problem = answer.json()
        for key in ("type", "title", "status", "detail", "error", "code", "message"):
            self.assertIn(key, problem)
        self.assertEqual(problem["status"], status)
        self.assertEqual(problem["detail"], problem["message"])
        self.assertRegex(problem["code"], r"^[A-Z][A-Z0-9_]*$")
        if detail is not None:
            self.assertIn(detail, problem["detail"])
        if fields is not None:
            self.assertIn("fields", problem)
            named = json.dumps(problem["fields"])
            for field in fields:
                self.assertIn(field, named)
        return problem
