"""What is said of nodes, pods and services right now, for those who want to reach them."""

from __future__ import annotations

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.status import StatusError, not_found
from ledger.outbound.services import SERVICE_NAME
from ledger.projections.store import Store
from ledger.registry.body import decode

NODES, PODS, SERVICES, ENDPOINTS = (GroupResource("", one) for one in ("nodes", "pods", "services", "endpoints"))
SLICES = GroupResource("discovery.k8s.io", "endpointslices")


class Cluster:
    """Reads of the state, in storage versions: each is the one that is v1."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def node(self, name: str) -> Object:
        """StatusError 404."""
        return self._named(NODES, "", name)

    def pod(self, namespace: str, name: str, revision: int | None = None) -> Object:
        """StatusError 404."""
        return self._named(PODS, namespace, name, revision)

    def service(self, namespace: str, name: str) -> Object:
        """StatusError 404."""
        return self._named(SERVICES, namespace, name)

    def slices(self, namespace: str, service: str) -> list[Object]:
        """The EndpointSlices of a service."""
        with self._store.view() as view:
            found = [one for one in view.scan(SLICES, namespace) if one.labels.get(SERVICE_NAME) == service]
            return [decode(one) for one in found]

    def subsets(self, namespace: str, service: str) -> list[Object]:
        """What the Endpoints object of a service says; nothing when there is none."""
        try:
            return self._named(ENDPOINTS, namespace, service).get("subsets") or []
        except StatusError:
            return []

    def _named(self, resource: GroupResource, namespace: str, name: str, revision: int | None = None) -> Object:
        with self._store.view(revision) as view:
            stored = view.get(Key(*resource, namespace, name))
            if stored is None:
                raise not_found(resource, name)
            return decode(stored)
