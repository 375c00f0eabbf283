"""What is wrong with a custom resource, in kube-apiserver's order and words.

Kind and version, metadata, the schema, the places of the scale subresource, embedded objects, lists that are sets or maps,
rules. Follows pkg/registry/customresource/{strategy,status_strategy,validator}.go of k8s.io/apiextensions-apiserver.
"""

from __future__ import annotations

from typing import Any

from ledger.apimachinery import field
from ledger.apimachinery.field import FieldError, quoted
from ledger.apimachinery.gotext import type_of, verb_v
from ledger.apimachinery.names import (
    FORMATS,
    is_dns1035_label,
    is_path_segment,
    is_path_segment_prefix,
    is_qualified_name,
)
from ledger.apimachinery.objectmeta import validate_object_meta, validate_object_meta_update
from ledger.apimachinery.resource import Object, Schema
from ledger.scheme.cel_rules import has_rules, rule_errors
from ledger.scheme.definition import ResourceDefinition, ScalePaths, Version
from ledger.scheme.schema_validation import NO_PATH, UNKNOWN, validate
from ledger.scheme.structural import Structural, structural
from ledger.scheme.structural_lists import validate_lists

INT32_MAX = (1 << 31) - 1
_BEFORE_RULES = ("NotSupported", "Required", "TooLong", "TooMany", "TypeInvalid")
_STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")


def validate_create(definition: ResourceDefinition, version: Version, obj: Object) -> list[FieldError]:
    """Findings in a new object, in the request's version."""
    errors = _kind_errors(version, obj)
    if not errors:
        name_format = FORMATS["dns1123-subdomain"]
        errors = validate_object_meta(obj["metadata"], definition.namespaced, name_format)
        errors += _schema_errors(version, obj, UNKNOWN)
        errors += _scale_spec_errors(version.scale, obj) + _scale_status_errors(version.scale, obj)
    if version.structural is None:
        return errors
    node = structural(version.structural)
    errors += embedded_errors(obj, node, "") + validate_lists(obj, node)
    return errors + _rule_errors(version.structural, obj, UNKNOWN, errors)


def validate_update(
    definition: ResourceDefinition, version: Version, obj: Object, old: Object, subresource: str
) -> list[FieldError]:
    """The same for what replaces `old`, through the resource itself, /scale or /status."""
    status = subresource == "status"
    errors = _kind_errors(version, obj)
    if not errors:
        errors = validate_object_meta_update(obj["metadata"], old["metadata"])
        if status:
            errors += _status_errors(version, obj, old)
        else:
            errors += _schema_errors(version, obj, old) + _scale_spec_errors(version.scale, obj)
        errors += _scale_status_errors(version.scale, obj)
    if version.structural is None:
        return errors
    node = structural(version.structural)
    if not status:
        errors += embedded_errors(obj, node, "")
    if not validate_lists(old, node):
        errors += validate_lists(obj, node)
    return errors + _rule_errors(version.structural, obj, old, errors)


def _rule_errors(schema: Schema, obj: Object, old: Any, errors: list[FieldError]) -> list[FieldError]:
    """What rules say, unless something more basic is wrong."""
    if not has_rules(schema):
        return []
    if any(error.type in _BEFORE_RULES for error in errors):
        text = "some validation rules were not checked because the object was invalid"
        why = f"{text}; correct the existing errors to complete validation"
        return [field.invalid(NO_PATH, None, why)]
    return rule_errors(schema, obj, old)


def _kind_errors(version: Version, obj: Object) -> list[FieldError]:
    errors = []
    if obj["kind"] != version.kind.kind:
        errors.append(field.invalid("kind", obj["kind"], f"must be {version.kind.kind}"))
    if obj["apiVersion"] != version.kind.api_version:
        errors.append(field.invalid("apiVersion", obj["apiVersion"], f"must be {version.kind.api_version}"))
    return errors


def _schema_errors(version: Version, obj: Object, old: Any) -> list[FieldError]:
    return [] if version.structural is None else validate(version.structural, obj, old)


def _status_errors(version: Version, obj: Object, old: Object) -> list[FieldError]:
    """Through /status only the status is held to its schema."""
    schema = ((version.structural or {}).get("properties") or {}).get("status")
    if schema is None or "status" not in obj:
        return []
    return validate(schema, obj["status"], old.get("status", UNKNOWN), "status")


# --- scale -----------------------------------------------------------------------------------------------------------
def _scale_spec_errors(scale: ScalePaths | None, obj: Object) -> list[FieldError]:
    return [] if scale is None else _replicas_errors(obj, scale.spec_replicas)


