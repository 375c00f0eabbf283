"""Field labels as kube-apiserver knows them."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.apimachinery.resource import GVR, Object
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.runtime_config import RuntimeConfig
from ledger.scheme.scheme import builtin
from ledger.scheme.selectable import UnknownFieldLabel, field_values, stored_label

SCHEME = builtin(RuntimeConfig.parse("api/all=true"))


def served(text: str) -> tuple[ResourceDefinition, Version]:
    group, _, rest = text.rpartition("/")
    version, resource = rest.split(":") if ":" in rest else ("v1", rest)
    found = SCHEME.find(GVR(group, version, resource))
    assert found is not None
    return found


@pytest.mark.parametrize(
    "resource, label, stands_for",
    [
        ("pods", "spec.host", "spec.nodeName"),
        ("pods", "status.podIPs", "status.podIPs"),
        ("events.k8s.io/events", "regarding.kind", "involvedObject.kind"),
        ("events.k8s.io/events", "reportingController", "reportingComponent"),
        ("services", "spec.clusterIP", "spec.clusterIP"),
        ("configmaps", "metadata.namespace", "metadata.namespace"),
        ("nodes", "metadata.name", "metadata.name"),
    ],
)
def test_labels_that_are_known(resource: str, label: str, stands_for: str) -> None:
    assert stored_label(*served(resource), label) == stands_for


@pytest.mark.parametrize(
    "resource, label, refusal",
    [
        ("configmaps", "data", '"data" is not a known field selector: only "metadata.name", "metadata.namespace"'),
        ("apps/replicasets", "status.replicas", '"status.replicas" is not a known field selector'),
        ("pods", "spec.x", "field label not supported: spec.x"),
        ("nodes", "metadata.namespace", "field label not supported: metadata.namespace"),
        ("events.k8s.io/events", "involvedObject.name", "field label not supported: involvedObject.name"),
        ("batch/jobs", "status.failed", 'field label "status.failed" not supported for Job'),
        (
            "resource.k8s.io/v1beta2:resourceslices",
            "x",
            "field label not supported for resource.k8s.io/v1beta2, Kind=ResourceSlice: x",
        ),
    ],
)
def test_labels_that_are_refused(resource: str, label: str, refusal: str) -> None:
    with pytest.raises(UnknownFieldLabel) as error:
        stored_label(*served(resource), label)
    assert str(error.value).startswith(refusal)


@pytest.mark.parametrize(
    "resource, obj, values",
    [
        ("nodes", {}, {"spec.unschedulable": "false"}),
        ("nodes", {"spec": {"unschedulable": True}}, {"spec.unschedulable": "true"}),
        ("batch/jobs", {"status": {"succeeded": 2}}, {"status.successful": "2"}),
        ("batch/jobs", {}, {"status.successful": "0"}),
        ("pods", {"status": {"podIPs": [{"ip": "10.1.0.1"}]}}, {"status.podIP": "10.1.0.1", "status.podIPs": ""}),
        ("events", {"reportingComponent": "c"}, {"source": "c", "reportingComponent": "c"}),
        ("events", {"source": {"component": "s"}, "reportingComponent": "c"}, {"source": "s"}),
        ("configmaps", {"data": {"a": "b"}}, {}),
    ],
)
def test_values_in_stored_objects(resource: str, obj: Object, values: dict[str, Any]) -> None:
    assert field_values(*served(resource), obj).items() >= values.items()
