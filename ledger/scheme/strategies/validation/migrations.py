"""StorageVersionMigrations."""

from __future__ import annotations

from ledger.apimachinery.names import is_dns1035_label, is_dns1123_subdomain
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.batch_status import is_true
from ledger.scheme.strategies.validation.common import conditions, meta_findings, meta_update_findings
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings


def migration(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found, resource = meta_findings(definition, obj), get(obj, "spec.resource", {})
    for key, check in (("resource", is_dns1035_label), ("group", is_dns1123_subdomain)):
        name, path = resource.get(key, ""), f"spec.resource.{key}"
        complaints = check(name) if name else []
        if complaints:
            found.invalid(path, name, ",".join(complaints))
        elif not name and key == "resource":
            found.required(path, "resource is required to be set")
    return found


def migration_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = migration(definition, obj, context)
    found += meta_update_findings(definition, obj, old)
    if obj.get("spec") != old.get("spec"):
        shown = go_value("storagemigration.StorageVersionMigrationSpec", obj.get("spec"))
        found.invalid("spec", shown, "field is immutable")
    return found


def migration_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found, path = meta_update_findings(definition, obj, old), "status.conditions"
    version, before = get(obj, "status.resourceVersion", ""), get(old, "status.resourceVersion", "")
    ones = get(obj, path)
    conditions(found, ones, path)
    if before and version != before:
        found.invalid("status.resourceVersion", version, "field is immutable")
    if is_true(obj, "Succeeded") and is_true(obj, "Failed"):
        found.invalid(path, ones, "Both success and failed conditions cannot be true at the same time")
    for kind, word in (("Succeeded", "Success"), ("Failed", "Failed")):
        if is_true(old, kind) and not is_true(obj, kind):
            found.invalid(path, ones, f"{word} condition cannot be set to false once it is true")
    return found
