"""{pods,services,nodes}/SCHEME:NAME:PORT/proxy: HTTP to what runs in the cluster.

Only to addresses that are a pod's or node's own: loopback, link-local and multicast addresses would lead to this
machine, or to things that only its neighbours may reach.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

import trio

from ledger.apimachinery import field as fields
from ledger.apimachinery import gopaths
from ledger.apimachinery.http import Request, Response
from ledger.apimachinery.status import StatusError, bad_request
from ledger.handlers.api import Api
from ledger.handlers.forwarding import Backend, forward
from ledger.handlers.kubelets import Outside
from ledger.handlers.resources import Verb
from ledger.outbound.dialing import Peer, Tls
from ledger.outbound.services import Address, port_of, random_endpoint, unavailable
from ledger.registry.options import query_of
from ledger.registry.registry import Call

HTTP_PORT, HTTPS_PORT = 80, 443
NOT_ALLOWED = "address not allowed"


def pod_proxy(outside: Outside) -> Verb:
    async def proxy(_api: Api, call: Call) -> Response:
        _check(outside, call)
        scheme, name, port = split(call.name, "pod")
        pod = outside.cluster.pod(call.namespace, name)
        if not port:
            ports = [one for container in pod["spec"]["containers"] for one in container.get("ports") or ()]
            port = str(ports[0]["containerPort"]) if ports else ""
        status = pod.get("status") or {}
        address = next((one["ip"] for one in status.get("podIPs") or ()), status.get("podIP", ""))
        if not is_global_unicast(address):
            raise bad_request(NOT_ALLOWED)
        return await _proxied(outside, call, _peer(scheme, address, port))

    return proxy


def service_proxy(outside: Outside) -> Verb:
    async def proxy(_api: Api, call: Call) -> Response:
        _check(outside, call)
        scheme, name, port = split(call.name, "service")
        if _is_number(port):
            port = port_of(outside.cluster.service(call.namespace, name), int(port)).get("name", "")
        slices = outside.cluster.slices(call.namespace, name)
        if not slices:
            raise unavailable(f'no endpoints available for service "{name}"')

        def is_a_pod(endpoint: dict[str, Any]) -> bool:
            return _is_a_pods(outside, call.namespace, endpoint)

        host, number = random_endpoint(name, slices, port, "IPv4", is_a_pod)
        return await _proxied(outside, call, _peer(scheme, host, str(number)))

    return proxy


def node_proxy(outside: Outside) -> Verb:
    async def proxy(_api: Api, call: Call) -> Response:
        _check(outside, call)
        scheme, name, port = split(call.name, "node")
        kubelet = outside.kubelet(name)
        await _check_proxyable(kubelet.peer.host)
        own = port in ("", str(kubelet.peer.port))
        return await _proxied(outside, call, kubelet.peer if own else _peer(scheme, kubelet.peer.host, port))

    return proxy


def split(name: str, kind: str) -> tuple[str, str, str]:
    """(scheme, name, port) of "name", "name:port" or "scheme:name:port" (SplitSchemeNamePort). StatusError 400."""
    parts = name.split(":")
    if len(parts) == 3 and parts[0] in ("http", "https", "") and parts[1]:
        return parts[0], parts[1], parts[2]
    if len(parts) <= 2 and parts[0]:
        return "", parts[0], parts[1] if len(parts) == 2 else ""
    raise bad_request(f"invalid {kind} request {fields.quoted(name)}")


def is_global_unicast(text: str) -> bool:
    """Whether an address is neither this machine's, nor its neighbourhood's, nor many machines' (net.IP)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    broadcast = str(address) == "255.255.255.255"
    return not (
        broadcast or address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    )


def tail(request: Request) -> str:
    """The path below .../proxy, decoded: "" or "/...", with the slash at its end that the request had."""
    info = request.info
    assert info is not None
    path = "/".join(info.parts[3:])
    if path and not path.startswith("/"):
        path = f"/{path}"
    if info.path.endswith("/") and not path.endswith("/"):
        path += "/"
    return gopaths.join_keeping_slash(path)


def _check(outside: Outside, call: Call) -> None:
    if query_of(call.request).get("dryRun"):
        raise bad_request("dryRun is not supported")
    outside.check(call.request)


async def _proxied(outside: Outside, call: Call, peer: Peer) -> Response:
    return await forward(outside.caller, call.request, Backend(peer, tail(call.request), call.request.query))


def _peer(scheme: str, host: str, port: str) -> Peer:
    """Certificates are not checked: nobody says who may sign them (the proxy transport of kube-apiserver)."""
    try:
        number = int(port) if port else HTTPS_PORT if scheme == "https" else HTTP_PORT
    except ValueError:
        raise _no_such_port(port) from None
    if not 0 < number < 65536:
        raise _no_such_port(port)
    peer = Peer(host, number)
    return replace(peer, tls=Tls(host, verify=False)) if scheme == "https" else peer


def _no_such_port(port: str) -> StatusError:
    return unavailable(f"error trying to reach service: dial tcp: lookup tcp/{port}: unknown port")


def _is_number(port: str) -> bool:
    return port.isascii() and port.isdigit() and int(port) < 1 << 63


def _is_a_pods(outside: Outside, namespace: str, endpoint: dict[str, Any]) -> bool:
    """Whether an endpoint's address is that of the pod it names, in this namespace (isValidAddress)."""
    target = endpoint.get("targetRef")
    if not target or target.get("namespace", "") != namespace:
        return False
    try:
        pod = outside.cluster.pod(namespace, target.get("name", ""))
    except StatusError:
        return False
    return any(one.get("ip") == endpoint["addresses"][0] for one in (pod.get("status") or {}).get("podIPs") or ())


async def _check_proxyable(host: str) -> None:
    """StatusError 400 for a node whose address is not its own."""
    try:
        found = await trio.socket.getaddrinfo(host, None, type=trio.socket.SOCK_STREAM)
    except OSError:
        raise bad_request(f"lookup {host}: no such host") from None
    addresses: list[Address] = [where for *_, where in found]  # type: ignore[misc]
    if not all(is_global_unicast(str(one[0])) for one in addresses):
        raise bad_request(NOT_ALLOWED)
