"""Warnings with what an imported ledger serves of the past: what its log does not tell of the objects asked for."""

from __future__ import annotations

from functools import cached_property

from ledger.apimachinery.resource import GroupResource, Key
from ledger.log.event import EXISTENCE
from ledger.projections.store import Store
from ledger.projections.unknowable import REVISION, ResourceGap, gap_of, import_report, resource_gaps


class Untold:
    """Of a ledger that is only read: its report does not change."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def _resources(self) -> list[ResourceGap] | None:
        report = import_report(self._store)
        return None if report is None else resource_gaps(report)

    def warnings(self, resource: GroupResource, namespace: str, name: str, revision: int | None) -> list[str]:
        """In the words that kubectl prints after "Warning: "."""
        if self._resources is None:
            return []
        at = self._store.head() if revision is None else revision
        found = [
            f"{resource} may be missing, changed or left over since revision {one.after}: {one.why}"
            for one in self._resources
            if one.resource == resource and one.after < at and (not namespace or one.namespace in ("", namespace))
        ]
        return found + (self._of_object(Key(*resource, namespace, name), at) if name else [])

    def _of_object(self, key: Key, at: int) -> list[str]:
        change = next(self._store.versions(key, upto=at), None)
        gap = gap_of(change, at) if change is not None else None
        if gap is None or gap.fields == (REVISION,):
            return []
        what = ", ".join({"*": "its content", EXISTENCE: "whether it was there"}.get(one, one) for one in gap.fields)
        return [f"{key.resource}/{key.name}: not in the log: {what} ({gap.why})"]
