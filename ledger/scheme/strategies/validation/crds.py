"""CustomResourceDefinitions (pkg/apis/apiextensions/validation/validation.go of k8s.io/apiextensions-apiserver).

Paths are those of the internal type: what all versions share is reported at spec.validation, spec.subresources and so on.
What an old definition did wrong already is not held against an update.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ledger.apimachinery.field import quoted
from ledger.apimachinery.names import is_dns1035_label, is_dns1123_subdomain
from ledger.apimachinery.objectmeta import validate_object_meta, validate_object_meta_update
from ledger.apimachinery.resource import Object, Schema
from ledger.scheme.cel_rules import definition_errors, resolve_path
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.validation.crd_internal import (
    internal_spec,
    set_fields,
    shown_rule,
    shown_schema,
    shown_versions,
)
from ledger.scheme.strategies.validation.crd_schema import (
    TYPES,
    Place,
    every,
    format_warnings,
    list_key_findings,
    schema_findings,
    set_warnings,
)
from ledger.scheme.strategies.validation.crd_structural import default_errors, is_convertible, structural_errors
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.webhooks import webhook_service, webhook_url

APPROVAL = "api-approved.kubernetes.io"
SELECTABLE_MAX = 8
WARNING_LENGTH_MAX = 256
_APPROVAL_HELP = "see https://github.com/kubernetes/enhancements/pull/1111"
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


@dataclass(frozen=True, slots=True)
class _Lenience:
    """What is not checked, because the old definition had it already."""

    names_may_change: bool = True
    schemas_may_lack: bool = False
    unstructured: bool = False
    place: Place = field(default_factory=Place)
    review_versions: bool = False
    selectable: frozenset[str] = frozenset()  # versions whose many selectable fields are as they were
    unchanged: frozenset[str] = frozenset()  # versions whose schema is as it was: their rules may cost what they did


def create(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    spec = internal_spec(obj.get("spec") or {})
    wanted = f"{(spec.get('names') or {}).get('plural', '')}.{spec.get('group', '')}"

    def name_format(name: str, prefix: bool) -> list[str]:
        wrong = is_dns1123_subdomain(name[:-1] if prefix and name.endswith("-") else name)
        return wrong if name == wanted else [*wrong, 'must be spec.names.plural+"."+spec.group']

    found = Findings(validate_object_meta(obj["metadata"], False, name_format))
    _spec(found, spec, _Lenience())
    _rest(found, obj, spec, None)
    schemas = _schemas(spec)
    context.warnings += format_warnings(schemas) + set_warnings(schemas)
    return found


def update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    spec, was = internal_spec(obj.get("spec") or {}), internal_spec(old.get("spec") or {})
    found = Findings(validate_object_meta_update(obj["metadata"], old["metadata"]))
    lenience = _lenience(spec, was, old)
    _spec(found, spec, lenience)
    if not lenience.names_may_change:
        found.immutable("spec.scope", spec.get("scope"), was.get("scope"))
        found.immutable("spec.names.kind", spec["names"].get("kind"), was["names"].get("kind"))
    found.immutable("spec.group", spec.get("group"), was.get("group"))
    found.immutable("spec.names.plural", spec["names"].get("plural"), was["names"].get("plural"))
    _rest(found, obj, spec, old)
    before, after = _schemas(was), _schemas(spec)
    for warnings in (format_warnings, set_warnings):
        known = warnings(before)
        context.warnings += [one for one in warnings(after) if one not in known]
    return found


def update_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = Findings(validate_object_meta_update(obj["metadata"], old["metadata"]))
    _names(found, "status.acceptedNames", (obj.get("status") or {}).get("acceptedNames") or {})
    return found


def _lenience(spec: Object, was: Object, old: Object) -> _Lenience:
    before = _schemas(was)
    everything = [one for schema in before for one in every(schema)]
    sets = Findings()
    for one in everything:
        list_key_findings(sets, one, "")
    atomic = schema_findings_of_sets(everything)
    place = Place(
        check_types=all(not one.get("type") or one["type"] in TYPES for one in everything),
        check_sets=not atomic,
        check_keys=not sets,
    )
    conversion = was.get("conversion") or {}
    versions = conversion.get("conversionReviewVersions") or []
    established = any(
        one.get("type") == "Established" and one.get("status") == "True"
        for one in (old.get("status") or {}).get("conditions") or ()
    )
    fields = {one.get("name", ""): one.get("selectableFields") for one in was["versions"]}
    fields[""] = was.get("selectableFields")
    now = {one.get("name", ""): one.get("selectableFields") for one in spec["versions"]}
    now[""] = spec.get("selectableFields")
    kept = frozenset(
        name for name, many in fields.items() if many and len(many) > SELECTABLE_MAX and many == now.get(name)
    )
    return _Lenience(
        names_may_change=not established,
        schemas_may_lack=len(before) < max(1, len(was["versions"])) and not was.get("validation"),
        unstructured=any(not is_convertible(one) or structural_errors(one, "") for one in before),
        place=place,
        review_versions=bool(versions) and not {"v1", "v1beta1"} & set(versions),
        selectable=kept,
        unchanged=frozenset(name for name, schema in _by_version(spec).items() if schema == _by_version(was).get(name)),
    )


def schema_findings_of_sets(schemas: Iterable[Schema]) -> bool:
    """Whether some set has items that are no scalars and not atomic."""
    for one in schemas:
        items = one.get("items")
        if one.get("x-kubernetes-list-type") == "set" and isinstance(items, dict):
            nested = items.get("type") == "array" and items.get("x-kubernetes-list-type") not in (None, "atomic")
            if nested or (items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic"):
                return True
    return False


def _by_version(spec: Object) -> dict[str, Schema]:
    """The schema of each version that has one, its own or the one of all."""
    found = {}
    for version in spec["versions"]:
        schema = ((version.get("schema") or spec.get("validation")) or {}).get("openAPIV3Schema")
        if schema:
            found[version.get("name", "")] = schema
    return found


def _schemas(spec: Object) -> list[Schema]:
    """All schemas of a spec in its internal form."""
    holders = [spec.get("validation"), *(version.get("schema") for version in spec["versions"])]
    return [holder["openAPIV3Schema"] for holder in holders if holder and holder.get("openAPIV3Schema")]


def _has_defaults(spec: Object) -> bool:
    return any(one.get("default") is not None for schema in _schemas(spec) for one in every(schema))


# --- spec ------------------------------------------------------------------------------------------------------------
def _spec(found: Findings, spec: Object, lenience: _Lenience) -> None:
    group, versions = spec.get("group") or "", spec["versions"]
    if not group:
        found.required("spec.group")
    elif wrong := is_dns1123_subdomain(group):
        found.invalid("spec.group", group, ",".join(wrong))
    elif "." not in group:
        found.invalid("spec.group", group, "should be a domain with at least one dot")
    found.one_of_required("spec.scope", spec.get("scope") or "", ("Cluster", "Namespaced"))
    if not lenience.schemas_may_lack and not (spec.get("validation") or {}).get("openAPIV3Schema"):
        for index, version in enumerate(versions):
            if not (version.get("schema") or {}).get("openAPIV3Schema"):
                found.required(f"spec.versions[{index}].schema.openAPIV3Schema")
    if spec.get("preserveUnknownFields") and _has_defaults(spec):
        found.invalid("spec.preserveUnknownFields", True, "must be false in order to use defaults in the schema")
    for index, version in enumerate(versions):
        _version(found, f"spec.versions[{index}]", version, spec, lenience)
    _versions(found, spec)
    names = spec.get("names") or {}
    for name in ("plural", "singular", "kind", "listKind"):
        if not names.get(name):
            found.required(f"spec.names.{name}")
    _names(found, "spec.names", names)
    status = any("status" in (one.get("subresources") or {}) for one in (spec, *versions))
    _validation(found, "spec.validation", spec.get("validation"), status, lenience, spec.get("version") or "")
    _subresources(found, "spec.subresources", spec.get("subresources"))
    for index, column in enumerate(spec.get("additionalPrinterColumns") or ()):
        _column(found, f"spec.additionalPrinterColumns[{index}]", column)
    if spec.get("selectableFields"):
        if not spec.get("validation"):
            text = "may only be set when validations.schema is included"
            found.invalid("spec.selectableFields", "", text)
        else:
            schema = spec["validation"]["openAPIV3Schema"]
            _selectable(found, "spec.selectableFields", spec["selectableFields"], schema, "" in lenience.selectable)
    strategy = (spec.get("conversion") or {"strategy": "None"}).get("strategy") or ""
    if spec.get("preserveUnknownFields") and strategy != "None":
        found.invalid("spec.conversion.strategy", strategy, "must be None if spec.preserveUnknownFields is true")
    _conversion(found, "spec.conversion", spec.get("conversion"), lenience)


def _versions(found: Findings, spec: Object) -> None:
    """What the list of versions must be as a whole."""
    versions = spec["versions"]
    value: Any = shown_versions(versions) if spec["given"].get("versions") is not None else None
    names = [version.get("name", "") for version in versions]
    if len(set(names)) < len(names):
        found.invalid("spec.versions", value, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        found.invalid("spec.versions", value, "must have exactly one version marked as storage version")
    first = spec.get("version") or ""
    if first and (wrong := is_dns1035_label(first)):
        found.invalid("spec.version", first, ",".join(wrong))


def _version(found: Findings, path: str, version: Object, spec: Object, lenience: _Lenience) -> None:
    name = version.get("name", "")
    if wrong := is_dns1035_label(name):
        found.invalid(f"{path}.name", name, ",".join(wrong))
    _deprecation(found, f"{path}.deprecationWarning", version)
    subresources = version.get("subresources") or spec.get("subresources") or {}
    _validation(found, f"{path}.schema", version.get("schema"), "status" in subresources, lenience, name)
    _subresources(found, f"{path}.subresources", version.get("subresources"))
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        _column(found, f"{path}.additionalPrinterColumns[{index}]", column)
    if version.get("selectableFields"):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        at = f"{path}.selectableFields"
        if schema is None:
            text = "may only be set when `version.schema.openAPIV3Schema` is not included"
            found.invalid(at, "", text)
        else:
            _selectable(found, at, version["selectableFields"], schema, name in lenience.selectable)


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


def _names(found: Findings, path: str, names: dict[str, Any]) -> None:
    for name in ("plural", "singular"):
        if names.get(name) and (wrong := is_dns1035_label(names[name])):
            found.invalid(f"{path}.{name}", names[name], ",".join(wrong))
    for name in ("kind", "listKind"):
        if names.get(name) and (wrong := is_dns1035_label(names[name].lower())):
            text = f"may have mixed case, but should otherwise match: {','.join(wrong)}"
            found.invalid(f"{path}.{name}", names[name], text)
    _labels(found, f"{path}.shortNames", names.get("shortNames"))
    if names.get("kind") and names["kind"] == names.get("listKind"):
        found.invalid(f"{path}.listKind", names["listKind"], "kind and listKind may not be the same")
    _labels(found, f"{path}.categories", names.get("categories"))


def _labels(found: Findings, path: str, names: list[str] | None) -> None:
    for index, name in enumerate(names or ()):
        if wrong := is_dns1035_label(name):
            found.invalid(f"{path}[{index}]", name, ",".join(wrong))


# --- schema ----------------------------------------------------------------------------------------------------------
def _validation(
    found: Findings, path: str, holder: dict[str, Any] | None, has_status: bool, lenience: _Lenience, version: str
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


def _selectable(
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


# --- subresources, columns, conversion -------------------------------------------------------------------------------
def _subresources(found: Findings, path: str, given: dict[str, Any] | None) -> None:
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


def _column(found: Findings, path: str, column: dict[str, Any]) -> None:
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


def _conversion(found: Findings, path: str, conversion: dict[str, Any] | None, lenience: _Lenience) -> None:
    if conversion is None:
        return
    strategy = conversion.get("strategy") or ""
    found.one_of_required(f"{path}.strategy", strategy, ("None", "Webhook"))
    webhook = conversion.get("webhook") or {}
    client, at = webhook.get("clientConfig"), f"{path}.webhookClientConfig"
    versions = webhook.get("conversionReviewVersions") or []
    if strategy != "Webhook":
        why = "should not be set when strategy is not set to Webhook"
        if client is not None:
            found.forbidden(at, why)
        if versions:
            found.forbidden(f"{path}.conversionReviewVersions", why)
        return
    if client is None:
        found.required(at, "required when strategy is set to Webhook")
    elif (client.get("url") is None) == (client.get("service") is None):
        found.required(at, "exactly one of url or service is required")
    elif client.get("url") is not None:
        webhook_url(found, f"{at}.url", client["url"])
    else:
        # Upstream hands name and namespace over the wrong way round, so each is missed under the other's name.
        service = client["service"]
        swapped = {**service, "name": service.get("namespace"), "namespace": service.get("name")}
        webhook_service(found, f"{at}.service", swapped)
    _review_versions(found, f"{path}.conversionReviewVersions", versions, lenience.review_versions)


def _review_versions(found: Findings, path: str, versions: list[str], lenient: bool) -> None:
    if not versions:
        found.required(path)
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            found.invalid(f"{path}[{index}]", version, "duplicate version")
        else:
            found.check(f"{path}[{index}]", version, is_dns1035_label)
    if not lenient and not {"v1", "v1beta1"} & set(versions):
        found.invalid(path, versions, "must include at least one of v1, v1beta1")


# --- status, approval ------------------------------------------------------------------------------------------------
def _rest(found: Findings, obj: Object, spec: Object, old: Object | None) -> None:
    status = obj.get("status") or {}
    _names(found, "status.acceptedNames", status.get("acceptedNames") or {})
    _stored_versions(found, "status.storedVersions", status.get("storedVersions") or [], spec["versions"])
    _approval(found, obj, old)
    kept = old is not None and (old.get("spec") or {}).get("preserveUnknownFields")
    if spec.get("preserveUnknownFields") and not kept:
        text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        found.invalid("spec.preserveUnknownFields", True, text)


def _stored_versions(found: Findings, path: str, stored: list[str], versions: list[Object]) -> None:
    if not stored:
        found.invalid(path, None, "must have at least one stored version")
        return
    left = set(stored)
    for version in versions:
        name = version.get("name", "")
        if version.get("storage") and name not in left:
            found.invalid(path, stored, f"must have the storage version {name}")
        left.discard(name)
    for index, name in enumerate(stored):
        if name in left:
            text = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until"
                f" a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            )
            found.invalid(f"{path}[{index}]", name, text)


def _approval(found: Findings, obj: Object, old: Object | None) -> None:
    """Groups of the Kubernetes community need its approval, or the word that they have none."""
    if not f".{obj['spec'].get('group', '')}".endswith((".k8s.io", ".kubernetes.io")):
        return
    given = (obj["metadata"].get("annotations") or {}).get(APPROVAL, "")
    state = _approval_state(given)
    if old is not None and _approval_state((old["metadata"].get("annotations") or {}).get(APPROVAL, "")) == state:
        return
    path, why = (
        f"metadata.annotations[{APPROVAL}]",
        f"protected groups must have approval annotation {quoted(APPROVAL)}",
    )
    if state == "missing":
        found.required(path, f"{why}, {_APPROVAL_HELP}")
    elif state == "invalid":
        found.invalid(path, given, f'{why} with either a URL or a reason starting with "unapproved", {_APPROVAL_HELP}')


def _approval_state(annotation: str) -> str:
    if not annotation:
        return "missing"
    if annotation.startswith("unapproved"):
        return "bypassed"
    parts = urlsplit(annotation)
    return "approved" if parts.scheme and parts.netloc else "invalid"
