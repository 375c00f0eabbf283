"""Where a service answers calls that this server makes itself: the address of one of its ready endpoints.

As kube-apiserver does with --enable-aggregator-routing=true: nothing here makes a ClusterIP lead anywhere, so the
endpoints are asked. An ExternalName is taken as it is, as ResolveCluster in k8s.io/apiserver/pkg/util/proxy does.
"""

from __future__ import annotations

from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError
from ledger.outbound.endpoint import ServicePort
from ledger.outbound.refusal import CallFailed
from ledger.outbound.services import Address, service_endpoint
from ledger.registry.cluster import Cluster


def address_of(cluster: Cluster, wanted: ServicePort) -> Address:
    """One of the addresses that are ready, at random. Raises CallFailed."""
    namespace, name, port = wanted
    try:
        service = cluster.service(namespace, name)
    except StatusError:
        raise CallFailed(f'service "{name}" not found') from None
    if service["spec"].get("type") == "ExternalName":
        return service["spec"]["externalName"], port
    try:
        return service_endpoint(service, cluster.slices(namespace, name) or _unmirrored(cluster, wanted), port)
    except (StatusError, ValueError) as error:
        raise CallFailed(str(error)) from None


def _unmirrored(cluster: Cluster, wanted: ServicePort) -> list[Object]:
    """The Endpoints of a service as slices, where nobody has made slices of them."""
    return [
        {
            "ports": subset.get("ports") or [],
            "endpoints": [{"addresses": [one["ip"]]} for one in subset.get("addresses") or ()],
        }
        for subset in cluster.subsets(wanted.namespace, wanted.name)
    ]
