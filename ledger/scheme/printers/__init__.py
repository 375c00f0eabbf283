"""The cells of tables: what each column of `kubectl get` shows of an object.

A built-in kind's row is a tuple of small functions, most of them a path; a custom resource's is its columns' JSONPaths.
Printers are written for the stored version: other versions' objects are converted first. Follows pkg/printers in
k8s.io/kubernetes, always with the wide cells: clients choose by the columns' priority.
"""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.resource import GVK, Object
from ledger.scheme import conversion
from ledger.scheme.definition import Column, ResourceDefinition, Version
from ledger.scheme.printers import access, core, network, storage, system, workloads
from ledger.scheme.printers.cell import AGE, CREATED_AT, NAME, Row, dig, row, value
from ledger.scheme.printers.columns import default_columns, scale_columns
from ledger.scheme.printers.custom import custom_cells
from ledger.scheme.printers.pods import pod_conditions

# By resource and group ("deployments.apps"); what is in none has the default columns, Name and Created At.
_ROWS: dict[str, Row] = {
    **workloads.ROWS,
    **core.ROWS,
    **network.ROWS,
    **storage.ROWS,
    **access.ROWS,
    **system.ROWS,
}
_DEFAULT = row(NAME, CREATED_AT)
_SCALE = row(NAME, value("spec.replicas", 0), value("status.replicas", 0), AGE)


def cells(definition: ResourceDefinition, version: Version, obj: Object, now: int) -> list[Any]:
    """One value a column of the version, in order. `now`: microseconds since 1970, for ages."""
    if definition.custom:
        return custom_cells(version.columns, obj, now)
    return _row(definition)(conversion.to_storage(definition, obj), now)


def listed(
    definition: ResourceDefinition, version: Version, objects: list[Object], now: int
) -> list[tuple[Object, list[Any]]]:
    """The objects of one list with their cells, in the order upstream prints them.

    Two kinds are told more in a list than alone: flow schemas stand in the order they are tried, and of the storage
    classes one is marked as the default.
    """
    order = _ORDERS.get(str(definition.stored_as))
    rows = [(obj, cells(definition, version, obj, now)) for obj in (sorted(objects, key=order) if order else objects)]
    if str(definition.stored_as) in _MARKED and (default := _MARKED[str(definition.stored_as)](objects)):
        for _, row in rows:
            row[0] += " (default)" if row[0] == default else ""
    return rows


def listed_together(definition: ResourceDefinition) -> bool:
    """Whether `listed` makes more of all objects of a list than of one after the other."""
    return str(definition.stored_as) in {*_ORDERS, *_MARKED}


def conditions(definition: ResourceDefinition, obj: Object) -> list[Object]:
    """The row's conditions: Completed, for pods that are."""
    of_kind = _CONDITIONS.get(str(definition.stored_as))
    return of_kind(obj) if of_kind else []


def plain(kind: GVK, obj: Object, now: int) -> tuple[tuple[Column, ...], list[Any]]:
    """Columns and cells of an object that is no resource of its own."""
    if kind.kind == "Scale":
        return scale_columns(), _SCALE(obj, now)
    return default_columns(), _DEFAULT(obj, now)


def _row(definition: ResourceDefinition) -> Row:
    return _ROWS.get(str(definition.stored_as), _DEFAULT)


def _matching_order(obj: Object) -> tuple[int, str]:
    return dig(obj, "spec", "matchingPrecedence") or 0, dig(obj, "metadata", "name") or ""


_ORDERS = {"flowschemas.flowcontrol.apiserver.k8s.io": _matching_order}
_MARKED = {"storageclasses.storage.k8s.io": storage.default_class}
_CONDITIONS = {"pods": pod_conditions}
