"""exec, attach and portforward: tunnels to the kubelet of the pod's node.

The upgrade the client asks for (SPDY/3.1, or WebSocket) is asked of the kubelet, and what follows is carried as it is.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from ledger.apimachinery.http import Response
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import bad_request, forbidden
from ledger.auth.api import Authorize
from ledger.handlers.api import Api
from ledger.handlers.containers import container_of
from ledger.handlers.forwarding import Backend, forward
from ledger.handlers.kubelets import Outside
from ledger.handlers.resources import Verb
from ledger.registry.options import Query, boolean, integer, query_of, text
from ledger.registry.registry import Call

PATHS = {"exec": "exec", "attach": "attach", "portforward": "portForward"}
STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}  # the kubelet's names for them


def pod_stream(outside: Outside, authorize: Authorize) -> Verb:
    """Exec, attach and portforward, by the call's subresource."""

    async def stream(_api: Api, call: Call) -> Response:
        request, query = call.request, query_of(call.request)
        if query.get("dryRun"):
            raise bad_request("dryRun is not supported")
        _check_may_create(call, authorize)
        pod = outside.cluster.pod(call.namespace, call.name)
        place = f"/{PATHS[call.subresource]}/{call.namespace}/{call.name}"
        if call.subresource != "portforward":
            place += f"/{container_of(pod, text(query, 'container'))}"
        node = _node_of(pod)
        outside.check(request)
        asked = urlencode(sorted(_parameters(call.subresource, query)))
        return await forward(outside.caller, request, Backend(outside.kubelet(node).peer, place, asked, wrap=False))

    return stream


def _check_may_create(call: Call, authorize: Authorize) -> None:
    """A WebSocket begins with GET, but what it does takes the right to create. StatusError 403.

    ensureAuthorizedForVerb in k8s.io/kubernetes pkg/registry/core/pod/rest.
    """
    request = call.request
    assert request.info is not None and request.user is not None
    if request.info.verb != "create":
        decision = authorize(request.user, replace(request.info, verb="create"))
        if not decision.allowed:
            raise forbidden(call.definition.group_resource, call.name, decision.reason)


def _node_of(pod: Object) -> str:
    node: str = pod["spec"].get("nodeName", "")
    if not node:
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return node


def _parameters(subresource: str, query: Query) -> list[tuple[str, str]]:
    if subresource == "portforward":
        ports = [
            str(integer({"ports": [one]}, "ports")) for value in query.get("ports", ()) for one in value.split(",")
        ]
        return [("port", ",".join(ports))] if ports else []
    asked = [(name, "1") for given, name in STREAMS.items() if boolean(query, given)]
    return asked + [("command", one) for one in query.get("command", ()) if subresource == "exec"]
