"""Asks a running kube-apiserver the requests of tests/server/odd_requests.py and says where it answers otherwise.

tools/run python tools/differential/odd.py --port 36443 --token T
"""

from __future__ import annotations

import argparse
import sys

from tests.server.odd_requests import ODD, as_expected, ask


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares the recorded answers with those of a kube-apiserver.")
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--token", required=True, help="of a cluster administrator")
    given = parser.parse_args()
    others = 0
    for odd in ODD:
        seen = ask(given.port, given.token, odd)
        if not as_expected(seen, odd.status, odd.text, odd.closes):
            others += 1
            print(f"{odd.name}: {seen[0]} {seen[1][:200]!r}, not {odd.status} {odd.text!r}")
    print(f"{len(ODD)} requests, {others} answered otherwise than recorded")
    sys.exit(1 if others else 0)


if __name__ == "__main__":
    main()
