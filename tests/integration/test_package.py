"""libnrpc as others take it: installed alone into a fresh prefix, found by CMake and by pkg-config, shared and
static; the examples build against it, run, and speak with grpcio."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import grpc

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("NOVEL_BUILD", ROOT / "build"))
SANITIZE = os.environ.get("NOVEL_SANITIZE", "")
FLAGS = [f"-fsanitize={SANITIZE}"] if SANITIZE else []


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=240, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.top = pathlib.Path(cls.folder.name)
        cls.prefix = cls.top / "prefix"
        run("cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", "nrpc")
        cls.lib = next(cls.prefix.glob("lib*/**/libnrpc.so")).parent
        cls.env = {**os.environ, "PKG_CONFIG_PATH": str(cls.lib / "pkgconfig"), "LD_LIBRARY_PATH": str(cls.lib)}
        cls.env.pop("CMAKE_C_COMPILER_LAUNCHER", None)
        cls.examples = cls.top / "examples"
        shutil.copytree(cls.prefix / "share/doc/nrpc/examples", cls.examples)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def drive(self, where):
        """Runs the three programs against one another, and grpcio against the server."""
        server = subprocess.Popen([str(where / "tally_server"), "127.0.0.1:0"], stdout=subprocess.PIPE, text=True,
                                  env=self.env)
        try:
            address = server.stdout.readline().split()[-1]
            client = where / "tally_client"
            self.assertEqual(run(client, address, "add", "40", env=self.env), "40\n")
            self.assertEqual(run(client, address, "add", "2", env=self.env), "42\n")
            self.assertEqual(run(client, address, "watch", "1", env=self.env), "42\n")
            chat = run(where / "tally_chat", address, input="1\n2\n3\n", env=self.env)
            self.assertEqual(chat.split(), ["43", "45", "48"])
            refused = subprocess.run([str(client), address, "watch", "0"], stderr=subprocess.PIPE, text=True,
                                     env=self.env, timeout=60)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("INVALID_ARGUMENT: count must be at least 1", refused.stderr)
            with grpc.insecure_channel(address) as channel:
                add_all = channel.stream_unary("/tally.Tally/AddAll")
                self.assertEqual(add_all(iter([b"\x08\x05", b"\x08\x07"]), timeout=30), b"\x08\x3c")
            server.send_signal(signal.SIGTERM)
            self.assertEqual(server.communicate(timeout=60)[0], "total 60\n")
            self.assertEqual(server.returncode, 0)
        finally:
            server.kill()
            server.wait()
            server.stdout.close()

    def test_cmake_finds_it(self):
        out = self.top / "by-cmake"
        flags = " ".join(FLAGS)
        run("cmake", "-S", self.examples, "-B", out, f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_C_FLAGS={flags}",
            env=self.env)
        run("cmake", "--build", out, env=self.env)
        self.drive(out)

    def test_pkg_config_finds_it(self):
        out = self.top / "by-make"
        shutil.copytree(self.prefix / "share/doc/nrpc/examples", out)
        run("make", "-C", out, f"LDFLAGS={' '.join(FLAGS)}", env=self.env)
        self.drive(out)

    def test_the_archive_brings_no_other_names(self):
        """Linked statically into a program that has a buf_put and a list_init of its own."""
        out = self.top / "static"
        out.mkdir()
        (out / "main.c").write_text(
            '#include <nrpc.h>\n#include <stdio.h>\nint buf_put(void) { return 7; }\nint alloc_get(void) { return 1; }\n'
            'int main(void) {\n  nrpc_server *s;\n  if (nrpc_server_new(NULL, &s) < 0) return 1;\n'
            '  if (nrpc_server_add_health(s) < 0 || nrpc_server_listen(s, "127.0.0.1:0") < 0 || nrpc_server_start(s) < 0)\n'
            '    return 1;\n  nrpc_server_stop(s, 100);\n  nrpc_server_wait(s);\n  nrpc_server_free(s);\n'
            '  printf("%s %d\\n", nrpc_version(), buf_put() + alloc_get());\n  return 0;\n}\n')
        flags = run("pkg-config", "--cflags", "--libs", "--static", "nrpc", env=self.env).split()
        flags = [f for f in flags if f != "-lnrpc"]
        below = run("pkg-config", "--libs", "libprotobuf-c", "libnghttp2", "libevent_core", "libssl", "libcrypto",
                    "zlib").split()
        run("cc", *FLAGS, "-o", out / "main", out / "main.c", *flags, self.lib / "libnrpc.a", *below, "-lpthread", "-lm",
            env=self.env)
        version = re.search(r"VERSION (\d+\.\d+\.\d+)", (ROOT / "CMakeLists.txt").read_text())
        self.assertEqual(run(out / "main", env=self.env), f"{version[1]} 8\n")

    def test_the_library_shows_its_header_and_no_more(self):
        shown = run("nm", "-D", "--defined-only", self.lib / "libnrpc.so").split("\n")
        names = [line.split()[-1] for line in shown if line]
        foreign = [n for n in names if not n.startswith("nrpc_")]
        self.assertEqual(foreign, [])
        header = (self.prefix / "include/nrpc.h").read_text()
        for name in names:
            self.assertRegex(header, rf"\b{name}\(", "is shown, but not documented")

    def test_cpp_reads_the_header(self):
        if shutil.which("c++") is None:
            self.skipTest("no C++ compiler")
        run("c++", "-fsyntax-only", "-Wall", "-Werror", "-x", "c++", f"-I{self.prefix / 'include'}",
            self.prefix / "include/nrpc.h")

    def test_the_manual_pages_are_there(self):
        for page in ("man7/nrpc.7", "man1/protoc-gen-nrpc.1"):
            text = (self.prefix / "share/man" / page).read_text()
            self.assertTrue(text.startswith(".TH "), page)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
