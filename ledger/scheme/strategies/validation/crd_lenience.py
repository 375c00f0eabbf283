"""What an update of a CustomResourceDefinition may keep, because the old one had it already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ledger.apimachinery.resource import Object, Schema
from ledger.scheme.strategies.validation.crd_schema import TYPES, Place, every, list_key_findings
from ledger.scheme.strategies.validation.crd_structural import is_convertible, structural_errors
from ledger.scheme.strategies.validation.findings import Findings

SELECTABLE_MAX = 8


@dataclass(frozen=True, slots=True)
class Lenience:
    """What is not checked, because the old definition had it already."""

    names_may_change: bool = True
    schemas_may_lack: bool = False
    unstructured: bool = False
    place: Place = field(default_factory=Place)
    review_versions: bool = False
    selectable: frozenset[str] = frozenset()  # versions whose many selectable fields are as they were
    unchanged: frozenset[str] = frozenset()  # versions whose schema is as it was: their rules may cost what they did


def lenience_of(spec: Object, was: Object, old: Object) -> Lenience:
    before = schemas_of(was)
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
    return Lenience(
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


def schemas_of(spec: Object) -> list[Schema]:
    """All schemas of a spec in its internal form."""
    holders = [spec.get("validation"), *(version.get("schema") for version in spec["versions"])]
    return [holder["openAPIV3Schema"] for holder in holders if holder and holder.get("openAPIV3Schema")]
