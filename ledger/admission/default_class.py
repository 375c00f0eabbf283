"""DefaultStorageClass and DefaultIngressClass: who names no class gets the one marked as default."""

from __future__ import annotations

import orjson

from ledger.admission.api import Attributes
from ledger.admission.matching import concerns, refuse
from ledger.apimachinery.resource import GroupResource, Object
from ledger.projections.api import View


class _DefaultClass:
    """`of`: what is created; `classes`: what it may name; `annotation`: marks the default; `field`: in the spec."""

    name = ""
    of = classes = GroupResource("", "")
    annotation = field = ""
    named_otherwise: tuple[str, ...] = ()  # annotations that name a class as well

    def handles(self, attributes: Attributes) -> bool:
        return concerns(attributes, self.of, "CREATE")

    def admit(self, attributes: Attributes, view: View) -> None:
        obj = attributes.object
        assert obj is not None
        spec = obj.setdefault("spec", {})
        annotations = obj["metadata"].get("annotations") or {}
        if spec.get(self.field) is not None or any(name in annotations for name in self.named_otherwise):
            return
        default = self.choose(attributes, self._defaults(view))
        if default is not None:
            spec[self.field] = default["metadata"]["name"]

    def _defaults(self, view: View) -> list[Object]:
        found: list[Object] = [
            orjson.loads(one.body) for one in view.scan(self.classes) if b"is-default-class" in one.body
        ]
        return [one for one in found if (one["metadata"].get("annotations") or {}).get(self.annotation) == "true"]

    def choose(self, attributes: Attributes, defaults: list[Object]) -> Object | None:
        """The newest, then the first by name."""
        by_name = sorted(defaults, key=lambda one: one["metadata"]["name"])
        return max(by_name, key=lambda one: one["metadata"]["creationTimestamp"], default=None)


class DefaultStorageClass(_DefaultClass):
    name = "DefaultStorageClass"
    of = GroupResource("", "persistentvolumeclaims")
    resources = frozenset({of})
    classes = GroupResource("storage.k8s.io", "storageclasses")
    annotation = "storageclass.kubernetes.io/is-default-class"
    field = "storageClassName"
    named_otherwise = ("volume.beta.kubernetes.io/storage-class",)


class DefaultIngressClass(_DefaultClass):
    name = "DefaultIngressClass"
    of = GroupResource("networking.k8s.io", "ingresses")
    resources = frozenset({of})
    classes = GroupResource("networking.k8s.io", "ingressclasses")
    annotation = "ingressclass.kubernetes.io/is-default-class"
    field = "ingressClassName"
    named_otherwise = ("kubernetes.io/ingress.class",)

    def choose(self, attributes: Attributes, defaults: list[Object]) -> Object | None:
        if len(defaults) > 1:
            raise refuse(attributes, f"{len(defaults)} default IngressClasses were found, only 1 allowed")
        return super().choose(attributes, defaults)
