"""`verify --against`: whether the ledger tells the same of a moment as a snapshot that was taken then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.replay.fielddiff import difference
from ledger.replay.importer.base import Base
from ledger.replay.past import Past, ReplayError
from ledger.replay.paths import format_path

FIELDS_SHOWN = 3
_VALUES = ("data", "stringData")  # of secrets, which an import may have redacted: only their keys are compared


@dataclass(slots=True)
class Agreement:
    """What a snapshot and the ledger have in common at the snapshot's revision."""

    revision: int
    equal: int = 0
    differing: list[tuple[Key, list[str]]] = field(default_factory=list)  # with the paths that differ
    missing: list[Key] = field(default_factory=list)  # in the snapshot, not in the ledger
    extra: list[Key] = field(default_factory=list)  # the other way round, of resources the snapshot holds all of

    @property
    def same(self) -> bool:
        return not (self.differing or self.missing or self.extra)

    def to_json(self) -> Object:
        return {
            "revision": str(self.revision),
            "equal": self.equal,
            "differing": [{"object": _name(key), "paths": paths} for key, paths in self.differing],
            "missing": [_name(key) for key in self.missing],
            "extra": [_name(key) for key in self.extra],
        }


def compare_with(past: Past, snapshot: Base) -> Agreement:
    """Compares every object of the snapshot; managedFields do not count. Raises ReplayError for a later moment."""
    if not 0 < snapshot.revision <= past.head:
        raise ReplayError(f"the snapshot is of revision {snapshot.revision}; the log has 1 to {past.head}.")
    found = Agreement(snapshot.revision)
    for key, expected in snapshot.objects.items():
        change = past.version(key, snapshot.revision)
        obj = past.object(change, snapshot.revision) if change is not None else None
        if obj is None:
            found.missing.append(key)
        elif _comparable(key, obj) == _comparable(key, expected):
            found.equal += 1
        else:
            found.differing.append((key, _paths(_comparable(key, obj), _comparable(key, expected))))
    found.extra = [key for key in _covered(past, snapshot) if key not in snapshot.objects]
    return found


def _covered(past: Past, snapshot: Base) -> Iterator[Key]:
    with past.store.view(past.valid(snapshot.revision)) as view:
        for resource in sorted(snapshot.covered):
            yield from [stored.key for stored in view.scan(GroupResource(*resource))]


def _comparable(key: Key, obj: Object) -> Object:
    shown = {**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name != "managedFields"}}
    if key[:2] != ("", "secrets"):
        return shown
    meta = {name: value for name, value in shown["metadata"].items() if name != "annotations"}
    keys = {name: sorted(shown[name] or {}) for name in _VALUES if name in shown}
    return {**shown, "metadata": meta, **keys}


def _paths(ours: Object, theirs: Object) -> list[str]:
    return [format_path(one.path) for one in difference(theirs, ours, noise=True).fields]


def agreement_lines(found: Agreement, name: str) -> Iterator[str]:
    """What `verify` prints of it: one line when all is the same, else one more an object."""
    what = f"snapshot  {name} at rv {found.revision}: "
    if found.same:
        yield f"{what}same {found.equal:,} objects, same fields"
        return
    yield (
        f"{what}{found.equal:,} objects equal, {len(found.differing):,} differ, "
        f"{len(found.missing):,} missing here, {len(found.extra):,} only here"
    )
    for key, paths in found.differing:
        more = f", +{len(paths) - FIELDS_SHOWN} more" if len(paths) > FIELDS_SHOWN else ""
        yield f"~ {_name(key)}    {', '.join(paths[:FIELDS_SHOWN])}{more}"
    yield from (f"- {_name(key)}" for key in found.missing)
    yield from (f"+ {_name(key)}" for key in found.extra)


def _name(key: Key) -> str:
    return "/".join(part for part in (str(GroupResource(*key[:2])), key.namespace, key.name) if part)
