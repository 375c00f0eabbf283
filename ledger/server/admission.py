"""Joins the admission plugins to the store, to those they ask, and to the flags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger.admission.chain import Chain, default_plugins
from ledger.admission.escalation import RbacEscalation
from ledger.admission.followed import GROUP
from ledger.admission.policies.hooks import Server as PolicyServer
from ledger.admission.policies.index import Policies
from ledger.admission.resource_quota import ResourceQuota
from ledger.admission.webhooks.index import Webhooks
from ledger.admission.webhooks.matching import Server as WebhookServer
from ledger.outbound.client import Client
from ledger.projections.remembered import Remembered
from ledger.projections.store import Store
from ledger.registry.behaviours import Behaviours
from ledger.registry.conversions import Conversions
from ledger.scheme.scheme import Scheme
from ledger.server.allocation import quota_status
from ledger.server.config import Config
from ledger.server.follow import followed
from ledger.server.identity import Identity


def admission(
    config: Config,
    store: Store,
    scheme: Callable[[], Scheme],
    behaviour: Behaviours,
    conversions: Conversions,
    who: Identity,
    client: Client,
    *,
    clock: Callable[[], int],
    new_uid: Callable[[], str],
    new_suffix: Callable[[], str],
) -> Chain:
    """The plugins that are not disabled; policies and webhooks follow the store from now on."""
    policies = followed(store, Policies(), GROUP, Policies.resources)
    webhooks = followed(store, Webhooks(), GROUP, Webhooks.resources)
    ask, convert = who.authorize, conversions.run
    plugins: list[Any] = default_plugins(
        new_suffix,
        ask,
        config.disable_admission_plugins,
        PolicyServer(policies, scheme, behaviour, ask),
        WebhookServer(webhooks, scheme, behaviour, ask, client, new_uid, store.view, convert),
    )
    plugins.append(RbacEscalation(who.rbac, ask))
    if ResourceQuota.name not in config.disable_admission_plugins:
        plugins.append(ResourceQuota(quota_status(scheme, behaviour, clock), clock))  # the last one: it charges
    remembered = Remembered(store.view_now)
    store.engine.subscribe(remembered.forget)
    return Chain(plugins, remembered.view, convert)
