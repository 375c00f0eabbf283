"""Objects survive the way through another version and back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.apimachinery.resource import GVR, GroupResource, Object
from ledger.scheme.conversion import convert, same_shape, stored_kind, to_storage
from ledger.scheme.conversions import extensions
from ledger.scheme.conversions.autoscaling import BEHAVIOR, METRICS
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.runtime_config import RuntimeConfig
from ledger.scheme.scheme import builtin
from tests.scheme.generated import MAPS, NAMES, values, whole

SCHEME = builtin(RuntimeConfig.parse("api/all=true,extensions/v1beta1=true,batch/v2alpha1=true"))
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)

FEW = settings(QUICK, max_examples=8)


def served(text: str) -> tuple[ResourceDefinition, Version]:
    """ "extensions/v1beta1 deployments" as the scheme has it."""
    api_version, resource = text.split()
    group, _, version = api_version.rpartition("/")
    found = SCHEME.find(GVR(group, version, resource))
    assert found is not None, text
    return found


def several_versions() -> list[str]:
    """Every version of every resource that is not the stored one."""
    return [
        f"{definition.group}/{version} {definition.resource}"
        for definition in SCHEME.definitions.values()
        for version in definition.versions
        if definition.versions[version].kind != stored_kind(definition)
    ]


# Lossy upstream as well: autoscaling/v1 has a test of its own; v1 of PodCertificateRequest has lost two fields.
LOSSLESS = [one for one in several_versions() if one != "autoscaling/v1 horizontalpodautoscalers"]


@pytest.mark.parametrize("version", LOSSLESS)
@QUICK
@given(data=st.data())
def test_there_and_back_is_the_identity(version: str, data: st.DataObject) -> None:
    definition, one = served(version)
    assert one.schema is not None
    obj = normal(version, data.draw(whole(one.schema, one.kind.api_version, one.kind.kind)))
    before = copy.deepcopy(obj)
    stored = to_storage(definition, obj)
    assert (stored["apiVersion"], stored["kind"]) == (stored_kind(definition).api_version, stored_kind(definition).kind)
    assert convert(definition, stored, one.name) == before
    assert obj == before, "the argument was changed"


# What is stored and the way through the version loses: v1 of PodCertificateRequest has lost two fields, upstream as well.
LOSES_STORED = "certificates.k8s.io/v1 podcertificaterequests"


@pytest.mark.parametrize("version", [one for one in several_versions() if one != LOSES_STORED])
@FEW
@given(data=st.data())
def test_what_is_stored_survives_the_way_through_each_version(version: str, data: st.DataObject) -> None:
    """With the test above: from any version by any other, across groups, and back is the identity."""
    definition, one = served(version)
    owner = SCHEME.owner(definition)
    stored_as = owner.versions[definition.storage_version]
    assert stored_as.schema is not None
    obj = data.draw(whole(stored_as.schema, stored_as.kind.api_version, stored_as.kind.kind))
    if version.startswith(FILLS_IN):  # what was stored would have these defaults
        obj = to_storage(definition, convert(definition, obj, one.name))
    before = copy.deepcopy(obj)
    assert to_storage(definition, convert(definition, obj, one.name)) == before
    assert obj == before, "the argument was changed"


# Versions whose own defaults, or whose fields that are always there, are not in an object made up from a schema.
FILLS_IN = ("extensions/", "autoscaling/v1 ", "resource.k8s.io/v1beta1")


def normal(version: str, obj: Object) -> Object:
    """With the fields that the version's own defaults would fill in: they stay, as they did then."""
    if not version.startswith(("extensions/", "resource.k8s.io/v1beta1")):
        return obj
    definition, one = served(version)
    return convert(definition, to_storage(definition, obj), one.name)


@pytest.mark.parametrize("version", several_versions())
def test_shapes_that_are_said_to_be_the_same_are(version: str) -> None:
    definition, one = served(version)
    obj = {"apiVersion": one.kind.api_version, "kind": one.kind.kind, "metadata": {"name": "a"}, "spec": {"x": 1}}
    if same_shape(definition, one.name):
        kept = {"metadata": obj["metadata"], "spec": obj["spec"]}
        assert to_storage(definition, obj).items() >= kept.items()


# --- autoscaling ----------------------------------------------------------------------------------------------------
QUANTITY = st.sampled_from(["1", "20m", "5Gi"])
IDENTITY = st.fixed_dictionaries({"name": NAMES}, optional={"selector": st.builds(lambda m: {"matchLabels": m}, MAPS)})
SERVICE = st.builds(lambda name: {"kind": "Service", "name": name, "apiVersion": "v1"}, NAMES)


