#!/usr/bin/env python3
"""Makes ledger/scheme/data/ from a folder of facts that record_facts.py took from a kube-apiserver.

tools/run python tools/generate/scheme.py --facts DIR

resources.json     which groups, versions and resources there are, as discovery lists them, and what
                   upstream.py adds; a line a resource, so that a new release reads well as a diff
columns.json       the columns of `kubectl get`, their descriptions (which clients are shown) kept once each
schemas.json.xz    every OpenAPI v3 definition by name, without its prose
openapi.json.xz    what the OpenAPI documents need beside that: parameters, documents that describe no resource,
                   and the hashes under which upstream publishes each document
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import lzma
from pathlib import Path
from typing import Any

import historical
import openapi
import upstream

DATA = Path(__file__).resolve().parents[2] / "ledger" / "scheme" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", required=True, type=Path)
    parser.add_argument("--out", type=Path, default=DATA)
    options = parser.parse_args()
    default, everything = (read(options.facts, f"discovery-plain{suffix}.json.gz") for suffix in ("", "-api-all"))
    documents = read(options.facts, "openapi-v3-api-all.json.gz")
    columns = read(options.facts, "table-columns-api-all.json")

    definitions = openapi.definitions(documents["documents"])
    resources = group_resources(everything, schema_names(definitions))
    historical.add(resources, definitions)
    options.out.mkdir(parents=True, exist_ok=True)
    for one in resources.values():
        for version, kept in one["versions"].items():
            if warning := deprecation(one["group"], version, one["kind"]):
                kept["deprecated"] = warning
    write_resources(options.out / "resources.json", groups(default, everything), resources)
    write_columns(options.out / "columns.json", columns)
    write_xz(options.out / "schemas.json.xz", {name: without_prose(one) for name, one in definitions.items()})
    write_xz(options.out / "openapi.json.xz", openapi.kept(documents))
    write(options.out / "version.json", dumps(read(options.facts, "version.json")) + "\n")


def read(folder: Path, name: str) -> Any:
    raw = (folder / name).read_bytes()
    return json.loads(gzip.decompress(raw) if name.endswith(".gz") else raw)


def write(path: Path, text: str) -> None:
    path.write_text(text)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def write_xz(path: Path, value: Any) -> None:
    path.write_bytes(lzma.compress(dumps(value).encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def without_prose(value: Any) -> Any:
    """The schema without the text of `description` (a property of that name stays: its value is a schema)."""
    if isinstance(value, dict):
        return {k: without_prose(v) for k, v in value.items() if not (k == "description" and isinstance(v, str))}
    return [without_prose(one) for one in value] if isinstance(value, list) else value


def groups(default: dict[str, Any], everything: dict[str, Any]) -> dict[str, Any]:
    """Every group-version that --runtime-config may name, with its place in the order of discovery."""
    found: dict[str, Any] = {}
    for (group, version), (group_priority, version_priority) in upstream.PRIORITIES.items():
        name = f"{group}/{version}" if group else version
        one: dict[str, Any] = {"groupPriority": group_priority, "versionPriority": version_priority}
        if name in default:
            one["default"] = True
        if name not in everything:
            one["historical"] = True
        found.setdefault(group, {})[version] = one
    assert {f"{g}/{v}" if g else v for g, vs in found.items() for v in vs} >= set(everything), (
        "a version has no priority"
    )
    for group, versions in upstream.EMPTY_VERSIONS.items():
        found.setdefault(group, {}).update({version: {} for version in versions})
    return {group: dict(sorted(versions.items())) for group, versions in sorted(found.items())}


def schema_names(definitions: dict[str, Any]) -> dict[tuple[str, str, str], str]:
    """(group, version, kind) -> name of the definition."""
    return {
        (gvk["group"], gvk["version"], gvk["kind"]): name
        for name, one in definitions.items()
        for gvk in one.get("x-kubernetes-group-version-kind", [])
        if len(one["x-kubernetes-group-version-kind"]) == 1
    }


def group_resources(discovery: dict[str, Any], names: dict[tuple[str, str, str], str]) -> dict[str, Any]:
    """Discovery turned by resource instead of by version: "apps/deployments" -> what resources.json holds of it."""
    found: dict[str, Any] = {}
    for group_version, listed in discovery.items():
        group, _, version = group_version.rpartition("/")
        for entry in listed["resources"]:
            resource, _, subresource = entry["name"].partition("/")
            key = f"{group}/{resource}"
            if not subresource:
                one = found.setdefault(key, of_resource(group, entry))
                assert one["verbs"] == entry["verbs"] and one["kind"] == entry["kind"], key
                one["versions"][version] = of_version(key, group, version, entry, names)
            else:
                found[key]["versions"][version].setdefault("subresources", {})[subresource] = of_subresource(entry)
    for key, one in found.items():
        one["storageVersion"] = storage_version(key, one)
    return found


def of_resource(group: str, entry: dict[str, Any]) -> dict[str, Any]:
    key = f"{group}/{entry['name']}"
    one = {
        "group": group,
        "resource": entry["name"],
        "singular": entry["singularName"],
        "kind": entry["kind"],
        "namespaced": entry["namespaced"],
        "verbs": entry["verbs"],
        "shortNames": entry.get("shortNames"),
        "categories": entry.get("categories"),
        "storage": upstream.STORED_AS.get((group, entry["name"])),
        "fieldLabels": upstream.FIELD_LABELS.get(upstream.STORED_AS.get((group, entry["name"]), key)),
        "fieldAliases": upstream.FIELD_ALIASES.get(key),
        "fieldLabelError": upstream.FIELD_LABEL_ERRORS.get(key),
        "fieldLabelsWithoutNamespace": key in upstream.FIELD_LABELS_WITHOUT_NAMESPACE or None,
        "scale": upstream.SCALE.get(key),
        "versions": {},
    }
    return {name: value for name, value in one.items() if value is not None}


def of_version(key: str, group: str, version: str, entry: dict[str, Any], names: dict[Any, str]) -> dict[str, Any]:
    one: dict[str, Any] = {"schema": names[group, version, entry["kind"]]}
    if entry.get("storageVersionHash"):
        one["hash"] = entry["storageVersionHash"]
    return one


def of_subresource(entry: dict[str, Any]) -> dict[str, Any]:
    one = {"kind": entry["kind"], "verbs": entry["verbs"]}
    if entry.get("version"):
        one |= {"group": entry.get("group", ""), "version": entry["version"]}
    return one


def deprecation(group: str, version: str, kind: str) -> str:
    """The warning clients get (deprecation.WarningMessage in k8s.io/apiserver)."""
    if (group, version, kind) not in upstream.DEPRECATED:
        return ""
    since, removed, instead = upstream.DEPRECATED[group, version, kind]
    text = f"{group}/{version}" if group else version
    text += f" {kind} is deprecated in v1.{since}+"
    text += f", unavailable in v1.{removed}+" if removed else ""
    return text + (f"; use {instead}" if instead else "")


def storage_version(key: str, one: dict[str, Any]) -> str:
    """The version whose name is in the storageVersionHash; the first one of types that are not stored."""
    hashes = {version["hash"] for version in one["versions"].values() if "hash" in version}
    group, _, _ = (one.get("storage") or f"{one['group']}/").partition("/")
    candidates = [*one["versions"], *upstream.EMPTY_VERSIONS.get(one["group"], ()), "v1beta1"]
    matching = [version for version in candidates if {storage_version_hash(group, version, one["kind"])} == hashes]
    if matching and matching[0] not in one["versions"]:
        print(f"{key}: the hash is that of {matching[0]}, which is not served; stored as {candidates[0]}")
    assert matching or not hashes, f"{key}: no version has the hash {hashes}"
    return matching[0] if matching and matching[0] in one["versions"] else candidates[0]


def storage_version_hash(group: str, version: str, kind: str) -> str:
    """As discovery shows it (discovery.StorageVersionHash in k8s.io/apiserver)."""
    digest = hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def write_resources(path: Path, groups: dict[str, Any], resources: dict[str, Any]) -> None:
    lines = ",\n".join(f"  {dumps(key)}: {dumps(one)}" for key, one in sorted(resources.items()))
    grouped = ",\n".join(f"  {dumps(group)}: {dumps(versions)}" for group, versions in groups.items())
    version = dumps(upstream.VERSION)
    write(path, f'{{"kubernetes": {version},\n "groups": {{\n{grouped}\n }},\n "resources": {{\n{lines}\n }}}}\n')


def write_columns(path: Path, columns: dict[str, Any]) -> None:
    """ "group/version/resource" -> [[name, type, format, priority, index of the description], ...]."""
    descriptions: dict[str, int] = {}
    rows = {
        key: [
            [
                one["name"],
                one["type"],
                one["format"],
                one["priority"],
                descriptions.setdefault(one["description"], len(descriptions)),
            ]
            for one in table
        ]
        for key, table in sorted(columns.items())
    }
    listed = ",\n".join(f"  {dumps(text)}" for text in descriptions)
    tables = ",\n".join(f"  {dumps(key)}: {dumps(row)}" for key, row in rows.items())
    write(path, f'{{"descriptions": [\n{listed}\n ],\n "columns": {{\n{tables}\n }}}}\n')


if __name__ == "__main__":
    main()
