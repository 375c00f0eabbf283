"""A patch of which only the request is in the log, applied to the state before it."""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

from ledger.apimachinery.patch_json import PatchFailed, apply_json_patch
from ledger.apimachinery.patch_merge import apply_merge_patch
from ledger.apimachinery.patch_strategic import apply_strategic_patch
from ledger.apimachinery.resource import GVK, Object, Schema, split_api_version
from ledger.apimachinery.status import StatusError
from ledger.replay.importer.record import Facts
from ledger.scheme.normalize import Mismatch, normalize
from ledger.scheme.scheme import Scheme


class Patched(NamedTuple):
    """The object after the patch (None: it cannot be told), and what is doubtful about it."""

    obj: Object | None
    doubt: str


def after_patch(before: Object, facts: Facts, api_version: str, kind: str, scheme: Scheme) -> Patched:
    """Which kind of patch it was is not logged: a list is a JSON patch; a map is a strategic or a merge patch.

    For kinds without a Go type only a merge patch is possible. For the others both are tried: where they differ, the
    strategic one is taken (kubectl's and the controllers' default) and the doubt is told.
    """
    patch = facts.request
    try:
        if isinstance(patch, list):
            return Patched(apply_json_patch(deepcopy(before), deepcopy(patch)), "")
        if not isinstance(patch, dict):
            return Patched(None, "the patch is of a form that is not known")
        merged = apply_merge_patch(deepcopy(before), deepcopy(_without_identity(patch)))
        schema = _schema(api_version, kind, scheme)
        if schema is None:
            return Patched(merged, "")
        strategic = apply_strategic_patch(deepcopy(before), deepcopy(_without_identity(patch)), schema)
        gvk = GVK(*split_api_version(api_version), kind)
        strategic, merged = normalize(gvk, strategic), normalize(gvk, merged)
    except (StatusError, PatchFailed, Mismatch) as error:
        return Patched(None, f"the patch does not fit the state that is known: {error}")
    return Patched(strategic, "" if strategic == merged else "read as a strategic patch; a merge patch looks alike")


def _without_identity(patch: Object) -> Object:
    """Kubelets send metadata.uid as a precondition; apply requests repeat apiVersion and kind."""
    return {name: value for name, value in patch.items() if name not in ("apiVersion", "kind")}


def _schema(api_version: str, kind: str, scheme: Scheme) -> Schema | None:
    found = scheme.for_kind(GVK(*split_api_version(api_version), kind))
    if found is None or found[0].custom:
        return None
    return found[1].schema