def target(kind: str, field: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"type": st.just(kind), field: value})


AVERAGE, VALUE = target("AverageValue", "averageValue", QUANTITY), target("Value", "value", QUANTITY)
UTILIZATION = target("Utilization", "averageUtilization", st.integers(1, 99))
SOURCES = {
    "Object": {"describedObject": SERVICE, "metric": IDENTITY, "target": AVERAGE | VALUE},
    "Pods": {"metric": IDENTITY, "target": AVERAGE},
    "External": {"metric": IDENTITY, "target": AVERAGE | VALUE},
    "Resource": {"name": st.just("memory"), "target": AVERAGE | UTILIZATION},
    "ContainerResource": {"name": NAMES, "container": NAMES, "target": AVERAGE | UTILIZATION},
}


def metric(kind: str) -> st.SearchStrategy[Any]:
    field = kind[0].lower() + kind[1:]
    return st.fixed_dictionaries({"type": st.just(kind), field: st.fixed_dictionaries(SOURCES[kind])})


CPU = UTILIZATION.map(lambda one: {"type": "Resource", "resource": {"name": "cpu", "target": one}})


@st.composite
def autoscalers(draw: st.DrawFn) -> Object:
    """autoscaling/v2 objects; the CPU metric is the last one, where autoscaling/v1 puts it."""
    definition, v2 = served("autoscaling/v2 horizontalpodautoscalers")
    assert v2.schema is not None
    behavior = v2.schema["properties"]["spec"]["properties"]["behavior"]
    spec: dict[str, Any] = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 9}
    spec["metrics"] = draw(st.lists(st.one_of(*map(metric, SOURCES)), max_size=3)) + [draw(CPU)]
    if draw(st.booleans()):
        spec["behavior"] = draw(values(behavior).filter(bool))
    metadata = {"name": "a", "namespace": "ns"}
    return {"kind": definition.kind, "apiVersion": "autoscaling/v2", "metadata": metadata, "spec": spec}


@QUICK
@given(autoscalers())
def test_an_autoscaler_keeps_in_annotations_what_v1_cannot_say(v2: Object) -> None:
    definition, _ = served("autoscaling/v1 horizontalpodautoscalers")
    v1 = convert(definition, v2, "v1")
    assert "metrics" not in v1["spec"]
    assert convert(definition, v1, "v2") == v2


def test_an_autoscaler_as_a_real_server_shows_it() -> None:
    definition, _ = served("autoscaling/v1 horizontalpodautoscalers")
    rules = {"stabilizationWindowSeconds": 5, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    memory = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "100Mi"}}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 55}}
    metrics = [{"type": "Resource", "resource": cpu}, {"type": "Resource", "resource": memory}]
    spec = {"maxReplicas": 9, "metrics": metrics, "behavior": {"scaleDown": rules}}
    v1 = convert(definition, {"apiVersion": "autoscaling/v2", "metadata": {"name": "a"}, "spec": spec}, "v1")
    assert v1["spec"] == {"maxReplicas": 9, "targetCPUUtilizationPercentage": 55}
    kept = v1["metadata"]["annotations"]
    assert kept[METRICS] == '[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"100Mi"}}]'
    assert kept[BEHAVIOR] == (
        '{"ScaleUp":null,"ScaleDown":{"StabilizationWindowSeconds":5,"SelectPolicy":null,'
        '"Policies":[{"Type":"Pods","Value":1,"PeriodSeconds":60}],"Tolerance":null}}'
    )


@pytest.mark.parametrize("text", ["", "null", "{", "[1]", '"x"', "{}"])
def test_annotations_that_no_server_wrote_do_no_harm(text: str) -> None:
    definition, _ = served("autoscaling/v1 horizontalpodautoscalers")
    metadata = {"name": "a", "annotations": {METRICS: text, BEHAVIOR: text}}
    v1 = {"apiVersion": "autoscaling/v1", "metadata": metadata, "spec": {"targetCPUUtilizationPercentage": 7}}
    v2 = convert(definition, v1, "v2")
    assert v2["spec"]["metrics"][-1]["resource"]["target"]["averageUtilization"] == 7
    assert "annotations" not in v2["metadata"]


