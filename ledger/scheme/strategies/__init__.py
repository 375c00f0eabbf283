"""What the registry strategies of kube-apiserver know of built-in kinds: defaults, preparation, validation, warnings.

Data first (ledger/scheme/data/{traits,defaults,disabled_fields}.json), named functions where a rule has a condition.
Nothing here waits or reads a clock; time and user arrive in a `Context`. docs/adr/0010 says why.
"""

from functools import cache
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.defaults import default, default_kind
from ledger.scheme.strategies.prepare import (
    canonicalize,
    generation_changed,
    prepare_for_create,
    prepare_for_status_update,
    prepare_for_update,
    reset_fields,
    reset_fields_filter,
)
from ledger.scheme.strategies.validation import validate_create, validate_update

__all__ = [
    "Context",
    "canonicalize",
    "default",
    "default_kind",
    "generation_changed",
    "prepare_for_create",
    "prepare_for_status_update",
    "prepare_for_update",
    "reset_fields",
    "reset_fields_filter",
    "validate_create",
    "validate_update",
    "warnings",
]


def warnings(definition: ResourceDefinition, obj: Object, old: Object | None, subresource: str = "") -> list[str]:
    """See advice.warnings, which is loaded with the first object that is written: a start does not wait for it."""
    found: list[str] = _advice().warnings(definition, obj, old, subresource)
    return found


@cache
def _advice() -> Any:
    from ledger.scheme.strategies import advice

    return advice
