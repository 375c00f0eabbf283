"""PodResizeValidator: a pod on a node may grow only as far as the node can hold it, and only on Linux.

Follows plugin/pkg/admission/podresize of k8s.io/kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from ledger.admission import changed_pods
from ledger.admission.api import Attributes
from ledger.admission.matching import PODS, refuse
from ledger.admission.pod_resources import ZERO, parsed, pod_amounts
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError
from ledger.projections.api import View

OS_LABEL = "kubernetes.io/os"
MEASURED = (("cpu", -3), ("memory", 0))  # compared, and the scale in which they are told


class PodResizeValidator:
    name = "PodResizeValidator"
    resources = frozenset({PODS})

    def handles(self, attributes: Attributes) -> bool:
        return attributes.operation == "UPDATE" and attributes.subresource == "resize"

    def validate(self, attributes: Attributes, view: View) -> None:
        """Raises StatusError 403."""
        pod, old = attributes.object, attributes.old
        assert pod is not None and old is not None
        name = changed_pods.node_name(attributes)
        if not name:
            return
        stored = changed_pods.node(attributes, view, name)
        system = stored.labels.get(OS_LABEL, "linux")
        if system != "linux":
            why = f'pod resize is only supported on linux nodes, node "{name}" is "{system}"'
            raise _refused(attributes, why, "UnsupportedPlatform")
        lacking = "; ".join(_lacking(pod, orjson.loads(stored.body)))
        if lacking:
            why = f"node didn't have enough allocatable resources: {lacking}"
            raise _refused(attributes, why, "NodeCapacity")


def _lacking(pod: Object, node: Object) -> Iterator[str]:
    requests = pod_amounts(pod["spec"], "requests")
    allocatable = parsed((node.get("status") or {}).get("allocatable"))
    for name, scale in MEASURED:
        wanted, there = requests.get(name, ZERO), allocatable.get(name, ZERO)
        if there < wanted:
            yield f"{name}, requested: {wanted.value(scale)}, allocatable: {there.value(scale)}"


def _refused(attributes: Attributes, why: str, cause: str) -> StatusError:
    error = refuse(attributes, why)
    error.details = {**(error.details or {}), "causes": [{"reason": cause}]}
    return error
