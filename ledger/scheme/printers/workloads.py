"""apps, batch, autoscaling and what runs containers in the core group."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.printers import durations
from ledger.scheme.printers.autoscaling import metrics
from ledger.scheme.printers.cell import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Cell,
    Row,
    count,
    dig,
    fields,
    is_true,
    items,
    labels,
    named,
    row,
    since,
    value,
)
from ledger.scheme.printers.pods import pod
from ledger.scheme.printers.selector_text import selector


def _containers(field: str, template: str = "spec.template") -> Cell:
    """One field of each container of a pod template, comma separated."""
    names = [*template.split("."), "spec", "containers"]
    return lambda obj, now: ",".join(named(items(obj, *names), field))


def _of(part: str, whole: str) -> Cell:
    """How many of how many: "2/3"."""
    first, second = value(part, 0), value(whole, 0)
    return lambda obj, now: f"{first(obj, now)}/{second(obj, now)}"


def _job_status(obj: Object, now: int) -> str:
    for kind, status in (("Complete", "Complete"), ("Failed", "Failed")):
        if is_true(obj, kind):
            return status
    if dig(obj, "metadata", "deletionTimestamp"):
        return "Terminating"
    kinds = ("Suspended", "FailureTarget", "SuccessCriteriaMet")
    return next((kind for kind in kinds if is_true(obj, kind)), "Running")


def _job_completions(obj: Object, now: int) -> str:
    done, wanted = dig(obj, "status", "succeeded") or 0, dig(obj, "spec", "completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    parallelism = dig(obj, "spec", "parallelism") or 0
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _job_duration(obj: Object, now: int) -> str:
    started, ended = dig(obj, "status", "startTime"), dig(obj, "status", "completionTime")
    if not started:
        return ""
    return durations.between(started, ended) if ended else durations.since(started, now)


def _suspended(obj: Object, now: int) -> str:
    return {True: "True", False: "False"}.get(dig(obj, "spec", "suspend"), UNSET)


def _owner(obj: Object, now: int) -> str:
    """The owner that controls the object: "statefulset.apps/web"."""
    for owner in items(obj, "metadata", "ownerReferences"):
        if fields(owner).get("controller"):
            group = (owner.get("apiVersion") or "").rpartition("/")[0]
            kind, name = owner.get("kind") or "", owner.get("name") or ""
            owned_by = f"{kind}.{group}" if group else kind
            return f"{owned_by.lower()}/{name}" if owned_by else name
    return NONE


def _scale_target(obj: Object, now: int) -> str:
    target = fields(obj, "spec", "scaleTargetRef")
    return f"{target.get('kind') or ''}/{target.get('name') or ''}"


def _min_pods(obj: Object, now: int) -> str:
    found = dig(obj, "spec", "minReplicas")
    return UNSET if found is None else str(found)


def _metrics(obj: Object, now: int) -> str:
    return metrics(items(obj, "spec", "metrics"), items(obj, "status", "currentMetrics"))


def _budget(field: str) -> Cell:
    def cell(obj: Object, now: int) -> str:
        found = dig(obj, "spec", field)
        return "N/A" if found is None else str(found)

    return cell


_NAMES, _IMAGES = _containers("name"), _containers("image")
_REPLICAS: tuple[Any, ...] = (
    NAME,
    value("spec.replicas", 0),
    value("status.replicas", 0),
    value("status.readyReplicas", 0),
    AGE,
    _NAMES,
    _IMAGES,
)
_CRON_TEMPLATE = "spec.jobTemplate.spec.template"

ROWS: dict[str, Row] = {
    "pods": pod,
    "podtemplates": row(
        NAME, _containers("name", "template"), _containers("image", "template"), labels("template.metadata.labels")
    ),
    "replicationcontrollers": row(*_REPLICAS, labels("spec.selector")),
    "replicasets.apps": row(*_REPLICAS, selector("spec.selector")),
    "deployments.apps": row(
        NAME,
        _of("status.readyReplicas", "spec.replicas"),
        value("status.updatedReplicas", 0),
        value("status.availableReplicas", 0),
        AGE,
        _NAMES,
        _IMAGES,
        selector("spec.selector", missing="", broken="<invalid>"),
    ),
    "statefulsets.apps": row(NAME, _of("status.readyReplicas", "spec.replicas"), AGE, _NAMES, _IMAGES),
    "daemonsets.apps": row(
        NAME,
        value("status.desiredNumberScheduled", 0),
        value("status.currentNumberScheduled", 0),
        value("status.numberReady", 0),
        value("status.updatedNumberScheduled", 0),
        value("status.numberAvailable", 0),
        labels("spec.template.spec.nodeSelector"),
        AGE,
        _NAMES,
        _IMAGES,
        selector("spec.selector"),
    ),
    "controllerrevisions.apps": row(NAME, _owner, value("revision", 0), AGE),
    "jobs.batch": row(
        NAME, _job_status, _job_completions, _job_duration, AGE, _NAMES, _IMAGES, selector("spec.selector")
    ),
    "cronjobs.batch": row(
        NAME,
        value("spec.schedule"),
        value("spec.timeZone", NONE),
        _suspended,
        count("status.active"),
        since("status.lastScheduleTime", NONE),
        AGE,
        _containers("name", _CRON_TEMPLATE),
        _containers("image", _CRON_TEMPLATE),
        selector("spec.jobTemplate.spec.selector"),
    ),
    "horizontalpodautoscalers.autoscaling": row(
        NAME,
        _scale_target,
        _metrics,
        _min_pods,
        value("spec.maxReplicas", 0),
        value("status.currentReplicas", 0),
        AGE,
    ),
    "poddisruptionbudgets.policy": row(
        NAME, _budget("minAvailable"), _budget("maxUnavailable"), value("status.disruptionsAllowed", 0), AGE
    ),
    "priorityclasses.scheduling.k8s.io": row(
        NAME, value("value", 0), value("globalDefault", False), AGE, value("preemptionPolicy")
    ),
    "runtimeclasses.node.k8s.io": row(NAME, value("handler"), AGE),
}
