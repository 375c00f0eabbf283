"""The cells of tables: what each column of `kubectl get` shows of an object."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import GVK, Object
from ledger.scheme.definition import Column, ResourceDefinition, Version


def cells(definition: ResourceDefinition, version: Version, obj: Object, now: int) -> list[Any]:
    """One value a column of the version, in order. `now`: microseconds since 1970, for ages."""
    return [obj["metadata"].get("name", "") if column.name == "Name" else "" for column in version.columns]


def conditions(definition: ResourceDefinition, obj: Object) -> list[Object]:
    """The row's conditions: Completed, for pods that are."""
    return []


def plain(kind: GVK, obj: Object, now: int) -> tuple[tuple[Column, ...], list[Any]]:
    """Columns and cells of an object that is no resource of its own."""
    return (Column("Name", "string"),), [(obj.get("metadata") or {}).get("name", "")]
