"""novelctl and the example clients as a person uses them."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

from harness import BIN, BUILD, CAST, ROOT, STUBS, Stack


class Cli(Stack):
    def ctl(self, *args, status=0, **more):
        out = subprocess.run([str(BIN / "novelctl"), "--server", self.server.address, *args],
                             capture_output=True, timeout=120, **more)
        self.assertEqual(out.returncode, status, (args, out.stdout[-2000:], out.stderr[-2000:]))
        return out

    def test_help_and_usage(self):
        out = subprocess.run([str(BIN / "novelctl"), "--help"], capture_output=True, text=True)
        self.assertEqual(out.returncode, 0)
        for word in ("simulate", "watch", "export", "characters", "Exit"):
            self.assertIn(word.lower(), out.stdout.lower())
        self.ctl("nonsense", status=2)
        self.ctl("simulate", "pilot", "--turns", "x", status=2)

    def test_health_and_characters(self):
        self.assertIn(b"healthy", self.ctl("health").stdout)
        self.assertEqual(json.loads(self.ctl("--json", "health").stdout)["status"], "healthy")
        self.assertIn(b"smuggler", self.ctl("characters").stdout)
        self.assertIn(b"Alex Chen", self.ctl("characters", "show", "pilot").stdout)
        self.assertIn(b"nobody", self.ctl("characters", "show", "nobody", status=3).stderr)

    def test_simulate_watch_story_export(self):
        out = self.ctl("simulate", *CAST, "--turns", "3", "--seed", "11", "--scenario", "a distress signal")
        story = out.stdout.decode()
        self.assertGreater(len(story), 400)
        lines = [json.loads(l) for l in self.ctl("--json", "simulate", *CAST, "--turns", "2", "--seed", "4").stdout.splitlines()]
        identifier = lines[0]["simulation_id"]
        self.assertIn(identifier.encode(), self.ctl("list").stdout)
        self.assertTrue(self.ctl("watch", identifier, "--after", "3").stdout)
        self.assertIn(lines[-1]["result"]["story"].split("\n")[0].lstrip("# ").encode()[:20], self.ctl("story", identifier).stdout)
        log = self.data.parent / "one.nvlog"
        log.write_bytes(self.ctl("export", identifier).stdout)
        check = subprocess.run([str(BIN / "novel-verify"), str(log)], capture_output=True, text=True)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
        made = self.ctl("submit", *CAST, "--turns", "50")
        self.assertTrue(made.stdout)
        self.ctl("delete", identifier)
        self.ctl("show", identifier, status=3)

    def test_errors_say_what_to_do(self):
        self.assertIn(b"character_names", self.ctl("simulate", "pilot", status=5).stderr)
        self.assertIn(b"ghost", self.ctl("simulate", "pilot", "ghost", status=3).stderr)
        out = subprocess.run([str(BIN / "novelctl"), "--server", "127.0.0.1:1", "health"], capture_output=True, timeout=60)
        self.assertEqual(out.returncode, 4)
        self.assertIn(b"127.0.0.1:1", out.stderr)

    def test_python_example(self):
        out = subprocess.run([sys.executable, str(ROOT / "clients/python/example.py"), self.server.address],
                             capture_output=True, text=True, timeout=120,
                             env={**os.environ, "PYTHONPATH": str(STUBS)})
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        self.assertIn("pilot", out.stdout)

    def test_programs_explain_themselves(self):
        for program in ("novel-server", "novel-gateway"):
            out = subprocess.run([str(BIN / program), "--help"], capture_output=True, text=True)
            self.assertEqual(out.returncode, 0)
            for flag in ("--listen", "--config", "--check-config", "--threads"):
                self.assertIn(flag, out.stdout)
            self.assertEqual(subprocess.run([str(BIN / program), "--check-config"], capture_output=True).returncode, 0)
            bad = subprocess.run([str(BIN / program), "--threads", "x"], capture_output=True, text=True)
            self.assertEqual(bad.returncode, 2)
            self.assertIn("threads", bad.stderr)


class NodeExample(Stack):
    def test_grpc_js(self):
        folder = ROOT / "clients" / "js"
        if not shutil.which("npm"):
            self.skipTest("npm is not installed: grpc-js was NOT tried")
        work = pathlib.Path(BUILD) / "js"
        shutil.copytree(folder, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        install = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=work,
                                 capture_output=True, text=True, timeout=180)
        if install.returncode != 0:
            self.skipTest("npm cannot install here: grpc-js was NOT tried: " + install.stderr[-300:])
        out = subprocess.run(["node", "example.js", self.server.address], cwd=work, capture_output=True, text=True,
                             timeout=120, env={**os.environ, "NOVEL_PROTO": str(ROOT / "proto")})
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        self.assertIn("pilot", out.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
