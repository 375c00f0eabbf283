"""Which requests may stay open: they are outside the in-flight limits and the timeout, and are recorded at their start.

The lists are kube-apiserver's (BasicLongRunningRequestCheck in pkg/controlplane/apiserver/config.go): `log` counts
whether or not it follows.
"""

from __future__ import annotations

from ledger.apimachinery.http import RequestInfo

_VERBS = frozenset({"watch", "proxy"})
_SUBRESOURCES = frozenset({"attach", "exec", "proxy", "log", "portforward"})


def is_long_running(info: RequestInfo | None) -> bool:
    if info is None:
        return False
    if info.verb in _VERBS:
        return True
    if info.is_resource:
        return info.subresource in _SUBRESOURCES
    return info.path.startswith("/debug/pprof/")
