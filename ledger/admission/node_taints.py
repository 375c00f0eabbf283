"""TaintNodesByCondition: a new node takes no pods until it reports that it is ready."""

from __future__ import annotations

from ledger.admission.api import Attributes
from ledger.admission.matching import concerns
from ledger.apimachinery.resource import GroupResource
from ledger.projections.api import View

NODES = GroupResource("", "nodes")
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition:
    name = "TaintNodesByCondition"
    resources = frozenset({NODES})

    def handles(self, attributes: Attributes) -> bool:
        return concerns(attributes, NODES, "CREATE")

    def admit(self, attributes: Attributes, view: View) -> None:
        assert attributes.object is not None
        spec = attributes.object.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(one.get("key") == NOT_READY["key"] and one.get("effect") == NOT_READY["effect"] for one in taints):
            spec["taints"] = [*taints, dict(NOT_READY)]
