"""Defaults that depend on other fields. Each takes the value of its type and the time (RFC 3339, or None), in place."""

from __future__ import annotations

import base64
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from ledger.apimachinery import quantity
from ledger.scheme.strategies.images import tag_of
from ledger.scheme.strategies.paths import every, get

_MILLI = -3

Value = dict[str, Any]
Function = Callable[[Value, str | None], None]
FUNCTIONS: dict[str, Function] = {}


TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def _named(function: Function) -> Function:
    FUNCTIONS[function.__name__] = function
    return function


def _missing_from(target: Value, key: str, source: Value | None) -> None:
    """Give target[key], a map, the entries of `source` it does not have."""
    if source:
        target[key] = {name: deepcopy(value) for name, value in source.items()} | (target.get(key) or {})


@_named
def pod(value: Value, now: str | None) -> None:
    spec = value.setdefault("spec", {})
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        spec["terminationGracePeriodSeconds"] = 1
    for containers in ("containers", "initContainers"):
        for resources in every(spec, f"{containers}[].resources"):
            _missing_from(resources, "requests", resources.get("limits"))


@_named
def host_network_ports(value: Value, now: str | None) -> None:
    """Of pods only: a pod template keeps its ports as they were written."""
    spec = value.get("spec") or {}
    if spec.get("hostNetwork"):
        for containers in ("containers", "initContainers"):
            for port in every(spec, f"{containers}[].ports[]"):
                if not port.get("hostPort") and port.get("containerPort"):
                    port["hostPort"] = port["containerPort"]


@_named
def service_account_alias(value: Value, now: str | None) -> None:
    name = value.get("serviceAccountName") or value.get("serviceAccount")
    if name:
        value["serviceAccountName"] = value["serviceAccount"] = name


@_named
def volume(value: Value, now: str | None) -> None:
    if not any(source is not None for key, source in value.items() if key != "name"):
        value["emptyDir"] = {}
    image = value.get("image")
    if image and not image.get("pullPolicy"):
        image["pullPolicy"] = "Always" if tag_of(image.get("reference", "")) == "latest" else "IfNotPresent"


@_named
def image_pull_policy(value: Value, now: str | None) -> None:
    if not value.get("imagePullPolicy"):
        value["imagePullPolicy"] = "Always" if tag_of(value.get("image", "")) == "latest" else "IfNotPresent"


@_named
def round_to_milli(value: Value, now: str | None) -> None:
    for name, text in value.items():
        amount = quantity.parse(str(text))
        if amount.scale < _MILLI:
            value[name] = str(quantity.of(amount.value(_MILLI), _MILLI, amount.format))


@_named
def pod_ips(value: Value, now: str | None) -> None:
    """podIP and podIPs[0] say the same; podIP wins."""
    first, several = value.get("podIP"), value.get("podIPs")
    if first and (not several or several[0].get("ip") != first):
        value["podIPs"] = [{"ip": first}]
    elif several and not first:
        value["podIP"] = several[0].get("ip", "")


@_named
def pod_networks(value: Value, now: str | None) -> None:
    """podCIDR and podCIDRs[0] say the same; podCIDR wins."""
    first, several = value.get("podCIDR"), value.get("podCIDRs")
    if first and (not several or several[0] != first):
        value["podCIDRs"] = [first]
    elif several and not first:
        value["podCIDR"] = several[0]


@_named
def labels_of_template(value: Value, now: str | None) -> None:
    labels = get(value, "spec.template.metadata.labels")
    if labels and not get(value, "metadata.labels"):
        value.setdefault("metadata", {})["labels"] = dict(labels)


@_named
def selector_of_template(value: Value, now: str | None) -> None:
    labels = get(value, "spec.template.metadata.labels")
    if labels and not get(value, "spec.selector"):
        value["spec"]["selector"] = dict(labels)


@_named
def match_labels_of_template(value: Value, now: str | None) -> None:
    labels = get(value, "spec.template.metadata.labels")
    if labels and get(value, "spec.selector") is None:
        value["spec"]["selector"] = {"matchLabels": dict(labels)}


@_named
def rolling_update_implied(value: Value, now: str | None) -> None:
    """extensions/v1beta1: parameters of a rolling update are completed whatever the strategy's type."""
    rolling = get(value, "spec.strategy.rollingUpdate")
    if rolling is not None:
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 1)


@_named
def service(value: Value, now: str | None) -> None:
    spec = value.setdefault("spec", {})
    affinity = spec.get("sessionAffinity") or "None"
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP" and get(spec, "sessionAffinityConfig.clientIP.timeoutSeconds") is None:
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800}}


