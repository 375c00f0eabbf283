"""Field selectors: which labels a resource knows, what they stand for, and their values in a stored object.

A label of the request ("regarding.name", "spec.host") stands for a label of the stored object ("involvedObject.name",
"spec.nodeName"), which names a place in it. For built-ins that is data (tools/generate/upstream.py); the selectable
fields of a CRD are places themselves. Values are compared as text, Go's zero value where there is none.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition, Version


class UnknownFieldLabel(ValueError):
    """The field cannot be selected by; the message is what kube-apiserver says, a 400 for the client."""


def stored_label(definition: ResourceDefinition, version: Version, label: str) -> str:
    """The label of the stored object that a request's field label stands for. Raises UnknownFieldLabel.

    Follows AddFieldLabelConversionFunc in pkg/apis, DefaultMetaV1FieldSelectorConversion for everybody else.
    """
    more = definition.traits.more
    known = label in version.selectable_fields
    common = label == "metadata.name" or (label == "metadata.namespace" and not more.get("fieldLabelsWithoutNamespace"))
    if known or common:
        aliases: Mapping[str, str] = more.get("fieldAliases", {})
        return aliases.get(label, label)
    if not version.selectable_fields and "fieldLabelError" not in more:
        raise UnknownFieldLabel(f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"')
    kind = f"{version.kind.api_version}, Kind={version.kind.kind}"
    text: str = more.get("fieldLabelError", "field label not supported: {label}")
    raise UnknownFieldLabel(text.format(label=label, kind=kind))


def field_values(definition: ResourceDefinition, version: Version, obj: Object) -> dict[str, str]:
    """The value of every label of the stored object, beside metadata.name and metadata.namespace.

    `obj`: as stored for a built-in, in `version` for a custom resource (its selectable fields are of that version).
    """
    if definition.custom:
        return {label: _text(obj, label) for label in version.selectable_fields}
    return builtin_field_values(definition, obj)


def builtin_field_values(definition: ResourceDefinition, obj: Object) -> dict[str, str]:
    places = definition.plans.get("field_labels")
    if places is None:
        labels: Mapping[str, str] = definition.traits.more.get("fieldLabels", {})
        places = definition.plans["field_labels"] = [(label, *_parsed(one)) for label, one in labels.items()]
    return {label: _first_text(obj, paths, zero) for label, paths, zero in places} if places else {}


def _text(obj: Object, expression: str) -> str:
    return _first_text(obj, *_parsed(expression))


def _first_text(obj: Object, paths: tuple[tuple[str, ...], ...], zero: str) -> str:
    for path in paths:
        value = _at(obj, path)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (str, int, float)) and value != "":
            return str(value)
    return zero


@functools.cache
def _parsed(expression: str) -> tuple[tuple[tuple[str, ...], ...], str]:
    """(paths to try, text where none has a value) of "source.component|reportingComponent" or "status.replicas=0"."""
    places, _, zero = expression.partition("=")
    return tuple(tuple(place.split(".")) for place in places.split("|") if place), zero


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list):
            value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
        else:
            return None
    return value
