"""What a version of a CustomResourceDefinition says: schema, subresources, columns, selectable fields, deprecation."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.names import is_dns1035_label
from ledger.apimachinery.resource import Object, Schema
from ledger.scheme.cel_rules import definition_errors, resolve_path
from ledger.scheme.strategies.validation.crd_internal import set_fields, shown_rule, shown_schema
from ledger.scheme.strategies.validation.crd_lenience import SELECTABLE_MAX, Lenience
from ledger.scheme.strategies.validation.crd_schema import schema_findings
from ledger.scheme.strategies.validation.crd_structural import default_errors, is_convertible, structural_errors
from ledger.scheme.strategies.validation.findings import Findings

WARNING_LENGTH_MAX = 256
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_AT_ROOT = (
    "Description",
    "Type",
    "Format",
    "Title",
    "Maximum",
    "ExclusiveMaximum",
    "Minimum",
    "ExclusiveMinimum",
    "MaxLength",
    "MinLength",
    "Pattern",
    "MaxItems",
    "MinItems",
    "UniqueItems",
    "MultipleOf",
    "Required",
    "Items",
    "Properties",
    "ExternalDocs",
    "Example",
    "XPreserveUnknownFields",
    "XValidations",
)


def version_findings(found: Findings, path: str, version: Object, spec: Object, lenience: Lenience) -> None:
    name = version.get("name", "")
    if wrong := is_dns1035_label(name):
        found.invalid(f"{path}.name", name, ",".join(wrong))
    _deprecation(found, f"{path}.deprecationWarning", version)
    subresources = version.get("subresources") or spec.get("subresources") or {}
    validation_findings(found, f"{path}.schema", version.get("schema"), "status" in subresources, lenience, name)
    subresource_findings(found, f"{path}.subresources", version.get("subresources"))
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        column_findings(found, f"{path}.additionalPrinterColumns[{index}]", column)
    if version.get("selectableFields"):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        at = f"{path}.selectableFields"
        if schema is None:
            text = "may only be set when `version.schema.openAPIV3Schema` is not included"
            found.invalid(at, "", text)
        else:
            selectable_findings(found, at, version["selectableFields"], schema, name in lenience.selectable)


def _deprecation(found: Findings, path: str, version: Object) -> None:
    text = version.get("deprecationWarning")
    if text is None:
        return
    if not version.get("deprecated"):
        found.invalid(path, text, "can only be set for deprecated versions")
        return
    if len(text.encode()) > WARNING_LENGTH_MAX:
        found.invalid(path, text, f"must be <= {WARNING_LENGTH_MAX} characters long")
    if not text:
        found.invalid(path, text, "must not be an empty string")
    for index, one in enumerate(text):
        if not one.isprintable():
            at = len(text[:index].encode())
            why = f"must only contain printable UTF-8 characters; non-printable character found at index {at}"
            found.invalid(path, text, why)
            return


def validation_findings(
    found: Findings, path: str, holder: dict[str, Any] | None, has_status: bool, lenience: Lenience, version: str
) -> None:
    schema = (holder or {}).get("openAPIV3Schema")
    if schema is None:
        return
    path = f"{path}.openAPIV3Schema"
    if has_status:
        _root_with_status(found, path, schema)
    if schema.get("nullable"):
        found.forbidden(f"{path}.nullable", "nullable cannot be true at the root")
    is_structural = not lenience.unstructured and is_convertible(schema)
    wrong = (structural_errors(schema, path) or default_errors(schema, path)) if is_structural else []
    about_schema = schema_findings(schema, path, lenience.place)
    found += wrong
    found += about_schema
    if is_structural and not wrong:
        any_cost = version in lenience.unchanged
        found += definition_errors(schema, path, shown_rule, lambda at: _is_within(about_schema, at), any_cost)


def _is_within(found: Findings, path: str) -> bool:
    """Whether some finding is about this place or one below it."""
    return any(one.field == path or one.field.startswith((f"{path}.", f"{path}[")) for one in found)


def _root_with_status(found: Findings, path: str, schema: Schema) -> None:
    """With a status subresource the root may say little, as the status is validated alone."""
    for name in set_fields(schema):
        if name == "Type" and schema["type"] != "object":
            text = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
            found.invalid(f"{path}.type", schema["type"], text)
            return
        if name not in _AT_ROOT:
            text = f"only [{' '.join(_AT_ROOT)}] fields are allowed at the root of the schema"
            value: Any = shown_schema(schema)
            found.invalid(path, value, f"{text} if the status subresource is enabled")
            return


def selectable_findings(
    found: Findings, path: str, fields: list[dict[str, Any]], schema: Schema, too_many_allowed: bool
) -> None:
    seen: set[str] = set()
    for index, one in enumerate(fields):
        at, given = f"{path}[{index}].jsonPath", one.get("jsonPath") or ""
        if not given:
            found.required(at)
            continue
        place, node, wrong = resolve_path(given, schema, arrays=False)
        if wrong or node is None:
            found.invalid(at, given, f"is an invalid path: {wrong}")
            continue
        if place.split(".")[0] == "metadata":
            found.invalid(at, given, "must not point to fields in metadata")
        if node.get("type") not in ("string", "boolean", "integer"):
            text = "must point to a field of type string, boolean or integer."
            found.invalid(at, given, f"{text} Enum string fields and strings with formats are allowed.")
        if place in seen:
            found.duplicate(at, given)
        seen.add(place)
    if len(seen) > SELECTABLE_MAX and not too_many_allowed:
        found.too_many(path, len(seen), SELECTABLE_MAX)


def subresource_findings(found: Findings, path: str, given: dict[str, Any] | None) -> None:
    scale = (given or {}).get("scale")
    if scale is None:
        return
    for name, root in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        at, value = f"{path}.scale.{name}", scale.get(name) or ""
        if not value:
            found.required(at)
        elif _simple_path(found, at, value) and not value.startswith(root):
            found.invalid(at, value, f"should be a json path under {root[:-1]}")
    selector = scale.get("labelSelectorPath")
    if selector:
        at = f"{path}.scale.labelSelectorPath"
        if _simple_path(found, at, selector) and not selector.startswith((".spec.", ".status.")):
            found.invalid(at, selector, "should be a json path under either .spec or .status")


def _simple_path(found: Findings, path: str, value: str) -> bool:
    if value.startswith("."):
        return True
    found.invalid(path, value, "must be a simple json path starting with .")
    return False


def column_findings(found: Findings, path: str, column: dict[str, Any]) -> None:
    if not column.get("name"):
        found.required(f"{path}.name")
    kind, text = column.get("type") or "", f"must be one of {','.join(_COLUMN_TYPES)}"
    if not kind:
        found.required(f"{path}.type", text)
    elif kind not in _COLUMN_TYPES:
        found.invalid(f"{path}.type", kind, text)
    if column.get("format") and column["format"] not in _COLUMN_FORMATS:
        found.invalid(f"{path}.format", column["format"], f"must be one of {','.join(_COLUMN_FORMATS)}")
    if not column.get("jsonPath"):
        found.required(f"{path}.JSONPath")
    else:
        _simple_path(found, f"{path}.JSONPath", column["jsonPath"])
