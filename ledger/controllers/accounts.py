"""What every namespace is given: the `default` service account, and the ConfigMap with the server's certificate authority.

Follows pkg/controller/serviceaccount and pkg/controller/certificates/rootcacertpublisher in k8s.io/kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import orjson

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.status import StatusError
from ledger.controllers.client import Client
from ledger.projections.api import View
from ledger.projections.watch import WatchItem

NAMESPACES = GroupResource("", "namespaces")
ACCOUNTS = GroupResource("", "serviceaccounts")
CONFIG_MAPS = GroupResource("", "configmaps")
ROOT_CA = "kube-root-ca.crt"
ROOT_CA_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal"
    " service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)


class PerNamespace:
    """Keeps one object in each active namespace. `data` is what it must hold besides its metadata."""

    def __init__(
        self, name: str, client: Client, resource: GroupResource, object_name: str, make: Callable[[], Object]
    ) -> None:
        self.name, self.client = name, client
        self._resource, self._object_name, self._make = resource, object_name, make

    def begin(self, view: View) -> Iterable[str]:
        return [stored.key.name for stored in view.scan(NAMESPACES)]

    def observe(self, item: WatchItem) -> Iterator[str]:
        key = item.key
        if (key.group, key.resource) == NAMESPACES and item.change.body is not None:
            yield key.name
        elif (key.group, key.resource, key.name) == (*self._resource, self._object_name):
            yield key.namespace

    async def sync(self, namespace: str) -> float | None:
        with self.client.store.view() as view:
            home = view.get(Key(*NAMESPACES, "", namespace))
            stored = view.get(Key(*self._resource, namespace, self._object_name))
        if home is None or "deletionTimestamp" in orjson.loads(home.body)["metadata"]:
            return None
        wanted = self._make()
        try:
            if stored is None:
                named = {**wanted, "metadata": {**wanted["metadata"], "name": self._object_name}}
                await self.client.create(self.client.gvr(self._resource), namespace, named)
            else:
                await self.client.edit(stored.key, lambda live: _restored(live, wanted))
        except StatusError as error:
            # Somebody else was quicker, or the namespace ends: the change that says so comes by here as well.
            if error.reason not in ("AlreadyExists", "NotFound") and not _says_ending(error):
                raise
        return None


def default_account(client: Client) -> PerNamespace:
    return PerNamespace("serviceaccount-controller", client, ACCOUNTS, "default", lambda: {"metadata": {}})


def root_ca(client: Client, certificate_pem: str) -> PerNamespace:
    def make() -> Object:
        annotations = {"kubernetes.io/description": ROOT_CA_DESCRIPTION}
        return {"metadata": {"annotations": annotations}, "data": {"ca.crt": certificate_pem}}

    return PerNamespace("root-ca-certificate-publisher-controller", client, CONFIG_MAPS, ROOT_CA, make)


def _restored(live: Object, wanted: Object) -> Object | None:
    """The object with what it must hold; None when it does."""
    data = {name: value for name, value in wanted.items() if name != "metadata"}
    if all(live.get(name) == value for name, value in data.items()):
        return None
    annotations = {**(live["metadata"].get("annotations") or {}), **wanted["metadata"].get("annotations", {})}
    metadata = {**live["metadata"], "annotations": annotations} if annotations else live["metadata"]
    return {**live, **data, "metadata": metadata}


def _says_ending(error: StatusError) -> bool:
    causes = (error.details or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
