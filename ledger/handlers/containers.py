"""Which container of a pod is meant (validateContainer in k8s.io/kubernetes pkg/registry/core/pod)."""

from __future__ import annotations

from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import bad_request


def container_of(pod: Object, given: str) -> str:
    """The one named, or the only one. StatusError 400."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    kinds = ("initContainers", "containers", "ephemeralContainers")
    names: list[str] = [one["name"] for kind in kinds for one in spec.get(kind) or ()]
    if given:
        if given not in names:
            raise bad_request(f"container {given} is not valid for pod {name}")
        return given
    containers = spec.get("containers") or []
    if len(containers) == 1:
        only: str = containers[0]["name"]
        return only
    raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")
