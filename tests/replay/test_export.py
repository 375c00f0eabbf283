"""An export of an import gives equivalent records back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from ledger.projections.store import Store
from ledger.replay.export import records
from ledger.replay.importer.lines import read_records
from ledger.replay.past import Past
from tests.replay.recording import Imported

RECORDED = Path(__file__).parent / "data/ways-to-go/audit.jsonl.gz"
INCIDENTS = Path(__file__).resolve().parents[2] / "../shared/incidents"


def round_trip(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last stage of each request, by id: as recorded, and as exported again."""
    stages = {"RequestReceived": 0, "ResponseStarted": 1, "ResponseComplete": 2, "Panic": 3}
    recorded: dict[str, Any] = {}
    for located in read_records([str(path)], []):
        known = recorded.get(located.record["auditID"])
        if known is None or stages[known["stage"]] < stages[located.record["stage"]]:
            recorded[located.record["auditID"]] = located.record
    past = Past(Imported([str(path)]).stored(Store.memory()), 0)
    exported = {record["auditID"]: record for record in records(past, 0, past.last_position)}
    return recorded, exported


def equivalent(record: dict[str, Any]) -> bytes:
    shown = {"kind": "Event", "apiVersion": "audit.k8s.io/v1", **record}
    return orjson.dumps({name: value for name, value in shown.items() if value != {}}, option=orjson.OPT_SORT_KEYS)


def test_every_record_comes_back() -> None:
    recorded, exported = round_trip(RECORDED)
    assert recorded.keys() == exported.keys()
    for audit_id, record in recorded.items():
        assert equivalent(exported[audit_id]) == equivalent(record)


@pytest.mark.shared
@pytest.mark.skipif(not INCIDENTS.is_dir(), reason="the recorded incidents are not beside the checkout")
@pytest.mark.parametrize("name", ["crashloop", "crashloop-cloud", "crd-operator"])
def test_every_record_of_an_incident_comes_back(name: str) -> None:
    recorded, exported = round_trip(INCIDENTS / name / "audit.jsonl.gz")
    assert recorded.keys() == exported.keys()
    different = [audit_id for audit_id in recorded if equivalent(exported[audit_id]) != equivalent(recorded[audit_id])]
    assert not different, f"{len(different)} of {len(recorded)}, the first is {different[0]}"


def test_an_exports_import_is_the_same_ledger(tmp_path: Path) -> None:
    first = Imported([str(RECORDED)])
    past = Past(first.stored(Store.memory()), 0)
    path = tmp_path / "again.jsonl"
    path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in records(past, 0, past.last_position)))
    assert Imported([str(path)]).lines() == first.lines()
