"""DefaultTolerationSeconds: pods stay five minutes on a node that is not ready or cannot be reached."""

from __future__ import annotations

from typing import Any

from ledger.admission.api import Attributes
from ledger.admission.matching import PODS, concerns
from ledger.projections.api import View

TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
SECONDS = 300


class DefaultTolerationSeconds:
    name = "DefaultTolerationSeconds"
    resources = frozenset({PODS})

    def handles(self, attributes: Attributes) -> bool:
        return concerns(attributes, PODS, "CREATE", "UPDATE")

    def admit(self, attributes: Attributes, view: View) -> None:
        assert attributes.object is not None
        spec = attributes.object["spec"]
        tolerations: list[dict[str, Any]] = spec.get("tolerations") or []
        added = [
            {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
            for taint in TAINTS
            if not any(_tolerates(one, taint) for one in tolerations)
        ]
        if added:
            spec["tolerations"] = [*tolerations, *added]


def _tolerates(toleration: dict[str, Any], taint: str) -> bool:
    return toleration.get("key", "") in (taint, "") and toleration.get("effect", "") in ("NoExecute", "")
