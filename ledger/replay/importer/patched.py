"""A patch of which only the request is in the log, applied to the state before it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import NamedTuple

from ledger.apimachinery.patch_json import PatchFailed, apply_json_patch
from ledger.apimachinery.patch_merge import apply_merge_patch
from ledger.apimachinery.patch_strategic import apply_strategic_patch
from ledger.apimachinery.resource import GVK, Object, Schema, split_api_version
from ledger.apimachinery.status import StatusError
from ledger.replay.importer.doubts import Doubts, both, without
from ledger.replay.importer.record import Facts
from ledger.scheme.normalize import Mismatch, normalize
from ledger.scheme.scheme import Scheme

# Clients whose patches of built-in kinds are strategic ones (k8s.io/kubernetes: pkg/util/pod, pkg/util/node,
# pkg/controller/controller_ref_manager).
STRATEGIC = ("kubelet/", "kube-controller-manager/", "kube-scheduler/")


class Patched(NamedTuple):
    """The object after the patch (None: it cannot be told), what is to say about it, and what is in doubt."""

    obj: Object | None
    note: str
    doubts: Doubts = ()


def after_patch(before: Object, doubts: Doubts, facts: Facts, api_version: str, kind: str, scheme: Scheme) -> Patched:
    """Which kind of patch it was is not logged: a list is a JSON patch; a map is a strategic or a merge patch.

    Directives ("$patch") are a strategic patch's alone, some clients send no other, and for kinds without a Go type only
    a merge patch is possible. Otherwise both are tried: where they differ, the strategic one is taken (kubectl's default)
    and what differs is in doubt. An apply is read as a patch, and all that it names is in doubt.
    """
    patch = facts.request
    try:
        if isinstance(patch, list):
            return Patched(apply_json_patch(deepcopy(before), deepcopy(patch)), "", doubts)
        if not isinstance(patch, dict):
            return Patched(None, "the patch is of a form that is not known")
        told = without(doubts, _told(patch))
        if "apiVersion" in patch and "kind" in patch:
            told = both(told, patch.keys() - {"apiVersion", "kind"})
        merged = apply_merge_patch(deepcopy(before), deepcopy(_without_identity(patch)))
        schema = _schema(api_version, kind, scheme)
        if schema is None:
            return Patched(merged, "", told)
        strategic = apply_strategic_patch(deepcopy(before), deepcopy(_without_identity(patch)), schema)
        gvk = GVK(*split_api_version(api_version), kind)
        strategic = normalize(gvk, strategic)
        if facts.agent.startswith(STRATEGIC) or _has_directives(patch):
            return Patched(strategic, "", told)
        merged = normalize(gvk, merged)
    except (StatusError, PatchFailed, Mismatch) as error:
        return Patched(None, f"the patch does not fit the state that is known: {error}")
    if strategic == merged:
        return Patched(strategic, "", told)
    differing = _differing(strategic, merged)
    return Patched(strategic, "read as a strategic patch; a merge patch looks alike", both(told, differing))


def _told(patch: Object, above: str = "") -> Iterator[str]:
    """Paths that a patch sets, whatever was there before."""
    for name, value in patch.items():
        if isinstance(value, dict):
            yield from _told(value, f"{above}{name}.")
        elif not isinstance(value, list):
            yield f"{above}{name}"


def _has_directives(value: object) -> bool:
    if isinstance(value, dict):
        return any(name.startswith("$") or _has_directives(member) for name, member in value.items())
    return isinstance(value, list) and any(_has_directives(member) for member in value)


def _differing(left: Object, right: Object, above: str = "") -> Iterator[str]:
    for name in sorted(left.keys() | right.keys()):
        one, other = left.get(name), right.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _differing(one, other, f"{above}{name}.")
        elif one != other:
            yield f"{above}{name}"


def _without_identity(patch: Object) -> Object:
    """Kubelets send metadata.uid as a precondition; apply requests repeat apiVersion and kind."""
    return {name: value for name, value in patch.items() if name not in ("apiVersion", "kind")}


def _schema(api_version: str, kind: str, scheme: Scheme) -> Schema | None:
    found = scheme.for_kind(GVK(*split_api_version(api_version), kind))
    if found is None or found[0].custom:
        return None
    return found[1].schema
