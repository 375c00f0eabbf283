"""What an import lists as unknowable: no more and no less than its log leaves open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ledger.apimachinery.http import User
from ledger.apimachinery.resource import GroupResource, Key
from ledger.handlers.untold import Untold
from ledger.log.codec import decode_change
from ledger.log.encoding import encode_change
from ledger.log.event import Change, Event
from ledger.projections.store import Store
from ledger.projections.unknowable import import_report
from ledger.replay.lives import field_values
from ledger.replay.past import Past
from ledger.replay.unknowable import Unknowable, unknowable
from tests.replay.recording import STATUS, Imported, Recording, obj
from tests.replay.test_import_levels import snapshot

BINDING = {"kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
HOUR = 3600


def listed(found: Imported, revision: int) -> Unknowable:
    store = found.stored(Store.memory())
    return unknowable(Past(store, 0), revision, import_report(store))


def lines(found: Imported, revision: int) -> list[str]:
    """`configmaps/a *`, `events: existence, *`."""
    answer = listed(found, revision)
    resources = [f"{one.resource}{'@' + one.namespace if one.namespace else ''}: *" for one in answer.resources]
    return resources + [f"{key.resource}/{key.name} {', '.join(gap.fields)}" for key, gap in answer.objects.items()]


def test_of_a_log_that_tells_everything_nothing_is_unknowable(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.update(obj("configmaps", "a", 7, data={"x": "1"}))
    log.update(obj("leases", "l", 8), at=HOUR)
    found = log.imported(tmp_path)
    assert [lines(found, revision) for revision in (5, 6, 7)] == [[], [], []]


def test_a_revision_is_in_doubt_only_where_more_than_one_is_left(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("pods", "p", 5, spec={}))
    log.add("create", "pods", "p", subresource="binding", request=BINDING, answer=STATUS)
    log.create(obj("configmaps", "a", 7))
    assert lines(log.imported(tmp_path), 7) == [], "6 is the only one between 5 and 7"
    log.records.pop()
    log.create(obj("configmaps", "a", 9))
    found = log.imported(tmp_path)
    assert lines(found, 9) == ["pods/p metadata.resourceVersion"]
    assert lines(found, 7) == ["pods/p *"], "bound by then, or not yet"
    assert lines(found, 5) == []


def test_a_deletion_may_have_been_a_revision_earlier_or_later(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.add("delete", "configmaps", "a", answer=STATUS)
    log.create(obj("configmaps", "b", 9))
    found = log.imported(tmp_path)
    assert [lines(found, at) for at in (5, 6, 7, 8)] == [[], *[["configmaps/a existence, *"]] * 2, []]


def test_content_is_in_doubt_until_an_answer_shows_it_again(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5, data={"x": "1"}))
    log.add("update", "configmaps", "a", level="Metadata")
    log.update(obj("configmaps", "a", 7, data={"x": "3"}))
    found = log.imported(tmp_path)
    assert lines(found, 6) == ["configmaps/a *"]
    assert lines(found, 7) == []


def test_a_write_of_the_status_leaves_the_spec_known(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("deployments", "d", 5, spec={"replicas": 1}))
    log.add("update", "deployments", "d", subresource="status", level="Metadata")
    log.create(obj("configmaps", "b", 7))
    assert lines(log.imported(tmp_path), 7) == ["deployments/d metadata, status"]


def test_a_conditional_write_proves_that_those_before_it_changed_nothing(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.add("patch", "configmaps", "a", level="Metadata")
    log.add("update", "configmaps", "a", level="Metadata", ref={"resourceVersion": "5"})
    log.add("update", "configmaps", "a", level="Metadata", ref={"resourceVersion": "8"})
    found = log.imported(tmp_path)
    assert found.report.repeats == 1, "the patch: 5 was still there after it"
    assert found.lines() == ["5 configmaps/a put", "8 configmaps/a put unknown", "9 configmaps/a put unknown"]


def test_a_field_manager_that_only_labels_leaves_the_rest_known(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5, data={"x": "1"}))
    log.add("patch", "configmaps", "a", query="fieldManager=kubectl-label", level="Metadata")
    assert lines(log.imported(tmp_path), 6) == ["configmaps/a metadata.labels"]


def test_the_values_of_a_field_name_those_who_may_have_set_it(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5, data={"x": "1"}))
    log.add("patch", "configmaps", "a", user="alice", level="Metadata")
    log.add("patch", "configmaps", "a", user="bob", query="fieldManager=kubectl-label", level="Metadata")
    log.update(obj("configmaps", "a", 9, data={"x": "2"}), user="carol")
    log.update(obj("configmaps", "a", 10, data={"x": "3"}), user="dave")
    store = log.imported(tmp_path).stored(Store.memory())
    found = field_values(Past(store, 0), Key("", "configmaps", "shop", "a"), ("data", "x"), 10)
    assert [(one.version.event.user.name, one.value, one.perhaps) for one in found if one.version.event] == [
        ("alice", "1", False),
        ("alice", "1", True),
        ("carol", "2", True),
        ("dave", "3", False),
    ]


def test_objects_whose_labels_are_unknown_may_go_with_a_collection(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "known", 5, meta={"labels": {"run": "1"}}))
    log.create(obj("configmaps", "other", 6, meta={"labels": {"run": "2"}}))
    log.add("create", "configmaps", "lost", level="Metadata")
    log.add("deletecollection", "configmaps", query="labelSelector=run%3D1", level="Metadata")
    log.add("deletecollection", "configmaps", query="labelSelector=run%3D1", level="Metadata")
    log.create(obj("configmaps", "z", 20))
    found = log.imported(tmp_path)
    assert found.show("configmaps", "known") is None
    assert lines(found, 20) == ["configmaps/lost existence, *"]
    assert sum(change.key.name == "lost" for change in found.changes) == 2, "said once, however many collections follow"


def test_the_last_write_of_a_terminating_object_probably_ended_it(tmp_path: Path) -> None:
    log = Recording()
    going = {"finalizers": ["x/y"], "deletionTimestamp": "2025-11-22T21:16:00Z"}
    log.create(obj("configmaps", "a", 5, meta=going))
    log.add("patch", "configmaps", "a", level="Metadata")
    log.add("patch", "configmaps", "a", level="Metadata")
    log.create(obj("configmaps", "a", 8))
    found = log.imported(tmp_path)
    assert found.lines()[1:] == ["6 configmaps/a put unknown", "7 configmaps/a gone unknown", "8 configmaps/a put"]
    assert [lines(found, at) for at in (6, 7, 8)] == [["configmaps/a *"], ["configmaps/a existence"], []]


def test_a_deleted_object_that_is_written_again_was_still_there(tmp_path: Path) -> None:
    log = Recording()
    log.add("create", "configmaps", "a", level="Metadata")
    log.add("delete", "configmaps", "a", level="Metadata")
    log.add("patch", "configmaps", "a", level="Metadata")
    assert log.imported(tmp_path).lines() == [
        "1 configmaps/a put unknown",
        "2 configmaps/a put unknown",
        "3 configmaps/a gone unknown",
    ]


def test_what_is_in_a_namespace_goes_with_it_and_what_is_of_a_kind_with_its_definition(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("namespaces", "shop", 3, ""))
    log.create(obj("customresourcedefinitions", "widgets.acme.example.com", 4, ""))
    log.create(obj("configmaps", "a", 5))
    log.create(obj("widgets", "w", 6, "other", meta={"finalizers": ["x/y"]}))
    log.add("delete", "customresourcedefinitions", "widgets.acme.example.com", namespace="", level="Metadata")
    log.add("delete", "namespaces", "shop", namespace="", level="Metadata")
    found = log.imported(tmp_path)
    assert found.at(1 << 60) == {}


def test_a_request_that_takes_the_last_finalizer_away_ends_the_object(tmp_path: Path) -> None:
    log = Recording()
    going = {"finalizers": ["x/y"], "deletionTimestamp": "2025-11-22T21:16:00Z"}
    log.create(obj("widgets", "w", 5, meta=going))
    log.add("patch", "widgets", "w", level="Request", request={"metadata": {"finalizers": None}})
    assert log.imported(tmp_path).lines()[1:] == ["6 widgets/w gone inferred"]


def test_a_generated_name_is_found_in_a_later_request(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.add("create", "configmaps", level="Metadata", user="bot")
    log.add("patch", "configmaps", "build-x7k2q", level="Metadata", user="bot", ref={"uid": "u"})
    found = log.imported(tmp_path)
    shown = found.show("configmaps", "build-x7k2q", 6)
    assert shown is not None
    assert (shown["metadata"]["generateName"], shown["metadata"]["uid"]) == ("build-", "u")
    assert shown["metadata"]["creationTimestamp"] == "2025-11-22T21:16:01Z"


def test_a_generated_name_is_found_in_the_snapshot(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "z", 5))
    log.add("create", "configmaps", level="Metadata")
    log.create(obj("configmaps", "y", 30))
    meta = {"generateName": "made-", "creationTimestamp": "2025-11-22T21:16:01Z"}
    items = [obj("configmaps", "z", 5), obj("configmaps", "made-abcde", 9, meta=meta, data={"k": "v"})]
    found = log.imported(tmp_path, snapshot(20, configmaps=items))
    assert lines(found, 30) == []
    assert "9 configmaps/made-abcde put inferred" in found.lines()


def test_where_a_generated_name_is_nowhere_the_resource_is_in_doubt(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.add("create", "configmaps", level="Metadata", namespace="shop")
    log.create(obj("configmaps", "b", 7))
    found = log.imported(tmp_path)
    assert lines(found, 5) == []
    assert lines(found, 7) == ["configmaps@shop: *"]


def test_what_every_cluster_writes_and_the_log_does_not_hold_is_in_doubt(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("pods", "p", 5))
    log.update(obj("pods", "p", 6), at=HOUR)
    assert lines(log.imported(tmp_path), 6) == ["events: *", "leases.coordination.k8s.io: *"]


def test_a_snapshot_shows_what_the_log_should_have_held(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.create(obj("leases", "l", 6))
    log.create(obj("configmaps", "b", 30))
    items = {"configmaps": [obj("configmaps", "a", 5)], "leases": [obj("leases", "l", 17)]}
    base = snapshot(20, **items)
    base["resources"]["coordination.k8s.io/v1/leases"] = base["resources"].pop("core/v1/leases")
    found = log.imported(tmp_path, base)
    assert lines(found, 30) == ["leases.coordination.k8s.io: *"]
    assert "the snapshot shows 1" in listed(found, 30).resources[0].why


def test_custom_objects_are_read_through_a_definition_that_must_be_known(tmp_path: Path) -> None:
    spec: dict[str, Any] = {
        "group": "acme.example.com",
        "names": {"plural": "widgets", "kind": "Widget"},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {}}}],
    }
    log = Recording()
    log.create(obj("customresourcedefinitions", "widgets.acme.example.com", 5, "", spec=spec))
    log.create(obj("widgets", "w", 6))
    log.add("update", "customresourcedefinitions", "widgets.acme.example.com", namespace="", level="Metadata")
    log.create(obj("configmaps", "a", 8))
    found = log.imported(tmp_path)
    assert lines(found, 6) == []
    assert lines(found, 8)[0] == "widgets.acme.example.com: *"


def test_the_server_warns_of_what_it_cannot_tell(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("pods", "p", 4))
    log.update(obj("pods", "p", 5))
    log.create(obj("deployments", "d", 6, spec={}))
    log.add("update", "deployments", "d", subresource="status", level="Metadata", at=2 * HOUR)
    untold = Untold(log.imported(tmp_path).stored(Store.memory()))
    events = GroupResource("", "events")
    (warning,) = untold.warnings(events, "", "", None)
    assert warning.startswith("events may be missing, changed or left over since revision 0: ")
    deployments = GroupResource("apps", "deployments")
    assert untold.warnings(deployments, "shop", "d", 6) == []
    (warning,) = untold.warnings(deployments, "shop", "d", 7)
    assert warning.startswith("deployments/d: not in the log: metadata, status (")
    assert untold.warnings(GroupResource("", "pods"), "shop", "p", None) == []


def test_doubts_survive_the_log() -> None:
    event = Event("id", 1, 2, "update", "/", User(""), 200)
    for change in (
        Change(Key("", "pods", "ns", "a"), b"{}", revision=7),
        Change(Key("", "pods", "ns", "a"), b"{}", revision=7, doubts=("status",), window=(3, 9), confidence="unknown"),
        Change(Key("", "pods", "ns", "a"), None, revision=7, window=(3, 9)),
    ):
        row = encode_change(change, change.key.encode(), event, 1, change.body)
        assert decode_change(7, row) == change
