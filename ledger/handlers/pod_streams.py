"""exec, attach and portforward: tunnels to the kubelet of the pod's node.

The upgrade the client asks for (SPDY/3.1, or WebSocket) is asked of the kubelet, and what follows is carried as it is. A
kubelet that does not declare to know today's WebSocket protocols is spoken to in SPDY.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import Response
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import bad_request, forbidden
from ledger.auth.api import Authorize
from ledger.handlers.api import Api
from ledger.handlers.containers import container_of
from ledger.handlers.forwarding import Backend, forward
from ledger.handlers.kubelets import Outside
from ledger.handlers.resources import Verb
from ledger.handlers.spdy_tunnel import tunnelled, tunnelled_protocols
from ledger.handlers.stream_translation import Command, translated, wants_v5
from ledger.registry.options import Query, boolean, query_of, text
from ledger.registry.registry import Call

WEBSOCKETS = "ExtendWebSocketsToKubelet"  # among a node's declared features
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
        asked = urlencode(sorted(_parameters(call.subresource, query), key=lambda pair: pair[0]))
        kubelet = outside.kubelet(node)
        if WEBSOCKETS not in kubelet.features:
            target = f"{place}?{asked}" if asked else place
            if call.subresource == "portforward" and tunnelled_protocols(request):
                return await tunnelled(outside.caller, request, kubelet.peer, target)
            if call.subresource != "portforward" and wants_v5(request):
                wanted = [bool(boolean(query, one)) for one in ("stdin", "stdout", "stderr", "tty")]
                return translated(outside.caller, request, Command(kubelet.peer, target, *wanted))
        return await forward(outside.caller, request, Backend(kubelet.peer, place, asked, wrap=False))

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
        ports = [str(_port(one)) for value in query.get("ports", ()) for one in value.split(",")]
        return [("port", ",".join(ports))] if ports else []
    asked = [(name, "1") for given, name in STREAMS.items() if boolean(query, given)]
    return asked + [("command", one) for one in query.get("command", ()) if subresource == "exec"]


def _port(text: str) -> int:
    """StatusError 400 (Convert_url_Values_To_v1_PodPortForwardOptions)."""
    if text.isascii() and text.isdigit() and int(text) < 1 << 16:
        return int(text)
    wrong = "value out of range" if text.isascii() and text.isdigit() else "invalid syntax"
    raise bad_request(f"cannot convert to []int32: strconv.ParseUint: parsing {quoted(text)}: {wrong}")