def _scale_status_errors(scale: ScalePaths | None, obj: Object) -> list[FieldError]:
    if scale is None:
        return []
    errors = _replicas_errors(obj, scale.status_replicas)
    if scale.label_selector:
        _value, error = nested(obj, scale.label_selector, str)
        if error:
            errors.append(field.invalid(f".{scale.label_selector}", "", error))
    return errors


def _replicas_errors(obj: Object, path: str) -> list[FieldError]:
    value, error = nested(obj, path, int)
    replicas = value or 0
    if error:
        return [field.invalid(f".{path}", 0, error)]
    if replicas < 0:
        return [field.invalid(f".{path}", replicas, "should be a non-negative integer")]
    if replicas > INT32_MAX:
        return [field.invalid(f".{path}", replicas, f"should be less than or equal to {INT32_MAX}")]
    return []


def nested(obj: Object, path: str, wanted: type) -> tuple[Any, str]:
    """(the value at a dotted path, None where there is none; what is wrong with it), as unstructured.Nested* say it."""
    value: Any = obj
    passed: list[str] = []
    for part in path.split("."):
        if value is None:
            return None, ""
        if not isinstance(value, dict):
            shown = f"{verb_v(value)} is of the type {type_of(value)}, expected map[string]interface{{}}"
            return None, f".{'.'.join([*passed, part])} accessor error: {shown}"
        passed.append(part)
        if part not in value:
            return None, ""
        value = value[part]
    if type(value) is not wanted:
        expected = {int: "int64", str: "string"}[wanted]
        return None, f".{path} accessor error: {verb_v(value)} is of the type {type_of(value)}, expected {expected}"
    return value, ""


# --- embedded objects ------------------------------------------------------------------------------------------------
def embedded_errors(value: Any, node: Structural | None, path: str) -> list[FieldError]:
    """Objects inside of objects must say what they are (objectmeta.Validate)."""
    if node is None or not node.has_embedded:
        return []
    errors: list[FieldError] = []
    if isinstance(value, dict):
        if node.embedded:
            errors += _one_embedded(value, path)
        for name in sorted(value):
            at = f"{path}[{name}]" if name not in node.properties else f"{path}.{name}" if path else name
            errors += embedded_errors(value[name], node.child(name), at)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            errors += embedded_errors(one, node.items, f"{path}[{index}]")
    return errors


def _one_embedded(value: dict[str, Any], path: str) -> list[FieldError]:
    errors = [field.required(f"{path}.{name}") for name in ("apiVersion", "kind") if name not in value]
    for name in ("apiVersion", "kind"):
        given = value.get(name)
        if name not in value:
            continue
        if not isinstance(given, str):
            errors.append(field.invalid(f"{path}.{name}", given, "must be a string"))
        elif not given:
            errors.append(field.invalid(f"{path}.{name}", given, "must not be empty"))
        elif name == "apiVersion" and given.count("/") > 1:
            errors.append(field.invalid(f"{path}.{name}", given, f"unexpected GroupVersion string: {given}"))
        elif name == "kind" and (wrong := is_dns1035_label(given.lower())):
            text = f"may have mixed case, but should otherwise match: {','.join(wrong)}"
            errors.append(field.invalid(f"{path}.{name}", given, text))
    metadata = value.get("metadata")
    if isinstance(metadata, dict):
        named = metadata if metadata.get("name") else {**metadata, "name": "fakename"}
        errors += validate_object_meta(named, bool(metadata.get("namespace")), _path_segment, f"{path}.metadata")
    return errors


def _path_segment(name: str, prefix: bool) -> list[str]:
    return is_path_segment_prefix(name) if prefix else is_path_segment(name)


# --- warnings --------------------------------------------------------------------------------------------------------
def finalizer_warnings(obj: Object, old: Object | None) -> list[str]:
    """What a client is told of the names of finalizers it adds."""
    before = set((old or {"metadata": {}})["metadata"].get("finalizers") or ())
    found: list[str] = []
    for name in sorted(set(obj["metadata"].get("finalizers") or ()) - before):
        found += [f"metadata.finalizers: {quoted(name)}: {text}" for text in is_qualified_name(name)]
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            path = " including a path (/)" if "." in name else ""
            found.append(
                f"metadata.finalizers: {quoted(name)}: prefer a domain-qualified finalizer name{path} to avoid accidental"
                " conflicts with other finalizer writers"
            )
    return found
