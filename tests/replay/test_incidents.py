"""Recorded incidents: what the import gives, and what questions answer, against independent truth."""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from ledger.apimachinery.resource import GroupResource, Key
from ledger.projections.store import Store
from ledger.replay.comparison import changed_objects
from ledger.replay.importer.lines import read_records
from ledger.replay.importer.record import STORED_AS
from ledger.replay.importer.run import import_log
from ledger.replay.lives import field_values
from ledger.replay.past import Past
from ledger.replay.paths import ABSENT, parse_path
from ledger.scheme.scheme import builtin

ROOT = Path(__file__).resolve().parents[2]
INCIDENTS = ROOT / "../shared/incidents"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not INCIDENTS.is_dir(), reason="the recorded incidents are not beside the checkout"),
]
sys.path.insert(0, str(ROOT / "tools"))
from check_incidents import Comparison, check, comparable, snapshots  # noqa: E402
from thin_audit import thinned  # noqa: E402

# The share of objects that must come back equal at every snapshot.
FULL_POLICY = {"crashloop": 1.0, "field-fight": 1.0, "crd-operator": 1.0}
ALL = [*FULL_POLICY, "crashloop-cloud"]


@pytest.mark.parametrize("name", FULL_POLICY)
def test_a_full_log_gives_every_snapshot_back(name: str) -> None:
    _, comparisons = check(INCIDENTS / name, builtin())
    for one in comparisons:
        print(one.line())
        assert one.share >= FULL_POLICY[name], one.line()
        assert not one.missing and not one.extra, one.line()


def test_a_log_with_gaps_lists_them() -> None:
    report, comparisons = check(INCIDENTS / "crashloop-cloud", builtin())
    admits_all(comparisons)
    assert {str(one.resource) for one in report.unlogged} == {"events", "leases.coordination.k8s.io"}


@pytest.mark.parametrize("name", FULL_POLICY)
def test_a_thinner_policy_on_the_same_log_lists_its_gaps(name: str, tmp_path: Path) -> None:
    """The rules are no recording's own: the cloud-like policy and its size limit, applied to the whole logs."""
    policy = yaml.safe_load((INCIDENTS / "crashloop-cloud/audit-policy.yaml").read_text())
    paths = [str(path) for path in (INCIDENTS / name).glob("audit*.jsonl.gz") if "webhook" not in path.name]
    thin = tmp_path / "audit.jsonl"
    with thin.open("wb") as file:
        for record in thinned((one.record for one in read_records(paths, [])), policy, 5000):
            file.write(orjson.dumps(record) + b"\n")
    report, comparisons = check(INCIDENTS / name, builtin(), [str(thin)])
    assert report.truncated
    admits_all(comparisons)


def test_a_truncated_log_lists_what_it_lost() -> None:
    folder = INCIDENTS / "crd-operator"
    report, comparisons = check(folder, builtin(), [str(folder / "audit-webhook-truncated.jsonl.gz")])
    assert report.truncated == 10
    admits_all(comparisons)


def admits_all(comparisons: list[Comparison]) -> None:
    """Whatever is not listed as unknowable is equal, and few things are listed that are equal as well."""
    for one in comparisons:
        print(one.line())
        assert one.knowable_share == 1.0, one.line()
        assert not one.unlisted, one.line()
        assert not one.beyond, one.line()
        needless = [key for key in one.listed_equal if key.resource not in ("events", "secrets")]
        assert len(needless) <= 0.03 * one.objects, one.line()


@cache
def past_of(name: str) -> Past:
    """The imported incident, kept in memory for all tests."""
    folder = INCIDENTS / name
    scheme = builtin()
    paths = sorted(str(path) for path in folder.glob("audit*.jsonl.gz") if "webhook" not in path.name)
    from ledger.replay.importer.base import read_base

    _, entries = import_log(paths, read_base(str(folder / "base.json.gz"), scheme), scheme)
    store = Store.memory()
    store.append_imported(list(entries))
    return Past(store, 0)


@cache
def truth(name: str) -> Any:
    return json.loads((INCIDENTS / name / "truth.json").read_text())


def revision(name: str, mark: str) -> int:
    return int(truth(name)["marks"][mark]["resourceVersion"])


