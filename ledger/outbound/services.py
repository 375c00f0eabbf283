"""Where a service is: one of its endpoints, taken at random.

Follows k8s.io/apiserver pkg/util/proxy. Objects are given decoded, in their v1 form.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError

ROUTED_TYPES = ("ClusterIP", "LoadBalancer", "NodePort")
SERVICE_NAME = "kubernetes.io/service-name"  # the label of an EndpointSlice
Address = tuple[str, int]


def unavailable(message: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", message)


def port_of(service: Object, number: int) -> dict[str, Any]:
    """The service's port with this number. StatusError 503."""
    for one in service["spec"].get("ports") or ():
        if one.get("port") == number:
            found: dict[str, Any] = one
            return found
    raise unavailable(f'no service port {number} found for service "{service["metadata"]["name"]}"')


def service_endpoint(service: Object, slices: Sequence[Object], number: int) -> Address:
    """Where to reach this port of a service (ResolveEndpoint). StatusError 503; ValueError for an odd type."""
    spec = service["spec"]
    if spec.get("type", "ClusterIP") not in ROUTED_TYPES:
        raise ValueError(f'unsupported service type "{spec.get("type", "")}"')
    name = port_of(service, number).get("name", "")
    family = (spec.get("ipFamilies") or [""])[0]
    return random_endpoint(service["metadata"]["name"], slices, name, family)


def random_endpoint(
    service: str,
    slices: Sequence[Object],
    port_name: str,
    family: str,
    accepts: Callable[[dict[str, Any]], bool] = lambda endpoint: True,
) -> Address:
    """One ready endpoint that `accepts` takes, of the preferred family first. StatusError 503 when there is none."""
    for one in _in_random_order(slices, family):
        for port in one.get("ports") or ():
            if port.get("name", "") != port_name or not port.get("port"):
                continue
            for endpoint in _from_somewhere(one.get("endpoints") or []):
                if is_ready(endpoint) and accepts(endpoint):
                    return endpoint["addresses"][0], port["port"]
    raise unavailable(f'no endpoints available for service "{service}"')


def is_ready(endpoint: dict[str, Any]) -> bool:
    return (endpoint.get("conditions") or {}).get("ready") is not False


def has_available_endpoint(port_name: str, slices: Iterable[Object]) -> bool:
    """Whether some slice has a ready endpoint and a port of this name."""
    return any(
        any(map(is_ready, one.get("endpoints") or ()))
        and any(port.get("name", "") == port_name and port.get("port") for port in one.get("ports") or ())
        for one in slices
    )


def _in_random_order(slices: Sequence[Object], family: str) -> list[Object]:
    shuffled = random.sample(list(slices), len(slices))
    return sorted(shuffled, key=lambda one: one.get("addressType") != family)


def _from_somewhere(endpoints: list[dict[str, Any]]) -> list[dict[str, Any]]:
    start = random.randrange(len(endpoints)) if endpoints else 0
    return endpoints[start:] + endpoints[:start]
