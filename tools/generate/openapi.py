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


def kept(documents: dict[str, Any]) -> dict[str, Any]:
    """The paths of every v3 document and the hash under which upstream publishes it.

    A parameter stands once in `parameters`; a path has its index there. The schemas of a document are those its paths
    lead to, so they need no list.
    """
    parameters: dict[str, int] = {}
    texts: list[Any] = []

    def index(parameter: dict[str, Any]) -> int:
        if str(parameter) not in parameters:
            parameters[str(parameter)] = len(texts)
            texts.append(parameter)
        return parameters[str(parameter)]

    def compact(item: dict[str, Any]) -> dict[str, Any]:
        """A path item or an operation with indices for parameters."""
        return {
            key: [index(one) for one in value]
            if key == "parameters"
            else (compact(value) if isinstance(value, dict) and "responses" in value else value)
            for key, value in item.items()
        }

    paths = {
        name: {path: compact(item) for path, item in document["paths"].items()}
        for name, document in documents["documents"].items()
    }
    hashes = {name: one["serverRelativeURL"].partition("hash=")[2] for name, one in documents["index"]["paths"].items()}
    return {"parameters": texts, "hashes": hashes, "paths": paths}
