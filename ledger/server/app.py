"""Joins the rooms into one handler, and starts and ends what runs beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from ledger.apimachinery.http import Handler
from ledger.auth.certificates import Credentials
from ledger.auth.flowschemas import GROUP as FLOW_GROUP
from ledger.auth.flowschemas import RESOURCES as FLOW_RESOURCES
from ledger.auth.flowschemas import FlowSchemas
from ledger.auth.jwt import signed_token
from ledger.auth.pending import with_pending_decisions
from ledger.controllers.bootstrap import bootstrap
from ledger.controllers.client import Client
from ledger.controllers.crds import Definitions
from ledger.controllers.loop import Controller
from ledger.controllers.loop import run as run_controllers
from ledger.handlers.aggregation import Aggregation, unless_passed_on, with_aggregation
from ledger.handlers.api import Api
from ledger.handlers.encode import Encoder
from ledger.handlers.health import Check
from ledger.handlers.kubelets import Outside
from ledger.handlers.metrics import Metrics
from ledger.handlers.moments import Moments
from ledger.handlers.resources import Resources
from ledger.handlers.untold import Untold
from ledger.log.event import Event
from ledger.outbound.caller import Caller
from ledger.outbound.client import Client as HttpsClient
from ledger.pipeline.chain import ChainConfig, build_chain
from ledger.pipeline.flood import Flood
from ledger.pipeline.maxinflight import InFlight
from ledger.pipeline.record import Recorder
from ledger.pipeline.timeout import may_wait
from ledger.projections.store import Store
from ledger.registry.api_services import RESOURCE as API_SERVICES
from ledger.registry.api_services import ApiServices
from ledger.registry.behaviours import Behaviours
from ledger.registry.builtin import Builtins
from ledger.registry.cluster import Cluster
from ledger.registry.conversions import Conversions
from ledger.registry.custom import Customs
from ledger.registry.extensions import Extensions
from ledger.registry.registry import Registry
from ledger.registry.service_addresses import address_of
from ledger.scheme.custom import definition_of
from ledger.scheme.scheme import builtin
from ledger.server.admission import admission
from ledger.server.allocation import SERVICES, service_allocator
from ledger.server.config import Config
from ledger.server.controllers import controllers, own_controllers
from ledger.server.follow import followed
from ledger.server.gauges import gauges
from ledger.server.health import health
from ledger.server.identity import AUDIENCES, Identity, identity
from ledger.server.network import service_ip
from ledger.server.retention import is_imported, retain_for_ever
from ledger.server.routes import kubelets, paths, verbs
from ledger.server.schemes import Schemes


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
    filters: ChainConfig
    remotes: ApiServices  # requests to them are passed on
    metrics: Metrics
    in_process: tuple[Callable[..., Any], ...] = ()  # what kube-apiserver itself runs; `nursery.start` them
    controllers: Sequence[Controller] = ()  # what kube-controller-manager would run, and those of kube-apiserver's own

    def attend(self, nursery: trio.Nursery) -> None:
        """Starts what runs beside the sockets of every process that answers."""
        nursery.start_soon(self.flood.flush_for_ever)
        nursery.start_soon(self.store.deliver)
        nursery.start_soon(self.store.forget)

    async def start(self, nursery: trio.Nursery, port: int) -> None:
        """Bootstraps, then starts the controllers. `port` is the one clients reach the server at."""
        self.attend(nursery)
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
    followers: Check | None = None,
) -> App:
    """The whole server but its sockets. `followers`: what is wrong with the processes that follow this one ("" when well)."""
    started = trio.Event()
    schemes = Schemes(store, builtin(config.runtime_config), definition_of)
    moments = Moments(store, schemes.now, schemes.at, schemes.latest)
    caller, cluster = Caller(), Cluster(store)
    client = HttpsClient(caller, partial(address_of, cluster))
    who = identity(config, store, credentials, client, clock, new_uid)

    conversions = Conversions(None if config.read_only else client, new_uid)
    behaviour = Behaviours(Builtins(lambda definition: schemes.now().owner(definition)), Customs(conversions))
    chain = admission(
        config, store, schemes.now, behaviour, conversions, who, client,
        clock=clock, new_uid=new_uid, new_suffix=new_suffix,
    )  # fmt: skip
    allocators = {SERVICES: service_allocator(config, store, schemes.now(), behaviour, clock, new_uid)}
    registry = Registry(store, behaviour, chain, clock, new_uid, new_suffix, allocators, conversions)
    encoder = Encoder(behaviour, _clock_of_readers(config, store, clock))
    api = Api(store, registry, behaviour, schemes.now, encoder, clock, lambda: 3600.0)

    in_flight = InFlight()
    metrics = Metrics(gauges(store, schemes.now, in_flight.by_kind))
    store.engine.subscribe(metrics.committed)
    store.engine.subscribe_counts(metrics.counted)
    checks = health(lambda: "", started.is_set, draining.is_set, followers)
    extensions = _extensions(config, credentials, caller, cluster)
    remotes = followed(store, ApiServices(), API_SERVICES.group, (API_SERVICES.resource,))
    aggregation = Aggregation(remotes, extensions, config.read_only)
    leading = paths(config, store, moments, aggregation, who, metrics, checks)
    special = verbs(schemes.now(), who, Outside(caller, cluster, kubelets(config), config.read_only))
    untold = Untold(store) if config.read_only else None
    resources = Resources(api, moments, leading, special, config.read_only, untold)
    handler = with_aggregation(resources, aggregation)
    answers_at_once = unless_passed_on(resources.answers_at_once, aggregation)
    if config.authorization_webhook_config_file or config.authentication_token_webhook_config_file:
        handler, answers_at_once = with_pending_decisions(handler), may_wait

    # A ledger that is only read records nothing of its readers: it may be another server's, or evidence.
    flood = Flood(ignore if config.read_only else store.engine.note)
    flows = followed(store, FlowSchemas(), FLOW_GROUP, FLOW_RESOURCES)
    recorder = Recorder(
        clock,
        new_uid,
        flood.note,
        encoder.refusal,
        flow_of=flows.flow_of,
        observe=metrics.observe,
        room=store.engine.room,
        noted=store.noted,
    )
    filters = ChainConfig(
        recorder,
        who.authenticate,
        who.authorize,
        AUDIENCES,
        config.max_requests_inflight,
        config.max_mutating_requests_inflight,
        config.request_timeout_s,
        config.cors_allowed_origins,
        in_flight,
        answers_at_once,
    )

    boot = partial(_boot, config, store, schemes, who, clock, new_uid)
    in_process = (Definitions(store, Client(registry, schemes.now, new_uid), clock).run,)
    sign = partial(signed_token, who.issuer.key)
    ca_pem = credentials.ca.certificate.read_text()
    others = own_controllers(registry, schemes.now, new_uid, remotes, extensions, who.trust)
    others += controllers(config.controllers, registry, schemes.now, new_uid, sign, ca_pem)
    return App(
        build_chain(handler, filters),
        store,
        schemes,
        flood,
        config,
        clock,
        started,
        boot,
        filters,
        remotes,
        metrics,
        in_process,
        others,
    )


async def _boot(
    config: Config,
    store: Store,
    schemes: Schemes,
    who: Identity,
    clock: Callable[[], int],
    new_uid: Callable[[], str],
    port: int,
) -> int:
    """What an API server makes itself when it starts; `port` is the one clients reach it at."""
    facts = {
        "service_ip": service_ip(config.service_cluster_ip_range),
        "service_cidr": config.service_cluster_ip_range,
        "advertise_ip": config.bind_address,
        "port": port,
        "client_ca": who.trust["client-ca-file"],
        "requestheader_ca": who.trust["requestheader-client-ca-file"],
    }
    return await bootstrap(store, schemes.now(), facts, clock, new_uid)


def _extensions(config: Config, credentials: Credentials, caller: Caller, cluster: Cluster) -> Extensions:
    certificate = config.proxy_client_cert_file or credentials.front_proxy.certificate
    key = config.proxy_client_key_file or credentials.front_proxy.key
    return Extensions(caller, cluster, certificate, key, config.enable_aggregator_routing)


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
