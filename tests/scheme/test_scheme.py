"""The snapshot of what exists: lookups, order, custom resources, and how long it takes to load."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ledger.apimachinery.resource import GVK, GVR, GroupResource
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.runtime_config import RuntimeConfig
from ledger.scheme.scheme import builtin, kube_version_key

SCHEME = builtin()
VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


def custom(group: str, *versions: str, resource: str = "widgets", kind: str = "Widget") -> ResourceDefinition:
    served = {name: Version(name, GVK(group, name, kind), True, {"type": "object"}) for name in versions}
    singular, kinds = kind.lower(), f"{kind}List"
    return ResourceDefinition(group, resource, singular, kind, kinds, True, VERBS, served, versions[0], custom=True)


def test_every_default_resource_of_the_release_is_there() -> None:
    served = [gvr for definition in SCHEME.definitions.values() for gvr in map(definition.gvr, definition.versions)]
    assert sum(SCHEME.find(gvr) is not None for gvr in served) == 72


def test_what_is_not_served_is_not_found_but_known() -> None:
    assert SCHEME.find(GVR("resource.k8s.io", "v1beta1", "deviceclasses")) is None
    assert SCHEME.for_kind(GVK("resource.k8s.io", "v1beta1", "DeviceClass")) is None
    definition = SCHEME.definition(GroupResource("resource.k8s.io", "deviceclasses"))
    assert definition is not None
    assert set(definition.versions) == {"v1", "v1beta1", "v1beta2"}


@pytest.mark.parametrize(
    "text, storage_version, stored_as, scale, short_names",
    [
        ("/v1/pods", "v1", "pods", "", ("po",)),
        ("apps/v1/deployments", "v1", "deployments.apps", "spec.selector", ("deploy",)),
        ("autoscaling/v1/horizontalpodautoscalers", "v2", "horizontalpodautoscalers.autoscaling", "", ("hpa",)),
        ("events.k8s.io/v1/events", "v1", "events", "", ("ev",)),
        ("storage.k8s.io/v1/storageclasses", "v1", "storageclasses.storage.k8s.io", "", ("sc",)),
    ],
)
def test_facts_of_a_resource(
    text: str, storage_version: str, stored_as: str, scale: str, short_names: tuple[str]
) -> None:
    found = SCHEME.find(GVR(*text.split("/")))
    assert found is not None
    definition, version = found
    assert (definition.storage_version, str(definition.stored_as)) == (storage_version, stored_as)
    assert (version.scale.label_selector if version.scale else "") == scale
    assert definition.short_names == short_names
    assert SCHEME.for_kind(version.kind) == found


def test_the_owner_of_a_resource_has_the_version_its_objects_are_stored_in() -> None:
    for definition in SCHEME.definitions.values():
        owner = SCHEME.owner(definition)
        assert owner.group_resource == definition.stored_as
        assert definition.storage_version in owner.versions


def test_schemas_are_whole_and_shared() -> None:
    def schema(resource: str, group: str = "apps") -> dict:
        found = SCHEME.find(GVR(group, "v1", resource))
        assert found is not None and found[1].schema is not None
        return found[1].schema["properties"]

    deployment, daemonset = schema("deployments"), schema("daemonsets")
    assert deployment["metadata"] is daemonset["metadata"]
    template = deployment["spec"]["properties"]["template"]
    ports = template["properties"]["spec"]["properties"]["containers"]["items"]["properties"]["ports"]
    assert ports["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
    # What a property says beside its reference overrides the definition, for this property alone.
    strategy = deployment["spec"]["properties"]["strategy"]
    assert strategy["x-kubernetes-patch-strategy"] == "retainKeys"
    crd = schema("customresourcedefinitions", "apiextensions.k8s.io")
    versions = crd["spec"]["properties"]["versions"]["items"]["properties"]
    inner = versions["schema"]["properties"]["openAPIV3Schema"]
    assert inner["properties"]["not"] is inner, "JSONSchemaProps refers to itself"


def test_deprecated_versions_warn() -> None:
    found = SCHEME.find(GVR("", "v1", "endpoints"))
    assert found is not None
    assert found[1].deprecation_warning == "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


def test_custom_resources_replace_one_another_and_leave_the_old_scheme_alone() -> None:
    first = SCHEME.with_custom([custom("a.example", "v1")])
    second = first.with_custom([custom("b.example", "v1")])
    gvr = GVR("a.example", "v1", "widgets")
    assert (SCHEME.find(gvr), second.find(gvr)) == (None, None)
    assert first.find(gvr) is not None


def test_groups_and_versions_come_in_upstreams_order() -> None:
    scheme = SCHEME.with_custom([custom("z.example", "v1"), custom("a.example", "v1beta1", "v2", "v1alpha1", "v10")])
    groups = [group.name for group in scheme.groups()]
    assert groups[:3] == ["", "apiregistration.k8s.io", "apps"]
    # Of equal priority: by the name of the first APIService, "v1.z.example" before "v10.a.example".
    assert groups[-2:] == ["z.example", "a.example"]
    group = scheme.group("a.example")
    assert group is not None
    assert group.versions == ("v10", "v2", "v1beta1", "v1alpha1")
    hpa = scheme.group("autoscaling")
    assert hpa is not None and hpa.preferred == "v2"


def test_versions_are_ranked_as_kubernetes_ranks_them() -> None:
    ranked = ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]
    assert sorted(ranked, key=kube_version_key, reverse=True) == ranked


def test_loading_takes_a_small_part_of_a_second() -> None:
    program = (
        "import orjson, time; start = time.process_time()\n"
        "from ledger.scheme.scheme import builtin; builtin(); print(time.process_time() - start)"
    )
    seconds = min(float(subprocess.check_output([sys.executable, "-c", program])) for _ in range(3))
    assert seconds < 0.3, "the server is to be ready in about a second"


def test_a_runtime_config_changes_nothing_for_anybody_else() -> None:
    builtin(RuntimeConfig.parse("apps/v1=false"))
    assert builtin().find(GVR("apps", "v1", "deployments")) is not None
