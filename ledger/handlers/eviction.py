"""pods/eviction: deletes a pod if its disruption budget has room, and takes the room, in one commit.

Follows pkg/registry/core/pod/storage/eviction.go in k8s.io/kubernetes.
"""

from __future__ import annotations

from typing import Any

import orjson

from ledger.apimachinery.http import Response
from ledger.apimachinery.resource import GVK, GVR, GroupResource, Object
from ledger.apimachinery.selectors import SelectorError, label_selector_from
from ledger.apimachinery.status import StatusError, bad_request, forbidden
from ledger.apimachinery.times import rfc3339
from ledger.handlers.api import Api, warn
from ledger.log.event import Change
from ledger.projections.api import Stored, View
from ledger.registry.body import change_of, decode
from ledger.registry.options import DeleteOptions, delete_options, query_of, write_options
from ledger.registry.registry import Call

EVICTION = GVK("policy", "v1", "Eviction")
OLD_EVICTION = GVK("policy", "v1beta1", "Eviction")  # its fields are the same; old clients know no other
BUDGETS = GroupResource("policy", "poddisruptionbudgets")
DISRUPTED_PODS_MAX = 2000
NO_ROOM = "Cannot evict pod as it would violate the pod's disruption budget."
SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


async def evict(api: Api, call: Call) -> Response:
    """create of pods/NAME/eviction."""
    query = query_of(call.request)
    options = write_options(query, "CreateOptions")
    body = await call.request.read_body()
    content_type = call.request.headers.get("content-type")
    kind = OLD_EVICTION if OLD_EVICTION.api_version.encode() in body else EVICTION
    eviction, warnings = api.behaviour.decode_kind(kind, body, content_type, options.field_validation)
    warn(call.request, warnings)
    if eviction["metadata"].get("name", "") != call.name:
        raise bad_request("name in URL does not match name in Eviction object")
    eviction["metadata"].setdefault("namespace", call.namespace)
    eviction = await api.registry.admit(call, "CREATE", eviction, options.as_object("CreateOptions"), options.dry_run)
    asked = dict(eviction.get("deleteOptions") or {})
    if options.dry_run:
        asked.setdefault("dryRun", ["All"])
    deletion = delete_options(query, asked)
    pod_call = Call(call.request, call.definition, call.version, "", call.namespace, call.name)

    def prepare(pod: Object, view: View) -> tuple[Object, list[Change]]:
        return _disrupted(pod, rfc3339(api.clock())), _charge(api, pod, view, deletion)

    await api.registry.delete(pod_call, deletion, prepare, admitted=True)
    answer = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return api.encoder.status(call.request, answer, 201)


def _charge(api: Api, pod: Object, view: View, options: DeleteOptions) -> list[Change]:
    """The change that takes one disruption from the pod's budget. StatusError 403, 429, 500 when it cannot be taken."""
    if is_free(pod):
        return []
    stored = _budgets(pod, view)
    if len(stored) > 1:
        raise StatusError(500, "", SEVERAL)
    if not stored:
        return []
    found = api.scheme().find(GVR(*BUDGETS[:1], "v1", BUDGETS.resource))
    if found is None:
        return []  # budgets are switched off by --runtime-config
    definition, version = found
    budget = decode(stored[0])
    if not _is_ready(pod) and _lets_unready_go(budget):
        return []
    taken = take_one(budget, pod["metadata"]["name"], rfc3339(api.clock()))
    charged = api.behaviour.redecode(definition, version, taken, "Ignore")[0]
    tracked = api.behaviour.track(definition, version, budget, charged, "kube-apiserver", "status", api.clock())
    return [] if options.dry_run else [change_of(definition, tracked, expect=stored[0].revision)]


def is_free(pod: Object) -> bool:
    """A pod that does not run, or is going already, disrupts nobody."""
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or "deletionTimestamp" in pod["metadata"]


