"""Built-in resources: what the data files say, as ResourceDefinitions. The files are made by tools/generate."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.apimachinery.resource import GVK, GroupResource, split_api_version
from ledger.scheme.data_files import data_file, load_json
from ledger.scheme.definition import Column, ResourceDefinition, ScalePaths, Subresource, Traits, Version
from ledger.scheme.schemas import resolved_definitions


@dataclass(frozen=True, slots=True)
class GroupVersion:
    """A group-version that is known, whether it brings resources or not."""

    group: str
    version: str
    by_default: bool = False  # served unless --runtime-config says otherwise
    historical: bool = False  # served only when --runtime-config names it: api/all=true is not enough
    group_priority: int = 0
    version_priority: int = 0


@functools.cache
def group_versions() -> Mapping[tuple[str, str], GroupVersion]:
    """Every group-version that --runtime-config may name."""
    return {
        (group, version): GroupVersion(
            group,
            version,
            one.get("default", False),
            one.get("historical", False),
            one.get("groupPriority", 0),
            one.get("versionPriority", 0),
        )
        for group, versions in load_json("resources.json")["groups"].items()
        for version, one in versions.items()
    }


@functools.cache
def builtin_definitions() -> Mapping[GroupResource, ResourceDefinition]:
    """Every built-in resource in every version there is; all versions marked as served."""
    traits = load_json("traits.json") if data_file("traits.json").is_file() else {}
    columns = load_columns()
    definitions = [
        _definition(raw, traits.get(key) or traits.get(raw.get("storage", ""), {}), columns)
        for key, raw in load_json("resources.json")["resources"].items()
    ]
    return {definition.group_resource: definition for definition in definitions}


def load_columns() -> dict[str, tuple[Column, ...]]:
    """ "group/version/resource" -> its columns; one description text serves every column that has it."""
    loaded = load_json("columns.json")
    texts = loaded["descriptions"]
    return {
        key: tuple(Column(name, kind, form, texts[text], priority) for name, kind, form, priority, text in rows)
        for key, rows in loaded["columns"].items()
    }


def _definition(
    raw: dict[str, Any], traits: dict[str, Any], columns: dict[str, tuple[Column, ...]]
) -> ResourceDefinition:
    return ResourceDefinition(
        group=raw["group"],
        resource=raw["resource"],
        singular=raw["singular"],
        kind=raw["kind"],
        list_kind=raw["kind"] + "List",
        namespaced=raw["namespaced"],
        verbs=tuple(raw["verbs"]),
        versions={name: _version(name, one, raw, columns) for name, one in raw["versions"].items()},
        storage_version=raw["storageVersion"],
        short_names=tuple(raw.get("shortNames", ())),
        categories=tuple(raw.get("categories", ())),
        traits=_traits(raw, traits),
        storage=GroupResource(*split_api_version(raw["storage"])) if "storage" in raw else None,
    )


def _version(name: str, one: dict[str, Any], raw: dict[str, Any], columns: dict[str, tuple[Column, ...]]) -> Version:
    group, resource = raw["group"], raw["resource"]
    subresources = {
        sub: Subresource(
            sub,
            GVK(of.get("group", group) if "version" in of else group, of.get("version", name), of["kind"]),
            tuple(of["verbs"]),
        )
        for sub, of in one.get("subresources", {}).items()
    }
    return Version(
        name=name,
        kind=GVK(group, name, raw["kind"]),
        served=True,
        schema=resolved_definitions()[one["schema"]],
        columns=columns.get(
            one.get("columns") or (f"{group}/{name}/{resource}" if group else f"{name}/{resource}"), ()
        ),
        subresources=subresources,
        scale=ScalePaths(*raw["scale"]) if "scale" in raw and "scale" in subresources else None,
        selectable_fields=_selectable(raw),
        deprecation_warning=one.get("deprecated", ""),
        storage_version_hash=one.get("hash", ""),
    )


def _selectable(raw: dict[str, Any]) -> tuple[str, ...]:
    """The labels a request may use; of a resource that another one stores only those it has a name for."""
    own = () if "storage" in raw else tuple(raw.get("fieldLabels", ()))
    return own + tuple(raw.get("fieldAliases", ()))


# traits.json uses the names of Traits' fields; whatever else it holds for a resource goes into Traits.more.
_FIELDS = frozenset(Traits.__dataclass_fields__) - {"more"}
_FIELD_LABEL_KEYS = ("fieldLabels", "fieldAliases", "fieldLabelError", "fieldLabelsWithoutNamespace")


def _traits(raw: dict[str, Any], traits: dict[str, Any]) -> Traits:
    known = {name: value for name, value in traits.items() if name in _FIELDS}
    more = {name: value for name, value in traits.items() if name not in _FIELDS and name != "more"}
    more |= traits.get("more", {}) | {name: raw[name] for name in _FIELD_LABEL_KEYS if name in raw}
    return Traits(**known, more=more)
