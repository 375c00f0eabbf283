"""Column definitions that belong to no one resource: the default ones, those of Scale, those a CRD asks for."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from ledger.scheme.builtin import load_columns
from ledger.scheme.definition import Column
from ledger.scheme.printers.jsonpath import parse
from ledger.scheme.printers.jsonpath_steps import JSONPathError

CREATION_PATH = ".metadata.creationTimestamp"


@functools.cache
def default_columns() -> tuple[Column, ...]:
    """Name and Created At: of what has no printer."""
    return load_columns()["v1/limitranges"]


@functools.cache
def scale_columns() -> tuple[Column, ...]:
    """Of the Scale subresource."""
    name, created = default_columns()
    return (
        Column("Name", "string", description=name.description),
        Column("Desired", "integer", description="replicas is the desired number of instances for the scaled object."),
        Column(
            "Available",
            "integer",
            description="replicas is the actual number of observed instances of the scaled object.",
        ),
        Column("Age", "string", description=created.description),
    )


def custom_columns(printer_columns: Iterable[Mapping[str, Any]] | None) -> tuple[Column, ...]:
    """The columns of a CRD version from its additionalPrinterColumns: Name before them, Age where there are none.

    A path that cannot be parsed ends the columns, as upstream.
    """
    name, created = default_columns()
    asked = list(printer_columns or ())
    if not asked:
        return name, Column("Age", "date", description=created.description, path=CREATION_PATH)
    columns = [name]
    for one in asked:
        path = one.get("jsonPath", "")
        try:
            parse(path)
        except JSONPathError:
            break
        described = one.get("description") or f"Custom resource definition column (in JSONPath format): {path}"
        columns.append(Column(one["name"], one["type"], one.get("format", ""), described, one.get("priority", 0), path))
    return tuple(columns)
