"""Trains a dictionary for bodies in the log: `tools/run python tools/generate/dictionary.py --number N DATA_DIR...`.

Samples are the bodies of the changes and requests of these ledgers, of each kind at most so many, so that no kind takes
all of it. Without ledgers, the bundled incident is imported and taken. A number that was released is never made again:
logs were written with it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import zstandard

from ledger.projections.store import Store

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "docs" / "examples" / "crashloop"
SIZE_BYTES = 64 << 10
SAMPLES_A_KIND = 150
SAMPLE_BYTES_MAX = 16 << 10


def samples(data_dir: Path) -> list[bytes]:
    found: dict[str, list[bytes]] = defaultdict(list)
    with Store.open(data_dir, read_only=True) as store:
        for change in store.changes_after(0):
            if change.body is not None and change.key.resource != "secrets":
                found[change.key.resource].append(change.body)
        for event in store.events():
            for body in (event.request_body, event.response_body):
                if body and event.resource != "secrets":
                    found[f"{event.resource} {event.verb}"].append(body)
    return [
        body
        for kind in sorted(found)
        for body in [one for one in found[kind] if len(one) <= SAMPLE_BYTES_MAX][
            :: max(1, len(found[kind]) // SAMPLES_A_KIND)
        ]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("data_dirs", type=Path, nargs="*")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data_dirs = given.data_dirs or [imported(Path(scratch) / "example")]
        found = [body for data_dir in data_dirs for body in samples(data_dir)]
    trained = zstandard.train_dictionary(SIZE_BYTES, found, dict_id=given.number, threads=0)
    path = REPOSITORY / "ledger" / "log" / "data" / f"bodies-{given.number}.dictionary"
    path.write_bytes(trained.as_bytes())
    print(f"{path.relative_to(REPOSITORY)}: {len(found):,} samples of {sum(map(len, found)):,} bytes")


def imported(data_dir: Path) -> Path:
    command = [
        sys.executable,
        "-c",
        "import sys; from ledger.cli.main import main; sys.exit(main())",
        "replay",
        "import",
    ]
    files = [str(EXAMPLE / "audit.jsonl.gz"), "--base", str(EXAMPLE / "base.json.gz")]
    subprocess.run([*command, *files, "--data-dir", str(data_dir), "-q"], cwd=REPOSITORY, check=True)
    return data_dir


if __name__ == "__main__":
    main()
