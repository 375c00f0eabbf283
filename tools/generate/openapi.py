"""What of the OpenAPI documents is kept as data. See scheme.py."""

from __future__ import annotations

from typing import Any

# Their list of group-version-kinds names the group-version of the document they stand in: put in when it is served.
IN_EVERY_GROUP = (
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent",
)


def definitions(documents: dict[str, Any]) -> dict[str, Any]:
    """Every schema of every document by name; the same name means the same schema wherever it occurs."""
    found: dict[str, Any] = {}
    for document in documents.values():
        for name, schema in document.get("components", {}).get("schemas", {}).items():
            if name in IN_EVERY_GROUP:
                schema = {**schema, "x-kubernetes-group-version-kind": schema["x-kubernetes-group-version-kind"][:1]}
            assert found.setdefault(name, schema) == schema, name
    return dict(sorted(found.items()))


def leftovers(documents: dict[str, Any], swagger: dict[str, Any]) -> dict[str, Any]:
    return {}
