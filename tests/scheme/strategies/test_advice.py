"""Warnings."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.scheme.strategies.playing import create, update

_CONTAINER = {"name": "c", "image": "i"}
_LABEL = "which can result in surprising behavior; a DNS label is recommended: [must not contain dots]"


def _pod(spec: Any, **metadata: Any) -> Any:
    return {"metadata": {"name": "p", **metadata}, "spec": {"containers": [_CONTAINER], **spec}}


@pytest.mark.parametrize(
    "spec, warning",
    [
        (
            {"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
            'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
        ),
        (
            {"imagePullSecrets": [{"name": "a"}, {"name": "a"}]},
            'spec.imagePullSecrets[1].name: duplicate name "a"',
        ),
        (
            {"containers": [_CONTAINER | {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]},
            'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
        ),
        (
            {"containers": [_CONTAINER | {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]}]},
            None,
        ),
        (
            {"containers": [_CONTAINER | {"resources": {"limits": {"memory": "100m"}}}]},
            'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
        ),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "configMap": {"name": "m", "items": [{"key": "a", "path": "x"}, {"key": "b", "path": "x/y"}]},
                    }
                ]
            },
            'volume "v" (ConfigMap "m"): overlapping paths: "x/y" with "x"',
        ),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["2001:DB8::1"]}},
            'spec.dnsConfig.nameservers[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format '
            '("2001:db8::1")',
        ),
    ],
)
def test_pods(spec: Any, warning: str | None) -> None:
    outcome = create("pods", _pod(spec))
    assert outcome.texts == []
    assert outcome.warnings[:1] == ([] if warning is None else [warning])


def test_templates_are_told_of_once_they_change() -> None:
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": _pod({"nodeSelector": {"node-role.kubernetes.io/master": ""}})["spec"],
    }
    body = {"metadata": {"name": "a.b"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    outcome = create("apps/deployments", body)
    name, label = outcome.warnings
    assert _LABEL in name
    path = "spec.template.spec.nodeSelector[node-role.kubernetes.io/master]"
    assert label == f'{path}: use "node-role.kubernetes.io/control-plane" instead'
    stored = outcome.obj
    stored["metadata"]["resourceVersion"] = "1"
    assert update("apps/deployments", deepcopy(stored), stored).warnings == []
    scaled = deepcopy(stored)
    scaled["spec"]["replicas"] = 3
    assert update("apps/deployments", scaled, stored).warnings == [label]
    assert update("apps/deployments", scaled, stored, "status").warnings == []


@pytest.mark.parametrize(
    "resource, body, warning",
    [
        (
            "secrets",
            {"metadata": {"name": "s"}, "type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}},
            "tls: failed to find any PEM data in certificate input",
        ),
        (
            "resourcequotas",
            {"metadata": {"name": "q"}, "spec": {"hard": {"requests.cpu": "2", "limits.cpu": "1"}}},
            "ResourceQuota requests.cpu (2) should be less than limits.cpu (1)",
        ),
        (
            "discovery.k8s.io/endpointslices",
            {"metadata": {"name": "e"}, "addressType": "FQDN", "endpoints": [{"addresses": ["a.b"]}], "ports": []},
            "spec.addressType: FQDN endpoints are deprecated",
        ),
        (
            "services",
            {
                "metadata": {"name": "s"},
                "spec": {"ports": [{"port": 1}], "externalName": "x", "clusterIP": "None", "clusterIPs": ["None"]},
            },
            'spec.externalName is ignored when spec.type is not "ExternalName"',
        ),
        (
            "networking.k8s.io/ingresses",
            {
                "metadata": {"name": "i", "annotations": {"kubernetes.io/ingress.class": "x"}},
                "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 1}}}},
            },
            "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead",
        ),
    ],
)
def test_other_kinds(resource: str, body: Any, warning: str) -> None:
    outcome = create(resource, body)
    assert outcome.texts == []
    assert outcome.warnings == [warning]
