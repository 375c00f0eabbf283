"""The entries of metadata.managedFields: read into owners by manager, written back in upstream's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from ledger.apimachinery import fieldset
from ledger.apimachinery.field import quoted
from ledger.apimachinery.fieldset import FieldSet, FieldSetError
from ledger.apimachinery.json_codec import exact

Entries = list[dict[str, Any]]


class ManagerKey(NamedTuple):
    """What tells one entry from another. An applier has one entry whatever versions it applies in."""

    manager: str
    operation: str  # Apply or Update
    api_version: str  # empty for Apply
    subresource: str

    @classmethod
    def of(cls, manager: str, operation: str, api_version: str, subresource: str) -> ManagerKey:
        return cls(manager or "unknown", operation, api_version if operation == "Update" else "", subresource)


@dataclass(frozen=True, slots=True)
class Owned:
    """What one manager owns."""

    fields: FieldSet
    api_version: str  # the fields are named as in this version
    time: str | None = None


Managed = dict[ManagerKey, Owned]


class BadManagedFields(ValueError):
    """managedFields that cannot be read."""


def decode_managed_fields(entries: Sequence[Mapping[str, Any]]) -> Managed:
    """The entries of an object by manager. Raises BadManagedFields."""
    managed: Managed = {}
    for index, entry in enumerate(entries):
        operation, api_version = entry.get("operation", ""), entry.get("apiVersion", "")
        if operation not in ("Apply", "Update"):
            raise BadManagedFields("operation must be `Apply` or `Update`")
        if not api_version:
            raise BadManagedFields("apiVersion must not be empty")
        match entry.get("fieldsType", ""):
            case "FieldsV1":
                pass
            case "":
                raise BadManagedFields(f"missing fieldsType in managed fields entry {index}")
            case other:
                raise BadManagedFields(f"invalid fieldsType {quoted(other)} in managed fields entry {index}")
        key = ManagerKey(
            entry.get("manager", ""),
            operation,
            api_version if operation == "Update" else "",
            entry.get("subresource", ""),
        )
        try:
            fields = _parsed(entry.get("fieldsV1"))
        except FieldSetError as error:
            raise BadManagedFields(f"error decoding versioned set: {error}") from None
        managed[key] = Owned(fields, api_version, entry.get("time"))
    return managed


_SETS_MAX, _SET_BYTES_MAX = 1024, 4096
# Sets in canonical form that were met lately, by each text that says them; objects made alike have the same.
_known: dict[bytes, FieldSet] = {}
_shared: dict[int, FieldSet] = {}  # the same, by id


def _parsed(fields_v1: Any) -> FieldSet:
    """The set a FieldsV1 says; one and the same for the same text. Raises FieldSetError."""
    text = orjson.dumps(fields_v1, default=str)
    return _known.get(text) or _remember(text, fieldset.parse(fields_v1))


def _canonical(fields: FieldSet) -> FieldSet:
    """The set in the order upstream writes it; one and the same for equal sets."""
    if id(fields) in _shared:
        return fields
    text = orjson.dumps(fields)
    return _known.get(text) or _remember(text, fields)


def _remember(text: bytes, fields: FieldSet) -> FieldSet:
    fields = fieldset.canonical(fields)
    if not fields or len(text) > _SET_BYTES_MAX:
        return fields
    if len(_known) >= _SETS_MAX:
        _known.clear()
        _shared.clear()
    fields = _known.setdefault(exact(orjson.dumps(fields)), fields)
    _known[exact(text)] = _shared[id(fields)] = fields
    return fields


def is_shared(fields: FieldSet) -> bool:
    """Whether it is one of the sets that were met lately; these are small."""
    return id(fields) in _shared


def encode_managed_fields(managed: Managed) -> Entries:
    """The entries as an object carries them: appliers first, then by time, then by name."""
    items = managed.items()
    return [_entry(key, owned) for key, owned in (sorted(items, key=_order) if len(managed) > 1 else items)]


def _order(item: tuple[ManagerKey, Owned]) -> tuple[str, str, str, str, str]:
    key, owned = item
    return key.operation, owned.time or "", key.manager, owned.api_version, key.subresource


def _entry(key: ManagerKey, owned: Owned) -> dict[str, Any]:
    entry: dict[str, Any] = {"manager": key.manager} if key.manager else {}
    entry["operation"], entry["apiVersion"] = key.operation, owned.api_version
    if owned.time is not None:
        entry["time"] = owned.time
    entry["fieldsType"], entry["fieldsV1"] = "FieldsV1", _canonical(owned.fields)
    if key.subresource:
        entry["subresource"] = key.subresource
    return entry
