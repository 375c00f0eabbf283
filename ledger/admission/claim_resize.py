"""PersistentVolumeClaimResize: a claim grows only when it is bound and its class lets its volumes grow.

Follows plugin/pkg/admission/storage/persistentvolume/resize in k8s.io/kubernetes.
"""

from __future__ import annotations

import orjson

from ledger.admission.api import Attributes
from ledger.admission.matching import concerns, refuse
from ledger.admission.pod_resources import ZERO, parsed
from ledger.apimachinery.quantity import Quantity
from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.projections.api import View

CLAIMS = GroupResource("", "persistentvolumeclaims")
CLASSES = GroupResource("storage.k8s.io", "storageclasses")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


class PersistentVolumeClaimResize:
    name = "PersistentVolumeClaimResize"
    resources = frozenset({CLAIMS})

    def handles(self, attributes: Attributes) -> bool:
        return concerns(attributes, CLAIMS, "UPDATE")

    def validate(self, attributes: Attributes, view: View) -> None:
        claim, old = attributes.object, attributes.old
        assert claim is not None and old is not None
        if not _storage(claim) > _storage(old):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise refuse(attributes, "Only bound persistent volume claims can be expanded")
        name = _class_of(claim)
        stored = view.get(Key(*CLASSES, "", name)) if name and name == _class_of(old) else None
        if stored is None or not orjson.loads(stored.body).get("allowVolumeExpansion"):
            why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must"
            raise refuse(attributes, f"{why} support resize")


def _storage(claim: Object) -> Quantity:
    return parsed((claim["spec"].get("resources") or {}).get("requests")).get("storage", ZERO)


def _class_of(claim: Object) -> str:
    annotations = claim["metadata"].get("annotations") or {}
    name: str = annotations.get(CLASS_ANNOTATION) or claim["spec"].get("storageClassName") or ""
    return name
