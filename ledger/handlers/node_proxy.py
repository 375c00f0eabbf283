"""What only a kubelet could answer: logs, exec, attach, port-forward and proxying.

No kubelet is asked from here. What kube-apiserver finds out by itself (no such pod, no such container, no node
yet) is answered as it answers; the rest is 503.
"""

from __future__ import annotations

import ipaddress

from ledger.apimachinery import field as fields
from ledger.apimachinery.field import FieldError
from ledger.apimachinery.http import Response
from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.status import StatusError, bad_request, invalid, not_found
from ledger.handlers.api import Api
from ledger.registry.body import decode
from ledger.registry.options import Query, integer, query_of, text
from ledger.registry.registry import Call

NODES = GroupResource("", "nodes")
NEGATIVE = "must be greater than or equal to 0"
TOO_SMALL = "must be greater than 0"


async def log(api: Api, call: Call) -> Response:
    """get of pods/NAME/log: nothing (204) of a pod that no node has yet."""
    query = query_of(call.request)
    _check_log_options(call.name, query)
    pod = _pod(api, call)
    container = _container(pod, text(query, "container"))
    node = _node(api, pod)
    if not node:
        return Response(204)
    raise _no_kubelet(node, f"the log of container {container}")


async def stream(api: Api, call: Call) -> Response:
    """exec, attach and portforward."""
    pod = _pod(api, call)
    if call.subresource != "portforward":
        _container(pod, text(query_of(call.request), "container"))
    node = _node(api, pod)
    if not node:
        raise bad_request(f"pod {call.name} does not have a host assigned")
    raise _no_kubelet(node, call.subresource)


async def pod_proxy(api: Api, call: Call) -> Response:
    """pods/SCHEME:NAME:PORT/proxy: only to an address that is a pod's own."""
    _, name, _ = _split(call.name, "pod")
    pod = _pod(api, Call(call.request, call.definition, call.version, call.subresource, call.namespace, name))
    address = (pod.get("status") or {}).get("podIP", "")
    if not _is_global_unicast(address):
        raise bad_request("address not allowed")
    raise _no_kubelet((pod["spec"]).get("nodeName", ""), "proxying")


async def service_proxy(api: Api, call: Call) -> Response:
    """services/SCHEME:NAME:PORT/proxy."""
    _, name, port = _split(call.name, "service")
    key = Key(*call.definition.stored_as, call.namespace, name)
    with api.store.view() as view:
        stored = view.get(key)
    if port.isdigit():
        if stored is None:
            raise not_found(call.definition.group_resource, name)
        ports = decode(stored)["spec"].get("ports") or ()
        if all(one.get("port") != int(port) for one in ports):
            raise _unavailable(f'no service port {int(port)} found for service "{name}"')
    raise _unavailable(f'no endpoints available for service "{name}"')


async def node_proxy(api: Api, call: Call) -> Response:
    """nodes/SCHEME:NAME:PORT/proxy."""
    _, name, _ = _split(call.name, "node")
    with api.store.view() as view:
        if view.get(Key(*NODES, "", name)) is None:
            raise not_found(NODES, name)
    raise _no_kubelet(name, "proxying")


def _pod(api: Api, call: Call) -> Object:
    with api.store.view(call.request.scratch.get("revision")) as view:
        stored = view.get(call.key)
    if stored is None:
        raise not_found(call.definition.group_resource, call.name)
    return decode(stored)


def _node(api: Api, pod: Object) -> str:
    """The pod's node, "" when it has none. StatusError 404 when there is no such node."""
    name: str = pod["spec"].get("nodeName", "")
    if name:
        with api.store.view() as view:
            if view.get(Key(*NODES, "", name)) is None:
                raise not_found(NODES, name)
    return name


def _container(pod: Object, given: str) -> str:
    """The container that is meant: the one named, or the only one. StatusError 400."""
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


def _check_log_options(name: str, query: Query) -> None:
    """ValidatePodLogOptions in k8s.io/kubernetes."""
    errors: list[FieldError] = []
    tail, limit, since = (integer(query, one) for one in ("tailLines", "limitBytes", "sinceSeconds"))
    if tail is not None and tail < 0:
        errors.append(fields.invalid("tailLines", tail, NEGATIVE))
    if limit is not None and limit < 1:
        errors.append(fields.invalid("limitBytes", limit, TOO_SMALL))
    if since is not None and text(query, "sinceTime"):
        errors.append(fields.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif since is not None and since < 1:
        errors.append(fields.invalid("sinceSeconds", since, TOO_SMALL))
    if errors:
        raise invalid("", "PodLogOptions", name, errors)


def _split(name: str, kind: str) -> tuple[str, str, str]:
    """(scheme, name, port) of "name", "name:port" or "scheme:name:port" (SplitSchemeNamePort). StatusError 400."""
    parts = name.split(":")
    if len(parts) == 3 and parts[0] in ("http", "https", "") and parts[1]:
        return parts[0], parts[1], parts[2]
    if len(parts) <= 2 and parts[0]:
        return "", parts[0], parts[1] if len(parts) == 2 else ""
    raise bad_request(f"invalid {kind} request {fields.quoted(name)}")


def _is_global_unicast(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local)


def _no_kubelet(node: str, what: str) -> StatusError:
    return _unavailable(f"there is no kubelet to ask for {what}: this server keeps records and runs no node {node}")


def _unavailable(message: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", message)
