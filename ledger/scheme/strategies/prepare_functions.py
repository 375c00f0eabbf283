"""The named steps of preparation that are more than moving fields: one function for each name in traits.json."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.strategies import prepare_pods, prepare_services
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.default_functions import secret_string_data as merge_string_data
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import every, get, restore

Create = Callable[[Object, Context], None]
Update = Callable[[Object, Object, Context], None]


def namespace_finalizer(obj: Object, context: Context) -> None:
    obj["status"] = {"phase": "Active"}
    finalizers = obj.setdefault("spec", {}).get("finalizers") or []
    if "kubernetes" not in finalizers:
        obj["spec"]["finalizers"] = [*finalizers, "kubernetes"]


def keep_namespace_finalizers(obj: Object, old: Object, context: Context) -> None:
    restore(obj, old, "spec.finalizers")


def namespace_finalize(obj: Object, old: Object, context: Context) -> None:
    restore(obj, old, "status")


def namespace_label(obj: Object) -> None:
    labels = obj["metadata"].get("labels") or {}
    obj["metadata"]["labels"] = labels | {"kubernetes.io/metadata.name": obj["metadata"]["name"]}


def node_created(obj: Object, context: Context) -> None:
    obj.get("spec", {}).pop("configSource", None)
    obj.get("status", {}).pop("config", None)


def node_updated(obj: Object, old: Object, context: Context) -> None:
    if get(old, "spec.configSource") is None:
        obj.get("spec", {}).pop("configSource", None)


def node_status(obj: Object, old: Object, context: Context) -> None:
    status = obj.get("status", {})
    if get(old, "status.config") is None:
        status.pop("config", None)
    if get(old, "status.nodeInfo.runningInUserNamespace") is None:
        status.get("nodeInfo", {}).pop("runningInUserNamespace", None)


def claim_created(obj: Object, context: Context) -> None:
    _claim_sources(obj.get("spec", {}), None)


def claim_updated(obj: Object, old: Object, context: Context) -> None:
    _claim_sources(obj.get("spec", {}), old.get("spec", {}))


def _claim_sources(spec: dict[str, Any], old: dict[str, Any] | None) -> None:
    """dataSource and dataSourceRef name one thing; what neither can restore from is dropped without a word."""
    reference = spec.get("dataSourceRef")
    if reference and reference.get("namespace") and (old is None or old.get("dataSourceRef") is None):
        spec.pop("dataSourceRef")  # across namespaces: a feature that is off
    source = spec.get("dataSource")
    if (old is None or old.get("dataSource") is None) and spec.get("dataSourceRef") is None:
        restorable = source and (
            (source.get("kind") == "PersistentVolumeClaim" and not source.get("apiGroup"))
            or (source.get("kind") == "VolumeSnapshot" and source.get("apiGroup") == "snapshot.storage.k8s.io")
        )
        if not restorable:
            spec.pop("dataSource", None)
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference and source is None and not reference.get("namespace"):
        spec["dataSource"] = {key: value for key, value in reference.items() if key != "namespace"}


def volume_pending(obj: Object, context: Context) -> None:
    obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": context.now}


def volume_phase_time(obj: Object, old: Object, context: Context) -> None:
    status, before = obj.setdefault("status", {}), old.get("status", {})
    time, old_time = status.get("lastPhaseTransitionTime"), before.get("lastPhaseTransitionTime")
    if status.get("phase") == before.get("phase"):
        if time is None and old_time is not None:
            status["lastPhaseTransitionTime"] = old_time
    elif time is None or time == old_time:
        status["lastPhaseTransitionTime"] = context.now


def secret_string_data(obj: Object, context: Context) -> None:
    merge_string_data(obj, None)


def secret_updated(obj: Object, old: Object, context: Context) -> None:
    merge_string_data(obj, None)
    if not obj.get("type"):
        obj["type"] = old.get("type", "")


def service_account_secrets(obj: Object, context: Context) -> None:
    if obj.get("secrets"):
        obj["secrets"] = [{"name": secret["name"]} if secret.get("name") else {} for secret in obj["secrets"]]


def service_account_updated(obj: Object, old: Object, context: Context) -> None:
    service_account_secrets(obj, context)


def template_generation(obj: Object, context: Context) -> None:
    """Kept inside kube-apiserver and shown only as this annotation."""
    _set_template_generation(obj, max(_template_generation(obj), 1))


def template_generation_updated(obj: Object, old: Object, context: Context) -> None:
    changed = not same(get(obj, "spec.template"), get(old, "spec.template"))
    _set_template_generation(obj, _template_generation(old) + changed)


_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def _template_generation(obj: Object) -> int:
    text = get(obj, "metadata.annotations", {}).get(_TEMPLATE_GENERATION, "0")
    try:
        return int(text)
    except ValueError:
        return 0


def _set_template_generation(obj: Object, generation: int) -> None:
    annotations = obj["metadata"].get("annotations") or {}
    obj["metadata"]["annotations"] = annotations | {_TEMPLATE_GENERATION: str(generation)}


def job_selector(obj: Object, context: Context) -> None:
    """A job selects its own pods by its uid, unless it says manualSelector."""
    spec = obj["spec"]
    if spec.get("manualSelector"):
        return
    metadata = spec.setdefault("template", {}).setdefault("metadata", {})
    name, uid = obj["metadata"].get("name", ""), obj["metadata"].get("uid", "")
    generated = {
        "job-name": name,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "batch.kubernetes.io/controller-uid": uid,
    }
    labels = dict(sorted((generated | (metadata.get("labels") or {})).items()))
    if metadata.get("labels") and obj["metadata"].get("labels") is metadata["labels"]:  # see the default of jobs
        obj["metadata"]["labels"] = dict(labels)
    metadata["labels"] = labels
    selector = spec.setdefault("selector", {})
    match_labels = {"batch.kubernetes.io/controller-uid": uid} | (selector.get("matchLabels") or {})
    selector["matchLabels"] = dict(sorted(match_labels.items()))


def signing_request_user(obj: Object, context: Context) -> None:
    """A request carries who made it, whatever it says itself."""
    spec, user = obj["spec"], context.user
    for key in ("username", "uid", "groups", "extra"):
        spec.pop(key, None)
    told = {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra.items()},
    }
    spec |= {key: value for key, value in told.items() if value}
    obj["status"] = {}


def signing_request_frozen(obj: Object, old: Object, context: Context) -> None:
    restore(obj, old, "spec")


def signing_request_status(obj: Object, old: Object, context: Context) -> None:
    """Approval and denial are decided through /approval: here they stay as they were."""
    conditions, before = obj.get("status", {}).get("conditions") or [], get(old, "status.conditions", [])
    for kind in ("Approved", "Denied"):
        new_at = [at for at, one in enumerate(conditions) if one.get("type") == kind]
        old_ones = [one for one in before if one.get("type") == kind]
        if len(new_at) == len(old_ones):
            for at, one in zip(new_at, old_ones, strict=True):
                conditions[at] = deepcopy(one)
    _condition_times(conditions, before, context.now)


def signing_request_approval(obj: Object, old: Object, context: Context) -> None:
    conditions = obj.get("status", {}).get("conditions")
    _condition_times(conditions or [], get(old, "status.conditions", []), context.now)
    restore(obj, old, "spec")
    obj["status"] = deepcopy(old.get("status", {}))
    if conditions is None:
        obj["status"].pop("conditions", None)
    else:
        obj["status"]["conditions"] = conditions


def _condition_times(conditions: list[dict[str, Any]], before: list[dict[str, Any]], now: str) -> None:
    for condition in conditions:
        if not condition.get("lastUpdateTime"):
            condition["lastUpdateTime"] = now
        if not condition.get("lastTransitionTime"):
            kept = (
                one["lastTransitionTime"]
                for one in before
                if one.get("type") == condition.get("type")
                and one.get("status") == condition.get("status")
                and one.get("lastTransitionTime")
            )
            condition["lastTransitionTime"] = next(kept, now)


def budget_created(obj: Object, context: Context) -> None:
    _strip_beta_budget_label(obj)


def budget_updated(obj: Object, old: Object, context: Context) -> None:
    if not same(get(obj, "spec.selector"), get(old, "spec.selector")):
        _strip_beta_budget_label(obj)


_BETA_BUDGET = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"


def _strip_beta_budget_label(obj: Object) -> None:
    """An expression only policy/v1beta1 knew; alone it stands for "all" or "none" and stays."""
    selector = get(obj, "spec.selector")
    if not selector:
        return
    expressions = selector.get("matchExpressions") or []
    alone = not selector.get("matchLabels") and len(expressions) == 1
    if not alone:
        kept = [one for one in expressions if one.get("key") != _BETA_BUDGET or one.get("operator") != "Exists"]
        if kept:
            selector["matchExpressions"] = kept
        else:
            selector.pop("matchExpressions", None)


def endpoint_topology(obj: Object, context: Context) -> None:
    for endpoint in every(obj, "endpoints[]"):
        endpoint.pop("deprecatedTopology", None)


def endpoint_topology_updated(obj: Object, old: Object, context: Context) -> None:
    """The old field is dropped once endpoints change; its host name, if known before, becomes nodeName."""
    if same(obj.get("endpoints"), old.get("endpoints")):
        return
    hostname = "kubernetes.io/hostname"
    known = {get(one, "deprecatedTopology", {}).get(hostname) for one in every(old, "endpoints[]")}
    for endpoint in every(obj, "endpoints[]"):
        node = (endpoint.pop("deprecatedTopology", None) or {}).get(hostname)
        if endpoint.get("nodeName") is None and node and node in known:
            endpoint["nodeName"] = node


def taint_time(obj: Object, old: Object, context: Context) -> None:
    taint, before = get(obj, "spec.taint", {}), get(old, "spec.taint", {})
    if taint.get("effect") != before.get("effect") and taint.get("timeAdded") == before.get("timeAdded"):
        taint["timeAdded"] = context.now


def deallocated_devices(obj: Object, old: Object, context: Context) -> None:
    """Status of a device goes away with its allocation."""

    def allocated(claim: Object) -> set[tuple[Any, ...]]:
        return {_device(one) for one in every(claim, "status.allocation.devices.results[]")}

    gone = allocated(old) - allocated(obj)
    status = obj.get("status", {})
    kept = [device for device in status.get("devices") or [] if _device(device) not in gone]
    if kept:
        status["devices"] = kept
    else:
        status.pop("devices", None)


def _device(one: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(one.get(key) for key in ("driver", "pool", "device", "shareID"))


def api_service_local(obj: Object, context: Context) -> None:
    if get(obj, "spec.service") is None:
        condition = {
            "type": "Available",
            "status": "True",
            "lastTransitionTime": context.now,
            "reason": "Local",
            "message": "Local APIServices are always available",
        }
        obj["status"] = {"conditions": [condition]}


def stored_versions(obj: Object, context: Context) -> None:
    status = obj["status"]
    stored = next((one.get("name") for one in every(obj, "spec.versions[]") if one.get("storage")), None)
    if stored and stored not in (status.get("storedVersions") or []):
        status["storedVersions"] = [*(status.get("storedVersions") or []), stored]


def stored_versions_updated(obj: Object, old: Object, context: Context) -> None:
    obj["status"] = deepcopy(old.get("status", {}))
    stored_versions(obj, context)


def name_by_uid(obj: Object, context: Context) -> None:
    """Limit ranges need no name; upstream gives them another fresh UUID, here one made from the object's own."""
    if not obj["metadata"].get("name"):
        seed = hashlib.sha256(obj["metadata"].get("uid", "").encode()).hexdigest()
        obj["metadata"]["name"] = f"{seed[:8]}-{seed[8:12]}-4{seed[13:16]}-8{seed[17:20]}-{seed[20:32]}"


