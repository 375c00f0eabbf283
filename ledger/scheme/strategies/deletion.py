"""How long an object is granted to end (CheckGracefulDelete); only pods know graceful deletion."""

from __future__ import annotations

from ledger.apimachinery.resource import Object

DEFAULT_GRACE_S = 0  # kube-apiserver defaults the field itself to 30


def pod_grace_period(pod: Object, asked_s: int | None) -> int:
    """Seconds: what was asked, else what the pod says; 0 for a pod that no kubelet runs."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    period: int = asked_s if asked_s is not None else spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_S)
    if not spec.get("nodeName") or status.get("phase") in ("Failed", "Succeeded"):
        return 0
    return 1 if period < 0 else period