def questions(kind: str) -> list[Any]:
    """Every question of a kind over the incidents with whole logs, for parametrize."""
    if not INCIDENTS.is_dir():
        return []
    return [
        pytest.param(name, question, id=f"{name}-{question['id']}")
        for name in FULL_POLICY
        for question in truth(name)["questions"]
        if question["kind"] == kind
    ]


def cloud_questions(kind: str) -> list[Any]:
    """Those of the recording under a cloud-like policy."""
    if not INCIDENTS.is_dir():
        return []
    return [
        pytest.param(question, id=question["id"])
        for question in truth("crashloop-cloud")["questions"]
        if question["kind"] == kind
    ]


def key_of(params: Any) -> Key:
    group, _, resource = params["resource"].split("/")
    return Key("" if group == "core" else group, resource, params["namespace"] or "", params["name"])


@pytest.mark.parametrize("name", FULL_POLICY)
def test_the_store_serves_every_snapshot(name: str) -> None:
    """Through the projections: the same as the fold above, by views of the past."""
    past = past_of(name)
    for mark, snapshot in snapshots(INCIDENTS / name, past.builtin):
        different = 0
        with past.store.view(past.valid(snapshot.revision)) as view:
            for resource in snapshot.covered:
                shown = {stored.key: stored.revision for stored in view.scan(GroupResource(*resource))}
                expected = {key: obj for key, obj in snapshot.objects.items() if key[:2] == resource}
                assert shown.keys() == expected.keys(), mark
                for key, revision in shown.items():
                    obj = past.object(past.store.change(revision), snapshot.revision)
                    different += comparable(obj) != comparable(expected[key])
        assert different <= (1 - FULL_POLICY[name]) * len(snapshot.objects)


@pytest.mark.parametrize("name, question", questions("last-change"))
def test_who_changed_a_field_last(name: str, question: Any) -> None:
    params, answer = question["params"], question["answer"]
    past = past_of(name)
    values = [
        one
        for one in field_values(past, key_of(params), parse_path(params["path"]), revision(name, params["before"]))
        if one.version.revision > revision(name, "base")
    ]
    assert bool(values) == answer["changed"]
    if values:
        last = values[-1]
        if answer["by"]["how"] == "reread":  # the recorder saw the new schema's effect some revisions after its write
            assert last.version.reread
            answer = {**answer, "by": answer["by"]["cause"], "resourceVersion": str(last.version.revision)}
        assert str(last.version.revision) == answer["resourceVersion"]
        assert (none(last.previous), none(last.value)) == (answer.get("from"), answer.get("to"))
        assert last.version.event is not None
        assert last.version.event.audit_id == answer["by"]["auditID"]
        assert last.version.event.user.name == answer["by"]["user"]


@pytest.mark.parametrize("question", cloud_questions("last-change"))
def test_of_a_log_without_content_the_one_who_changed_a_field_is_among_those_who_may_have(question: Any) -> None:
    name, params, answer = "crashloop-cloud", question["params"], question["answer"]
    values = [
        one
        for one in field_values(
            past_of(name), key_of(params), parse_path(params["path"]), revision(name, params["before"])
        )
        if one.version.revision > revision(name, "base")
    ]
    assert bool(values) == answer["changed"]
    if answer["changed"]:
        found = {one.version.event.audit_id: one for one in values if one.version.event}
        assert answer["by"]["auditID"] in found
        assert found[answer["by"]["auditID"]].perhaps == (answer["by"]["level"] == "Metadata")


@pytest.mark.parametrize("name, question", questions("writers"))
def test_every_change_of_a_field(name: str, question: Any) -> None:
    params = question["params"]
    found = [
        (str(one.version.revision), none(one.previous), none(one.value), one.version.event.user.name)
        for one in field_values(
            past_of(name), key_of(params), parse_path(params["path"]), revision(name, params["end"])
        )
        if one.version.revision > revision(name, params["start"]) and one.version.event
    ]
    expected = [
        (one["resourceVersion"], one["from"], one["to"], one["user"]) for one in question["answer"]["transitions"]
    ]
    assert found == expected


