"""Where a path leads: what is no resource by its path, and what a resource's verbs are where the registry has none."""

from __future__ import annotations

from functools import cache

from ledger.apimachinery.http import Handler, Request, Response
from ledger.auth.api import Authorize
from ledger.handlers.aggregation import Aggregation
from ledger.handlers.binding import bind
from ledger.handlers.components import Component, component_statuses
from ledger.handlers.connecting import connecting
from ledger.handlers.discovery import discovery_handler
from ledger.handlers.eviction import evict
from ledger.handlers.health import Health
from ledger.handlers.kubelets import KubeletConfig, Outside
from ledger.handlers.metrics import Metrics
from ledger.handlers.moments import Moments
from ledger.handlers.paths import Maybe, Paths
from ledger.handlers.pod_log import pod_log
from ledger.handlers.pod_streams import pod_stream
from ledger.handlers.proxies import node_proxy, pod_proxy, service_proxy
from ledger.handlers.resources import Verb
from ledger.handlers.reviews import review_verbs
from ledger.handlers.root import root_handler
from ledger.handlers.scale import scale
from ledger.handlers.statusz import flagz_handler, statusz_handler
from ledger.handlers.tokens import openid_handlers, token_verb
from ledger.handlers.version import version_handler
from ledger.projections.store import Store
from ledger.scheme.scheme import Scheme
from ledger.server.config import Config
from ledger.server.identity import AUDIENCES, ISSUER, Identity
from ledger.server.network import service_ip
from ledger.server.pages import pages

KUBERNETES_VERSION = "1.37.2"
STATUSZ_PATHS = ("/flagz", "/healthz", "/livez", "/metrics", "/readyz", "/statusz", "/version")
COMPONENTS = (
    Component("controller-manager", "True", "ok"),
    Component("scheduler", "Unknown", "this server runs no scheduler and looks for none"),
    Component("etcd-0", "True", "ok"),
)

Verbs = dict[tuple[str, str, str], Verb]  # by (group, resource, subresource); "*" is any


def paths(
    config: Config,
    store: Store,
    moments: Moments,
    aggregation: Aggregation,
    who: Identity,
    metrics: Metrics,
    checks: Health,
) -> Paths:
    exact: dict[str, Handler] = {
        "/version": version_handler(),
        "/metrics": metrics,
        "/metrics/slis": checks.slis,
        "/statusz": statusz_handler(KUBERNETES_VERSION, STATUSZ_PATHS),
        "/flagz": flagz_handler(config.flags()),
    }
    keys = f"https://{config.bind_address}:{config.secure_port}/openid/v1/jwks"
    exact |= openid_handlers(ISSUER, keys, (who.public,))
    others = tuple(exact)
    exact["/"] = root_handler(moments.scheme_of, lambda: [*checks.paths(), *others])
    own_address = f"{service_ip(config.service_cluster_ip_range)}:443"
    discover = discovery_handler(moments.scheme_of, own_address, aggregation.services.versions)
    prefixes: dict[str, Maybe] = {
        "api": discover,
        "apis": discover,
        "openapi": _openapi(moments, aggregation),
        "healthz": checks,
        "livez": checks,
        "readyz": checks,
        "ledger": pages(store, config.read_only),
    }
    return Paths(exact, prefixes)


def _openapi(moments: Moments, aggregation: Aggregation) -> Handler:
    """Loads what makes the documents, PyYAML among it, when somebody asks for one."""

    @cache
    def made() -> Handler:
        from ledger.handlers.openapi import openapi_handler

        return openapi_handler(moments.scheme_of, aggregation)

    async def describe(request: Request) -> Response:
        return await made()(request)

    return describe


def verbs(scheme: Scheme, who: Identity, outside: Outside) -> Verbs:
    """Creates and connects that do something else than store an object. `scheme`: the built-in kinds."""
    scales: Verbs = {
        (definition.group, definition.resource, "scale"): scale
        for definition in scheme.definitions.values()
        if any("scale" in version.subresources for version in definition.versions.values())
    }
    return {
        ("*", "*", "scale"): scale,
        **scales,
        **review_verbs(who.authorize, who.rbac.rules_for, who.authenticate_token, AUDIENCES),
        **_connections(outside, who.authorize),
        ("", "serviceaccounts", "token"): token_verb(who.issuer),
        ("", "pods", "binding"): bind,
        ("", "bindings", ""): bind,
        ("", "pods", "eviction"): evict,
        ("", "componentstatuses", ""): component_statuses(COMPONENTS),
    }


def _connections(outside: Outside, authorize: Authorize) -> Verbs:
    """The subresources that lead to what runs in the cluster."""
    streams = dict.fromkeys(("exec", "attach", "portforward"), pod_stream(outside, authorize))
    return {
        **{("", "pods", name): connecting(verb) for name, verb in streams.items()},
        ("", "pods", "log"): pod_log(outside),
        ("", "pods", "proxy"): connecting(pod_proxy(outside)),
        ("", "services", "proxy"): connecting(service_proxy(outside)),
        ("", "nodes", "proxy"): connecting(node_proxy(outside)),
    }


def kubelets(config: Config) -> KubeletConfig:
    return KubeletConfig(
        config.kubelet_client_certificate,
        config.kubelet_client_key,
        config.kubelet_certificate_authority,
        config.kubelet_preferred_address_types,
    )
