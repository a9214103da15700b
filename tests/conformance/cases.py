#!/usr/bin/python3
"""cases.py PROGRAM GENERATED_DIR: what the public protobuf conformance suite asks about binary and JSON
messages, told again: each case has the suite's name where it has one."""
import sys

sys.dont_write_bytecode = True
sys.path[:0] = [sys.argv[2]]

import binary_cases  # noqa: E402
import json_cases  # noqa: E402
from runner import Runner  # noqa: E402


def main():
    runner = Runner(sys.argv[1])
    for version in (3, 2):
        json_cases.run(runner, version)
        binary_cases.run(runner, version)
    return runner.report()


if __name__ == "__main__":
    sys.exit(main())
