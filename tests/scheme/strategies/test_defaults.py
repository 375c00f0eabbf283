"""What is filled in where a client says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.scheme.strategies.images import tag_of
from ledger.scheme.strategies.paths import get
from tests.scheme.strategies.playing import create

_POD = {"containers": [{"name": "c", "image": "nginx"}]}
_TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": _POD}
_SELECTOR = {"matchLabels": {"app": "x"}}


@pytest.mark.parametrize(
    "image, tag",
    [
        ("nginx", "latest"),
        ("nginx:1", "1"),
        ("reg.example.com:5000/a/b", "latest"),
        ("reg.example.com:5000/a/b:v2", "v2"),
        ("nginx@sha256:" + "a" * 64, ""),
        ("a" * 64, ""),
        ("Not/An/Image", ""),
        ("a" * 256, ""),
    ],
)
def test_images_without_a_tag_are_the_latest(image: str, tag: str) -> None:
    assert tag_of(image) == tag


@pytest.mark.parametrize(
    "resource, body, wanted",
    [
        (
            "pods",
            {"metadata": {"name": "p"}, "spec": _POD},
            {
                "spec.restartPolicy": "Always",
                "spec.dnsPolicy": "ClusterFirst",
                "spec.terminationGracePeriodSeconds": 30,
                "spec.schedulerName": "default-scheduler",
                "spec.enableServiceLinks": True,
                "spec.securityContext": {},
                "status.phase": "Pending",
                "status.qosClass": "BestEffort",
            },
        ),
        (
            "apps/deployments",
            {"metadata": {"name": "d"}, "spec": {"selector": _SELECTOR, "template": _TEMPLATE}},
            {
                "spec.replicas": 1,
                "spec.strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
                },
                "spec.revisionHistoryLimit": 10,
                "spec.progressDeadlineSeconds": 600,
                "spec.template.spec.restartPolicy": "Always",
            },
        ),
        (
            "apps/deployments",
            {
                "metadata": {"name": "d"},
                "spec": {"selector": _SELECTOR, "template": _TEMPLATE, "strategy": {"type": "Recreate"}},
            },
            {"spec.strategy": {"type": "Recreate"}},
        ),
        (
            "replicationcontrollers",
            {"metadata": {"name": "r"}, "spec": {"template": _TEMPLATE}},
            {"spec.replicas": 1, "spec.selector": {"app": "x"}, "metadata.labels": {"app": "x"}},
        ),
        (
            "batch/cronjobs",
            {
                "metadata": {"name": "c"},
                "spec": {
                    "schedule": "@daily",
                    "jobTemplate": {"spec": {"template": {"spec": {**_POD, "restartPolicy": "Never"}}}},
                },
            },
            {
                "spec.concurrencyPolicy": "Allow",
                "spec.suspend": False,
                "spec.successfulJobsHistoryLimit": 3,
                "spec.failedJobsHistoryLimit": 1,
            },
        ),
        (
            "networking.k8s.io/networkpolicies",
            {
                "metadata": {"name": "n"},
                "spec": {"podSelector": {}, "egress": [{}], "ingress": [{"ports": [{"port": 1}]}]},
            },
            {"spec.policyTypes": ["Ingress", "Egress"], "spec.ingress": [{"ports": [{"protocol": "TCP", "port": 1}]}]},
        ),
        (
            "rbac.authorization.k8s.io/rolebindings",
            {
                "metadata": {"name": "b"},
                "roleRef": {"kind": "Role", "name": "r"},
                "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}],
            },
            {
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
                "subjects": [
                    {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "u"},
                    {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
                ],
            },
        ),
        (
            "storage.k8s.io/storageclasses",
            {"metadata": {"name": "s"}, "provisioner": "a/b"},
            {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
        ),
        (
            "nodes",
            {"metadata": {"name": "n"}, "spec": {"podCIDR": "10.1.0.0/24"}},
            {"spec.podCIDRs": ["10.1.0.0/24"]},
        ),
        (
            "limitranges",
            {"metadata": {}, "spec": {"limits": []}},
            {"metadata.name": "db8055e0-e030-4d5a-816b-ec4dc338d698"},
        ),
    ],
)
def test_defaults(resource: str, body: Any, wanted: dict[str, Any]) -> None:
    outcome = create(resource, body)
    assert outcome.texts == []
    assert {path: get(outcome.obj, path) for path in wanted} == wanted


def test_requests_are_taken_from_limits() -> None:
    resources = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}
    container = {"name": "c", "image": "i", "resources": resources}
    obj = create("pods", {"metadata": {"name": "p"}, "spec": {"containers": [container]}}).obj
    assert obj["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    assert obj["status"]["qosClass"] == "Burstable"


def test_ports_of_the_host_are_those_of_its_containers() -> None:
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 80}]}
    obj = create("pods", {"metadata": {"name": "p"}, "spec": {"hostNetwork": True, "containers": [container]}}).obj
    assert obj["spec"]["containers"][0]["ports"] == [{"hostPort": 80, "containerPort": 80, "protocol": "TCP"}]


def test_a_job_selects_its_own_pods() -> None:
    pod = {**_POD, "restartPolicy": "Never"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
    obj = create("batch/jobs", {"metadata": {"name": "j"}, "spec": {"template": template}}).obj
    uid = obj["metadata"]["uid"]
    assert obj["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    labels = {"a": "b", "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": "j"}
    labels |= {"controller-uid": uid, "job-name": "j"}
    assert obj["spec"]["template"]["metadata"]["labels"] == obj["metadata"]["labels"] == labels