def _budgets(pod: Object, view: View) -> list[Stored]:
    labels = pod["metadata"].get("labels") or {}
    found = []
    for stored in view.scan(BUDGETS, pod["metadata"]["namespace"]):
        try:
            if label_selector_from(orjson.loads(stored.body)["spec"].get("selector")).matches(labels):
                found.append(stored)
        except SelectorError:
            continue  # a selector that means nothing selects nothing
    return found


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _lets_unready_go(budget: Object) -> bool:
    """A pod that is not ready costs nothing when the policy says so, or when enough others are healthy."""
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy", 0)
    always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    return always or (status.get("currentHealthy", 0) >= desired > 0)


def take_one(budget: Object, pod: str, now: str) -> Object:
    """The budget with one disruption less, and the pod noted. StatusError 403, 429."""
    metadata, status = budget["metadata"], dict(budget.get("status") or {})
    name, allowed = metadata["name"], status.get("disruptionsAllowed", 0)
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise _no_room(f"The disruption budget {name} is still being processed by the server.", 10)
    not_now = f"The disruption budget {name} does not allow evicting pods currently"
    if allowed < 0:
        why = "pdb disruptions allowed is negative"
        raise _impossible(name, why, f"{not_now}: {why}")
    if len(status.get("disruptedPods") or ()) > DISRUPTED_PODS_MAX:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise _impossible(name, why, f"{not_now}: too many pending evictions not confirmed by PDB controller")
    if allowed == 0:
        raise _no_room(_explanation(name, status, not_now), 0)
    status["disruptionsAllowed"] = allowed - 1
    if allowed == 1:
        status["conditions"] = _insufficient(status, now)
    status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod: now}
    return {**budget, "status": status}


def _explanation(name: str, status: dict[str, Any], not_now: str) -> str:
    conditions = status.get("conditions") or ()
    condition: dict[str, Any] = next((one for one in conditions if one["type"] == "DisruptionAllowed"), {})
    told = condition.get("message", "") if condition.get("status") == "False" else ""
    if told and condition.get("reason") == "SyncFailed":
        return f"{not_now} because it failed sync: {told}"
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    if healthy <= desired:
        return f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
    return f"{not_now} ({condition.get('reason', '')}): {told}" if told else not_now


def _insufficient(status: dict[str, Any], now: str) -> list[dict[str, Any]]:
    """The conditions of a budget that has no room any more."""
    kept = [dict(one) for one in status.get("conditions") or ()]
    told = {"type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": ""}
    told["observedGeneration"] = status.get("observedGeneration", 0)
    old = next((one for one in kept if one["type"] == told["type"]), None)
    if old is None:
        return [*kept, {**told, "lastTransitionTime": now}]
    old |= told | ({"lastTransitionTime": now} if old.get("status") != "False" else {})
    return kept


def _no_room(cause: str, retry_after_s: int) -> StatusError:
    details: dict[str, Any] = {"causes": [{"reason": "DisruptionBudget", "message": cause}]}
    if retry_after_s:
        details["retryAfterSeconds"] = retry_after_s
    return StatusError(429, "TooManyRequests", NO_ROOM, details)


def _impossible(name: str, why: str, cause: str) -> StatusError:
    error = forbidden(GroupResource("policy", "poddisruptionbudget"), name, why)
    error.details = {**(error.details or {}), "causes": [{"reason": "DisruptionBudget", "message": cause}]}
    return error


def _disrupted(pod: Object, now: str) -> Object:
    """The pod with the condition that says why it goes."""
    told = {"type": "DisruptionTarget", "status": "True"}
    status = dict(pod.get("status") or {})
    kept = [one for one in status.get("conditions") or () if one["type"] != told["type"]]
    told |= {"lastTransitionTime": now, "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}
    status["conditions"] = [*kept, {"type": told["type"], "status": "True", "lastProbeTime": None, **told}]
    return {**pod, "status": status}
