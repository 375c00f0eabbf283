"""What the deployment controller writes into a Deployment, step by step of a rollout, from its ReplicaSets alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.replay.importer.rollout import CONTROLLER, after_status_write, is_settled
from tests.replay.recording import Recording, obj

AGENT = (
    f"kube-controller-manager/v1.37.2 (linux/amd64) kubernetes/$Format/system:serviceaccount:kube-system{CONTROLLER}"
)


def deployment(replicas: int = 3, **status: Any) -> dict[str, Any]:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    spec = {"replicas": replicas, "progressDeadlineSeconds": 600, "strategy": strategy}
    return obj("deployments", "web", 5, meta={"generation": 2}, spec=spec, status=status)


def replica_set(name: str, revision: int, wanted: int, **counts: int) -> dict[str, Any]:
    owner = {"kind": "Deployment", "name": "web", "uid": "uid-web", "controller": True}
    meta = {"annotations": {"deployment.kubernetes.io/revision": str(revision)}, "ownerReferences": [owner]}
    return obj("replicasets", name, 6, meta=meta, spec={"replicas": wanted}, status=counts)


def conditions(of: dict[str, Any]) -> list[str]:
    return [
        f"{one['type']} {one['status']} {one['reason']} {one['lastUpdateTime'][-3:-1]} {one['lastTransitionTime'][-3:-1]}"
        for one in of["status"]["conditions"]
    ]


def at(second: int) -> str:
    return f"2025-11-22T21:16:{second:02}Z"


def written(before: dict[str, Any], second: int, *sets: dict[str, Any]) -> dict[str, Any]:
    after = after_status_write(before, list(sets), at(second))
    assert after is not None
    return after


def test_a_first_rollout() -> None:
    made = written(deployment(), 1, replica_set("web-1", 1, 3))
    assert made["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
    assert conditions(made) == ["Progressing True NewReplicaSetCreated 01 01"]
    assert "observedGeneration" not in made["status"], "the annotation and the condition are written first, alone"
    waiting = written(made, 2, replica_set("web-1", 1, 3, replicas=3))
    assert {name: count for name, count in waiting["status"].items() if name != "conditions"} == {
        "observedGeneration": 2,
        "replicas": 3,
        "updatedReplicas": 3,
        "unavailableReplicas": 3,
    }
    assert conditions(waiting) == [
        "Available False MinimumReplicasUnavailable 02 02",
        "Progressing True ReplicaSetUpdated 02 01",
    ]
    assert not is_settled(waiting)
    done = written(waiting, 4, replica_set("web-1", 1, 3, replicas=3, readyReplicas=3, availableReplicas=3))
    assert conditions(done) == [
        "Available True MinimumReplicasAvailable 04 04",
        "Progressing True NewReplicaSetAvailable 04 01",
    ]
    assert is_settled(done)


def test_a_replica_set_that_is_found_again_is_told_by_its_revision_only() -> None:
    old, again = replica_set("web-2", 2, 3), replica_set("web-1", 3, 0)
    again["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] = "1"
    before = deployment(observedGeneration=1, replicas=3)
    before["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "2"}
    after = written(before, 9, old, again)
    assert after["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert after["status"] == before["status"]


@pytest.mark.parametrize(
    "replicas, rolling, available, enough",
    [
        (4, {"maxUnavailable": "25%", "maxSurge": "25%"}, 3, True),
        (3, {"maxUnavailable": "25%", "maxSurge": "25%"}, 2, False),  # a share is rounded down
        (3, {"maxUnavailable": 0, "maxSurge": 0}, 2, True),  # both cannot be 0
        (3, {"maxUnavailable": 9}, 0, True),
        (0, {"maxUnavailable": 0, "maxSurge": 1}, 0, True),
    ],
)
def test_minimum_availability(replicas: int, rolling: dict[str, Any], available: int, enough: bool) -> None:
    before = deployment(replicas)
    before["spec"]["strategy"]["rollingUpdate"] = rolling
    before["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
    counts = {"replicas": replicas, "readyReplicas": available, "availableReplicas": available}
    after = written(before, 1, replica_set("web-1", 1, replicas, **counts))
    (found,) = [one for one in after["status"]["conditions"] if one["type"] == "Available"]
    assert (found["status"] == "True") == enough


def test_without_a_replica_set_nothing_can_be_told() -> None:
    assert after_status_write(deployment(), [], at(1)) is None


def test_of_objects_that_the_log_does_not_hold_whole_nothing_is_concluded(tmp_path: Path) -> None:
    log = Recording()
    log.add("create", "deployments", "web", level="Metadata", ref={"uid": "uid-web"})
    broken = replica_set("web-1", 1, 3)
    broken["status"] = {"replicas": "three"}
    log.create(broken)
    log.add("update", "deployments", "web", subresource="status", level="Metadata", userAgent=AGENT)
    assert [change.doubts for change in log.imported(tmp_path).changes if change.key.name == "web"] == [("*",)] * 2


def test_an_import_concludes_a_status_whose_content_was_truncated(tmp_path: Path) -> None:
    log = Recording()
    log.create(deployment())
    log.create(replica_set("web-1", 1, 3, replicas=3, readyReplicas=3, availableReplicas=3))
    lost = {"subresource": "status", "annotations": {"audit.k8s.io/truncated": "true"}, "userAgent": AGENT}
    log.add("update", "deployments", "web", ref={"resourceVersion": "5"}, **lost)
    log.add("update", "deployments", "web", ref={"resourceVersion": "7"}, **lost)
    log.create(obj("configmaps", "a", 9))
    found = log.imported(tmp_path)
    assert [change.doubts for change in found.changes] == [(), (), ("metadata.annotations", "status"), (), ()]
    shown = found.show("deployments", "web")
    assert shown is not None
    assert shown["status"]["readyReplicas"] == 3
    assert conditions(shown) == [
        "Available True MinimumReplicasAvailable 03 03",
        "Progressing True NewReplicaSetAvailable 03 02",
    ]