ON_CREATE: dict[str, Create] = {
    "name_by_uid": name_by_uid,
    "namespace_finalizer": namespace_finalizer,
    "node": node_created,
    "claim_data_sources": claim_created,
    "volume_pending": volume_pending,
    "secret_string_data": secret_string_data,
    "service_account_secrets": service_account_secrets,
    "template_generation": template_generation,
    "job_selector": job_selector,
    "signing_request_user": signing_request_user,
    "budget_selector": budget_created,
    "endpoint_topology": endpoint_topology,
    "api_service_local": api_service_local,
    "stored_versions": stored_versions,
    "pod": prepare_pods.create,
}
ON_UPDATE: dict[str, Update] = {
    "keep_namespace_finalizers": keep_namespace_finalizers,
    "namespace_finalize": namespace_finalize,
    "node": node_updated,
    "node_status": node_status,
    "claim_data_sources": claim_updated,
    "volume_phase_time": volume_phase_time,
    "secret": secret_updated,
    "service_account_secrets": service_account_updated,
    "template_generation": template_generation_updated,
    "signing_request_frozen": signing_request_frozen,
    "signing_request_status": signing_request_status,
    "signing_request_approval": signing_request_approval,
    "budget_selector": budget_updated,
    "endpoint_topology": endpoint_topology_updated,
    "taint_time": taint_time,
    "deallocated_devices": deallocated_devices,
    "stored_versions": stored_versions_updated,
    "pod": prepare_pods.update,
    "pod_status": prepare_pods.update_status,
    "pod_ephemeral_containers": prepare_pods.update_ephemeral_containers,
    "pod_resize": prepare_pods.resize,
    "service_type_change": prepare_services.update,
}
CANONICAL: dict[str, Callable[[Object], None]] = {"namespace_label": namespace_label}