# --- events ---------------------------------------------------------------------------------------------------------
def test_an_event_of_the_new_group_is_stored_as_a_core_event() -> None:
    definition, _ = served("events.k8s.io/v1 events")
    assert definition.stored_as == GroupResource("", "events")
    event = {
        "kind": "Event",
        "apiVersion": "events.k8s.io/v1",
        "metadata": {"name": "a"},
        "regarding": {"kind": "Pod", "name": "p"},
        "note": "N",
        "deprecatedCount": 2,
        "reportingController": "c",
    }
    stored = to_storage(definition, event)
    assert stored == {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": "a"},
        "involvedObject": {"kind": "Pod", "name": "p"},
        "message": "N",
        "count": 2,
        "reportingComponent": "c",
        "reportingInstance": "",
    }
    assert convert(definition, stored, "v1") == event


# --- the past -------------------------------------------------------------------------------------------------------
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def old(kind: str, **spec: Any) -> Object:
    return {"apiVersion": "extensions/v1beta1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}


def test_an_old_deployment_gets_the_labels_selector_and_defaults_of_its_time() -> None:
    definition, _ = served("extensions/v1beta1 deployments")
    stored = to_storage(definition, old("Deployment", template=TEMPLATE, rollbackTo={"revision": 3}))
    assert stored["apiVersion"] == "apps/v1"
    assert stored["metadata"]["labels"] == {"app": "web"}
    assert stored["metadata"]["annotations"] == {extensions.ROLLBACK: "3"}
    spec = {name: value for name, value in stored["spec"].items() if name != "template"}
    assert spec == {
        "selector": {"matchLabels": {"app": "web"}},
        "replicas": 1,
        "progressDeadlineSeconds": 2147483647,
        "revisionHistoryLimit": 2147483647,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
    }
    assert convert(definition, stored, "v1beta1")["spec"]["rollbackTo"] == {"revision": 3}


@pytest.mark.parametrize(
    "backend, service",
    [
        ({"serviceName": "s", "servicePort": 80}, {"name": "s", "port": {"number": 80}}),
        ({"serviceName": "s", "servicePort": "http"}, {"name": "s", "port": {"name": "http"}}),
        ({"serviceName": "s"}, {"name": "s", "port": {}}),
        ({"resource": {"kind": "Bucket", "name": "b"}}, None),
    ],
)
def test_backends_of_old_ingresses(backend: dict[str, Any], service: dict[str, Any] | None) -> None:
    definition, _ = served("extensions/v1beta1 ingresses")
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    ingress = old("Ingress", backend=backend, rules=[{"host": "h", "http": {"paths": [path]}}])
    stored = to_storage(definition, ingress)
    assert stored["apiVersion"] == "networking.k8s.io/v1"
    assert stored["spec"]["defaultBackend"].get("service") == service
    assert stored["spec"]["rules"][0]["http"]["paths"][0]["backend"].get("service") == service
    assert convert(definition, stored, "v1beta1") == ingress


def test_a_backend_changed_as_todays_kind_is_seen_changed_as_the_old_one() -> None:
    definition, _ = served("extensions/v1beta1 ingresses")
    stored = to_storage(definition, old("Ingress", backend={"serviceName": "s"}))
    stored["spec"]["defaultBackend"]["service"]["port"] = {"number": 8080}
    back = convert(definition, stored, "v1beta1")
    assert back["spec"]["backend"] == {"serviceName": "s", "servicePort": 8080}
    assert "annotations" not in back["metadata"]


def test_a_scheduled_job_is_a_cron_job() -> None:
    definition, _ = served("batch/v2alpha1 scheduledjobs")
    job = {
        "apiVersion": "batch/v2alpha1",
        "kind": "ScheduledJob",
        "metadata": {"name": "a"},
        "spec": {"schedule": "* *"},
    }
    stored = to_storage(definition, job)
    assert (stored["apiVersion"], stored["kind"], stored["spec"]) == ("batch/v1", "CronJob", job["spec"])
    cron, _ = served("batch/v2alpha1 cronjobs")
    assert convert(cron, stored, "v2alpha1")["kind"] == "CronJob"
    assert convert(definition, stored, "v2alpha1") == job


def test_the_result_shares_nothing_that_it_changes() -> None:
    definition, _ = served("extensions/v1beta1 daemonsets")
    daemonset = old("DaemonSet", template=TEMPLATE, templateGeneration=2)
    before = json.dumps(daemonset)
    stored = to_storage(definition, daemonset)
    assert json.dumps(daemonset) == before
    assert stored["metadata"]["annotations"] == {extensions.TEMPLATE_GENERATION: "2"}
