"""Many unwatched simulations at once: slices overlap commits, and none may follow the last one."""
import pathlib
import subprocess
import tempfile
import unittest

from harness import BUILD, start_server


class Load(unittest.TestCase):
    def test_overlapping_slices(self):
        with tempfile.TemporaryDirectory(prefix="novel-load-") as folder:
            server = start_server(pathlib.Path(folder) / "data", "--threads", "1", "--workers", "1")
            for turns in ("3", "10", "20"):
                out = subprocess.run([str(BUILD / "tests" / "bench_client"), "simulate", server.address, "16", "3",
                                      "engineer,pilot,scientist", turns], capture_output=True, text=True, timeout=120)
                self.assertEqual(out.returncode, 0, out.stdout + out.stderr + "\n".join(server.lines[-3:]))
                self.assertIn("errors=0", out.stdout)
            server.stop()
            troubled = [line for line in server.lines if "slice_not_durable" in line or '"severity":"error"' in line]
            self.assertEqual(troubled, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
