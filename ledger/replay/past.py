"""The past as questions need it: a store, the kinds that existed at each moment, objects before and after a change."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import orjson

from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.log.event import IMPORTED, Change, Event
from ledger.log.rows import check_horizon, named
from ledger.projections.api import Stored, View
from ledger.projections.store import Store
from ledger.replay.kinds import CRDS, Kinds, kinds_of
from ledger.replay.reread import reread
from ledger.scheme.scheme import Scheme, builtin


class ReplayError(Exception):
    """A question that cannot be answered as asked; `code` is the exit status (replay-ux 3.6)."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


class Past:
    """Reads of one ledger. `now` is the clock's time in microseconds; a finished log counts back from its end."""

    def __init__(self, store: Store, now: int) -> None:
        self.store = store
        self.builtin: Scheme = builtin()
        span = store.span()
        if span is None:
            raise ReplayError("the log is empty: nothing happened yet", 3)
        self.head = store.head()
        self.last_position = store.last_position()
        last = store.event(self.last_position)
        assert last is not None
        self.finished = last.stage == IMPORTED
        self.begins, self.ends = span
        self.now = self.ends if self.finished else now
        self._kinds_at = lru_cache(maxsize=64)(self._read_kinds)

    def kinds(self, revision: int) -> Kinds:
        """The kinds that existed at a revision, custom resources included."""
        with self.store.view(self.valid(revision)) as view:
            made_from = tuple((one.key.name, one.revision) for one in view.scan(CRDS))
        return self._kinds_at(made_from)

    def _read_kinds(self, made_from: tuple[tuple[str, int], ...]) -> Kinds:
        crds = []
        for name, revision in made_from:
            change = self.store.change(revision)
            assert change is not None and change.body is not None, name
            crds.append(decode(change))
        return kinds_of(self.builtin, crds)

    def valid(self, revision: int) -> int | None:
        """What `store.view` takes: None for the end."""
        return None if revision >= self.head else revision

    def version(self, key: Key, revision: int) -> Change | None:
        """The last change of an object up to a revision (included), deletion included; None: it had not existed."""
        return next(self.store.versions(key, upto=revision), None)

    def object(self, change: Change, at: int = 0) -> Object | None:
        """The object that a change left, as it was read at a revision (0: the change's own); None: it was gone.

        Custom objects are read through the schema of the moment: it prunes and defaults.
        """
        if change.body is None:
            return None
        obj = decode(change)
        resource = GroupResource(*change.key[:2])
        if self.builtin.definition(resource) is not None:
            return obj
        definition = self.kinds(at or change.revision).definition(resource)
        version = definition.versions.get(change.api_version.rpartition("/")[2]) if definition else None
        return reread(obj, version.structural or version.schema) if version else obj

    def before(self, change: Change) -> Object | None:
        """The object that a change replaced, as it was read then; None: there was none."""
        previous = self.store.change(change.previous) if change.previous else None
        return self.object(previous, change.revision) if previous is not None else None

    def check_horizon(self, resource: GroupResource, revision: int) -> None:
        """Raises Compacted where retention dropped what a resource was at a revision."""
        with self.store.read() as read:
            check_horizon(read, resource, revision)

    def losses(self, after: int = 0) -> list[str]:
        """What retention dropped of the time after a revision: "leases.coordination.k8s.io before rv 120"."""
        with self.store.read() as read:
            retained = read.retained()
        found = [
            f"{named(GroupResource(*name.split('/')))} before rv {horizon}"
            for name, horizon in sorted(retained.horizons.items())
            if horizon > after
        ]
        if retained.reads > (self.store.position_of(after) or 0):
            found.append(f"requests that changed nothing, up to the {retained.reads:,}th")
        return found

    def event_of(self, revision: int) -> Event | None:
        position = self.store.position_of(revision)
        return None if position is None else self.store.event(position)

    def keys_ever(self, resource: GroupResource) -> set[Key]:
        """Every key of a resource that is there now or was once."""
        with self.store.view() as view:
            keys = {stored.key for stored in view.scan(resource)}
        with self.store.read() as read:
            start = f"{resource.group}/{resource.resource}\0".encode()
            keys |= {Key.decode(encoded) for _, encoded in read.scan("deletions", start, start + b"\xff" * 9)}
        return keys

    def scan(self, view: View, resource: GroupResource, namespace: str) -> Iterator[Stored]:
        return view.scan(resource, namespace)


def decode(change: Change) -> Object:
    """The object of a change as a client saw it."""
    assert change.body is not None
    return _shown(change.body, change.revision, change.api_version, change.kind)


def decode_stored(stored: Stored) -> Object:
    return _shown(stored.body, stored.revision, stored.api_version, stored.kind)


def _shown(body: bytes, revision: int, api_version: str, kind: str) -> Object:
    obj: Object = orjson.loads(body)
    obj["metadata"]["resourceVersion"] = str(revision)
    return {"apiVersion": api_version, "kind": kind, **obj}
