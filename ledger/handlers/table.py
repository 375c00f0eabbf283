"""Tables (meta.k8s.io Table): what `kubectl get` prints."""

from __future__ import annotations

from functools import cache
from typing import Any

from ledger.apimachinery.resource import GVK, Object
from ledger.scheme.definition import Column, ResourceDefinition, Version


def document(version: Version, meta_version: str, meta: Object, rows: list[Object]) -> Object:
    """The Table of these rows with the version's columns."""
    return _table(version.columns, meta_version, meta, rows)


def row(
    definition: ResourceDefinition, version: Version, obj: Object, now: int, include: str, meta_version: str
) -> Object:
    """One row. `include`: "None", "Metadata" ("" too) or "Object" is what comes along."""
    return _row(definition, obj, _printers().cells(definition, version, obj, now), include, meta_version)


def rows(
    definition: ResourceDefinition, version: Version, objects: list[Object], now: int, include: str, meta_version: str
) -> list[Object]:
    """The rows of a list, in the order in which they are printed."""
    return [
        _row(definition, obj, cells, include, meta_version)
        for obj, cells in _printers().listed(definition, version, objects, now)
    ]


def depends_on_others(definition: ResourceDefinition) -> bool:
    """Whether a row, or its place, depends on what else is in the list."""
    return bool(_printers().listed_together(definition))


def _row(definition: ResourceDefinition, obj: Object, values: list[Any], include: str, meta_version: str) -> Object:
    cells: Object = {"cells": values}
    conditions = _printers().conditions(definition, obj)
    if conditions:
        cells["conditions"] = conditions
    if include == "Object":
        cells["object"] = obj
    elif include == "None":
        cells["object"] = None
    else:
        cells["object"] = partial(definition, obj, meta_version)
    return cells


def partial(definition: ResourceDefinition, obj: Object, meta_version: str) -> Object:
    """The PartialObjectMetadata of an object: upstream makes it, and tables, before a conversion adds annotations."""
    metadata = obj["metadata"]
    added = definition.traits.more.get("annotations_of_conversion", ())
    if added and "annotations" in metadata:
        annotations = {name: text for name, text in metadata["annotations"].items() if name not in added}
        metadata = {name: value for name, value in metadata.items() if name != "annotations" or annotations}
        if annotations:
            metadata["annotations"] = annotations
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{meta_version}", "metadata": metadata}


def of_kind(kind: GVK, obj: Object, meta: Object, meta_version: str, now: int) -> Object:
    """The Table of an object that is no resource of its own."""
    columns, cells = _printers().plain(kind, obj, now)
    shown = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj.get("metadata") or {}}
    return _table(columns, meta_version, meta, [{"cells": cells, "object": shown}])


def _table(columns: tuple[Column, ...], meta_version: str, meta: Object, rows: list[Object]) -> Object:
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{meta_version}",
        "metadata": meta,
        "columnDefinitions": [
            {
                "name": column.name,
                "type": column.type,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            }
            for column in columns
        ],
        "rows": rows,
    }


@cache
def _printers() -> Any:
    """The room's printers of all kinds, loaded with the first table."""
    from ledger.scheme import printers

    return printers
