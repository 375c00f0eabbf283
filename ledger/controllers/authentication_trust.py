"""Keeps the ConfigMap kube-system/extension-apiserver-authentication: what extension servers need to know to trust us.

Follows clusterauthenticationtrust in pkg/controlplane/controller of k8s.io/kubernetes: what other servers put there
stays, what is ours is added, so that several servers with different certificates can share it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ledger.apimachinery.resource import GVR, Key, Object
from ledger.controllers.client import Client
from ledger.projections.api import View
from ledger.projections.watch import WatchItem

CONFIG_MAPS = GVR("", "v1", "configmaps")
NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"
KEY = Key("", "configmaps", NAMESPACE, NAME)
BUNDLES = ("client-ca-file", "requestheader-client-ca-file")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)


def trust_data(
    client_ca: str, front_proxy_ca: str, names: Iterable[str], headers: Mapping[str, Iterable[str]]
) -> dict[str, str]:
    """The ConfigMap's data. `headers`: "username", "uid", "group" and "extra" to the names of the flag."""
    data = {"client-ca-file": client_ca, "requestheader-client-ca-file": front_proxy_ca}
    data["requestheader-allowed-names"] = _listed(names)
    keys = {"username": "username-headers", "group": "group-headers", "extra": "extra-headers-prefix"}
    data |= {f"requestheader-{key}": _listed(headers[name]) for name, key in keys.items()}
    return data | ({"requestheader-uid-headers": _listed(headers["uid"])} if headers["uid"] else {})


class AuthenticationTrust:
    name = "cluster-authentication-trust-controller"

    def __init__(self, client: Client, required: Mapping[str, str]) -> None:
        self.client, self.required = client, required

    def begin(self, view: View) -> Iterable[str]:
        return (NAME,)

    def observe(self, item: WatchItem) -> Iterable[str]:
        return (NAME,) if item.key == KEY else ()

    async def sync(self, _name: str) -> float | None:
        if self.client.get(CONFIG_MAPS, NAMESPACE, NAME) is None:
            await self.client.create(CONFIG_MAPS, NAMESPACE, {"metadata": {"name": NAME}, "data": dict(self.required)})
        else:
            await self.client.update(CONFIG_MAPS, NAMESPACE, NAME, self._completed)
        return None

    def _completed(self, found: Object) -> Object | None:
        data = found.get("data") or {}
        wanted = {**data, **{key: combined(key, data.get(key, ""), value) for key, value in self.required.items()}}
        return None if wanted == data else {**found, "data": wanted}


def combined(key: str, there: str, ours: str) -> str:
    """What is there, with ours behind it where it is missing."""
    if key in BUNDLES:
        known = {_normal(one) for one in _CERTIFICATE.findall(there)}
        missing = [one for one in _CERTIFICATE.findall(ours) if _normal(one) not in known]
        return there + "".join(missing)
    try:
        names: list[Any] = json.loads(there) if there else []
        assert isinstance(names, list)
    except (ValueError, AssertionError):
        return ours
    missing = [one for one in json.loads(ours) if one not in names]
    return _listed([*names, *missing]) if missing else there


def _normal(certificate: str) -> str:
    return "".join(certificate.split())


def _listed(names: Iterable[Any]) -> str:
    return json.dumps(list(names), separators=(",", ":"))
