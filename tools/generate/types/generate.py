"""Writes ledger/scheme/data/gotypes.json.xz: what reflection says of the Go types behind every kind.

    tools/run python tools/generate/types/generate.py

Needs Go (only here): runs main.go beside this file against the modules pinned in go.mod. For another release of
Kubernetes, change the versions there, `go mod tidy`, and run this again.

The file holds {"kinds": {"apps/v1 Deployment": TYPE}, "types": {TYPE: {"name": "v1.Deployment", "fields": [...]}}};
ledger/scheme/types.py says what each part means.
"""

from __future__ import annotations

import json
import lzma
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[2] / "ledger/scheme/data/gotypes.json.xz"

# Kinds of releases whose Go types are gone, read and written as the type they became.
HISTORICAL = {
    "batch/v2alpha1 CronJob": "batch/v1 CronJob",
    "batch/v2alpha1 CronJobList": "batch/v1 CronJobList",
    "batch/v2alpha1 ScheduledJob": "batch/v1 CronJob",
    "batch/v2alpha1 ScheduledJobList": "batch/v1 CronJobList",
    "batch/v2alpha1 Job": "batch/v1 Job",
    "batch/v2alpha1 JobList": "batch/v1 JobList",
}


def main() -> None:
    printed = subprocess.run(["go", "run", "."], cwd=HERE, check=True, capture_output=True).stdout
    facts = json.loads(printed)
    for old, new in HISTORICAL.items():
        facts["kinds"][old] = facts["kinds"][new]
    for one in facts["types"].values():
        for field in one.get("fields", ()):
            if "pb" in field:
                # The wire type in the tag is wrong for float64; it follows from the Go type anyway.
                field["pb"] = int(field["pb"].split()[0])
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{TARGET.name}: {len(facts['kinds'])} kinds, {len(facts['types'])} types, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
