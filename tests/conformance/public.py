"""Runs the public conformance suite of protobuf against json_testee, with a runner that is not part of this repository.

    NOVEL_CONFORMANCE_RUNNER=/path/to/conformance_test_runner python3 public.py JSON_TESTEE

Passes when the runner reports no unexpected failure, recommended cases included, and that it asked anything at all.
Without the variable it exits 77: ctest shows the test as skipped.
"""
import os
import re
import subprocess
import sys
import tempfile

SKIPPED = 77
SUMMARY = re.compile(r"CONFORMANCE SUITE (?:PASSED|FAILED): (\d+) successes, (\d+) skipped, "
                     r"(\d+) expected failures, (\d+) unexpected failures")


def main(testee):
    runner = os.environ.get("NOVEL_CONFORMANCE_RUNNER")
    if not runner:
        print("NOVEL_CONFORMANCE_RUNNER names no conformance_test_runner")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="novel-conformance-") as folder:  # for its lists of failures
        done = subprocess.run([runner, "--enforce_recommended", "--output_dir", folder, testee], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    suites = [[int(n) for n in found] for found in SUMMARY.findall(done.stdout)]
    successes, unexpected = sum(s[0] for s in suites), sum(s[3] for s in suites)
    if done.returncode != 0 or successes == 0 or unexpected > 0:
        print(done.stdout)
    print(f"{successes} successes, {unexpected} unexpected failures in {len(suites)} suites")
    return 0 if done.returncode == 0 and successes > 0 and unexpected == 0 else 1


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
