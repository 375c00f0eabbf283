"""Words for values and changes, as tables and diffs print them."""

from __future__ import annotations

import json
from typing import Any

from ledger.log.event import Event
from ledger.replay.fielddiff import FieldChange
from ledger.replay.paths import ABSENT, format_path
from ledger.replay.requests import Happening, ObjectChange, object_key

LONG_VALUE = 60  # longer values are cut where a person reads


def value_text(value: Any, limit: int = 0) -> str:
    """A value as JSON on one line; "-" for none."""
    if value is ABSENT:
        return "-"
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return text if not limit or len(text) <= limit else text[: limit - 2] + ".."


def bare_text(value: Any, limit: int = 0) -> str:
    """A value without quotes where it is plain text."""
    if isinstance(value, str) and value and value.isprintable() and value == value.strip():
        return value if not limit or len(value) <= limit else value[: limit - 2] + ".."
    return value_text(value, limit)


def field_text(change: FieldChange, limit: int = 0) -> str:
    """`LOG_LEVEL debug -> info`, `+ labels.reviewed-by "bob"`, `- spec.paused`."""
    if change.mark == "~":
        return f"{last_name(change)} {bare_text(change.before, limit)} -> {bare_text(change.after, limit)}"
    where = format_path(change.path[-2:])
    if change.mark == "-":
        return f"- {where}"
    return f"+ {where} {value_text(change.after, limit)}"


def last_name(change: FieldChange) -> str:
    """The path's last member; of a whole list element, the list's name before it."""
    last = change.path[-1]
    return last if isinstance(last, str) else format_path(change.path[-2:])


def change_text(one: ObjectChange, limit: int = 0) -> str:
    """The first field and how many more; values longer than `limit` are cut (0: never)."""
    if one.what != "changed":
        return one.what
    if not one.difference.fields:
        return f"nothing but noise ({one.difference.noise} fields)" if one.difference.noise else "nothing"
    fields = _most_telling(one.difference.fields)
    more = f", +{len(fields) - 1} more" if len(fields) > 1 else ""
    return field_text(fields[0], limit) + more


def _most_telling(fields: list[FieldChange]) -> list[FieldChange]:
    """What was asked for before its traces in metadata, and both before status."""

    def weight(change: FieldChange) -> int:
        return {"metadata": 1, "status": 2}.get(str(change.path[0]), 0)

    return sorted(fields, key=weight)


def happening_text(found: Happening, limit: int = 0) -> str:
    """The CHANGE column."""
    event = found.event
    if event.code >= 400:
        return f"{event.code} {event.reason or 'refused'}"
    if found.kind == "dry-run":
        return "dry-run: " + (change_text(found.changes[0], limit) if found.changes else event.verb)
    if not found.changes:
        return "nothing" if event.verb in ("update", "patch", "delete", "deletecollection") else ""
    if len(found.changes) == 1:
        return change_text(found.changes[0], limit) + _doubt(found)
    keys = {one.key for one in found.changes}
    last = found.changes[-1]
    if len(keys) == 1:
        return change_text(last, limit) + _doubt(found)
    whats = {one.what for one in found.changes}
    word = next(iter(whats)) if len(whats) == 1 else "changed"
    return f"{len(keys)} {word}" + _doubt(found)


def _doubt(found: Happening) -> str:
    return {"inferred": " ~", "unknown": " ?"}.get(found.confidence, "")


def who(event: Event) -> str:
    """The user; `admin as alice` where one spoke for another."""
    if event.verb == "import":
        return "(import)"
    name = short_user(event.user.name)
    return f"{name} as {short_user(event.impersonated.name)}" if event.impersonated else name


def short_user(name: str) -> str:
    """Controllers by their own name: system:serviceaccount:kube-system:job-controller is job-controller."""
    if name.startswith("system:serviceaccount:kube-system:"):
        return name.rpartition(":")[2]
    if name.startswith("system:serviceaccount:"):
        return "/".join(name.split(":")[2:4])
    if name.startswith("system:node:"):
        return name.rpartition(":")[2]
    return name.removeprefix("system:") if name.startswith("system:kube-") else name


def did(event: Event) -> str:
    return f"{event.verb} {event.subresource}" if event.subresource else event.verb


def what(found: Happening, *, namespaced: bool) -> str:
    """The object, or the collection: `configmaps/orders-config`; with its namespace where several are shown."""
    event = found.event
    keys = list(dict.fromkeys(one.key for one in found.changes))
    key = keys[0] if len(keys) == 1 else object_key(event)
    if not key.resource:
        return event.uri.partition("?")[0]
    name = f"{key.resource}/{key.name}" if key.name else key.resource
    return f"{key.namespace}/{name}" if namespaced and key.namespace else name
