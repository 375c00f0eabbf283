"""OpenAPI of custom resources, as a real kube-apiserver publishes it."""

from __future__ import annotations

import json

from ledger.apimachinery.resource import GVK
from ledger.scheme import openapi, openapi_v2
from ledger.scheme.definition import ResourceDefinition, Subresource, Version
from ledger.scheme.scheme import Scheme, builtin

SPEC = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "minimum": 1, "default": 2},
        "port": {"x-kubernetes-int-or-string": True},
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "mode": {"type": "string", "nullable": True, "enum": ["a", "b"]},
        "inner": {"type": "object", "x-kubernetes-embedded-resource": True},
    },
}
SCHEMA = {"type": "object", "description": "A gadget.", "properties": {"spec": SPEC, "metadata": {"type": "object"}}}
NAME = "example.shop.v1.Gadget"


def gadgets(*versions: str) -> ResourceDefinition:
    verbs = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
    served = {}
    for name in versions:
        kind = GVK("shop.example", name, "Gadget")
        three = ("get", "patch", "update")
        subresources = {
            "status": Subresource("status", kind, three),
            "scale": Subresource("scale", GVK("autoscaling", "v1", "Scale"), three),
        }
        served[name] = Version(name, kind, True, SCHEMA, (), subresources, None, ("spec.mode",))
    return ResourceDefinition(
        "shop.example", "gadgets", "gadget", "Gadget", "GadgetList", True, verbs, served, "v1", custom=True
    )


def with_gadgets(*versions: str) -> Scheme:
    return builtin().with_custom([gadgets(*versions)])


def test_paths_operations_and_their_names() -> None:
    document = openapi.build(with_gadgets("v1"), "apis/shop.example/v1")
    assert document is not None
    assert document["info"] == {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}
    base = "/apis/shop.example/v1"
    of = {
        path.removeprefix(base): [operation["operationId"] for verb, operation in item.items() if verb != "parameters"]
        for path, item in document["paths"].items()
    }
    prefix = "ShopExampleV1"
    assert of == {
        "/gadgets": [f"list{prefix}GadgetForAllNamespaces"],
        "/namespaces/{namespace}/gadgets": [
            f"list{prefix}NamespacedGadget",
            f"create{prefix}NamespacedGadget",
            f"delete{prefix}CollectionNamespacedGadget",
        ],
        "/namespaces/{namespace}/gadgets/{name}": [
            f"read{prefix}NamespacedGadget",
            f"replace{prefix}NamespacedGadget",
            f"delete{prefix}NamespacedGadget",
            f"patch{prefix}NamespacedGadget",
        ],
        "/namespaces/{namespace}/gadgets/{name}/scale": [
            f"read{prefix}NamespacedGadgetScale",
            f"replace{prefix}NamespacedGadgetScale",
            f"patch{prefix}NamespacedGadgetScale",
        ],
        "/namespaces/{namespace}/gadgets/{name}/status": [
            f"read{prefix}NamespacedGadgetStatus",
            f"replace{prefix}NamespacedGadgetStatus",
            f"patch{prefix}NamespacedGadgetStatus",
        ],
    }
    patch = document["paths"][f"{base}/namespaces/{{namespace}}/gadgets/{{name}}"]["patch"]
    assert [one["name"] for one in patch["parameters"]] == ["dryRun", "fieldManager", "fieldValidation", "force"]
    assert list(patch["requestBody"]["content"]) == [
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
    ]


def test_the_schema_in_v3_and_in_v2() -> None:
    scheme = with_gadgets("v1")
    document = openapi.build(scheme, "apis/shop.example/v1")
    assert document is not None
    v3 = document["components"]["schemas"][NAME]
    assert list(v3["properties"]) == ["apiVersion", "kind", "metadata", "spec"]
    assert v3["properties"]["metadata"]["allOf"] == [
        {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
    ]
    assert v3["x-kubernetes-group-version-kind"] == [{"group": "shop.example", "kind": "Gadget", "version": "v1"}]
    assert v3["x-kubernetes-selectable-fields"] == [{"fieldPath": "spec.mode"}]
    spec = v3["properties"]["spec"]["properties"]
    assert spec["port"] == {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
    assert spec["inner"]["required"] == ["kind", "apiVersion"]

    v2 = openapi_v2.build(scheme)["definitions"][NAME]["properties"]["spec"]["properties"]
    assert {name: v2[name] for name in ("any", "mode", "port", "size")} == {
        "any": {"x-kubernetes-preserve-unknown-fields": True},
        "mode": {"enum": ["a", "b"]},
        "port": {"x-kubernetes-int-or-string": True},
        "size": {"type": "integer", "minimum": 1},
    }


def test_a_new_version_changes_the_index_and_leaves_other_addresses_alone() -> None:
    def index(*versions: str) -> dict[str, str]:
        paths = json.loads(openapi.index(with_gadgets(*versions)))["paths"]
        return {name: one["serverRelativeURL"] for name, one in paths.items()}

    one, two = index("v1"), index("v1", "v2")
    assert set(two) - set(one) == {"apis/shop.example/v2"}
    assert {name: two[name] for name in one} == one
