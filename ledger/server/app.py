"""Joins the rooms into one handler, and starts and ends what runs beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import orjson
import trio

from ledger.admission.chain import Chain, default_plugins
from ledger.admission.escalation import RbacEscalation
from ledger.admission.followed import GROUP as ADMISSION_GROUP
from ledger.admission.followed import Followed
from ledger.admission.policies.hooks import Server
from ledger.admission.policies.index import Policies
from ledger.admission.resource_quota import ResourceQuota
from ledger.admission.webhooks.index import Webhooks
from ledger.admission.webhooks.matching import Server as WebhookServer
from ledger.apimachinery.http import Handler
from ledger.apimachinery.resource import GVK, GroupResource, Key, Object
from ledger.auth.api import Authorize
from ledger.auth.authenticators import request_authenticator, token_authenticator
from ledger.auth.authorizers import always_allow, always_deny, authorizer
from ledger.auth.certificates import Credentials
from ledger.auth.flowschemas import GROUP as FLOW_GROUP
from ledger.auth.flowschemas import RESOURCES as FLOW_RESOURCES
from ledger.auth.flowschemas import FlowSchemas
from ledger.auth.front_proxy import FrontProxy, signers_in
from ledger.auth.jwt import VerificationKey, load_private_key, signed_token
from ledger.auth.pending import with_pending_decisions
from ledger.auth.rbac import GROUP as RBAC_GROUP
from ledger.auth.rbac import Rbac
from ledger.auth.serviceaccounts import ServiceAccountTokens
from ledger.auth.tokenfile import parse_token_file, token_file_authenticator
from ledger.auth.webhooks import AccessWebhook, TokenWebhook, Webhook, read_endpoint
from ledger.controllers.authentication_trust import trust_data
from ledger.controllers.bootstrap import bootstrap
from ledger.controllers.client import Client
from ledger.controllers.crds import Definitions
from ledger.controllers.loop import Controller
from ledger.controllers.loop import run as run_controllers
from ledger.handlers.aggregation import Aggregation, unless_passed_on, with_aggregation
from ledger.handlers.api import Api
from ledger.handlers.binding import bind
from ledger.handlers.components import Component, component_statuses
from ledger.handlers.connecting import connecting
from ledger.handlers.discovery import discovery_handler
from ledger.handlers.encode import Encoder
from ledger.handlers.eviction import evict
from ledger.handlers.kubelets import KubeletConfig, Outside
from ledger.handlers.metrics import Metrics
from ledger.handlers.moments import Moments
from ledger.handlers.openapi import openapi_handler
from ledger.handlers.paths import Maybe, Paths
from ledger.handlers.pod_log import pod_log
from ledger.handlers.pod_streams import pod_stream
from ledger.handlers.proxies import node_proxy, pod_proxy, service_proxy
from ledger.handlers.resources import Resources, Verb
from ledger.handlers.reviews import review_verbs
from ledger.handlers.root import root_handler
from ledger.handlers.scale import scale
from ledger.handlers.statusz import flagz_handler, statusz_handler
from ledger.handlers.tokens import TokenIssuer, openid_handlers, token_verb
from ledger.handlers.untold import Untold
from ledger.handlers.version import version_handler
from ledger.log.event import Event
from ledger.outbound.client import Client as HttpsClient
from ledger.outbound.exchange import Caller
from ledger.pipeline.chain import ChainConfig, build_chain
from ledger.pipeline.flood import Flood
from ledger.pipeline.maxinflight import InFlight
from ledger.pipeline.record import Recorder
from ledger.pipeline.timeout import may_wait
from ledger.projections.remembered import Remembered
from ledger.projections.store import Store
from ledger.registry.api_services import RESOURCE as API_SERVICES
from ledger.registry.api_services import ApiServices
from ledger.registry.behaviours import Behaviours
from ledger.registry.body import decode
from ledger.registry.builtin import Builtins
from ledger.registry.cluster import Cluster
from ledger.registry.conversions import Conversions
from ledger.registry.custom import Customs
from ledger.registry.extensions import Extensions
from ledger.registry.registry import Registry
from ledger.registry.service_addresses import address_of
from ledger.scheme.custom import definition_of
from ledger.scheme.scheme import builtin
from ledger.server.allocation import SERVICES, quota_status, service_allocator
from ledger.server.config import Config
from ledger.server.controllers import controllers, own_controllers
from ledger.server.gauges import gauges
from ledger.server.health import health
from ledger.server.network import service_ip
from ledger.server.pages import pages
from ledger.server.retention import is_imported, retain_for_ever
from ledger.server.schemes import Schemes

ISSUER = "https://kubernetes.default.svc"
COMPONENTS = (
    Component("controller-manager", "True", "ok"),
    Component("scheduler", "Unknown", "this server runs no scheduler and looks for none"),
    Component("etcd-0", "True", "ok"),
)
KUBERNETES_VERSION = "1.37.2"
STATUSZ_PATHS = ("/flagz", "/healthz", "/livez", "/metrics", "/readyz", "/statusz", "/version")
RBAC_RESOURCES = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")

F = TypeVar("F", bound=Followed)


@dataclass(slots=True)
class App:
    """A server without its sockets."""

    handler: Handler
    store: Store
    schemes: Schemes
    flood: Flood
    config: Config
    clock: Callable[[], int]
    started: trio.Event
    boot: Callable[[int], Any]
    in_process: tuple[Callable[..., Any], ...] = ()  # what kube-apiserver itself runs; `nursery.start` them
    controllers: Sequence[Controller] = ()  # what kube-controller-manager would run, and those of kube-apiserver's own

    async def start(self, nursery: trio.Nursery, port: int) -> None:
        """Bootstraps, then starts the controllers. `port` is the one clients reach the server at."""
        nursery.start_soon(self.flood.flush_for_ever)
        nursery.start_soon(self.store.deliver)
        if not self.config.read_only:
            await self.boot(port)
            for controller in self.in_process:
                await nursery.start(controller)
            nursery.start_soon(run_controllers, self.store, self.controllers)
            if self.config.retain_imported or not is_imported(self.store):
                nursery.start_soon(retain_for_ever, self.store, self.config.retain, self.clock)
        self.started.set()

    async def stop(self) -> None:
        """Returns when what runs beside the sockets has ended."""
        self.flood.flush()


def build(
    config: Config,
    store: Store,
    credentials: Credentials,
    *,
    clock: Callable[[], int],
    new_uid: Callable[[], str],
    new_suffix: Callable[[], str],
    draining: trio.Event,
) -> App:
    """The whole server but its sockets."""
    started = trio.Event()
    schemes = Schemes(store, builtin(config.runtime_config), definition_of)
    moments = Moments(store, schemes.now, schemes.at, schemes.latest)
    rbac = _rbac(store)
    flows = _flow_schemas(store)
    caller, cluster = Caller(), Cluster(store)
    client = HttpsClient(caller, partial(address_of, cluster))
    authorize = _authorize(config, rbac, client)
    conversions = Conversions(None if config.read_only else client, new_uid)
    behaviour = Behaviours(Builtins(lambda definition: schemes.now().owner(definition)), Customs(conversions))
    policies = Server(_followed(store, Policies()), schemes.now, behaviour, authorize)
    webhooks = WebhookServer(
        _followed(store, Webhooks()), schemes.now, behaviour, authorize, client, new_uid, store.view, conversions.run
    )
    plugins: list[Any] = default_plugins(new_suffix, authorize, config.disable_admission_plugins, policies, webhooks)
    plugins += [RbacEscalation(rbac, authorize)]
    if ResourceQuota.name not in config.disable_admission_plugins:
        plugins.append(ResourceQuota(quota_status(schemes.now, behaviour, clock), clock))  # the last one: it charges
    remembered = Remembered(store.view_now)
    store.engine.subscribe(remembered.forget)
    admission = Chain(plugins, remembered.view, conversions.run)
    allocators = {SERVICES: service_allocator(config, store, schemes.now(), behaviour, clock, new_uid)}
    registry = Registry(store, behaviour, admission, clock, new_uid, new_suffix, allocators, conversions)
    encoder = Encoder(behaviour, _clock_of_readers(config, store, clock))
    api = Api(store, registry, behaviour, schemes.now, encoder, clock, lambda: 3600.0)
    in_flight = InFlight()
    metrics = Metrics(gauges(store, schemes.now, in_flight.by_kind))
    store.engine.subscribe(metrics.committed)
    store.engine.subscribe_counts(metrics.counted)
    checks = health(lambda: "", started.is_set, draining.is_set)
    exact: dict[str, Handler] = {
        "/version": version_handler(),
        "/metrics": metrics,
        "/metrics/slis": checks.slis,
        "/statusz": statusz_handler(KUBERNETES_VERSION, STATUSZ_PATHS),
        "/flagz": flagz_handler(config.flags()),
    }
    # What / lists beside the API groups; the rest is added below, and looked up when somebody asks.
    exact["/"] = root_handler(moments.scheme_of, lambda: [*checks.paths(), *(path for path in exact if path != "/")])
    caller, cluster = Caller(), Cluster(store)
    extensions = _extensions(config, credentials, caller, cluster)
    aggregation = Aggregation(_api_services(store), extensions, config.read_only)
    remotes = aggregation.services
    own_address = f"{service_ip(config.service_cluster_ip_range)}:443"
    discover = discovery_handler(moments.scheme_of, own_address, remotes.versions)
    openapi = openapi_handler(moments.scheme_of, aggregation)

    health_roots: dict[str, Maybe] = dict.fromkeys(("healthz", "livez", "readyz"), checks)
    prefixes: dict[str, Maybe] = {
        **health_roots,
        "api": discover,
        "apis": discover,
        "openapi": openapi,
        "healthz": checks,
        "livez": checks,
        "readyz": checks,
        "ledger": pages(store, config.read_only),
    }
    special: dict[tuple[str, str, str], Verb] = {("*", "*", "scale"): scale}
    for definition in schemes.now().definitions.values():
        for version in definition.versions.values():
            if "scale" in version.subresources:
                special[definition.group, definition.resource, "scale"] = scale
    key = load_private_key(credentials.service_account_key.read_bytes())
    public = VerificationKey(key.public_key())

    def lookup(key: Key) -> Object | None:
        with store.view() as view:
            found = view.get(key)
        return None if found is None else decode(found)

    accounts = ServiceAccountTokens((ISSUER,), (public,), (ISSUER,), lookup, clock)
    store.engine.subscribe(accounts.follow)
    tokens = [*_tokens(config), accounts, *_token_webhook(config, client)]
    issuer = TokenIssuer(ISSUER, key, (ISSUER,), lookup, new_uid)
    special["", "serviceaccounts", "token"] = token_verb(issuer)
    exact.update(
        openid_handlers(ISSUER, f"https://{config.bind_address}:{config.secure_port}/openid/v1/jwks", (public,))
    )
    special.update(review_verbs(authorize, rbac.rules_for, token_authenticator(tokens), (ISSUER,)))
    special["", "pods", "binding"] = special["", "bindings", ""] = bind
    special["", "pods", "eviction"] = evict
    special |= _connections(Outside(caller, cluster, _kubelets(config), config.read_only), authorize)
    special["", "componentstatuses", ""] = component_statuses(COMPONENTS)
    untold = Untold(store) if config.read_only else None
    resources = Resources(api, moments, Paths(exact, prefixes), special, config.read_only, untold)
    handler = with_aggregation(resources, aggregation)
    answers_at_once = unless_passed_on(resources.answers_at_once, aggregation)
    if config.authorization_webhook_config_file or config.authentication_token_webhook_config_file:
        handler, answers_at_once = with_pending_decisions(handler), may_wait
    # A ledger that is only read records nothing of its readers: it may be another server's, or evidence.
    flood = Flood(ignore if config.read_only else store.note)
    trust = _trust(config, credentials)
    recorder = Recorder(
        clock,
        new_uid,
        flood.note,
        encoder.refusal,
        flow_of=flows.flow_of,
        observe=metrics.observe,
        room=store.room,
        noted=store.noted,
    )
    chain = ChainConfig(
        recorder,
        request_authenticator(
            tokens,
            audiences=(ISSUER,),
            anonymous=config.anonymous_auth,
            front_proxy=_front_proxy(config, trust),
            client_signers=signers_in(trust["client-ca-file"].encode()),
        ),
        authorize,
        (ISSUER,),
        config.max_requests_inflight,
        config.max_mutating_requests_inflight,
        config.request_timeout_s,
        config.cors_allowed_origins,
        in_flight,
        answers_at_once,
    )

    async def boot(port: int) -> int:
        facts = {
            "service_ip": service_ip(config.service_cluster_ip_range),
            "service_cidr": config.service_cluster_ip_range,
            "advertise_ip": config.bind_address,
            "port": port,
            "client_ca": trust["client-ca-file"],
            "requestheader_ca": trust["requestheader-client-ca-file"],
        }
        return await bootstrap(store, schemes.now(), facts, clock, new_uid)

    own = Client(registry, schemes.now, new_uid)
    in_process = (Definitions(store, own, clock).run,)
    ca_pem = credentials.ca.certificate.read_text()
    others = own_controllers(registry, schemes.now, new_uid, remotes, extensions, trust)
    others += controllers(config.controllers, registry, schemes.now, new_uid, partial(signed_token, key), ca_pem)
    return App(build_chain(handler, chain), store, schemes, flood, config, clock, started, boot, in_process, others)


def _api_services(store: Store) -> ApiServices:
    services = ApiServices()
    with store.view() as view:
        services.load((one.key, orjson.loads(one.body)) for one in view.scan(API_SERVICES))
    store.engine.subscribe(services.follow)
    return services


def _extensions(config: Config, credentials: Credentials, caller: Caller, cluster: Cluster) -> Extensions:
    certificate = config.proxy_client_cert_file or credentials.front_proxy.certificate
    key = config.proxy_client_key_file or credentials.front_proxy.key
    return Extensions(caller, cluster, certificate, key, config.enable_aggregator_routing)


def _trust(config: Config, credentials: Credentials) -> dict[str, str]:
    """Whom we trust, as the ConfigMap for extension servers tells it."""
    client_ca = (config.client_ca_file or credentials.ca.certificate).read_text(errors="replace")
    proxy_ca = (config.requestheader_client_ca_file or credentials.front_proxy_ca.certificate).read_text(
        errors="replace"
    )
    headers = {
        "username": config.requestheader_username_headers,
        "uid": config.requestheader_uid_headers,
        "group": config.requestheader_group_headers,
        "extra": config.requestheader_extra_headers_prefix,
    }
    return trust_data(client_ca, proxy_ca, config.requestheader_allowed_names, headers)


def _front_proxy(config: Config, trust: dict[str, str]) -> FrontProxy:
    return FrontProxy(
        signers_in(trust["requestheader-client-ca-file"].encode()),
        config.requestheader_allowed_names,
        config.requestheader_username_headers,
        config.requestheader_uid_headers,
        config.requestheader_group_headers,
        config.requestheader_extra_headers_prefix,
    )


def _kubelets(config: Config) -> KubeletConfig:
    return KubeletConfig(
        config.kubelet_client_certificate,
        config.kubelet_client_key,
        config.kubelet_certificate_authority,
        config.kubelet_preferred_address_types,
    )


def _connections(outside: Outside, authorize: Authorize) -> dict[tuple[str, str, str], Verb]:
    """The subresources that lead to what runs in the cluster."""
    streams = dict.fromkeys(("exec", "attach", "portforward"), pod_stream(outside, authorize))
    return {
        **{("", "pods", name): connecting(verb) for name, verb in streams.items()},
        ("", "pods", "log"): pod_log(outside),
        ("", "pods", "proxy"): connecting(pod_proxy(outside)),
        ("", "services", "proxy"): connecting(service_proxy(outside)),
        ("", "nodes", "proxy"): connecting(node_proxy(outside)),
    }


def _clock_of_readers(config: Config, store: Store, clock: Callable[[], int]) -> Callable[[], int]:
    """What ages are counted to. A ledger that is only read has ended, so they are counted to its end."""
    span = store.span() if config.read_only else None
    if span is None:
        return clock
    end = span[1]
    return lambda: end


def ignore(event: Event) -> bool:
    """Where an event goes that is not to be recorded."""
    return True


def _rbac(store: Store) -> Rbac:
    rbac = Rbac()
    with store.view() as view:
        for resource in RBAC_RESOURCES:
            found: list[tuple[Key, Object]] = [
                (stored.key, orjson.loads(stored.body)) for stored in view.scan(GroupResource(RBAC_GROUP, resource))
            ]
            rbac.load(found)
    store.engine.subscribe(rbac.follow)
    return rbac


def _followed(store: Store, index: F) -> F:
    """Filled with what there is, and told of what comes."""
    with store.view() as view:
        index.load(
            (one.key, orjson.loads(one.body))
            for resource in index.resources
            for one in view.scan(GroupResource(ADMISSION_GROUP, resource))
        )
    store.engine.subscribe(index.follow)
    return index


def _flow_schemas(store: Store) -> FlowSchemas:
    flows = FlowSchemas()
    with store.view() as view:
        for resource in FLOW_RESOURCES:
            flows.load((one.key, orjson.loads(one.body)) for one in view.scan(GroupResource(FLOW_GROUP, resource)))
    store.engine.subscribe(flows.follow)
    return flows


def _authorize(config: Config, rbac: Rbac, client: HttpsClient) -> Authorize:
    if config.authorization_modes == ("AlwaysAllow",):
        return always_allow
    known: dict[str, Authorize] = {"RBAC": rbac.authorize, "AlwaysAllow": always_allow, "AlwaysDeny": always_deny}
    if config.authorization_webhook_config_file is not None:
        kind = GVK("authorization.k8s.io", config.authorization_webhook_version, "SubjectAccessReview")
        webhook = Webhook(client, read_endpoint(config.authorization_webhook_config_file), kind)
        known["Webhook"] = AccessWebhook(
            webhook,
            config.authorization_webhook_cache_authorized_ttl_s,
            config.authorization_webhook_cache_unauthorized_ttl_s,
        )
    return authorizer([(mode.lower(), known[mode]) for mode in config.authorization_modes])


def _token_webhook(config: Config, client: HttpsClient) -> list[Any]:
    if config.authentication_token_webhook_config_file is None:
        return []
    kind = GVK("authentication.k8s.io", config.authentication_token_webhook_version, "TokenReview")
    webhook = Webhook(client, read_endpoint(config.authentication_token_webhook_config_file), kind)
    return [TokenWebhook(webhook, (ISSUER,), config.authentication_token_webhook_cache_ttl_s)]


def _tokens(config: Config) -> list[Any]:
    if config.token_auth_file is None:
        return []
    with config.token_auth_file.open() as lines:
        return [token_file_authenticator(parse_token_file(lines, str(config.token_auth_file)), (ISSUER,))]