@_named
def service_of_type(value: Value, now: str | None) -> None:
    spec = value["spec"]
    kind = spec["type"]
    reachable = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs"))
    if reachable and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for ingress in every(value, "status.loadBalancer.ingress[]"):
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")


@_named
def target_port(value: Value, now: str | None) -> None:
    if value.get("targetPort") in (None, 0, ""):
        value["targetPort"] = value.get("port", 0)


@_named
def template_generation_shown(value: Value, now: str | None) -> None:
    """Conversion shows a DaemonSet's hidden template generation as an annotation, also where it is still 0."""
    metadata = value.setdefault("metadata", {})
    annotations = metadata.get("annotations") or {}
    if TEMPLATE_GENERATION not in annotations:
        metadata["annotations"] = annotations | {TEMPLATE_GENERATION: "0"}


@_named
def namespace_label(value: Value, now: str | None) -> None:
    name = get(value, "metadata.name")
    if name:
        labels = value["metadata"].get("labels")
        value["metadata"]["labels"] = (labels or {}) | {"kubernetes.io/metadata.name": name}


@_named
def node_allocatable(value: Value, now: str | None) -> None:
    status = value.get("status") or {}
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


@_named
def secret_string_data(value: Value, now: str | None) -> None:
    """stringData is written, never read: it becomes data (Convert_v1_Secret_To_core_Secret)."""
    texts = value.pop("stringData", None)
    if texts:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        value["data"] = (value.get("data") or {}) | encoded


@_named
def limit_range_item(value: Value, now: str | None) -> None:
    if value.get("type") == "Container":
        _missing_from(value, "default", value.get("max"))
        _missing_from(value, "defaultRequest", value.get("default"))
        _missing_from(value, "defaultRequest", value.get("min"))


@_named
def stateful_set_strategy(value: Value, now: str | None) -> None:
    strategy = value.setdefault("spec", {}).setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "RollingUpdate" and rolling is not None:
        rolling.setdefault("partition", 0)
        rolling.setdefault("maxUnavailable", 1)


@_named
def claim_template_kinds(value: Value, now: str | None) -> None:
    """Claim templates are whole objects, kind and apiVersion included."""
    templates = get(value, "spec.volumeClaimTemplates")
    if templates:
        kind = {"kind": "PersistentVolumeClaim", "apiVersion": "v1"}
        value["spec"]["volumeClaimTemplates"] = [kind | template | kind for template in templates]


@_named
def job(value: Value, now: str | None) -> None:
    spec = value.setdefault("spec", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    if spec.get("backoffLimit") is None and spec.get("backoffLimitPerIndex") is not None:
        spec["backoffLimit"] = 2147483647
    if spec.get("podReplacementPolicy") is None and spec.get("podFailurePolicy") is not None:
        spec["podReplacementPolicy"] = "Failed"
    labels = get(value, "spec.template.metadata.labels")
    if labels and not get(value, "metadata.labels"):
        # One map in two places, as upstream has it: what is generated into the template shows in both.
        value.setdefault("metadata", {})["labels"] = labels


@_named
def autoscaler_metrics(value: Value, now: str | None) -> None:
    spec = value.setdefault("spec", {})
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


@_named
def policy_types(value: Value, now: str | None) -> None:
    spec = value.setdefault("spec", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


@_named
def device_request_v1beta1(value: Value, now: str | None) -> None:
    """A request without a device class lists subrequests, and has no mode or count of its own."""
    if value.get("deviceClassName"):
        value["allocationMode"] = value.get("allocationMode") or "ExactCount"
        if value["allocationMode"] == "ExactCount" and not value.get("count"):
            value["count"] = 1


@_named
def time_added(value: Value, now: str | None) -> None:
    if value.get("timeAdded") is None and now:
        value["timeAdded"] = now


@_named
def custom_resource_names(value: Value, now: str | None) -> None:
    spec = value.setdefault("spec", {})
    names = spec.setdefault("names", {})
    kind = names.get("kind", "")
    if not names.get("singular") and kind:
        names["singular"] = kind.lower()
    if not names.get("listKind") and kind:
        names["listKind"] = f"{kind}List"
    status = value.get("status")
    if status is not None and not status.get("storedVersions"):
        stored = [version.get("name") for version in every(spec, "versions[]") if version.get("storage")][:1]
        if stored:
            status["storedVersions"] = stored
