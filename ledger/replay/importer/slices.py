"""An EndpointSlice as its controller writes it, from the service's pods: for writes whose content is not in the log.

Follows staging/src/k8s.io/endpointslice in k8s.io/kubernetes: endpoints that stay keep their places, new ones come last;
of several new ones the order is chance. Each write that the controller makes changes something, so the generation rises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy

from ledger.apimachinery.resource import Object

CONTROLLER = ":endpointslice-controller"  # how the user agent of the controller's own client ends
SERVICE_NAME = "kubernetes.io/service-name"
TRIGGERED = "endpoints.kubernetes.io/last-change-trigger-time"


def after_slice_write(
    old: Object, service: Object, pods: Iterable[Object], zones: Mapping[str, str], seen: dict[str, str]
) -> Object:
    """The slice after the controller wrote it.

    `zones` are those of nodes by name. `seen` is when each pod's readiness had changed at the write before, by uid; it
    is brought up to date.
    """
    selector = (service.get("spec") or {}).get("selector") or {}
    behind = [pod for pod in pods if selector and selector.items() <= (pod["metadata"].get("labels") or {}).items()]
    wanted = {pod["metadata"]["uid"]: _endpoint(pod, zones) for pod in behind if _can_serve(pod)}
    kept = [(one.get("targetRef") or {}).get("uid") for one in old.get("endpoints") or ()]
    order = [uid for uid in kept if uid in wanted]
    order += sorted(wanted.keys() - set(order), key=lambda uid: (str(wanted[uid]["addresses"]), uid))
    after = deepcopy(old)
    after["endpoints"] = [wanted[uid] for uid in order]
    meta = after["metadata"]
    meta["generation"] = meta.get("generation", 0) + 1
    annotations = meta.setdefault("annotations", {})
    last = annotations.pop(TRIGGERED, "")
    times = {pod["metadata"]["uid"]: time for pod in behind if (time := _readiness_changed(pod))}
    if changed := [time for uid, time in times.items() if time > seen.get(uid, "" if seen else last)]:
        annotations[TRIGGERED] = min(changed)
    seen.clear()
    seen.update(times)
    if not annotations:
        del meta["annotations"]
    return after


def _can_serve(pod: Object) -> bool:
    status = pod.get("status") or {}
    return bool(status.get("podIP")) and status.get("phase") not in ("Failed", "Succeeded")


def _endpoint(pod: Object, zones: Mapping[str, str]) -> Object:
    meta, node = pod["metadata"], pod["spec"].get("nodeName")
    serving = any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or ())
    terminating = "deletionTimestamp" in meta
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": serving and not terminating, "serving": serving, "terminating": terminating},
        "targetRef": {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
        **({"nodeName": node} if node else {}),
        **({"zone": zones[node]} if node in zones else {}),
    }


def _readiness_changed(pod: Object) -> str:
    """When, as RFC 3339; "": it never was."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((one.get("lastTransitionTime") or "" for one in conditions if one["type"] == "Ready"), "")
