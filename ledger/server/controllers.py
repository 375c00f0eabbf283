"""Which controllers there are, which of them --controllers wants, and as whom each of them acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ledger.controllers.account_tokens import AccountTokens, Sign
from ledger.controllers.accounts import default_account, root_ca
from ledger.controllers.aggregation import ClusterRoleAggregation
from ledger.controllers.authentication_trust import AuthenticationTrust
from ledger.controllers.availability import LocalAvailability
from ledger.controllers.client import SERVER, Client, service_account
from ledger.controllers.dangling import MANAGER, DanglingFlowSchemas
from ledger.controllers.event_ttl import EventTtl
from ledger.controllers.garbage_collector import GarbageCollector
from ledger.controllers.in_use_protection import (
    CLAIM_PROTECTION,
    CLASS_PROTECTION,
    VOLUME_PROTECTION,
    InUseProtection,
)
from ledger.controllers.loop import Controller
from ledger.controllers.namespace import NamespaceController
from ledger.controllers.remote_availability import RemoteAvailability
from ledger.controllers.remote_documents import RemoteDocuments
from ledger.controllers.resource_quota import ResourceQuotaController
from ledger.controllers.shards import Shard
from ledger.registry.api_services import ApiServices
from ledger.registry.extensions import Extensions
from ledger.registry.registry import Registry
from ledger.scheme.scheme import Scheme

# Names are kube-controller-manager's where it has one. By name: the account it acts as ("": the server itself).
ACCOUNTS = {
    "namespace-controller": "namespace-controller",
    "garbage-collector-controller": "generic-garbage-collector",
    "serviceaccount-controller": "service-account-controller",
    "serviceaccount-token-controller": "tokens-controller",
    "root-ca-certificate-publisher-controller": "root-ca-cert-publisher",
    "clusterrole-aggregation-controller": "clusterrole-aggregation-controller",
    "resourcequota-controller": "resourcequota-controller",
    "persistentvolumeclaim-protection-controller": "pvc-protection-controller",
    "persistentvolume-protection-controller": "pv-protection-controller",
    "volumeattributesclass-protection-controller": "volumeattributesclass-protection-controller",
    "event-ttl-controller": "",
}
PROTECTIONS = {
    "persistentvolumeclaim-protection-controller": CLAIM_PROTECTION,
    "persistentvolume-protection-controller": VOLUME_PROTECTION,
    "volumeattributesclass-protection-controller": CLASS_PROTECTION,
}
CONTROLLERS = tuple(ACCOUNTS)
REMOTE_SHARDS = 4


def wanted(given: Sequence[str]) -> tuple[str, ...]:
    """The controllers to run: "*" is all, "none" none, "-name" leaves one out, a bare name adds one."""
    if not given or "none" in given:
        return ()
    refused = {name[1:] for name in given if name.startswith("-")}
    named = {name for name in given if not name.startswith("-")}
    everything = "*" in named or not named
    return tuple(one for one in CONTROLLERS if one not in refused and (everything or one in named))


def own_controllers(
    registry: Registry,
    scheme: Callable[[], Scheme],
    new_uid: Callable[[], str],
    remotes: ApiServices,
    extensions: Extensions,
    trust: Mapping[str, str],
) -> list[Controller]:
    """What kube-apiserver does itself, whatever --controllers says."""
    client = Client(registry, scheme, new_uid)
    shards = [Shard(number, REMOTE_SHARDS) for number in range(REMOTE_SHARDS)]
    return [
        *(RemoteAvailability(client, remotes, extensions, shard) for shard in shards),
        *(RemoteDocuments(remotes, extensions, shard) for shard in shards),
        AuthenticationTrust(client, trust),
        LocalAvailability(Client(registry, scheme, new_uid)),
        DanglingFlowSchemas(Client(registry, scheme, new_uid, SERVER, MANAGER)),
    ]


def controllers(
    given: Sequence[str],
    registry: Registry,
    scheme: Callable[[], Scheme],
    new_uid: Callable[[], str],
    sign: Sign,
    ca_pem: str,
) -> list[Controller]:
    """The controllers that --controllers wants, ready to run.

    `sign` makes tokens of claims; `ca_pem` is the certificate authority that clients may trust.
    """

    def client(name: str) -> Client:
        account = ACCOUNTS[name]
        user = service_account(account) if account else SERVER
        return Client(registry, scheme, new_uid, user, account or "kube-apiserver")

    make: dict[str, Callable[[Client], Controller]] = {
        "namespace-controller": NamespaceController,
        "garbage-collector-controller": GarbageCollector,
        "serviceaccount-controller": default_account,
        "serviceaccount-token-controller": lambda one: AccountTokens(one, sign, ca_pem),
        "root-ca-certificate-publisher-controller": lambda one: root_ca(one, ca_pem),
        "clusterrole-aggregation-controller": ClusterRoleAggregation,
        "resourcequota-controller": ResourceQuotaController,
        "event-ttl-controller": lambda one: EventTtl(one, registry.store.time_of),
    }
    return [
        InUseProtection(name, client(name), PROTECTIONS[name]) if name in PROTECTIONS else make[name](client(name))
        for name in wanted(given)
    ]
