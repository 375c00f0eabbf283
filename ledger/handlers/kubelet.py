"""pods/log, exec, attach and portforward: what a node's kubelet would answer, up to where it would be asked.

This server reaches no kubelets, so it answers all that needs none: the pod, its container and its node are checked as in
LogLocation and streamLocation of k8s.io/kubernetes/pkg/registry/core/pod, and then the dialling fails.
"""

from __future__ import annotations

from ledger.apimachinery.http import Response
from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.status import bad_request, internal_error, not_found
from ledger.handlers.api import Api
from ledger.registry.body import decode
from ledger.registry.options import query_of
from ledger.registry.registry import Call

NODES = GroupResource("", "nodes")


async def ask_kubelet(api: Api, call: Call) -> Response:
    """The empty log of a pod that no node was told to run; else the reason why there is no answer."""
    revision = call.request.scratch.get("revision")
    with api.store.view(revision) as view:
        stored = view.get(call.key)
        if stored is None:
            raise not_found(call.definition.group_resource, call.name)
        pod = decode(stored)
        if call.subresource != "portforward":
            _check_container(pod, query_of(call.request).get("container", [""])[0])
        node = pod["spec"].get("nodeName", "")
        if not node and call.subresource == "log":
            return Response(204)
        if not node:
            raise bad_request(f"pod {call.name} does not have a host assigned")
        if view.get(Key("", "nodes", "", node)) is None:
            raise not_found(NODES, node)
    raise internal_error(f"error dialing backend: node {node}: this server connects to no kubelets")


def _check_container(pod: Object, wanted: str) -> None:
    """validateContainer: one container needs no name."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    kinds = ("initContainers", "containers", "ephemeralContainers")
    names = [container["name"] for kind in kinds for container in spec.get(kind) or ()]
    if not wanted and len(spec["containers"]) != 1:
        choices = f", choose one of: [{' '.join(names)}]" if names else ""
        raise bad_request(f"a container name must be specified for pod {name}{choices}")
    if wanted and wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {name}")
