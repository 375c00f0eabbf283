"""Secrets of type kubernetes.io/service-account-token: filled with a token of their account, deleted with it.

Nothing makes such Secrets by itself any more, but tools that want a token which does not expire still create them and
wait. Follows pkg/controller/serviceaccount (tokens_controller.go) in k8s.io/kubernetes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator

import orjson

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.status import StatusError
from ledger.auth.serviceaccounts import LEGACY_ISSUER
from ledger.auth.usernames import service_account_username
from ledger.controllers.client import Client
from ledger.projections.api import View
from ledger.projections.watch import WatchItem

SECRETS, ACCOUNTS = GroupResource("", "secrets"), GroupResource("", "serviceaccounts")
TYPE = b'"type":"kubernetes.io/service-account-token"'
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
CLAIM = "kubernetes.io/serviceaccount/"

Sign = Callable[[Object], str]  # claims -> token


class AccountTokens:
    name = "serviceaccount-token-controller"

    def __init__(self, client: Client, sign: Sign, ca_pem: str) -> None:
        self.client, self._sign, self._ca = client, sign, base64.b64encode(ca_pem.encode()).decode()

    def begin(self, view: View) -> Iterable[Key]:
        return [stored.key for stored in view.scan(SECRETS) if TYPE in stored.body]

    def observe(self, item: WatchItem) -> Iterator[Key]:
        """Such a Secret; and all of a namespace when one of its accounts comes, goes or changes."""
        key = item.key
        if (key.group, key.resource) == SECRETS and item.change.body is not None and TYPE in item.change.body:
            yield key
        elif (key.group, key.resource) == ACCOUNTS:
            with self.client.store.view() as view:
                yield from [one.key for one in view.scan(SECRETS, key.namespace) if TYPE in one.body]

    async def sync(self, key: Key) -> float | None:
        with self.client.store.view() as view:
            stored = view.get(key)
            if stored is None or TYPE not in stored.body:
                return None
            annotations = orjson.loads(stored.body)["metadata"].get("annotations") or {}
            account = view.get(Key(*ACCOUNTS, key.namespace, annotations.get(NAME, "")))
        try:
            if account is None or annotations.get(UID, account.uid) != account.uid:
                await self.client.remove(stored)
            else:
                uid = account.uid
                await self.client.edit(key, lambda live: self._filled(live, uid))
        except StatusError as error:
            if error.reason != "NotFound":
                raise
        return None

    def _filled(self, secret: Object, uid: str) -> Object | None:
        """The Secret with what it is there for; None when it has that."""
        metadata, data = secret["metadata"], secret.get("data") or {}
        namespace, annotations = metadata["namespace"], metadata.get("annotations") or {}
        wanted = {"ca.crt": self._ca, "namespace": base64.b64encode(namespace.encode()).decode()}
        wanted["token"] = data.get("token") or ""
        if wanted["token"] and annotations.get(UID) == uid and {**data, **wanted} == data:
            return None
        if not wanted["token"]:
            account = annotations[NAME]
            claims = {
                "iss": LEGACY_ISSUER,
                "sub": service_account_username(namespace, account),
                f"{CLAIM}namespace": namespace,
                f"{CLAIM}secret.name": metadata["name"],
                f"{CLAIM}service-account.name": account,
                f"{CLAIM}service-account.uid": uid,
            }
            wanted["token"] = base64.b64encode(self._sign(claims).encode()).decode()
        return {
            **secret,
            "metadata": {**metadata, "annotations": {**annotations, UID: uid}},
            "data": {**data, **wanted},
        }
