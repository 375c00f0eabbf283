"""How to reach the kubelet of a node (pkg/kubelet/client in k8s.io/kubernetes)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ledger.apimachinery.http import Request
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError
from ledger.handlers.forwarding import plain_error
from ledger.outbound.caller import Caller
from ledger.outbound.dialing import Peer, Tls
from ledger.registry.cluster import Cluster

PORT = 10250  # where the node does not say


@dataclass(frozen=True, slots=True)
class KubeletConfig:
    """The --kubelet-* flags."""

    certificate: Path | None  # of this server as a client
    key: Path | None
    authority: Path | None  # who signs the kubelets' certificates; None: whoever
    address_types: tuple[str, ...]  # the first that a node has


class Kubelet(NamedTuple):
    peer: Peer
    features: tuple[str, ...]  # status.declaredFeatures


class Outside(NamedTuple):
    """What handlers need to reach what runs in the cluster."""

    caller: Caller
    cluster: Cluster
    kubelets: KubeletConfig
    closed: bool = False  # a ledger that is only read reaches nobody: its nodes may be another cluster's

    def check(self, request: Request) -> None:
        """StatusError 405 for requests about the past: only what runs now could be asked."""
        assert request.info is not None
        if request.info.moment:
            where = f"/at/{request.info.moment}"
            raise StatusError(
                405, "MethodNotAllowed", f"{where} serves what was recorded; nodes can be asked only now", {}
            )
        if self.closed:
            message = "this server serves a ledger read-only (--read-only) and asks no nodes, pods or services"
            raise StatusError(405, "MethodNotAllowed", message, {})

    def kubelet(self, node: str, *, verify: bool = True) -> Kubelet:
        """StatusError 404 without the node, 500 when it has no address of a preferred type. OSError: an unusable file."""
        found, config = self.cluster.node(node), self.kubelets
        status = found.get("status") or {}
        host = _preferred_address(status.get("addresses") or [], config.address_types)
        endpoint = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
        authority = config.authority.read_bytes() if config.authority and verify else b""
        tls = Tls(host, authority, bool(authority), _text(config.certificate), _text(config.key))
        return Kubelet(Peer(host, endpoint.get("Port") or PORT, tls), tuple(status.get("declaredFeatures") or ()))


def _preferred_address(addresses: list[Object], types: tuple[str, ...]) -> str:
    for wanted in types:
        for one in addresses:
            if one.get("type") == wanted:
                address: str = one.get("address", "")
                return address
    known = " ".join(f"{{{one.get('type', '')} {one.get('address', '')}}}" for one in addresses)
    raise plain_error(f"no preferred addresses found; known addresses: [{known}]")


def _text(path: Path | None) -> str:
    return "" if path is None else str(path)
