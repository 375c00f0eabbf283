"""What each observed fact about audit logs means for the imported state, one fact a test."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.replay.recording import STATUS, Imported, Recording, obj


def test_an_answer_is_the_object_at_its_own_revision(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5, data={"x": "1"}))
    log.update(obj("configmaps", "a", 9, data={"x": "2"}))
    found = log.imported(tmp_path)
    assert found.lines() == ["5 configmaps/a put", "9 configmaps/a put"]
    assert found.show("configmaps", "a", 8) == {
        "metadata": {"name": "a", "namespace": "shop", "uid": "uid-a", "resourceVersion": "5"},
        "data": {"x": "1"},
    }


def test_order_is_the_revision_not_the_time_in_the_file(tmp_path: Path) -> None:
    log = Recording()
    log.update(obj("configmaps", "a", 9, data={"x": "2"}), at=0)
    log.create(obj("configmaps", "a", 5, data={"x": "1"}), at=1)
    assert [entry.changes[0].revision for entry in log.imported(tmp_path).entries if entry.changes] == [5, 9]


def test_a_delete_answered_by_a_status_is_placed_by_time(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.add("delete", "configmaps", "a", answer=STATUS)
    log.create(obj("configmaps", "b", 8))
    assert log.imported(tmp_path).lines() == [
        "5 configmaps/a put",
        "6 configmaps/a gone inferred",
        "8 configmaps/b put",
    ]


def test_a_deleted_name_can_be_made_again(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.add("delete", "configmaps", "a", answer=STATUS)
    log.create(obj("configmaps", "a", 7))
    found = log.imported(tmp_path)
    assert found.lines() == ["5 configmaps/a put", "6 configmaps/a gone inferred", "7 configmaps/a put"]


def test_a_service_accounts_answer_carries_the_deletions_revision(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("serviceaccounts", "a", 5))
    log.add("delete", "serviceaccounts", "a", answer=obj("serviceaccounts", "a", 6))
    assert log.imported(tmp_path).lines() == ["5 serviceaccounts/a put", "6 serviceaccounts/a gone"]


def test_a_pod_deleted_with_grace_0_has_two_revisions_and_the_log_shows_the_second(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("pods", "a", 5))
    gone = {"deletionTimestamp": "2025-11-22T21:16:01Z", "deletionGracePeriodSeconds": 0}
    log.add("delete", "pods", "a", answer=obj("pods", "a", 7, meta=gone))
    found = log.imported(tmp_path)
    assert found.lines() == ["5 pods/a put", "6 pods/a put inferred", "7 pods/a gone"]
    assert len(found.entries) == 3, "one event for each request, and the import's report"


@pytest.mark.parametrize(
    "resource, meta",
    [
        ("configmaps", {"deletionTimestamp": "2025-11-22T21:16:01Z", "finalizers": ["x/y"]}),
        ("pods", {"deletionTimestamp": "2025-11-22T21:16:31Z", "deletionGracePeriodSeconds": 30}),
    ],
)
def test_a_delete_answered_with_finalizers_or_grace_leaves_the_object_alive(
    tmp_path: Path, resource: str, meta: dict[str, Any]
) -> None:
    log = Recording()
    log.create(obj(resource, "a", 5))
    log.add("delete", resource, "a", answer=obj(resource, "a", 6, meta=meta))
    assert log.imported(tmp_path).lines() == [f"5 {resource}/a put", f"6 {resource}/a put"]


def test_removing_the_last_finalizer_deletes_and_answers_with_the_old_revision(tmp_path: Path) -> None:
    terminating = {"deletionTimestamp": "2025-11-22T21:16:01Z", "deletionGracePeriodSeconds": 0}
    log = Recording()
    log.create(obj("jobs", "a", 5, meta={"finalizers": ["foregroundDeletion"]}))
    log.add(
        "delete", "jobs", "a", answer=obj("jobs", "a", 6, meta={**terminating, "finalizers": ["foregroundDeletion"]})
    )
    partial = {**obj("jobs", "a", 6, meta=terminating), "kind": "PartialObjectMetadata"}
    log.add("patch", "jobs", "a", answer=partial, request={"metadata": {"finalizers": None}})
    log.create(obj("configmaps", "later", 9))
    assert log.imported(tmp_path).lines()[2] == "7 jobs/a gone inferred"


def test_a_namespace_lives_until_its_spec_finalizers_are_gone(tmp_path: Path) -> None:
    terminating = {"deletionTimestamp": "2025-11-22T21:16:01Z"}

    def namespace(rv: int, finalizers: list[str]) -> dict[str, Any]:
        return obj("namespaces", "ns", rv, "", meta=terminating, spec={"finalizers": finalizers})

    log = Recording()
    log.create(obj("namespaces", "ns", 5, "", spec={"finalizers": ["kubernetes"]}))
    log.add("delete", "namespaces", "ns", answer=namespace(6, ["kubernetes"]), namespace="ns")
    log.update(namespace(7, ["kubernetes"]), subresource="status", namespace="ns")
    log.update(namespace(7, []), subresource="finalize", namespace="ns")
    found = log.imported(tmp_path)
    assert [line.split()[2] for line in found.lines()] == ["put", "put", "put", "gone"]
    assert found.changes[-1].revision > 7


def test_a_deletecollection_takes_what_nothing_holds_and_marks_the_rest(tmp_path: Path) -> None:
    log = Recording()
    held = obj("configmaps", "held", 6, meta={"finalizers": ["x/y"]})
    log.create(obj("configmaps", "free", 5))
    log.create(held)
    answer = {
        "kind": "ConfigMapList",
        "metadata": {"resourceVersion": "8"},
        "items": [obj("configmaps", "free", 5), held],
    }
    log.add("deletecollection", "configmaps", answer=answer)
    log.create(obj("configmaps", "later", 12))
    found = log.imported(tmp_path)
    assert found.show("configmaps", "free") is None
    remains = found.show("configmaps", "held")
    assert remains is not None and "deletionTimestamp" in remains["metadata"]
    assert [change.revision for change in found.changes[2:4]] == [9, 10], "above the list's revision"


def test_pods_on_nodes_survive_a_deletecollection_as_terminating(tmp_path: Path) -> None:
    log = Recording()
    spec = {"nodeName": "n", "terminationGracePeriodSeconds": 30}
    running = obj("pods", "running", 5, spec=spec, status={"phase": "Running"})
    done = obj("pods", "done", 6, spec=spec, status={"phase": "Succeeded"})
    for pod in (running, done):
        log.create(pod)
    log.add(
        "deletecollection",
        "pods",
        answer={"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": [running, done]},
    )
    found = log.imported(tmp_path)
    assert found.show("pods", "done") is None
    alive = found.show("pods", "running")
    assert alive is not None and alive["metadata"]["deletionGracePeriodSeconds"] == 30


def test_a_deletecollection_without_its_answer_is_evaluated_on_what_is_known(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "one", 5, meta={"labels": {"run": "1"}}))
    log.create(obj("configmaps", "two", 6, meta={"labels": {"run": "2"}}))
    log.add("deletecollection", "configmaps", query="labelSelector=run%3D1", level="Metadata")
    found = log.imported(tmp_path)
    assert found.lines()[-1].endswith("configmaps/one gone inferred")
    assert found.show("configmaps", "two") is not None


def test_a_binding_sets_node_condition_and_topology_labels(tmp_path: Path) -> None:
    zone = {"topology.kubernetes.io/zone": "zone-a"}
    log = Recording()
    log.create(obj("nodes", "n", 4, "", meta={"labels": {**zone, "other": "x"}}))
    log.create(obj("pods", "a", 5, spec={}, status={"phase": "Pending"}))
    binding = {"kind": "Binding", "metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n"}}
    log.add("create", "pods", "a", subresource="binding", request=binding, answer=STATUS)
    log.create(obj("configmaps", "later", 7))
    found = log.imported(tmp_path)
    pod = found.show("pods", "a")
    assert pod is not None and pod["metadata"]["resourceVersion"] == "6"
    assert (pod["spec"]["nodeName"], pod["metadata"]["labels"]) == ("n", zone)
    assert pod["status"]["conditions"] == [
        {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": "2025-11-22T21:16:02Z"}
    ]


def test_an_eviction_makes_two_revisions(tmp_path: Path) -> None:
    log = Recording()
    spec = {"nodeName": "n", "terminationGracePeriodSeconds": 5}
    log.create(obj("pods", "a", 5, meta={"generation": 1}, spec=spec, status={"phase": "Running"}))
    log.add("create", "pods", "a", subresource="eviction", request={"kind": "Eviction"}, answer=STATUS)
    log.create(obj("configmaps", "later", 9))
    found = log.imported(tmp_path)
    assert found.lines()[1:3] == ["6 pods/a put inferred", "7 pods/a put inferred"]
    marked, going = found.show("pods", "a", 6), found.show("pods", "a", 7)
    assert marked is not None and marked["status"]["conditions"][0]["reason"] == "EvictionByEvictionAPI"
    assert "deletionTimestamp" not in marked["metadata"]
    assert going is not None and going["metadata"]["deletionGracePeriodSeconds"] == 5
    assert going["metadata"]["generation"] == 2


def test_a_refused_eviction_changes_nothing(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("pods", "a", 5))
    log.add("create", "pods", "a", subresource="eviction", answer=STATUS, code=429)
    assert log.imported(tmp_path).lines() == ["5 pods/a put"]


def test_deleting_a_crd_removes_its_objects_and_marks_those_with_finalizers(tmp_path: Path) -> None:
    cleanup = {"finalizers": ["customresourcecleanup.apiextensions.k8s.io"]}
    crd = obj("customresourcedefinitions", "widgets.acme.example.com", 5, "", meta=cleanup)
    going = obj("customresourcedefinitions", "widgets.acme.example.com", 8, "")
    going["metadata"] |= {**cleanup, "deletionTimestamp": "2025-11-22T21:16:03Z"}
    log = Recording()
    log.create(crd)
    log.create(obj("widgets", "free", 6))
    log.create(obj("widgets", "held", 7, meta={"finalizers": ["x/y"]}))
    log.add("delete", "customresourcedefinitions", "widgets.acme.example.com", answer=going, namespace="")
    log.create(obj("configmaps", "later", 12))
    found = log.imported(tmp_path)
    assert found.show("widgets", "free") is None
    held = found.show("widgets", "held")
    assert held is not None and "deletionTimestamp" in held["metadata"]
    assert {change.confidence for change in found.changes if change.revision in (9, 10)} == {"inferred"}


def test_metadata_answers_keep_spec_and_status(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("jobs", "a", 5, spec={"parallelism": 1}, status={"active": 1}))
    partial = {**obj("jobs", "a", 6, meta={"labels": {"x": "y"}}), "kind": "PartialObjectMetadata"}
    log.add("patch", "jobs", "a", answer=partial, request={"metadata": {"labels": {"x": "y"}}})
    shown = log.imported(tmp_path).show("jobs", "a")
    assert shown is not None
    assert (shown["spec"], shown["status"], shown["metadata"]["labels"]) == (
        {"parallelism": 1},
        {"active": 1},
        {"x": "y"},
    )


def test_a_scale_changes_replicas_and_generation(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("deployments", "a", 5, meta={"generation": 1}, spec={"replicas": 3, "paused": True}))
    answer = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "a", "resourceVersion": "6"}}
    log.add("patch", "deployments", "a", subresource="scale", answer={**answer, "spec": {}})
    shown = log.imported(tmp_path).show("deployments", "a")
    assert shown is not None
    assert (shown["spec"], shown["metadata"]["generation"]) == ({"replicas": 0, "paused": True}, 2)
    assert shown["metadata"]["resourceVersion"] == "6"


def test_events_of_both_groups_are_one_kind_in_the_core_shape(tmp_path: Path) -> None:
    log = Recording()
    event = {
        "kind": "Event",
        "apiVersion": "events.k8s.io/v1",
        "metadata": {"name": "e", "namespace": "shop", "uid": "u", "resourceVersion": "5"},
        "regarding": {"kind": "Pod", "name": "a"},
        "note": "Scheduled",
        "reportingController": "scheduler",
        "deprecatedSource": {},
    }
    log.add("create", "events", "e", answer=event, ref={"apiGroup": "events.k8s.io"})
    found = log.imported(tmp_path)
    shown = found.show("events", "e")
    assert shown is not None
    assert (shown["involvedObject"], shown["message"]) == ({"kind": "Pod", "name": "a"}, "Scheduled")
    assert (shown["reportingComponent"], shown["source"], found.changes[0].api_version) == ("scheduler", {}, "v1")


@pytest.mark.parametrize("query", ["dryRun=All", "fieldManager=x&dryRun=All"])
def test_a_dry_run_changes_nothing(tmp_path: Path, query: str) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5, data={"x": "1"}))
    log.patch(obj("configmaps", "a", 5, data={"x": "2"}), {"data": {"x": "2"}}, query=query)
    log.add("delete", "configmaps", "a", answer=obj("configmaps", "a", 5), query=query)
    assert log.imported(tmp_path).lines() == ["5 configmaps/a put"]


def test_writes_that_changed_nothing_repeat_a_revision_and_are_counted(tmp_path: Path) -> None:
    log = Recording()
    for _ in range(3):
        log.update(obj("configmaps", "a", 5))
    found = log.imported(tmp_path)
    assert (found.lines(), found.report.repeats) == (["5 configmaps/a put"], 2)
    assert found.entries[0].changes and not found.entries[1].changes, "the earliest made it"


@pytest.mark.parametrize("code", [400, 403, 404, 409, 413, 415, 422, 429, 500, 504])
def test_what_was_refused_changes_nothing(tmp_path: Path, code: int) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.update(STATUS | {"metadata": {"name": "a"}, "kind": "ConfigMap"}, code=code)
    found = log.imported(tmp_path)
    assert found.lines() == ["5 configmaps/a put"]
    assert found.report.failed_late == (1 if code >= 500 else 0)


def test_of_a_requests_stages_the_last_counts_and_copies_count_once(tmp_path: Path) -> None:
    log = Recording()
    done = log.add("watch", "configmaps")
    started = {**done, "stage": "ResponseStarted", "stageTimestamp": done["requestReceivedTimestamp"]}
    log.records = [started, done, dict(done)]
    found = log.imported(tmp_path)
    assert (found.report.records, found.report.events) == (3, 1)
    assert [entry.event.stage for entry in found.entries] == ["ResponseComplete", "Imported"]


def test_items_of_a_webhook_backend_carry_no_kind_and_may_come_as_lists(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.create(obj("configmaps", "b", 6))
    items = [{name: value for name, value in one.items() if name not in ("kind", "apiVersion")} for one in log.records]
    path = tmp_path / "webhook.jsonl"
    path.write_bytes(orjson.dumps({"kind": "EventList", "items": items[:1]}) + b"\n" + orjson.dumps(items[1]) + b"\n")
    assert Imported([str(path)]).lines() == ["5 configmaps/a put", "6 configmaps/b put"]


def test_two_apiservers_logs_merge_by_revision(tmp_path: Path) -> None:
    one, two = Recording(), Recording()
    one.create(obj("configmaps", "a", 5), at=0)
    two.update(obj("configmaps", "a", 6, data={"x": "2"}), at=1, auditID="b-1")
    one.update(obj("configmaps", "a", 7, data={"x": "3"}), at=0.5)  # a clock that is behind
    found = Imported([two.write(tmp_path / "b.jsonl"), one.write(tmp_path / "a.jsonl")])
    assert found.lines() == ["5 configmaps/a put", "6 configmaps/a put", "7 configmaps/a put"]


def test_lines_that_are_no_records_are_listed_with_file_and_line(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    good = log.write(tmp_path / "audit.jsonl")
    lines = Path(good).read_bytes()
    bad_time = orjson.dumps({**log.records[0], "auditID": "x", "stageTimestamp": "soon"})
    Path(good).write_bytes(b'{"kind":\n' + lines + b"[]\n\n5\n" + b'{"kind":"Event"}\n' + bad_time + b"\n")
    found = Imported([good])
    assert found.lines() == ["5 configmaps/a put"]
    assert [one.line for one in found.report.malformed] == [1, 3, 5, 6, 7]
    assert found.report.malformed[-1].problem == "'soon' is not a time"


@pytest.mark.parametrize(
    "part",
    [
        {"objectRef": "x"},
        {"responseStatus": [1]},
        {"responseObject": "text"},
        {"responseObject": {"metadata": []}},
        {"objectRef": {"resource": ["a"], "name": 5}},
        {"user": "alice"},
        {"responseObject": {"kind": "ConfigMapList", "metadata": {}, "items": [1, None]}, "verb": "deletecollection"},
        {"responseObject": {"metadata": {"name": "a", "resourceVersion": 7}}},
        {"responseObject": {"metadata": {"name": "a", "resourceVersion": "7", "labels": "none"}}},
        {"requestObject": 5},
        {"annotations": ["a"]},
        {"responseStatus": {"code": "200"}},
    ],
)
def test_records_of_a_wrong_shape_end_as_malformed_never_in_a_traceback(tmp_path: Path, part: dict[str, Any]) -> None:
    log = Recording()
    record = log.create(obj("configmaps", "a", 5))
    log.records.append({**record, "auditID": "odd", **part})
    log.create(obj("configmaps", "b", 6))
    found = log.imported(tmp_path)
    assert {"5 configmaps/a put", "6 configmaps/b put"} <= set(found.lines())


def test_a_cut_gzip_file_gives_what_it_has(tmp_path: Path) -> None:
    import gzip

    log = Recording()
    for number in range(200):
        log.create(obj("configmaps", f"c{number}", 5 + number))
    whole = gzip.compress(Path(log.write(tmp_path / "audit.jsonl")).read_bytes())
    path = tmp_path / "audit.jsonl.gz"
    path.write_bytes(whole[: len(whole) * 3 // 4])
    found = Imported([str(path)])
    assert len(found.changes) > 20
    assert "cut off" in found.report.malformed[-1].problem


@pytest.mark.parametrize(
    "broken",
    [
        {"level": 7},
        {"userAgent": ["x"]},
        {"user": {"username": "a", "groups": [["b"]]}},
        {"user": {"username": ["a"]}},
        {"user": {"username": "a", "extra": {"k": "v"}}},
        {"sourceIPs": [1]},
        {"annotations": {"a": {}}},
        {"responseStatus": {"code": 200, "reason": {"a": 1}}},
    ],
)
def test_a_record_with_members_of_another_type_is_malformed_not_a_traceback(
    tmp_path: Path, broken: dict[str, Any]
) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.update(obj("configmaps", "a", 6), **broken)
    found = log.imported(tmp_path)
    assert [(one.line, found.lines()) for one in found.report.malformed] == [(2, ["5 configmaps/a put"])]


def test_an_object_that_is_not_of_its_kinds_shape_is_reported_and_in_doubt(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("pods", "p", 5, spec={}, status=7))
    binding = {"kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    log.add("create", "pods", "p", subresource="binding", request=binding, answer=STATUS)
    found = log.imported(tmp_path)
    assert [one.line for one in found.report.malformed] == [2]
    assert found.changes[-1].doubts == ("*",)


def test_random_damage_to_a_log_never_ends_an_import(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    odd = [None, 0, -1, True, [], {}, ["x"], {"a": 1}, "9" * 30, 1e30]
    log = Recording()
    for number in range(200):
        verb, level = (
            chance.choice(["create", "update", "patch", "delete"]),
            chance.choice(["Metadata", "RequestResponse"]),
        )
        resource = chance.choice(["pods", "deployments", "replicasets", "configmaps"])
        body = obj(resource, chance.choice("abc"), number + 5, spec={"replicas": 1}, status={"conditions": []})
        log.add(verb, resource, body["metadata"]["name"], request=body, answer=body, level=level)
    for record in chance.sample(log.records, 100):
        part: Any = record
        while isinstance(part, dict) and part:
            name = chance.choice(list(part))
            if chance.random() < 0.4 or not isinstance(part[name], dict):
                part[name] = chance.choice(odd)
                break
            part = part[name]
    found = log.imported(tmp_path)
    assert len(found.entries) <= 201
