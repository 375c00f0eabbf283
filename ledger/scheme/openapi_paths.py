"""The paths of a resource in its OpenAPI v3 document, by rule.

Used for custom resources and for historical versions; those of today's built-ins are recorded (openapi.json.xz), as
many of their subresources follow no rule. Follows k8s.io/apiextensions-apiserver
pkg/controller/openapi/builder: the operations, their order, names and parameters are what clients read there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger.scheme.definition import ResourceDefinition, Version

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
SCALE = "io.k8s.api.autoscaling.v1.Scale"
JSON_YAML = ("application/json", "application/yaml")
PATCHES = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")
_WATCHABLE = ["allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion"]
_LIST = [*_WATCHABLE, "resourceVersionMatch", "sendInitialEvents", "shardSelector", "timeoutSeconds", "watch"]
_WRITE = ["dryRun", "fieldManager", "fieldValidation"]
_DESTROY = "ignoreStoreReadErrorWithClusterBreakingPotential"
_DELETE = ["dryRun", "gracePeriodSeconds", _DESTROY, "orphanDependents", "propagationPolicy"]

Parameter = Callable[
    [str, str], dict[str, Any]
]  # (action, name) -> query parameter; the action of shared ones is empty


def paths_of(
    definition: ResourceDefinition, version: Version, schema: str, schema_list: str, parameter: Parameter
) -> dict[str, Any]:
    """Path -> path item, for the resource and its status and scale. `schema`: the name of the kind's definition."""
    write = _Writer(definition, version, schema, parameter)
    base = f"/apis/{definition.group}/{version.name}"
    scoped = f"{base}/namespaces/{{namespace}}" if definition.namespaced else base
    collection, item = f"{scoped}/{definition.resource}", f"{scoped}/{definition.resource}/{{name}}"
    paths: dict[str, Any] = {}
    if definition.namespaced:
        everywhere = write.operation("list", "list objects of kind {}", "ForAllNamespaces", [], schema_list)
        shared = sorted([*_LIST, "pretty"])
        paths[f"{base}/{definition.resource}"] = {
            "get": everywhere,
            "parameters": [parameter("list", one) for one in shared],
        }
    paths[collection] = {
        "get": write.operation("list", "list objects of kind {}", "", _LIST, schema_list),
        "post": write.operation("post", "create a {}", "", _WRITE, schema, body=schema, more=("201", "202")),
        "delete": write.operation("deletecollection", "delete collection of {}", "", _LIST, META + "Status"),
        "parameters": write.shared(named=False),
    }
    paths[item] = {
        **write.item("", "the specified {}", schema),
        "parameters": write.shared(named=True),
    }
    for name in sorted(version.subresources):
        if name in ("scale", "status"):
            of = write.item(name, name + " of the specified {}", SCALE if name == "scale" else schema)
            paths[f"{item}/{name}"] = {**of, "parameters": write.shared(named=True)}
    return dict(sorted(paths.items()))


class _Writer:
    """Builds the operations of one resource."""

    def __init__(self, definition: ResourceDefinition, version: Version, schema: str, parameter: Parameter) -> None:
        self.definition, self.version, self.parameter = definition, version, parameter
        first, *others = definition.group.removesuffix(".k8s.io").split(".")
        group = first + "".join(part.capitalize() for part in others)
        self.tag = f"{group}_{version.name}"
        self.camel = group[:1].upper() + group[1:] + version.name.capitalize()

    def shared(self, named: bool) -> list[dict[str, Any]]:
        """The parameters that every operation of a path takes."""
        found = [self._path("name", f"name of the {self.definition.kind}")] if named else []
        if self.definition.namespaced:
            found.append(self._path("namespace", "object name and auth scope, such as for teams and projects"))
        return [*found, self.parameter("", "pretty")]

    @staticmethod
    def _path(name: str, description: str) -> dict[str, Any]:
        schema = {"type": "string", "uniqueItems": True}
        return {"name": name, "in": "path", "description": description, "required": True, "schema": schema}

    def item(self, suffix: str, what: str, schema: str) -> dict[str, Any]:
        """The operations on one object or on a subresource of it; only objects are deleted."""
        end = suffix.capitalize()
        found = {"get": self.operation("get", f"read {what}", end, ["resourceVersion"], schema)}
        found["put"] = self.operation("put", f"replace {what}", end, _WRITE, schema, body=schema, more=("201",))
        if not suffix:
            found["delete"] = self.operation(
                "delete",
                "delete a {}",
                end,
                _DELETE,
                META + "Status",
                body=META + "DeleteOptions",
                more=("202",),
            )
        partly = f"partially update {what}"
        found["patch"] = self.operation("patch", partly, end, [*_WRITE, "force"], schema, body=META + "Patch")
        return found

    def operation(
        self,
        action: str,
        description: str,
        suffix: str,
        parameters: list[str],
        answer: str,
        body: str = "",
        more: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """One operation; `more`: status codes with the same answer beside 200."""
        definition = self.definition
        found: dict[str, Any] = {
            "tags": [self.tag],
            "description": description.format(definition.kind),
            "operationId": self._operation_id(action, suffix),
        }
        if parameters:
            found["parameters"] = [self.parameter(action, name) for name in parameters]
        if body:
            found["requestBody"] = {"content": _content(body, PATCHES if action == "patch" else JSON_YAML)}
            if action != "delete":
                found["requestBody"]["required"] = True
        content = _content(answer, JSON_YAML)
        texts = {"200": "OK", "201": "Created", "202": "Accepted"}
        responses: dict[str, Any] = {code: {"description": texts[code], "content": content} for code in ("200", *more)}
        found["responses"] = {**responses, "401": {"description": "Unauthorized"}}
        kind = {"group": definition.group, "version": self.version.name, "kind": definition.kind}
        return {**found, "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind}

    def _operation_id(self, action: str, suffix: str) -> str:
        verb = {"get": "read", "post": "create", "put": "replace", "deletecollection": "delete"}.get(action, action)
        collection = "Collection" if action == "deletecollection" else ""
        everywhere = suffix == "ForAllNamespaces"
        namespaced = "Namespaced" if self.definition.namespaced and not everywhere else ""
        return f"{verb}{self.camel}{collection}{namespaced}{self.definition.kind}{suffix}"


def _content(schema: str, media_types: tuple[str, ...]) -> dict[str, Any]:
    return {one: {"schema": {"$ref": f"#/components/schemas/{schema}"}} for one in media_types}
