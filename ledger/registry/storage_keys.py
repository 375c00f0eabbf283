"""Where kube-apiserver would keep an object in etcd: nothing is kept there here, but some messages name the place.

The exceptions are SpecialDefaultResourcePrefixes in pkg/kubeapiserver of k8s.io/kubernetes.
"""

from __future__ import annotations

from ledger.apimachinery.resource import GroupResource
from ledger.scheme.definition import ResourceDefinition

_PREFIXES = {
    GroupResource("", "replicationcontrollers"): "controllers",
    GroupResource("", "endpoints"): "services/endpoints",
    GroupResource("", "nodes"): "minions",
    GroupResource("", "services"): "services/specs",
    GroupResource("networking.k8s.io", "ingresses"): "ingress",
}
_WITH_GROUP = ("apiextensions.k8s.io", "apiregistration.k8s.io")


def storage_key(definition: ResourceDefinition, namespace: str, name: str) -> str:
    """ "/registry/configmaps/ns/a"."""
    kept = definition.stored_as
    prefix = _PREFIXES.get(kept, kept.resource)
    if definition.custom or kept.group in _WITH_GROUP:
        prefix = f"{kept.group}/{kept.resource}"
    return "/".join(["/registry", prefix, *([namespace] if definition.namespaced else []), name])


def other_uid(definition: ResourceDefinition, namespace: str, name: str, given: str, actual: str) -> str:
    """Why a write that names another uid fails (storage.Preconditions.Check), as upstream prints the error."""
    why = f"Precondition failed: UID in precondition: {given}, UID in object meta: {actual}"
    key = storage_key(definition, namespace, name)
    return f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: {why}"
