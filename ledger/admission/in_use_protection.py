"""StorageObjectInUseProtection: volumes and claims get the finalizer that holds them while they are in use."""

from __future__ import annotations

from ledger.admission.api import Attributes
from ledger.admission.matching import concerns
from ledger.apimachinery.resource import GroupResource
from ledger.projections.api import View

FINALIZERS = {
    GroupResource("", "persistentvolumeclaims"): "kubernetes.io/pvc-protection",
    GroupResource("", "persistentvolumes"): "kubernetes.io/pv-protection",
    GroupResource("storage.k8s.io", "volumeattributesclasses"): "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection:
    name = "StorageObjectInUseProtection"
    resources = frozenset(FINALIZERS)

    def handles(self, attributes: Attributes) -> bool:
        resource = attributes.definition.group_resource
        return resource in FINALIZERS and concerns(attributes, resource, "CREATE")

    def admit(self, attributes: Attributes, view: View) -> None:
        assert attributes.object is not None
        metadata = attributes.object["metadata"]
        finalizer = FINALIZERS[attributes.definition.group_resource]
        present = metadata.get("finalizers") or []
        if finalizer not in present:
            metadata["finalizers"] = [*present, finalizer]
