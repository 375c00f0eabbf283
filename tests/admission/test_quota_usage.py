"""What one object uses of a quota."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.admission.quota.usage import evaluator_of, within
from ledger.apimachinery.resource import GroupResource

GPU = "example.com/gpu"


def used(resource: GroupResource, obj: dict[str, Any]) -> dict[str, str]:
    evaluator = evaluator_of(resource)
    assert evaluator is not None
    found = evaluator.usage({"metadata": {}, **obj}, 0)
    return {name: str(amount) for name, amount in sorted(found.items()) if amount}


def pod(*requests: dict[str, str], init: tuple[dict[str, Any], ...] = (), **more: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"resources": {"requests": one}} for one in requests],
                     "initContainers": list(init), **more}}  # fmt: skip


def starting(cpu: str, **more: str) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize("obj, cpu", [
    (pod({"cpu": "100m"}, {"cpu": "200m"}),                                                  "300m"),
    (pod({"cpu": "100m"}, init=(starting("1"), starting("500m"))),                           "1"),
    (pod({"cpu": "100m"}, init=(starting("300m", restartPolicy="Always"),)),                 "400m"),
    (pod({"cpu": "100m"}, init=(starting("300m", restartPolicy="Always"), starting("1"))),   "1300m"),
    (pod({"cpu": "100m"}, overhead={"cpu": "50m"}),                                          "150m"),
    (pod({"cpu": "100m"}, resources={"requests": {"cpu": "2"}}),                             "2"),
])  # fmt: skip
def test_a_pod_uses_what_it_runs_or_starts_with(obj: dict[str, Any], cpu: str) -> None:
    assert used(GroupResource("", "pods"), obj)["requests.cpu"] == cpu


@pytest.mark.parametrize("resource, obj, expected", [
    (("", "pods"), {**pod({"cpu": "1"}), "status": {"phase": "Succeeded"}}, {"count/pods": "1"}),
    (("", "pods"), pod({GPU: "2"}), {"count/pods": "1", "pods": "1", f"requests.{GPU}": "2"}),
    (("", "services"), {"spec": {"type": "LoadBalancer", "ports": [{}, {}]}},
     {"count/services": "1", "services": "1", "services.loadbalancers": "1", "services.nodeports": "2"}),
    (("", "persistentvolumeclaims"),
     {"spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}},
     {"count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1", "requests.storage": "1Gi",
      "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
      "gold.storageclass.storage.k8s.io/requests.storage": "1Gi"}),
    (("", "secrets"), {}, {"count/secrets": "1", "secrets": "1"}),
    (("example.com", "widgets"), {}, {"count/widgets.example.com": "1"}),
])  # fmt: skip
def test_objects_use(resource: tuple[str, str], obj: dict[str, Any], expected: dict[str, str]) -> None:
    assert used(GroupResource(*resource), obj) == expected


def test_events_are_never_counted() -> None:
    assert evaluator_of(GroupResource("events.k8s.io", "events")) is None


@pytest.mark.parametrize("scope, expected", [
    ({"scopeName": "Terminating", "operator": "Exists"},                              True),
    ({"scopeName": "NotTerminating", "operator": "Exists"},                           False),
    ({"scopeName": "BestEffort", "operator": "Exists"},                               False),
    ({"scopeName": "NotBestEffort", "operator": "Exists"},                            True),
    ({"scopeName": "PriorityClass", "operator": "In", "values": ["high"]},            True),
    ({"scopeName": "PriorityClass", "operator": "NotIn", "values": ["high"]},         False),
    ({"scopeName": "PriorityClass", "operator": "DoesNotExist"},                      False),
    ({"scopeName": "CrossNamespacePodAffinity", "operator": "Exists"},                False),
])  # fmt: skip
def test_scopes_choose_pods(scope: dict[str, Any], expected: bool) -> None:
    quota = {"spec": {"scopeSelector": {"matchExpressions": [scope]}}}
    evaluator = evaluator_of(GroupResource("", "pods"))
    assert evaluator is not None
    one = pod({"cpu": "1"}, activeDeadlineSeconds=5, priorityClassName="high")
    assert within(evaluator, quota, one) is expected
