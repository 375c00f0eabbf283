"""LabelSelector objects as text, in the three ways upstream's printers have."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import Object
from ledger.apimachinery.selectors import SelectorError, label_selector_from
from ledger.scheme.printers.cell import NONE, Cell, dig


def selector(path: str, missing: str = NONE, broken: str = "<error>") -> Cell:
    """The selector at a dotted path as `kubectl -l` takes it (metav1.FormatLabelSelector)."""
    names = path.split(".")

    def cell(obj: Object, now: int) -> str:
        found = dig(obj, *names)
        try:
            return str(label_selector_from(found if isinstance(found, dict) else None)) or missing
        except SelectorError:
            return broken

    return cell


def go_text(selector: dict[str, Any]) -> str:
    """String() of the Go type, as generated: "&LabelSelector{MatchLabels:map[string]string{a: b,},...}"."""
    labels = selector.get("matchLabels") or {}
    pairs = "".join(f"{key}: {labels[key]}," for key in sorted(labels))
    terms = "".join(f"{_requirement(one)}," for one in selector.get("matchExpressions") or ())
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{pairs}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{terms}}},}}"
    )


def _requirement(one: dict[str, Any]) -> str:
    values = " ".join(one.get("values") or ())
    return f"LabelSelectorRequirement{{Key:{one.get('key', '')},Operator:{one.get('operator', '')},Values:[{values}],}}"
