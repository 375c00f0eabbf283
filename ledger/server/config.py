"""What a server is told, by flags or by a test."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path

from ledger.projections.retention import Policy
from ledger.scheme.runtime_config import RuntimeConfig

ADDRESS_TYPES = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")


@dataclass(slots=True)
class Config:
    """The flags of `ledger serve`, parsed; names and defaults are kube-apiserver's where it has one."""

    data_dir: Path
    bind_address: str = "127.0.0.1"
    secure_port: int = 6443  # 0: any free one
    tls_cert_file: Path | None = None
    tls_private_key_file: Path | None = None
    client_ca_file: Path | None = None
    token_auth_file: Path | None = None
    authorization_modes: tuple[str, ...] = ("RBAC",)  # in order: RBAC, Webhook, AlwaysAllow, AlwaysDeny
    authentication_token_webhook_config_file: Path | None = None
    authentication_token_webhook_version: str = "v1beta1"
    authentication_token_webhook_cache_ttl_s: float = 120.0
    authorization_webhook_config_file: Path | None = None
    authorization_webhook_version: str = "v1beta1"
    authorization_webhook_cache_authorized_ttl_s: float = 300.0
    authorization_webhook_cache_unauthorized_ttl_s: float = 30.0
    anonymous_auth: bool = True
    runtime_config: RuntimeConfig = field(default_factory=RuntimeConfig)
    service_cluster_ip_range: str = "10.0.0.0/24"
    service_node_port_range: tuple[int, int] = (30000, 32767)  # both included
    max_requests_inflight: int = 400
    max_mutating_requests_inflight: int = 200
    request_timeout_s: float = 60.0
    cors_allowed_origins: tuple[re.Pattern[str], ...] = ()
    disable_admission_plugins: tuple[str, ...] = ()
    controllers: tuple[str, ...] = ("*",)  # names, "*", "none", or "-name"
    durability: str = "strict"  # or relaxed: a power cut may lose the last moments (not for data you want back)
    kubeconfig: Path | None = None
    read_only: bool = False
    workers: int = 1  # processes that answer reads; 1: this one answers everything
    shutdown_delay_duration_s: float = 0.0  # from the signal to the end of accepting; readyz fails meanwhile
    retain: Policy = field(default_factory=Policy)
    retain_imported: bool = False  # whether that goes for a log that an import made, as well
    shutdown_grace_s: float = 10.0
    kubelet_client_certificate: Path | None = None
    kubelet_client_key: Path | None = None
    kubelet_certificate_authority: Path | None = None
    kubelet_preferred_address_types: tuple[str, ...] = ADDRESS_TYPES
    proxy_client_cert_file: Path | None = None  # what extension servers are shown
    proxy_client_key_file: Path | None = None
    enable_aggregator_routing: bool = True  # to endpoints, not to cluster IPs, which only nodes can reach
    requestheader_client_ca_file: Path | None = None
    requestheader_allowed_names: tuple[str, ...] = ("front-proxy-client",)
    requestheader_username_headers: tuple[str, ...] = ("X-Remote-User",)
    requestheader_uid_headers: tuple[str, ...] = ()
    requestheader_group_headers: tuple[str, ...] = ("X-Remote-Group",)
    requestheader_extra_headers_prefix: tuple[str, ...] = ("X-Remote-Extra-",)

    def flags(self) -> dict[str, str]:
        """The settings as flags, for /flagz; no secrets are among them."""
        shown = {}
        for one in fields(self):
            value = getattr(self, one.name)
            name = one.name.removesuffix("_s").replace("_modes", "_mode").replace("_", "-")
            shown[name] = ",".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
        return shown
