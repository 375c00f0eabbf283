"""NodeDeclaredFeatureValidator: a pod on a node changes only in ways that the node says it can follow.

Follows plugin/pkg/admission/nodedeclaredfeatures of k8s.io/kubernetes; what a change needs is told by
nodedeclaredfeatures/features of k8s.io/component-helpers. Its part about ResourceSlices is behind a feature that is off.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from ledger.admission import changed_pods
from ledger.admission.api import Attributes
from ledger.admission.matching import PODS, refuse
from ledger.apimachinery.quantity import parse
from ledger.apimachinery.resource import Object
from ledger.projections.api import View


class NodeDeclaredFeatureValidator:
    name = "NodeDeclaredFeatureValidator"
    resources = frozenset({PODS})

    def handles(self, attributes: Attributes) -> bool:
        return attributes.operation == "UPDATE" and attributes.subresource in ("", "resize")

    def validate(self, attributes: Attributes, view: View) -> None:
        """Raises StatusError 403."""
        pod, old = attributes.object, attributes.old
        assert pod is not None and old is not None
        name = changed_pods.node_name(attributes)
        if not name:
            return
        needed = [feature for feature, needs in NEEDS.items() if needs(old["spec"], pod["spec"])]
        if not needed:
            return
        stored = changed_pods.node(attributes, view, name)
        declared = (orjson.loads(stored.body).get("status") or {}).get("declaredFeatures") or ()
        lacking = [feature for feature in needed if feature not in declared]
        if lacking:
            why = f'pod update requires features {", ".join(lacking)} which are not available on node "{name}"'
            raise refuse(attributes, why)


def _resizes_the_pod(old: Object, new: Object) -> bool:
    return bool(old.get("resources") != new.get("resources"))


def _resizes_init_containers(old: Object, new: Object) -> bool:
    """Of sidecars no node needs to know anything new."""
    pairs = zip(old.get("initContainers") or (), new.get("initContainers") or (), strict=False)
    return any(
        one.get("restartPolicy") != "Always" and one.get("resources") != other.get("resources") for one, other in pairs
    )


def _resizes_volumes_in_memory(old: Object, new: Object) -> bool:
    before, after = old.get("volumes") or [], new.get("volumes") or []
    return len(before) == len(after) and any(map(_other_limit, before, after))


def _other_limit(old: Object, new: Object) -> bool:
    was, becomes = old.get("emptyDir") or {}, new.get("emptyDir") or {}
    limits = was.get("sizeLimit"), becomes.get("sizeLimit")
    if old.get("name") != new.get("name") or becomes.get("medium") != "Memory" or None in limits:
        return False
    return parse(str(limits[0])) != parse(str(limits[1]))


# In the order in which upstream names them: what an update of a pod's spec needs of its node.
NEEDS: dict[str, Callable[[Object, Object], bool]] = {
    "InPlacePodLevelResourcesVerticalScaling": _resizes_the_pod,
    "InPlacePodVerticalScalingInitContainers": _resizes_init_containers,
    "InPlacePodVerticalScalingMemoryBackedVolumes": _resizes_volumes_in_memory,
}
