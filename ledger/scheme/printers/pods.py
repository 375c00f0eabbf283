"""Pods: what `kubectl get pods` says of a pod's health in one word, which is read from its containers.

Follows printPod in k8s.io/kubernetes: the reason is the phase, overruled in turn by the status's reason, scheduling
gates, the first init container that is not done, the containers (the first one has the last word), and deletion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.printers import durations
from ledger.scheme.printers.cell import AGE, NONE, conditions, dig, fields, is_true, items

_COMPLETED = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}


@dataclass(slots=True)
class _Health:
    """What is gathered while going through the containers."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: str = ""  # RFC 3339, so that the later time is the greater text

    def add_restarts(self, container: dict[str, Any]) -> None:
        self.restarts += container.get("restartCount") or 0
        finished = dig(container, "lastState", "terminated", "finishedAt")
        if isinstance(finished, str):
            self.last_restart = max(self.last_restart, finished)


def pod(obj: Object, now: int) -> list[Any]:
    """Name, Ready, Status, Restarts, Age, IP, Node, Nominated Node, Readiness Gates."""
    health = _Health(_reason_without_containers(obj))
    sidecars = {one.get("name") for one in _objects(obj, "spec", "initContainers") if _is_sidecar(one)}
    sidecar_restarts = _Health("")
    initializing = _look_at_init_containers(obj, sidecars, health, sidecar_restarts)
    if not initializing or is_true(obj, "Initialized"):
        health.restarts, health.last_restart = sidecar_restarts.restarts, sidecar_restarts.last_restart
        _look_at_containers(obj, health)
    containers = len(items(obj, "spec", "containers")) + len(sidecars)
    return [
        dig(obj, "metadata", "name") or "",
        f"{health.ready}/{containers}",
        _reason_when_deleted(obj) or health.reason,
        _restarts(health, now),
        AGE(obj, now),
        next(iter(fields(one).get("ip") for one in items(obj, "status", "podIPs")), "") or NONE,
        dig(obj, "spec", "nodeName") or NONE,
        dig(obj, "status", "nominatedNodeName") or NONE,
        _readiness_gates(obj),
    ]


def pod_conditions(obj: Object) -> list[Object]:
    """The row's conditions: that the pod is over."""
    phase = dig(obj, "status", "phase")
    if phase not in _COMPLETED:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": _COMPLETED[phase]}]


def _reason_without_containers(obj: Object) -> str:
    for one in conditions(obj):
        if one.get("type") == "PodScheduled" and one.get("reason") == "SchedulingGated":
            return "SchedulingGated"
    return dig(obj, "status", "reason") or dig(obj, "status", "phase") or ""


def _reason_when_deleted(obj: Object) -> str:
    if not dig(obj, "metadata", "deletionTimestamp"):
        return ""
    if dig(obj, "status", "reason") == "NodeLost":
        return "Unknown"
    return "" if dig(obj, "status", "phase") in _COMPLETED else "Terminating"


def _look_at_init_containers(obj: Object, sidecars: set[Any], health: _Health, sidecar_restarts: _Health) -> bool:
    """Whether one of them is not done: health's reason then says which."""
    for index, container in enumerate(_objects(obj, "status", "initContainerStatuses")):
        is_sidecar = container.get("name") in sidecars
        health.add_restarts(container)
        if is_sidecar:
            sidecar_restarts.add_restarts(container)
        terminated = fields(container, "state").get("terminated")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if is_sidecar and container.get("started"):
            health.ready += bool(container.get("ready"))
            continue
        waiting = dig(container, "state", "waiting", "reason")
        if terminated is not None:
            health.reason = f"Init:{_termination(terminated)}"
        elif waiting and waiting != "PodInitializing":
            health.reason = f"Init:{waiting}"
        else:
            health.reason = f"Init:{index}/{len(items(obj, 'spec', 'initContainers'))}"
        return True
    return False


def _look_at_containers(obj: Object, health: _Health) -> None:
    running, failure = False, ""
    for container in reversed(_objects(obj, "status", "containerStatuses")):
        health.add_restarts(container)
        state = fields(container, "state")
        terminated = state.get("terminated")
        if waiting := dig(state, "waiting", "reason"):
            health.reason = waiting
        elif terminated is not None:
            health.reason = _termination(terminated)
            failure = health.reason if terminated.get("exitCode") else failure
        elif container.get("ready") and state.get("running") is not None:
            running = True
            health.ready += 1
    if health.reason != "Completed":
        return
    # One container is done while others go on.
    if running and any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions(obj)):
        health.reason = "Running"
    elif failure or running:
        health.reason = failure or "NotReady"


def _termination(terminated: dict[str, Any]) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode') or 0}"


def _restarts(health: _Health, now: int) -> str:
    if health.restarts and health.last_restart:
        return f"{health.restarts} ({durations.since(health.last_restart, now)} ago)"
    return str(health.restarts)


def _readiness_gates(obj: Object) -> str:
    gates = items(obj, "spec", "readinessGates")
    if not gates:
        return NONE
    passed = sum(is_true(obj, fields(gate).get("conditionType", "")) for gate in gates)
    return f"{passed}/{len(gates)}"


def _is_sidecar(container: dict[str, Any]) -> bool:
    """An init container that keeps running beside the others."""
    return container.get("restartPolicy") == "Always"


def _objects(obj: Object, *names: str) -> list[dict[str, Any]]:
    return [one for one in items(obj, *names) if isinstance(one, dict)]
