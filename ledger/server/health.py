"""The names under which kube-apiserver reports its health, and which part of ledger each of them stands for here.

Tools wait for single checks (/readyz/poststarthook/rbac/bootstrap-roles), so the names are the same and in the same
order; each is answered by the part that does that work here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ledger.handlers.health import Check, Health

_HOOKS = [
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "peer-endpoint-reconciler-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "storage-readiness",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "aggregator-reload-proxy-client-cert",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
    "autoregister-completion",
    "apiservice-openapi-controller",
    "apiservice-openapiv3-controller",
]


def health(
    log: Check, started: Callable[[], bool], draining: Callable[[], bool], followers: Check | None = None
) -> Health:
    """`log` tells what is wrong with the store ("" when well), `followers` with the processes that follow it."""

    def well() -> str:
        return ""

    def hook() -> str:
        return "" if started() else "not finished"

    def shutdown() -> str:
        return "process is shutting down" if draining() else ""

    hooks: Mapping[str, Check] = {
        name if name == "autoregister-completion" else f"poststarthook/{name}": hook for name in _HOOKS
    }
    alive: dict[str, Check] = {"ping": well, "log": log, "loopback-serving-certificate": well, "etcd": log, **hooks}
    ready: dict[str, Check] = {
        "ping": well, "log": log, "etcd": log, "etcd-readiness": log, "informer-sync": followers or hook, **hooks,
        "shutdown": shutdown,
    }  # fmt: skip
    return Health({"healthz": alive, "livez": alive, "readyz": ready})
