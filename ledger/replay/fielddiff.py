"""The difference of two objects, field by field: lists by their keys, noise counted instead of shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ledger.apimachinery.resource import Object, Schema
from ledger.replay.paths import ABSENT, Keyed, Path

# Members that change whenever anything does.
NOISE_ANYWHERE = frozenset({"lastTransitionTime", "lastHeartbeatTime", "lastUpdateTime", "lastProbeTime", "renewTime"})
NOISE_PATHS = frozenset(
    {
        ("metadata", "managedFields"),
        ("metadata", "generation"),
        ("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"),
        ("status", "observedGeneration"),
    }
)
REVISION = ("metadata", "resourceVersion")  # differs by definition: neither shown nor counted
# Members that tell list elements apart where no schema names the keys, the likeliest first.
KEY_CANDIDATES = ("name", "type", "uid", "key", "ip", "containerPort", "port", "id", "kind")


class FieldChange(NamedTuple):
    """One field; ABSENT before or after: it was added or removed."""

    path: Path
    before: Any
    after: Any

    @property
    def mark(self) -> str:
        return "+" if self.before is ABSENT else "-" if self.after is ABSENT else "~"


class Difference(NamedTuple):
    """All fields that differ, and how many of the noisy ones do."""

    fields: list[FieldChange]
    noise: int


def difference(before: Object, after: Object, schema: Schema | None = None, *, noise: bool = False) -> Difference:
    """Differences in the order of the objects' members, metadata first. With `noise`, nothing is left out."""
    shown, hidden = [], 0
    for change in _walk((), before, after, schema):
        if not noise and change.path == REVISION:
            continue
        if not noise and is_noise(change.path):
            hidden += 1
        else:
            shown.append(change)
    return Difference(shown, hidden)


def is_noise(path: Path) -> bool:
    return (
        path in NOISE_PATHS
        or path[:2] == ("metadata", "managedFields")
        or (bool(path) and path[-1] in NOISE_ANYWHERE)
        or (len(path) > 1 and path[0] == "status" and path[-1] == "observedGeneration")
    )


def _walk(path: Path, before: Any, after: Any, schema: Schema | None) -> Iterator[FieldChange]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _maps(path, before, after, schema)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(path, before, after, schema)
    elif before is ABSENT and isinstance(after, dict) and after and len(path) < 3:
        yield from _maps(path, {}, after, schema)  # metadata.labels that were not there: a line for each
    elif after is ABSENT and isinstance(before, dict) and before and len(path) < 3:
        yield from _maps(path, before, {}, schema)
    else:
        yield FieldChange(path, before, after)


def _maps(path: Path, before: Object, after: Object, schema: Schema | None) -> Iterator[FieldChange]:
    for name in [*before, *(name for name in after if name not in before)]:
        yield from _walk((*path, name), before.get(name, ABSENT), after.get(name, ABSENT), _member(schema, name))


def _lists(path: Path, before: list[Any], after: list[Any], schema: Schema | None) -> Iterator[FieldChange]:
    keys = _list_keys(schema, before, after)
    if keys is None:
        if len(before) == len(after) and not _scalars(before) and not _scalars(after):
            for index, (old, new) in enumerate(zip(before, after, strict=True)):
                yield from _walk((*path, index), old, new, _items(schema))
        else:
            yield FieldChange(path, before, after)
        return
    old_by_key = {_key_of(one, keys): one for one in before}
    new_by_key = {_key_of(one, keys): one for one in after}
    for key in [*old_by_key, *(key for key in new_by_key if key not in old_by_key)]:
        step = (*path, Keyed(key))
        old, new = old_by_key.get(key, ABSENT), new_by_key.get(key, ABSENT)
        if old is ABSENT or new is ABSENT:
            yield FieldChange(step, old, new)
        else:
            yield from _walk(step, old, new, _items(schema))


def _scalars(values: list[Any]) -> bool:
    return any(not isinstance(value, dict | list) for value in values)


def _list_keys(schema: Schema | None, before: list[Any], after: list[Any]) -> tuple[str, ...] | None:
    """The members that tell elements apart in both lists; None: there are none, the lists are compared by place."""
    if not all(isinstance(one, dict) for one in (*before, *after)):
        return None
    named = (schema or {}).get("x-kubernetes-list-map-keys") or ()
    merge_key = (schema or {}).get("x-kubernetes-patch-merge-key")
    candidates = [tuple(named)] if named else []
    candidates += [(merge_key,)] if merge_key else []
    candidates += [(name,) for name in KEY_CANDIDATES]
    for keys in candidates:
        if _unique(before, keys) and _unique(after, keys):
            return keys
    return None


def _unique(elements: list[Object], keys: tuple[str, ...]) -> bool:
    """A key may be left out when the schema gives it a default (a port's protocol), but not the first one."""
    if any(keys[0] not in one or isinstance(one[keys[0]], dict | list) for one in elements):
        return False
    return len({_key_of(one, keys) for one in elements}) == len(elements)


def _key_of(element: Object, keys: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, element[name]) for name in keys if name in element)


def _member(schema: Schema | None, name: str) -> Schema | None:
    resolved = _resolved(schema)
    found = resolved.get("properties", {}).get(name) or resolved.get("additionalProperties")
    return found if isinstance(found, dict) else None


def _items(schema: Schema | None) -> Schema | None:
    found = _resolved(schema).get("items")
    return found if isinstance(found, dict) else None


def _resolved(schema: Schema | None) -> Schema:
    """A property that refers to a type keeps its own keys beside `allOf: [type]`."""
    while schema and "allOf" in schema and len(schema["allOf"]) == 1:
        schema = schema["allOf"][0]
    return schema or {}
