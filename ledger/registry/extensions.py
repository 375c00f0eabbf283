"""Extension servers: where they are, and as whom they are asked.

The server shows its front-proxy certificate and says in headers for whom it asks; an extension server believes them
because of that certificate (see the ConfigMap kube-system/extension-apiserver-authentication).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import trio

from ledger.apimachinery.http import PeerGone, User
from ledger.outbound.caller import Caller
from ledger.outbound.dialing import Peer, Tls
from ledger.outbound.refusal import CallFailed
from ledger.outbound.services import Address, port_of, service_endpoint
from ledger.registry.api_services import ApiService
from ledger.registry.cluster import Cluster

REMOTE_HEADERS = ("x-remote-user", "x-remote-uid", "x-remote-group")
EXTRA_PREFIX = "x-remote-extra-"
_LEGAL = "!#$&'*+-.^_`|~"  # of a header's name, beside letters and digits; % escapes
ANSWER_BYTES_MAX = 64 * 1024 * 1024
Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, read whole. Names of headers are in lower case."""

    status: int
    headers: Pairs
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True)
class Extensions:
    """`by_endpoint`: connect to an endpoint of the service (--enable-aggregator-routing), else to its cluster IP."""

    caller: Caller
    cluster: Cluster
    certificate: Path
    key: Path
    by_endpoint: bool = True

    def peer(self, service: ApiService) -> Peer:
        """Where the server behind an APIService is. StatusError 404, 503; ValueError for an odd service."""
        host, port = self._address(service)
        verify = not service.insecure
        tls = Tls(service.server_name, service.ca if verify else b"", verify, str(self.certificate), str(self.key))
        return Peer(host, port, tls)

    def _address(self, service: ApiService) -> Address:
        found = self.cluster.service(service.namespace, service.service)
        spec = found["spec"]
        if spec.get("type") == "ExternalName":
            return spec.get("externalName", ""), service.port
        if self.by_endpoint:
            slices = self.cluster.slices(service.namespace, service.service)
            return service_endpoint(found, slices, service.port)
        if spec.get("clusterIP") == "None":
            raise ValueError('cannot route to service with ClusterIP "None"')
        port_of(found, service.port)
        return spec.get("clusterIP", ""), service.port

    async def get(
        self, service: ApiService, target: str, user: User, timeout_s: float, *headers: tuple[str, str]
    ) -> Fetched:
        """What a server answers to a GET as this user.

        Raises CallFailed with Go's text, and what `peer` raises.
        """
        peer = self.peer(service)
        whole = [("Host", peer.authority), ("User-Agent", "Go-http-client/1.1"), *headers, *identity(user)]
        with trio.move_on_after(timeout_s):
            exchange = await self.caller.ask(peer, "GET", target, whole)
            try:
                body = await exchange.read_all(ANSWER_BYTES_MAX)
                await exchange.read()
            except PeerGone as gone:
                raise CallFailed(str(gone)) from None
            finally:
                exchange.close()
            return Fetched(exchange.status, exchange.headers, body)
        raise CallFailed("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")


def identity(user: User) -> Pairs:
    """The headers that say for whom a request is (transport.SetAuthProxyHeaders in client-go)."""
    headers = [("X-Remote-User", user.name)]
    headers += [("X-Remote-Uid", user.uid)] if user.uid else []
    headers += [("X-Remote-Group", group) for group in user.groups]
    for key, values in user.extra.items():
        headers += [(f"X-Remote-Extra-{quote(key, safe=_LEGAL)}", value) for value in values]
    return headers


def without_identity(headers: Iterable[tuple[str, str]]) -> Pairs:
    """What a client may not say for itself."""
    return [pair for pair in headers if pair[0] not in REMOTE_HEADERS and not pair[0].startswith(EXTRA_PREFIX)]


def url(peer: Peer, path: str) -> str:
    return f"https://{peer.authority}{path}"


AGGREGATOR: Sequence[str] = ("system:masters",)  # with these groups a server answers whatever it is asked