@pytest.mark.parametrize("name, question", questions("deleted"))
def test_what_was_deleted_and_by_whom(name: str, question: Any) -> None:
    params = question["params"]
    past = past_of(name)
    found = {}
    for change in past.store.changes_after(revision(name, params["start"]), revision(name, params["end"])):
        key = change.key
        if change.body is not None or key.namespace != params["namespace"] or key.resource == "events":
            continue
        if params["resource"] and key[:2] != key_of({**params, "name": ""})[:2]:
            continue
        event = past.event_of(change.revision)
        assert event is not None
        found[identity(key, change.uid)] = (event.user.name, event.audit_id)
    expected = {one["object"]: (one["user"], one["auditID"]) for one in question["answer"]["objects"]}
    assert found == expected


@pytest.mark.parametrize("name, question", questions("diff"))
def test_what_differs_between_two_snapshots(name: str, question: Any) -> None:
    params, answer = question["params"], question["answer"]
    past = past_of(name)
    found = list(changed_objects(past, revision(name, params["a"]), revision(name, params["b"]), noise=True))
    marks: dict[str, set[str]] = {"+": set(), "-": set(), "~": set()}
    for one in found:
        change = one.causes[-1].state.stored
        marks[one.mark].add(identity(one.key, change.uid))
    assert marks["+"] == set(answer["added"])
    assert marks["-"] == set(answer["removed"])


@pytest.mark.parametrize("name", FULL_POLICY)
def test_every_recorded_revision_is_there_with_its_object(name: str) -> None:
    """Against all watch events: known ones exactly; of those placed by time nine in ten at the very revision."""
    past = past_of(name)
    exact = off = 0
    for seen in history(name):
        meta = seen["object"]["metadata"]
        group, _, resource = seen["resource"].split("/")
        group, resource = STORED_AS.get((group, resource), ("" if group == "core" else group, resource))
        key = Key(group, resource, meta.get("namespace", ""), meta["name"])
        change = past.store.change(int(meta["resourceVersion"]))
        same = change is not None and change.key == key and (change.body is None) == (seen["type"] == "DELETED")
        exact, off = exact + same, off + (not same)
    placed = sum(1 for change in past.store.changes_after(revision(name, "base")) if change.confidence)
    print(f"{name}: {exact} exact, {off} elsewhere, {placed} placed")
    assert off <= max(placed // 10, 12)


def history(name: str) -> Iterator[Any]:
    with gzip.open(INCIDENTS / name / "history.jsonl.gz") as lines:
        for line in lines:
            seen = json.loads(line)
            if "object" in seen and seen["type"] != "REREAD":
                yield seen


@pytest.mark.parametrize("name, question", questions("failed"))
def test_which_requests_failed(name: str, question: Any) -> None:
    marks, params = truth(name)["marks"], question["params"]
    from ledger.apimachinery.times import parse_rfc3339

    start, end = (parse_rfc3339(marks[params[side]]["time"]) for side in ("start", "end"))
    found: Counter[str] = Counter()
    for event in past_of(name).store.events():
        if start <= event.received <= end and event.code >= 400:
            resource = f"{event.resource}/{event.subresource}" if event.subresource else event.resource or None
            found["|".join(map(str, (event.user.name, event.code, event.verb, resource, event.reason)))] += 1
    assert found == question["answer"]


@pytest.mark.parametrize("name, question", questions("change-counts"))
def test_how_many_revisions_by_resource_and_user(name: str, question: Any) -> None:
    past = past_of(name)
    by_resource: Counter[str] = Counter()
    for change in past.store.changes_after(revision(name, "base"), revision(name, "final")):
        by_resource[f"{change.key.group}/{change.key.resource}"] += 1
    expected = Counter(question["answer"]["revisions_by_resource"])
    reread = question["answer"]["how_attributed"].get("acme.example.com/databases REREAD reread", 0)
    expected["acme.example.com/databases"] -= reread  # no write: a schema change altered how stored bytes are read
    assert by_resource == +expected


def identity(key: Key, uid: str) -> str:
    return f"{key.group}/{key.resource}|{key.namespace}|{key.name}|{uid}"


def none(value: Any) -> Any:
    return None if value is ABSENT else value
