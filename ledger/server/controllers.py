"""Which controllers there are, and which of them --controllers wants."""

from __future__ import annotations

from collections.abc import Sequence

# Names are kube-controller-manager's where it has one.
CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "resourcequota-controller",
    "event-ttl-controller",
)


def wanted(given: Sequence[str]) -> tuple[str, ...]:
    """The controllers to run: "*" is all, "none" none, "-name" leaves one out, a bare name adds one."""
    if not given or "none" in given:
        return ()
    refused = {name[1:] for name in given if name.startswith("-")}
    named = {name for name in given if not name.startswith("-")}
    everything = "*" in named or not named
    return tuple(one for one in CONTROLLERS if one not in refused and (everything or one in named))
