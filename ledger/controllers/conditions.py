"""Conditions of a status: one of each type, with the time its status last changed."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import Object


def set_condition(obj: Object, kind: str, status: str, reason: str, message: str, now: str) -> None:
    """Adds or replaces a condition in place; `now` (RFC 3339) counts only where the status changes."""
    conditions: list[dict[str, Any]] = obj["status"].get("conditions") or []
    obj["status"]["conditions"] = conditions
    found = next((one for one in conditions if one.get("type") == kind), None)
    if found is None:
        found = {"type": kind, "status": status, "lastTransitionTime": now}
        conditions.append(found)
    if found.get("status") != status or not found.get("lastTransitionTime"):
        found["lastTransitionTime"] = now
    found.update(status=status, reason=reason, message=message)
