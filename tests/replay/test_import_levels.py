"""Logs with less than RequestResponse: what is inferred, what is unknown, and how a snapshot helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.replay.recording import STATUS, Recording, obj

POD_STATUS = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": None}]}


def test_a_patch_at_level_Request_is_applied_to_the_state_before(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("pods", "a", 5, spec={"containers": [{"name": "c", "image": "i"}]}, status=POD_STATUS))
    condition = {"type": "Initialized", "status": "True"}
    patch = {"metadata": {"uid": "uid-a"}, "status": {"conditions": [condition]}}
    log.add("patch", "pods", "a", subresource="status", request=patch, level="Request")
    found = log.imported(tmp_path)
    pod = found.show("pods", "a")
    assert pod is not None
    assert [one["type"] for one in pod["status"]["conditions"]] == ["Initialized", "Ready"], "merged by type"
    assert pod["status"]["conditions"][0]["lastProbeTime"] is None, "in the form the server writes"
    assert found.changes[-1].confidence == "inferred"
    assert "a merge patch looks alike" in found.changes[-1].note


def test_a_json_patch_at_level_Request_is_unmistakable(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5, data={"x": "1"}))
    log.add("patch", "configmaps", "a", request=[{"op": "replace", "path": "/data/x", "value": "2"}], level="Request")
    found = log.imported(tmp_path)
    shown = found.show("configmaps", "a")
    assert shown is not None and shown["data"] == {"x": "2"}
    assert "alike" not in found.changes[-1].note


def test_a_patch_that_does_not_fit_leaves_the_state_and_says_unknown(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5, data={"x": "1"}))
    log.add("patch", "configmaps", "a", request=[{"op": "remove", "path": "/data/y"}], level="Request")
    found = log.imported(tmp_path)
    assert found.changes[-1].confidence == "unknown"
    shown = found.show("configmaps", "a")
    assert shown is not None and shown["data"] == {"x": "1"}


def test_an_update_at_level_Request_keeps_what_the_other_side_owns(tmp_path: Path) -> None:
    log = Recording()
    meta = {"generation": 1, "creationTimestamp": "2025-11-22T21:16:00Z"}
    log.create(obj("deployments", "a", 5, meta=meta, spec={"replicas": 1}, status={"replicas": 1}))
    request = obj("deployments", "a", None, spec={"replicas": 2}, status={"replicas": 9})
    log.add("update", "deployments", "a", request=request, level="Request")
    shown = log.imported(tmp_path).show("deployments", "a")
    assert shown is not None
    assert (shown["spec"], shown["status"], shown["metadata"]["generation"]) == ({"replicas": 2}, {"replicas": 1}, 2)


def test_a_write_at_level_Metadata_is_known_to_have_happened(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5, data={"x": "1"}))
    log.add("update", "configmaps", "a", level="Metadata")
    log.add("create", "configmaps", "b", level="Metadata", ref={"uid": "u-b"})
    found = log.imported(tmp_path)
    assert found.lines()[1:] == ["6 configmaps/a put unknown", "7 configmaps/b put unknown"]
    assert found.show("configmaps", "b") == {
        "metadata": {
            "name": "b",
            "namespace": "shop",
            "uid": "u-b",
            "creationTimestamp": "2025-11-22T21:16:02Z",
            "resourceVersion": "7",
        }
    }
    assert (found.changes[-1].api_version, found.changes[-1].kind) == ("v1", "ConfigMap")


def test_a_truncated_event_lost_both_bodies_but_not_the_revision_it_replaced(tmp_path: Path) -> None:
    truncated: dict[str, Any] = {"annotations": {"audit.k8s.io/truncated": "true"}}
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.add("update", "configmaps", "a", ref={"resourceVersion": "5"}, **truncated)
    log.add("update", "configmaps", "a", ref={"resourceVersion": "8"}, **truncated)
    found = log.imported(tmp_path)
    assert found.report.truncated == 2
    assert found.lines()[1] == "8 configmaps/a put unknown", "the second names the revision that the first made"


@pytest.mark.parametrize("resource", ["tokenreviews", "subjectaccessreviews"])
def test_reviews_and_tokens_are_no_objects(tmp_path: Path, resource: str) -> None:
    log = Recording()
    log.add("create", "configmaps", level="Metadata", ref={"resource": resource, "apiGroup": "authentication.k8s.io"})
    log.add("create", "serviceaccounts", "a", subresource="token", level="Metadata")
    log.add("create", "pods", "a", subresource="proxy", level="Metadata")
    assert log.imported(tmp_path).lines() == []


def test_a_delete_at_level_Metadata_asks_the_state(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.create(obj("configmaps", "held", 6, meta={"finalizers": ["x/y"]}))
    log.add("delete", "configmaps", "a", level="Metadata")
    log.add("delete", "configmaps", "held", level="Metadata")
    found = log.imported(tmp_path)
    assert found.show("configmaps", "a") is None
    held = found.show("configmaps", "held")
    assert held is not None and "deletionTimestamp" in held["metadata"]


def snapshot(revision: int, **resources: list[dict[str, Any]]) -> dict[str, Any]:
    listed = {
        f"core/v1/{name}": {"kind": items[0]["kind"] if items else "X", "apiVersion": "v1", "items": items}
        for name, items in resources.items()
    }
    return {"name": "base", "resourceVersion": str(revision), "resources": listed}


def test_a_snapshots_objects_enter_at_their_own_revisions(tmp_path: Path) -> None:
    log = Recording()
    log.update(obj("configmaps", "a", 30, data={"x": "3"}))
    base = snapshot(20, configmaps=[obj("configmaps", "a", 7), obj("configmaps", "b", 12)])
    found = log.imported(tmp_path, base)
    assert found.lines() == ["7 configmaps/a put", "12 configmaps/b put", "30 configmaps/a put"]
    assert found.report.base_objects == 2


def test_a_snapshot_wins_over_what_the_log_alone_would_give(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5, data={"x": "1"}))
    log.create(obj("configmaps", "gone", 6))
    log.add("update", "configmaps", "a", level="Metadata")
    log.create(obj("configmaps", "b", 30))
    base = snapshot(20, configmaps=[obj("configmaps", "a", 9, data={"x": "2"})])
    found = log.imported(tmp_path, base)
    shown = found.show("configmaps", "a", 9)
    assert shown is not None and shown["data"] == {"x": "2"}
    assert found.changes[2].confidence == "inferred", "which request made it is concluded, its content is known"
    assert found.show("configmaps", "gone") is None, "deleted by a request that is not in the log"


def test_the_list_of_kubectl_get_is_a_snapshot_that_may_be_incomplete(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("configmaps", "elsewhere", 5, "other"))
    log.create(obj("configmaps", "b", 30))
    base = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}}
    items = [obj("configmaps", "a", 9), obj("deployments", "d", 10), obj("widgets", "w", 11)]
    found = log.imported(tmp_path, {**base, "items": items})
    assert [str(change.key.resource) for change in found.changes] == [
        "configmaps",
        *("configmaps", "deployments"),
        "widgets",
        "configmaps",
    ]
    assert found.show("configmaps", "elsewhere", namespace="other") is not None


def test_an_event_about_an_object_tells_the_revision_of_an_unlogged_write(tmp_path: Path) -> None:
    log = Recording()
    log.create(obj("pods", "a", 5, spec={}))
    binding = {"kind": "Binding", "metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n"}}
    log.add("create", "pods", "a", subresource="binding", request=binding, answer=STATUS, took=5)
    about = {"kind": "Pod", "apiVersion": "v1", "namespace": "shop", "name": "a", "resourceVersion": "8"}
    log.create(obj("events", "e", 12, involvedObject=about), at=7)
    assert "8 pods/a put inferred" in log.imported(tmp_path).lines()
