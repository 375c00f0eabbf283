"""Which names a definition may have: no other definition of its group holds them already.

Follows pkg/controller/status/naming_controller.go of k8s.io/apiextensions-apiserver.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ledger.apimachinery.field import quoted
from ledger.apimachinery.resource import Object

Names = dict[str, Any]  # plural, singular, shortNames, kind, listKind, categories


class Verdict(NamedTuple):
    """The names a definition holds from now on, and the NamesAccepted condition."""

    names: Names
    accepted: bool
    reason: str
    message: str


def judge(crd: Object, others: Iterable[Names]) -> Verdict:
    """`others`: the accepted names of the other definitions in the group. A name once held stays held."""
    wanted: Names = crd["spec"]["names"]
    held: Names = (crd.get("status") or {}).get("acceptedNames") or {}
    resources: set[str] = set()
    kinds: set[str] = set()
    for names in (*others, held):
        resources.update([names.get("plural", ""), names.get("singular", ""), *(names.get("shortNames") or ())])
        kinds.update([names.get("kind", ""), names.get("listKind", "")])
    given = dict(held)
    reason, message = "NoConflicts", "no conflicts found"
    for name, taken, why in (
        ("plural", resources, "PluralConflict"),
        ("singular", resources, "SingularConflict"),
        ("shortNames", resources, "ShortNamesConflict"),
        ("kind", kinds, "KindConflict"),
        ("listKind", kinds, "ListKindConflict"),
    ):
        conflict = _conflict(wanted.get(name), held.get(name), taken)
        if conflict:
            reason, message = why, conflict
        else:
            given[name] = wanted.get(name)
    given["categories"] = wanted.get("categories")
    order = ("plural", "singular", "shortNames", "kind", "listKind", "categories")
    return Verdict({name: given[name] for name in order if given.get(name)}, reason == "NoConflicts", reason, message)


def _conflict(wanted: Any, held: Any, taken: set[str]) -> str:
    """What stands against a name (or a list of short names), "" when nothing does."""
    if wanted == held:
        return ""
    names = wanted if isinstance(wanted, list) else [wanted or ""]
    owned = held if isinstance(held, list) else [held]
    texts = [f"{quoted(name)} is already in use" for name in names if name in taken and name not in owned]
    if isinstance(wanted, list) and len(texts) > 1:
        return f"[{', '.join(texts)}]"
    return texts[0] if texts else ""
