"""A Deployment's status as its controller writes it, from the ReplicaSets: for writes whose content is not in the log.

Follows pkg/controller/deployment in k8s.io/kubernetes (calculateStatus, syncRolloutStatus, getNewReplicaSet). The
controller writes on every change of a ReplicaSet it sees, so what is known of those when the write was made tells what
it wrote, but for the moments in which it had not seen the last change yet.
"""

from __future__ import annotations

from copy import deepcopy

from ledger.apimachinery.resource import Object

CONTROLLER = ":deployment-controller"  # how the user agent of the controller's own client ends
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
_COUNTS = {"replicas": "replicas", "readyReplicas": "readyReplicas", "availableReplicas": "availableReplicas"}


def after_status_write(deployment: Object, replica_sets: list[Object], moment: str) -> Object | None:
    """The deployment after the controller wrote it at a time (RFC 3339); None: that cannot be told.

    `replica_sets` are those that the deployment owns.
    """
    newest = max(replica_sets, key=_revision_of, default=None)
    if newest is None or not _revision_of(newest) or "spec" not in deployment:
        return None
    after = deepcopy(deployment)
    annotations = after["metadata"].setdefault("annotations", {})
    revision = newest["metadata"]["annotations"][REVISION]
    if annotations.get(REVISION) != revision:
        # A ReplicaSet was made, or found again: that is written first, and alone.
        annotations[REVISION] = revision
        if REVISION_HISTORY not in newest["metadata"]["annotations"]:
            text = f'Created new replica set "{newest["metadata"]["name"]}"'
            status = after.setdefault("status", {})
            _set(status, "Progressing", "True", "NewReplicaSetCreated", text, moment)
        return after
    before = deployment.get("status") or {}
    after["status"] = _status(deployment, before, replica_sets, newest, moment)
    return after


def is_settled(deployment: Object) -> bool:
    """Whether all is rolled out and nothing ends any more: what the controller wrote last, then, is no guess."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 0)
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")}
    done = any(one.get("reason") == "NewReplicaSetAvailable" for one in status.get("conditions") or ())
    return counts == {wanted} and done and not status.get("terminatingReplicas")


def _revision_of(replica_set: Object) -> int:
    text = (replica_set["metadata"].get("annotations") or {}).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def _status(deployment: Object, before: Object, replica_sets: list[Object], newest: Object, moment: str) -> Object:
    statuses = [one.get("status") or {} for one in replica_sets]
    counts = {name: sum(one.get(of, 0) for one in statuses) for name, of in _COUNTS.items()}
    counts["updatedReplicas"] = (newest.get("status") or {}).get("replicas", 0)
    wanted = sum((one.get("spec") or {}).get("replicas", 0) for one in replica_sets)
    counts["unavailableReplicas"] = max(wanted - counts["availableReplicas"], 0)
    status: Object = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    status |= {name: count for name, count in counts.items() if count}  # Go leaves zeros out, but not behind pointers
    if any("terminatingReplicas" in one for one in (before, *statuses)):
        status["terminatingReplicas"] = sum(one.get("terminatingReplicas", 0) for one in statuses)
    if "collisionCount" in before:
        status["collisionCount"] = before["collisionCount"]
    status["conditions"] = deepcopy(before.get("conditions") or [])
    _judge_availability(status, deployment["spec"], moment)
    if deployment["spec"].get("progressDeadlineSeconds") is not None:
        _judge_progress(status, before, deployment["spec"].get("replicas", 0), newest["metadata"]["name"], moment)
    return status


def _judge_availability(status: Object, spec: Object, moment: str) -> None:
    if status.get("availableReplicas", 0) >= spec.get("replicas", 0) - _max_unavailable(spec):
        text = "Deployment has minimum availability."
        _set(status, "Available", "True", "MinimumReplicasAvailable", text, moment)
    else:
        text = "Deployment does not have minimum availability."
        _set(status, "Available", "False", "MinimumReplicasUnavailable", text, moment)


def _max_unavailable(spec: Object) -> int:
    """ResolveFenceposts: a share of the replicas is rounded down; both limits cannot be 0."""
    strategy = spec.get("strategy") or {}
    replicas = spec.get("replicas", 0)
    if strategy.get("type") != "RollingUpdate" or not replicas:
        return 0
    rolling = strategy.get("rollingUpdate") or {}
    unavailable = _of(rolling.get("maxUnavailable", 0), replicas)
    if not unavailable and not _of(rolling.get("maxSurge", 0), replicas, up=True):
        unavailable = 1
    return min(unavailable, replicas)


def _of(limit: int | str, whole: int, *, up: bool = False) -> int:
    if isinstance(limit, int):
        return limit
    share = int(limit.rstrip("%")) * whole
    return -(-share // 100) if up else share // 100


def _judge_progress(status: Object, before: Object, wanted: int, newest: str, moment: str) -> None:
    current = next((one for one in before.get("conditions") or () if one["type"] == "Progressing"), None)
    new, old = _numbers(status), _numbers(before)
    if (
        current is not None
        and new["replicas"] == new["updatedReplicas"]
        and current["reason"] == "NewReplicaSetAvailable"
    ):
        return
    if new["updatedReplicas"] == new["replicas"] == new["availableReplicas"] == wanted:
        text = f'ReplicaSet "{newest}" has successfully progressed.'
        _set(status, "Progressing", "True", "NewReplicaSetAvailable", text, moment)
    elif (
        new["updatedReplicas"] > old["updatedReplicas"]
        or new["replicas"] - new["updatedReplicas"] < old["replicas"] - old["updatedReplicas"]
        or new["readyReplicas"] > old["readyReplicas"]
        or new["availableReplicas"] > old["availableReplicas"]
    ):
        status["conditions"] = [one for one in status["conditions"] if one["type"] != "Progressing"]
        _set(status, "Progressing", "True", "ReplicaSetUpdated", f'ReplicaSet "{newest}" is progressing.', moment)
        if current is not None and current["status"] == "True":
            status["conditions"][-1]["lastTransitionTime"] = current["lastTransitionTime"]


def _numbers(status: Object) -> dict[str, int]:
    names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return {name: status.get(name, 0) for name in names}


def _set(status: Object, kind: str, truth: str, reason: str, message: str, moment: str) -> None:
    """SetDeploymentCondition: nothing changes while status and reason do; else it moves to the end."""
    conditions = status.setdefault("conditions", [])
    current = next((one for one in conditions if one["type"] == kind), None)
    if current is not None and (current["status"], current["reason"]) == (truth, reason):
        return
    since = current["lastTransitionTime"] if current is not None and current["status"] == truth else moment
    status["conditions"] = [one for one in conditions if one is not current]
    told = {"lastUpdateTime": moment, "lastTransitionTime": since, "reason": reason, "message": message}
    status["conditions"].append({"type": kind, "status": truth, **told})
