"""A recording of the many ways in which objects go (tests/replay/data/ways-to-go), from a real kube-apiserver 1.37.

107 requests by one user and the API server: grace periods, evictions, collections, finalizers, foreground and orphan
deletes, a CRD with its objects, a namespace finalized by hand; snapshots s1 to final were listed at the exact revision.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from ledger.replay.importer.lines import read_records
from ledger.scheme.scheme import builtin

FOLDER = Path(__file__).parent / "data/ways-to-go"
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from check_incidents import check  # noqa: E402


def test_every_snapshot_comes_back_whole() -> None:
    report, comparisons = check(FOLDER, builtin())
    assert len(comparisons) == 10
    for one in comparisons:
        assert (one.equal, one.missing, one.extra) == (one.objects, [], []), one.line()
    assert (report.unplaced, report.overtaken, report.malformed) == ([], [], [])


def test_the_same_log_at_level_Metadata_admits_that_it_does_not_know(tmp_path: Path) -> None:
    """No revision and no content is in such a log: what is concluded is marked, and what was made is there."""
    path = tmp_path / "metadata.jsonl"
    with path.open("wb") as file:
        for located in read_records([str(FOLDER / "audit.jsonl.gz")], []):
            record = {**located.record, "level": "Metadata"}
            record.pop("requestObject", None)
            record.pop("responseObject", None)
            file.write(orjson.dumps(record) + b"\n")
    report, comparisons = check(FOLDER, builtin(), [str(path)])
    assert report.known == 0, "no answer is in the log, so nothing of it is known for certain"
    first = comparisons[0]
    assert [key.name for key in first.missing] == ["gen-f6szz"], "a generated name is in no request"
    assert not first.extra and not first.unlisted
