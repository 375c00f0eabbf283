"""Column definitions that belong to no one resource: the default ones and those of Scale."""

from __future__ import annotations

import functools

from ledger.scheme.builtin import load_columns
from ledger.scheme.definition import Column


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
