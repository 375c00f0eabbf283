"""PodTopologyLabels: a pod that names its node carries the zone and region of that node.

Follows plugin/pkg/admission/podtopologylabels in k8s.io/kubernetes; a pod that is bound later gets them by its binding.
"""

from __future__ import annotations

from ledger.admission.api import Attributes
from ledger.admission.matching import PODS, concerns
from ledger.apimachinery.resource import Key
from ledger.projections.api import View

LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


class PodTopologyLabels:
    name = "PodTopologyLabels"
    resources = frozenset({PODS})

    def handles(self, attributes: Attributes) -> bool:
        return concerns(attributes, PODS, "CREATE")

    def admit(self, attributes: Attributes, view: View) -> None:
        pod = attributes.object
        assert pod is not None
        node = view.get(Key("", "nodes", "", pod["spec"].get("nodeName", "")))
        found = {name: node.labels[name] for name in LABELS if name in node.labels} if node is not None else {}
        if found:
            pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), **found}
