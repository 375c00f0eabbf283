"""API versions of the past that can still be switched on, made from today's: see add().

Their schemas are today's with the fields of then: what has been added since may be used in them as well, which loses
nothing. k8s.io/api/extensions/v1beta1/types.go, and pkg/apis/batch/v2alpha1/types.go of Kubernetes 1.5.
"""

from __future__ import annotations

import copy
from typing import Any

_SCHEMAS = "#/components/schemas/"
_API = "io.k8s.api."


def add(resources: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Puts batch/v2alpha1 and extensions/v1beta1 beside today's versions, in place."""
    for resource in ("jobs", "cronjobs"):
        one = resources[f"batch/{resource}"]
        schema = f"{_API}batch.v2alpha1.{one['kind']}"
        one["versions"]["v2alpha1"] = one["versions"]["v1"] | {"schema": schema, "columns": f"batch/v1/{resource}"}
        _same(definitions, "batch.v1", "batch.v2alpha1", one["kind"])
    scheduled = _stored_elsewhere(resources["batch/cronjobs"], "batch", "v2alpha1", "ScheduledJob", "scheduledjobs")
    resources["batch/scheduledjobs"] = scheduled
    _same(definitions, "batch.v1", "batch.v2alpha1", "CronJob", "ScheduledJob")
    for key in ("apps/deployments", "apps/daemonsets", "apps/replicasets", "networking.k8s.io/ingresses"):
        one = resources[key]
        name = one["resource"]
        resources[f"extensions/{name}"] = _stored_elsewhere(one, "extensions", "v1beta1", one["kind"], name)
    for kind in ("Deployment", "DaemonSet", "ReplicaSet"):
        _same(definitions, "apps.v1", "extensions.v1beta1", kind)
        _own_spec(definitions, "apps.v1", "extensions.v1beta1", kind)["required"].remove("selector")
    _workload_fields(definitions)
    _same(definitions, "networking.v1", "extensions.v1beta1", "Ingress")
    _ingress_fields(definitions)


def _stored_elsewhere(today: dict[str, Any], group: str, version: str, kind: str, resource: str) -> dict[str, Any]:
    """A resource of its own in discovery, whose objects are those of `today`."""
    found = copy.deepcopy(today)
    version_today = found["versions"].pop("v1")
    version_today["columns"] = f"{today['group']}/v1/{today['resource']}"
    version_today["schema"] = f"{_API}{group}.{version}.{kind}"
    found |= {"group": group, "resource": resource, "singular": kind.lower(), "kind": kind}
    found |= {"versions": {version: version_today}, "storage": f"{today['group']}/{today['resource']}"}
    found.pop("categories", None)  # `kubectl get all` would show every object twice
    if kind != today["kind"]:
        found.pop("shortNames", None)
    return found


def _same(definitions: dict[str, Any], source: str, target: str, kind: str, new_kind: str = "") -> None:
    """A kind and its list under a version of the past."""
    new_kind = new_kind or kind
    group, version = target.split(".")
    for name, new_name in ((kind, new_kind), (f"{kind}List", f"{new_kind}List")):
        found = copy.deepcopy(definitions[f"{_API}{source}.{name}"])
        found["x-kubernetes-group-version-kind"] = [{"group": group, "kind": new_name, "version": version}]
        definitions[f"{_API}{target}.{new_name}"] = found
    items = definitions[f"{_API}{target}.{new_kind}List"]["properties"]["items"]
    items["items"] = {"default": {}, "allOf": [{"$ref": f"{_SCHEMAS}{_API}{target}.{new_kind}"}]}


def _own_spec(definitions: dict[str, Any], source: str, target: str, kind: str) -> dict[str, Any]:
    """Gives the kind a spec of its own, a copy of today's."""
    spec = copy.deepcopy(definitions[f"{_API}{source}.{kind}Spec"])
    definitions[f"{_API}{target}.{kind}Spec"] = spec
    definitions[f"{_API}{target}.{kind}"]["properties"]["spec"] = _reference(f"{target}.{kind}Spec")
    return spec


def _reference(name: str) -> dict[str, Any]:
    return {"default": {}, "allOf": [{"$ref": f"{_SCHEMAS}{_API}{name}"}]}


def _workload_fields(definitions: dict[str, Any]) -> None:
    integer = {"type": "integer", "format": "int64"}
    definitions[f"{_API}extensions.v1beta1.RollbackConfig"] = {"type": "object", "properties": {"revision": integer}}
    rollback = {"allOf": _reference("extensions.v1beta1.RollbackConfig")["allOf"]}
    definitions[f"{_API}extensions.v1beta1.DeploymentSpec"]["properties"]["rollbackTo"] = rollback
    definitions[f"{_API}extensions.v1beta1.DaemonSetSpec"]["properties"]["templateGeneration"] = integer


def _ingress_fields(definitions: dict[str, Any]) -> None:
    old, new = f"{_API}extensions.v1beta1.", f"{_API}networking.v1."
    spec = _own_spec(definitions, "networking.v1", "extensions.v1beta1", "Ingress")
    for name in ("IngressRule", "HTTPIngressRuleValue", "HTTPIngressPath"):
        definitions[old + name] = copy.deepcopy(definitions[new + name])
    spec["properties"] = {"backend": {"allOf": _reference("extensions.v1beta1.IngressBackend")["allOf"]}} | {
        name: schema for name, schema in spec["properties"].items() if name != "defaultBackend"
    }
    spec["properties"]["rules"]["items"] = _reference("extensions.v1beta1.IngressRule")
    rule = definitions[old + "IngressRule"]["properties"]
    rule["http"] = {"allOf": _reference("extensions.v1beta1.HTTPIngressRuleValue")["allOf"]}
    paths = definitions[old + "HTTPIngressRuleValue"]["properties"]["paths"]
    paths["items"] = _reference("extensions.v1beta1.HTTPIngressPath")
    path = definitions[old + "HTTPIngressPath"]
    path["required"] = ["backend"]
    path["properties"]["backend"] = _reference("extensions.v1beta1.IngressBackend")
    definitions[old + "IngressBackend"] = {
        "type": "object",
        "properties": {
            "resource": copy.deepcopy(definitions[new + "IngressBackend"]["properties"]["resource"]),
            "serviceName": {"type": "string"},
            "servicePort": {"$ref": f"{_SCHEMAS}io.k8s.apimachinery.pkg.util.intstr.IntOrString"},
        },
    }
