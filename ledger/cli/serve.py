"""`ledger serve`: flags as kube-apiserver's, then the server until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import gc
import ipaddress
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger.cli.arguments import (
    Parser,
    checked,
    commas,
    count,
    duration_s,
    port,
    port_range,
    processes,
    readable_file,
)
from ledger.cli.retention import add_retention_flags, is_chosen, policy_of
from ledger.scheme.runtime_config import RuntimeConfig
from ledger.server.ahead import service_account_key_ahead
from ledger.server.config import ADDRESS_TYPES, Config
from ledger.server.controllers import CONTROLLERS
from ledger.server.plugins import PLUGIN_NAMES

MODES = ("RBAC", "Webhook", "AlwaysAllow", "AlwaysDeny")
REQUEST_HEADER_FLAGS = (
    ("allowed-names", "front-proxy-client", "common names that front proxies may have; empty: any"),
    ("username-headers", "X-Remote-User", "headers in which a front proxy says who asks"),
    ("uid-headers", "", "and their uid"),
    ("group-headers", "X-Remote-Group", "and their groups"),
    ("extra-headers-prefix", "X-Remote-Extra-", "and what else is known of them"),
)
DEFAULT_DATA_DIR = "~/.local/share/ledger"
SERVICE_IPS_MIN = 8  # as kube-apiserver wants it
QUIET_S = 1.0  # what is done sooner needs no progress bar


def main(argv: list[str]) -> int:
    """0 after an orderly end; 1 when the server cannot start or goes on no longer; 2 for a wrong command line."""
    gc.disable()  # nothing that is loaded and made until the server is ready is garbage; it turns this on again
    config = parse(argv)
    key_ahead = service_account_key_ahead(config.data_dir)
    from ledger.server.serve import StartError, run

    try:
        run(config, lambda url, kubeconfig: _announce(url, kubeconfig, config), _progress(), key_ahead)
    except StartError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    finally:
        gc.enable()
    return 0


def _announce(url: str, kubeconfig: Path, config: Config) -> None:
    mode = ", read-only" if config.read_only else ""
    sys.stdout.write(f"ledger serves {url} (data in {config.data_dir}{mode})\n")
    sys.stdout.write(f"admin kubeconfig: {kubeconfig}\n")
    sys.stdout.write(f"  kubectl --kubeconfig {kubeconfig} get namespaces\n")
    sys.stdout.flush()


def _progress() -> Callable[[int, int], None] | None:
    """Tells a person how far the folding of the log is; None when nobody watches."""
    if not sys.stderr.isatty():
        return None
    started = time.monotonic()

    def show(done: int, total: int) -> None:
        if time.monotonic() - started > QUIET_S:
            bar = "#" * (30 * done // max(1, total))
            end = "\n" if done == total else ""
            sys.stderr.write(f"\rrebuilding projections [{bar:30}] {done:,} of {total:,} events{end}")
            sys.stderr.flush()

    return show


def parse(argv: list[str]) -> Config:
    """The configuration of a command line; exits with status 2 and one line when it is wrong."""
    parser = _parser()
    given = parser.parse_args(argv)
    if bool(given.tls_cert_file) != bool(given.tls_private_key_file):
        parser.error("--tls-cert-file and --tls-private-key-file go together")
    if bool(given.kubelet_client_certificate) != bool(given.kubelet_client_key):
        parser.error("--kubelet-client-certificate and --kubelet-client-key go together")
    if ("Webhook" in given.authorization_mode) != bool(given.authorization_webhook_config_file):
        parser.error("--authorization-mode=Webhook and --authorization-webhook-config-file go together")
    if bool(given.proxy_client_cert_file) != bool(given.proxy_client_key_file):
        parser.error("--proxy-client-cert-file and --proxy-client-key-file go together")
    if given.workers > 1 and given.read_only:
        parser.error("--workers and --read-only do not go together")
    for name in given.controllers:
        if name.lstrip("-") not in ("*", "none", *CONTROLLERS):
            parser.error(f"--controllers: there is no {name!r}. Controllers: {', '.join(CONTROLLERS)}")
    for name in given.disable_admission_plugins:
        if name not in PLUGIN_NAMES:
            parser.error(f"--disable-admission-plugins: there is no {name!r}. Plugins: {', '.join(PLUGIN_NAMES)}")
    return Config(
        data_dir=Path(given.data_dir).expanduser(),
        bind_address=given.bind_address,
        secure_port=given.secure_port,
        tls_cert_file=given.tls_cert_file,
        tls_private_key_file=given.tls_private_key_file,
        client_ca_file=given.client_ca_file,
        token_auth_file=given.token_auth_file,
        authorization_modes=given.authorization_mode,
        authentication_token_webhook_config_file=given.authentication_token_webhook_config_file,
        authentication_token_webhook_version=given.authentication_token_webhook_version,
        authentication_token_webhook_cache_ttl_s=given.authentication_token_webhook_cache_ttl,
        authorization_webhook_config_file=given.authorization_webhook_config_file,
        authorization_webhook_version=given.authorization_webhook_version,
        authorization_webhook_cache_authorized_ttl_s=given.authorization_webhook_cache_authorized_ttl,
        authorization_webhook_cache_unauthorized_ttl_s=given.authorization_webhook_cache_unauthorized_ttl,
        anonymous_auth=given.anonymous_auth,
        runtime_config=given.runtime_config,
        service_cluster_ip_range=given.service_cluster_ip_range,
        service_node_port_range=given.service_node_port_range,
        max_requests_inflight=given.max_requests_inflight,
        max_mutating_requests_inflight=given.max_mutating_requests_inflight,
        request_timeout_s=given.request_timeout,
        cors_allowed_origins=given.cors_allowed_origins,
        disable_admission_plugins=given.disable_admission_plugins,
        controllers=given.controllers,
        durability=given.durability,
        kubeconfig=given.kubeconfig,
        read_only=given.read_only,
        workers=given.workers,
        shutdown_delay_duration_s=given.shutdown_delay_duration,
        retain=policy_of(given),
        retain_imported=is_chosen(given),
        shutdown_grace_s=given.shutdown_grace,
        kubelet_client_certificate=given.kubelet_client_certificate,
        kubelet_client_key=given.kubelet_client_key,
        kubelet_certificate_authority=given.kubelet_certificate_authority,
        kubelet_preferred_address_types=given.kubelet_preferred_address_types,
        proxy_client_cert_file=given.proxy_client_cert_file,
        proxy_client_key_file=given.proxy_client_key_file,
        enable_aggregator_routing=given.enable_aggregator_routing,
        requestheader_client_ca_file=given.requestheader_client_ca_file,
        requestheader_allowed_names=given.requestheader_allowed_names,
        requestheader_username_headers=given.requestheader_username_headers,
        requestheader_uid_headers=given.requestheader_uid_headers,
        requestheader_group_headers=given.requestheader_group_headers,
        requestheader_extra_headers_prefix=given.requestheader_extra_headers_prefix,
    )


def _parser() -> Parser:
    parser = Parser(
        prog="ledger serve", description="Serves a Kubernetes API from an embedded log.", allow_abbrev=False
    )
    add = parser.add_argument
    data_dir = os.environ.get("LEDGER_DATA_DIR") or DEFAULT_DATA_DIR
    add("--data-dir", default=data_dir, metavar="DIR", help=f"where the log is kept (default {data_dir})")
    add("--bind-address", default="127.0.0.1", type=_address, metavar="IP", help="address to listen on (127.0.0.1)")
    add("--secure-port", default=6443, type=port, metavar="PORT", help="port to listen on (6443; 0: any free one)")
    add("--tls-cert-file", type=readable_file, metavar="FILE", help="serving certificate; without one, one is made")
    add("--tls-private-key-file", type=readable_file, metavar="FILE", help="its key")
    add(
        "--client-ca-file", type=readable_file, metavar="FILE", help="who may sign client certificates; else our own CA"
    )
    add("--token-auth-file", type=readable_file, metavar="FILE", help='lines of token,user,uid,"group1,group2"')
    add("--authorization-mode", default="RBAC", type=checked(authorization_modes), metavar="MODE,...",
        help="who may do what, asked in order: RBAC, Webhook, AlwaysAllow, AlwaysDeny (RBAC)")  # fmt: skip
    _add_webhooks(add)
    parser.flag("--anonymous-auth", True, "requests without credentials are system:anonymous")
    add("--runtime-config", default="", type=checked(RuntimeConfig.parse), metavar="KEY=BOOL,...",
        help="api/all=true, api/beta=true, GROUP/VERSION=true|false")  # fmt: skip
    add("--service-cluster-ip-range", default="10.0.0.0/24", type=_network, metavar="CIDR", help="IPs for services")
    add("--service-node-port-range", default="30000-32767", type=port_range, metavar="LOW-HIGH", help="node ports")
    add("--max-requests-inflight", default=400, type=count, metavar="N", help="concurrent reads (400; 0: no limit)")
    add("--max-mutating-requests-inflight", default=200, type=count, metavar="N", help="concurrent writes (200)")
    add(
        "--request-timeout",
        default="60s",
        type=duration_s,
        metavar="TIME",
        help="of all but watches and the like (60s)",
    )
    add("--cors-allowed-origins", default="", type=_origins, metavar="REGEX,...", help="web origins that may call")
    add("--disable-admission-plugins", default="", type=commas, metavar="NAME,...", help="plugins to leave out")
    add("--controllers", default="*", type=commas, metavar="NAME,...",
        help="controllers to run: *, none, or names, with -NAME for all but that one")  # fmt: skip
    add("--durability", default="strict", choices=("strict", "relaxed"), help="relaxed: fast and for tests only")
    add("--kubeconfig", type=Path, metavar="FILE", help="where the admin's kubeconfig is written")
    add("--shutdown-delay-duration", default="0s", type=duration_s, metavar="TIME",
        help="to go on serving after SIGTERM while /readyz fails (0s)")  # fmt: skip
    add("--shutdown-grace", default="10s", type=duration_s, metavar="TIME", help="to finish requests at the end (10s)")
    add("--kubelet-client-certificate", type=readable_file, metavar="FILE", help="ours, when we ask a kubelet")
    add("--kubelet-client-key", type=readable_file, metavar="FILE", help="its key")
    add("--kubelet-certificate-authority", type=readable_file, metavar="FILE",
        help="who signs the certificates of kubelets; without it they are not checked")  # fmt: skip
    add("--kubelet-preferred-address-types", default=",".join(ADDRESS_TYPES), type=commas, metavar="TYPE,...",
        help="which of a node's addresses to use: the first of these that it has")  # fmt: skip
    add_retention_flags(parser)
    add("--proxy-client-cert-file", type=readable_file, metavar="FILE", help="what we show to extension servers")
    add("--proxy-client-key-file", type=readable_file, metavar="FILE", help="its key")
    parser.flag("--enable-aggregator-routing", True, "reach extension servers at endpoints, not at cluster IPs")
    add("--requestheader-client-ca-file", type=readable_file, metavar="FILE",
        help="who signs the certificates of front proxies; else a CA of our own")  # fmt: skip
    for name, default, what in REQUEST_HEADER_FLAGS:
        add(f"--requestheader-{name}", default=default, type=commas, metavar="NAME,...", help=what)
    add("--workers", default=1, type=processes, metavar="N",
        help="processes that answer reads, beside the one that writes (1: one process does everything)")  # fmt: skip
    parser.flag("--read-only", False, "serve what the log holds; refuse writes")
    return parser


def _add_webhooks(add: Callable[..., Any]) -> None:
    versions: dict[str, Any] = {"default": "v1beta1", "choices": ("v1", "v1beta1")}
    add("--authentication-token-webhook-config-file", type=readable_file, metavar="FILE",
        help="kubeconfig of a webhook that says whose a token is")  # fmt: skip
    add("--authentication-token-webhook-version", **versions, help="of the TokenReviews it is sent (v1beta1)")
    add("--authentication-token-webhook-cache-ttl", default="2m", type=duration_s, metavar="TIME",
        help="for which an answer of its is kept (2m)")  # fmt: skip
    add("--authorization-webhook-config-file", type=readable_file, metavar="FILE",
        help="kubeconfig of a webhook that says who may do what")  # fmt: skip
    add("--authorization-webhook-version", **versions, help="of the SubjectAccessReviews it is sent (v1beta1)")
    add("--authorization-webhook-cache-authorized-ttl", default="5m", type=duration_s, metavar="TIME",
        help="for which a yes of its is kept (5m)")  # fmt: skip
    add("--authorization-webhook-cache-unauthorized-ttl", default="30s", type=duration_s, metavar="TIME",
        help="for which another answer of its is kept (30s)")  # fmt: skip


def authorization_modes(text: str) -> tuple[str, ...]:
    """Raises ValueError."""
    modes = commas(text)
    for one in modes:
        if one not in MODES:
            raise ValueError(f"invalid choice: {one!r} (choose from {', '.join(MODES)})")
    if not modes or len(set(modes)) < len(modes):
        raise ValueError("give at least one mode, each once")
    return modes


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IP address") from None


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a CIDR such as 10.0.0.0/24: {error}") from None
    if network.num_addresses < SERVICE_IPS_MIN:
        raise argparse.ArgumentTypeError(f"{text!r} is too small: it must have at least {SERVICE_IPS_MIN} addresses")
    return str(network)


def _origins(text: str) -> tuple[re.Pattern[str], ...]:
    patterns = []
    for one in commas(text):
        try:
            patterns.append(re.compile(one))
        except re.error as error:
            raise argparse.ArgumentTypeError(f"{one!r} is not a regular expression: {error}") from None
    return tuple(patterns)
