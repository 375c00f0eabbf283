"""Warnings: what a client is told about an object that is accepted all the same (WarningsOnCreate, WarningsOnUpdate)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any

from ledger.apimachinery.field import quoted
from ledger.apimachinery.names import is_dns1123_label
from ledger.apimachinery.quantity import parse
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.pod_advice import (
    addresses,
    claim_advice,
    networks,
    node_label_advice,
    node_term_advice,
    template_advice,
    volume_advice,
)
from ledger.scheme.strategies.prepare import generation_changed
from ledger.scheme.strategies.validation.pem import key_pair_error

Advice = Callable[[ResourceDefinition, Object, Object | None], list[str]]


def warnings(definition: ResourceDefinition, obj: Object, old: Object | None, subresource: str = "") -> list[str]:
    """What to warn of in an object as it will be stored; `old` is None on create."""
    key = f"{definition.group}/{definition.resource}"
    table = _STATUS_ADVICE if subresource == "status" else _ADVICE if subresource in ("", "scale") else {}
    advice = table.get(key)
    return advice(definition, obj, old) if advice else []


def _name_advice(obj: Object, what: str = "Pod names and hostnames") -> list[str]:
    complaints = is_dns1123_label(obj["metadata"].get("name", ""))
    if not complaints:
        return []
    text = "which can result in surprising behavior; a DNS label is recommended"
    return [f"metadata.name: this is used in {what}, {text}: [{' '.join(complaints)}]"]


def _pod(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    if old is not None:
        return []
    return _name_advice(obj, "the Pod's hostname") + template_advice("", obj["metadata"], obj.get("spec") or {})


def _templated(path: str, named: bool = True) -> Advice:
    """Advice on the template of pods at a path, on create and when the generation changes."""

    def advice(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
        if old is not None and not _changed(definition, obj, old):
            return []
        found = _name_advice(obj) if named and old is None else []
        # An update of a replication controller is told of the template it replaces.
        shown = old if old is not None and definition.resource == "replicationcontrollers" else obj
        template = get(shown, path, {})
        return found + template_advice(path, template.get("metadata") or {}, template.get("spec") or {})

    return advice


def _changed(definition: ResourceDefinition, obj: Object, old: Object) -> bool:
    if definition.resource == "daemonsets":
        key = "deprecated.daemonset.template.generation"
        new, before = (get(one, "metadata.annotations", {}).get(key) for one in (obj, old))
        return bool(new != before)
    return generation_changed(definition, obj, old)


def _stateful_set(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    found = _templated("spec.template", named=False)(definition, obj, old)
    for at, claim in enumerate(get(obj, "spec.volumeClaimTemplates", [])):
        path = f"spec.volumeClaimTemplates[{at}]" + ("" if old is None else ".Spec")
        found += claim_advice(path, claim.get("spec") or {})
    if get(obj, "spec.revisionHistoryLimit", 0) < 0:
        text = "a negative value retains all historical revisions; a value >= 0 is recommended"
        found.append(f"spec.revisionHistoryLimit: {text}")
    return found


def _job_spec(path: str) -> Advice:
    templated = _templated(f"{path}.template", named=False)

    def advice(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
        found = _name_advice(obj) if old is None else []
        spec = get(obj, path, {})
        large = (spec.get("completions") or 0) > 100_000 and (spec.get("parallelism") or 0) > 10_000
        told = old is None or generation_changed(definition, obj, old)
        if told and spec.get("completionMode") == "Indexed" and large:
            counts = "a number of completions higher than 10^5 and a parallelism higher than 10^4"
            what = "might not be able to track completedIndexes when a big number of indexes fail"
            found.append(f"{path}: In Indexed Jobs with {counts}, Kubernetes {what}")
        return found + templated(definition, obj, old)

    return advice


def _cron_job(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    found = _job_spec("spec.jobTemplate.spec")(definition, obj, old)
    if old is not None and "TZ" in get(obj, "spec.schedule", ""):
        where = "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/"
        text = f"use timeZone instead, see {where} for more details"
        found.append(f"cannot use TZ or CRON_TZ in spec.spec.schedule, {text}")
    return found


def _volume_claim(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    key, found = "volume.beta.kubernetes.io/storage-class", []
    if key in get(obj, "metadata.annotations", {}):
        found.append(f'metadata.annotations[{key}]: deprecated since v1.8; use "storageClassName" attribute instead')
    return found + claim_advice("spec", obj.get("spec") or {})


def _volume(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    return volume_advice(obj)


def _service(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    spec, hints, found = obj.get("spec") or {}, "service.kubernetes.io/topology-aware-hints", []
    kind, external = spec.get("type"), spec.get("externalIPs") or []
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    if hints in get(obj, "metadata.annotations", {}):
        found.append(f"annotation {hints} is deprecated, please use service.kubernetes.io/topology-mode instead")
    if kind != "ExternalName" and spec.get("clusterIP") not in (None, "", "None"):
        found += addresses("spec.clusterIPs", spec.get("clusterIPs"))
    if headless:
        found += _ignored_when_headless(spec)
    found += addresses("spec.externalIPs", external)
    if external and not headless and kind != "ExternalName":
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.get("loadBalancerIP"):
        found += addresses("spec.loadBalancerIP", spec["loadBalancerIP"])
    found += networks("spec.loadBalancerSourceRanges", spec.get("loadBalancerSourceRanges"))
    if kind == "ExternalName" and external:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if kind != "ExternalName" and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def _ignored_when_headless(spec: dict[str, Any]) -> list[str]:
    ignored = [f"spec.{key}" for key in ("loadBalancerIP", "externalIPs") if spec.get(key)]
    if spec.get("sessionAffinity") != "None":
        ignored.append("spec.SessionAffinity")
    return [f"{key} is ignored for headless services" for key in ignored]


def _balancer(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    ones = get(obj, "status.loadBalancer.ingress", [])
    return [
        text
        for at, one in enumerate(ones)
        if one.get("ip")
        for text in addresses(f"status.loadBalancer.ingress[{at}]", one["ip"])
    ]


def _pod_status(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    return [
        text
        for key in ("podIPs", "hostIPs")
        for at, one in enumerate(get(obj, f"status.{key}", []))
        for text in addresses(f"status.{key}[{at}].ip", one.get("ip", ""))
    ]


def _endpoint_slice(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    fqdn = old is None and obj.get("addressType") == "FQDN"
    found = ["spec.addressType: FQDN endpoints are deprecated"] if fqdn else []
    controllers = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")
    if get(obj, "metadata.labels", {}).get("endpointslice.kubernetes.io/managed-by") not in controllers:
        for at, endpoint in enumerate(obj.get("endpoints") or ()):
            found += addresses(f"endpoints[{at}].addresses", endpoint.get("addresses"))
    return found


def _endpoints(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    if get(obj, "metadata.labels", {}).get("endpoints.kubernetes.io/managed-by") == "endpoint-controller":
        return []
    return [
        text
        for at, subset in enumerate(obj.get("subsets") or ())
        for key in ("addresses", "notReadyAddresses")
        for index, one in enumerate(subset.get(key) or ())
        for text in addresses(f"subsets[{at}].{key}[{index}].ip", one.get("ip", ""))
    ]


def _node(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    spec, found = obj.get("spec") or {}, []
    if spec.get("configSource") is not None:
        found.append("spec.configSource: the feature is removed")
    if spec.get("externalID"):
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    return found + networks("spec.podCIDRs", spec.get("podCIDRs"))


def _secret(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    if obj.get("type") != "kubernetes.io/tls":
        return []
    data = obj.get("data") or {}
    certificate, key = (base64.b64decode(data.get(name) or "") for name in ("tls.crt", "tls.key"))
    error = key_pair_error(certificate, key)
    return [error] if error else []


def _service_account(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    key = "kubernetes.io/enforce-mountable-secrets"
    before = get(old or {}, "metadata.annotations", {})
    if key in before or key not in get(obj, "metadata.annotations", {}):
        return []
    text = "prefer separate namespaces to isolate access to mounted secrets"
    return [f"metadata.annotations[{key}]: deprecated in v1.32+; {text}"]


def _resource_quota(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    hard, found = get(obj, "spec.hard", {}), []
    for name in ("cpu", "memory", "storage", "ephemeral-storage") if old is None else ():
        request, limit = f"requests.{name}", f"limits.{name}"
        if request not in hard and name in ("cpu", "memory"):
            request = name
        if request in hard and limit in hard and parse(hard[request]) > parse(hard[limit]):
            found.append(f"ResourceQuota {request} ({hard[request]}) should be less than {limit} ({hard[limit]})")
    return found


def _network_policy(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    found: list[str] = []
    for direction, key in (("ingress", "from"), ("egress", "to")):
        for at, rule in enumerate(get(obj, f"spec.{direction}", [])):
            for index, peer in enumerate(rule.get(key) or ()):
                block, path = peer.get("ipBlock"), f"spec.{direction}[{at}].{key}[{index}].ipBlock"
                if block is not None:
                    found += networks(f"{path}.cidr", block.get("cidr", ""))
                    found += networks(f"{path}.except", block.get("except"))
    return found


def _ingress(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    key = "kubernetes.io/ingress.class"
    if old is None and key in get(obj, "metadata.annotations", {}) and get(obj, "spec.ingressClassName") is None:
        return [f"annotation {quoted(key)} is deprecated, please use 'spec.ingressClassName' instead"]
    return []


def _runtime_class(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    labels = get(obj, "scheduling.nodeSelector", {})
    return [f"scheduling.nodeSelector: {text}" for text in map(node_label_advice, labels) if text]


def _storage_class(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    found = []
    for at, term in enumerate(obj.get("allowedTopologies") or ()):
        for index, one in enumerate(term.get("matchLabelExpressions") or ()):
            text = node_label_advice(one.get("key", ""))
            if text:
                found.append(f"allowedTopologies[{at}].matchLabelExpressions[{index}].key: {text}")
    return found


def _storage_capacity(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    selector = obj.get("nodeTopology") or {}
    found = node_term_advice("nodeTopology", selector)
    for label in selector.get("matchLabels") or ():
        text = node_label_advice(label)
        if text:
            found.append(f"nodeTopology.matchLabels.{label}: {text}")
    return found


def _csi_driver(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    requests, before = get(obj, "spec.tokenRequests"), get(old or {}, "spec.tokenRequests")
    if not requests or (old is not None and same(requests, before)):
        return []
    if get(obj, "spec.serviceAccountTokenInSecrets") is not None:
        return []
    text = "if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes"
    return [f"spec.serviceAccountTokenInSecrets is unset; {text}"]


def _resource_slice(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    driver = get(obj, "spec.driver", "")
    if driver == driver.lower():
        return []
    return [f"spec.driver: driver names should be lowercase; {quoted(driver)} contains uppercase characters"]


_NOT_INTERCEPTED = {("authentication.k8s.io", name) for name in ("selfsubjectreviews", "tokenreviews")} | {
    ("authorization.k8s.io", f"{name}reviews")
    for name in ("localsubjectaccess", "selfsubjectaccess", "selfsubjectrules", "subjectaccess")
}


def _static_suffix(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    if old is None or not obj["metadata"].get("name", "").endswith(".static.k8s.io"):
        return []
    what = "are reserved for static manifest-based configurations and cannot be managed via the API"
    return [f'metadata.name: names ending with ".static.k8s.io" {what}']


def _webhooks(definition: ResourceDefinition, obj: Object, old: Object | None) -> list[str]:
    found = _static_suffix(definition, obj, old)
    for at, hook in enumerate(obj.get("webhooks") or ()):
        for index, rule in enumerate(hook.get("rules") or ()):
            for group, resource in _named(rule.get("apiGroups") or (), rule.get("resources") or ()):
                text = "is excluded from admission webhooks; this rule will have no effect"
                found.append(f"webhooks[{at}].rules[{index}]: {resource}.{group} {text}")
    return found


def _named(groups: Iterable[str], resources: Iterable[str]) -> list[tuple[str, str]]:
    """The resources no webhook is asked about that a rule names outright."""
    if "*" in groups or "*" in resources:
        return []
    pairs = dict.fromkeys((group, resource) for group in groups for resource in resources)
    return [pair for pair in pairs if pair in _NOT_INTERCEPTED]


_ADVICE: dict[str, Advice] = {
    "/endpoints": _endpoints,
    "/nodes": _node,
    "/persistentvolumeclaims": _volume_claim,
    "/persistentvolumes": _volume,
    "/pods": _pod,
    "/podtemplates": _templated("template", named=False),
    "/replicationcontrollers": _templated("spec.template"),
    "/resourcequotas": _resource_quota,
    "/secrets": _secret,
    "/serviceaccounts": _service_account,
    "/services": _service,
    "admissionregistration.k8s.io/mutatingadmissionpolicies": _static_suffix,
    "admissionregistration.k8s.io/mutatingadmissionpolicybindings": _static_suffix,
    "admissionregistration.k8s.io/mutatingwebhookconfigurations": _webhooks,
    "admissionregistration.k8s.io/validatingadmissionpolicies": _static_suffix,
    "admissionregistration.k8s.io/validatingadmissionpolicybindings": _static_suffix,
    "admissionregistration.k8s.io/validatingwebhookconfigurations": _webhooks,
    "apps/daemonsets": _templated("spec.template", named=False),
    "apps/deployments": _templated("spec.template"),
    "apps/replicasets": _templated("spec.template"),
    "apps/statefulsets": _stateful_set,
    "batch/cronjobs": _cron_job,
    "batch/jobs": _job_spec("spec"),
    "discovery.k8s.io/endpointslices": _endpoint_slice,
    "networking.k8s.io/ingresses": _ingress,
    "networking.k8s.io/networkpolicies": _network_policy,
    "node.k8s.io/runtimeclasses": _runtime_class,
    "resource.k8s.io/resourceslices": _resource_slice,
    "storage.k8s.io/csidrivers": _csi_driver,
    "storage.k8s.io/csistoragecapacities": _storage_capacity,
    "storage.k8s.io/storageclasses": _storage_class,
}
_STATUS_ADVICE: dict[str, Advice] = {
    "/pods": _pod_status,
    "/services": _balancer,
    "networking.k8s.io/ingresses": _balancer,
    "admissionregistration.k8s.io/validatingadmissionpolicies": _static_suffix,
}
