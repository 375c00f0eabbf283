"""CustomResourceDefinitions (pkg/apis/apiextensions/validation/validation.go of k8s.io/apiextensions-apiserver).

Paths are those of the internal type: what all versions share is reported at spec.validation, spec.subresources and so on.
What an old definition did wrong already is not held against an update.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ledger.apimachinery.field import quoted
from ledger.apimachinery.names import is_dns1035_label, is_dns1123_subdomain
from ledger.apimachinery.objectmeta import validate_object_meta, validate_object_meta_update
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.validation.crd_conversion import conversion_findings
from ledger.scheme.strategies.validation.crd_internal import (
    internal_spec,
    shown_versions,
)
from ledger.scheme.strategies.validation.crd_lenience import Lenience, lenience_of, schemas_of
from ledger.scheme.strategies.validation.crd_schema import (
    every,
    format_warnings,
    set_warnings,
)
from ledger.scheme.strategies.validation.crd_version import (
    column_findings,
    selectable_findings,
    subresource_findings,
    validation_findings,
    version_findings,
)
from ledger.scheme.strategies.validation.findings import Findings

APPROVAL = "api-approved.kubernetes.io"
_APPROVAL_HELP = "see https://github.com/kubernetes/enhancements/pull/1111"


def create(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    spec = internal_spec(obj.get("spec") or {})
    wanted = f"{(spec.get('names') or {}).get('plural', '')}.{spec.get('group', '')}"

    def name_format(name: str, prefix: bool) -> list[str]:
        wrong = is_dns1123_subdomain(name[:-1] if prefix and name.endswith("-") else name)
        return wrong if name == wanted else [*wrong, 'must be spec.names.plural+"."+spec.group']

    found = Findings(validate_object_meta(obj["metadata"], False, name_format))
    _spec(found, spec, Lenience())
    _rest(found, obj, spec, None)
    schemas = schemas_of(spec)
    context.warnings += format_warnings(schemas) + set_warnings(schemas)
    return found


def update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    spec, was = internal_spec(obj.get("spec") or {}), internal_spec(old.get("spec") or {})
    found = Findings(validate_object_meta_update(obj["metadata"], old["metadata"]))
    lenience = lenience_of(spec, was, old)
    _spec(found, spec, lenience)
    if not lenience.names_may_change:
        found.immutable("spec.scope", spec.get("scope"), was.get("scope"))
        found.immutable("spec.names.kind", spec["names"].get("kind"), was["names"].get("kind"))
    found.immutable("spec.group", spec.get("group"), was.get("group"))
    found.immutable("spec.names.plural", spec["names"].get("plural"), was["names"].get("plural"))
    _rest(found, obj, spec, old)
    before, after = schemas_of(was), schemas_of(spec)
    for warnings in (format_warnings, set_warnings):
        known = warnings(before)
        context.warnings += [one for one in warnings(after) if one not in known]
    return found


def update_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = Findings(validate_object_meta_update(obj["metadata"], old["metadata"]))
    _names(found, "status.acceptedNames", (obj.get("status") or {}).get("acceptedNames") or {})
    return found


def _has_defaults(spec: Object) -> bool:
    return any(one.get("default") is not None for schema in schemas_of(spec) for one in every(schema))


# --- spec ------------------------------------------------------------------------------------------------------------
def _spec(found: Findings, spec: Object, lenience: Lenience) -> None:
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
        version_findings(found, f"spec.versions[{index}]", version, spec, lenience)
    _versions(found, spec)
    names = spec.get("names") or {}
    for name in ("plural", "singular", "kind", "listKind"):
        if not names.get(name):
            found.required(f"spec.names.{name}")
    _names(found, "spec.names", names)
    status = any("status" in (one.get("subresources") or {}) for one in (spec, *versions))
    validation_findings(found, "spec.validation", spec.get("validation"), status, lenience, spec.get("version") or "")
    subresource_findings(found, "spec.subresources", spec.get("subresources"))
    for index, column in enumerate(spec.get("additionalPrinterColumns") or ()):
        column_findings(found, f"spec.additionalPrinterColumns[{index}]", column)
    if spec.get("selectableFields"):
        if not spec.get("validation"):
            text = "may only be set when validations.schema is included"
            found.invalid("spec.selectableFields", "", text)
        else:
            schema = spec["validation"]["openAPIV3Schema"]
            selectable_findings(
                found, "spec.selectableFields", spec["selectableFields"], schema, "" in lenience.selectable
            )
    strategy = (spec.get("conversion") or {"strategy": "None"}).get("strategy") or ""
    if spec.get("preserveUnknownFields") and strategy != "None":
        found.invalid("spec.conversion.strategy", strategy, "must be None if spec.preserveUnknownFields is true")
    conversion_findings(found, "spec.conversion", spec.get("conversion"), lenience)


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
