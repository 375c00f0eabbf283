"""What each level says of a pod; the texts are those of k8s.io/pod-security-admission."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.admission.podsecurity.policy import LATEST, LevelVersion, policy_of, violations

P = "pod-security.kubernetes.io/"


def spec(container: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "i", **(container or {})}], **more}


SAFE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"}}  # fmt: skip


@pytest.mark.parametrize("level, pod, expected", [
    ("privileged", spec(hostPID=True), []),
    ("baseline", spec(), []),
    ("baseline", spec(hostNetwork=True, hostPID=True), ["host namespaces (hostNetwork=true, hostPID=true)"]),
    ("baseline", spec({"securityContext": {"privileged": True}}),
     ['privileged (container "c" must not set securityContext.privileged=true)']),
    ("baseline", spec({"securityContext": {"capabilities": {"add": ["SYS_ADMIN", "CHOWN"]}}}),
     ['non-default capabilities (container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add)']),
    ("baseline", spec({"ports": [{"containerPort": 1, "hostPort": 2}]}), ['hostPort (container "c" uses hostPort 2)']),
    ("baseline", spec(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), ['hostPath volumes (volume "v")']),
    ("baseline", spec(securityContext={"sysctls": [{"name": "kernel.x", "value": "1"}]}),
     ["forbidden sysctls (kernel.x)"]),
    ("baseline", spec(securityContext={"seccompProfile": {"type": "Unconfined"}}),
     ['seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")']),
    ("restricted", spec({"securityContext": SAFE}), []),
    ("restricted", spec({"securityContext": SAFE}, volumes=[{"name": "v", "nfs": {}}]),
     ['restricted volume types (volume "v" uses restricted volume type "nfs")']),
    ("restricted", spec({"securityContext": {**SAFE, "runAsUser": 0}}),
     ['runAsUser=0 (container "c" must not set runAsUser=0)']),
    ("restricted", spec({"securityContext": {**SAFE, "runAsUser": 0}}, hostUsers=False), []),
])  # fmt: skip
def test_a_level_names_what_a_pod_may_not(level: str, pod: dict[str, Any], expected: list[str]) -> None:
    assert [str(one) for one in violations(LevelVersion(level), {}, pod)] == expected


def test_restricted_asks_a_plain_pod_for_four_things() -> None:
    reasons = [one.reason for one in violations(LevelVersion("restricted"), {}, spec())]
    assert reasons == [
        "allowPrivilegeEscalation != false", "unrestricted capabilities", "runAsNonRoot != true", "seccompProfile",
    ]  # fmt: skip


@pytest.mark.parametrize("minor, expected", [(0, 1), (26, 1), (27, 0), (LATEST, 0)])
def test_a_version_judges_as_it_did_then(minor: int, expected: int) -> None:
    pod = spec(securityContext={"sysctls": [{"name": "net.ipv4.ip_local_reserved_ports", "value": "1"}]})
    assert len(violations(LevelVersion("baseline", minor), {}, pod)) == expected


@pytest.mark.parametrize("labels, expected", [
    ({},                                                     "privileged:latest privileged:latest privileged:latest"),
    ({"enforce": "baseline"},                                "baseline:latest privileged:latest baseline:latest"),
    ({"enforce": "baseline", "enforce-version": "v1.20"},    "baseline:v1.20 privileged:latest baseline:v1.20"),
    ({"enforce": "baseline", "warn": "restricted"},          "baseline:latest privileged:latest restricted:latest"),
    ({"audit": "restricted", "audit-version": "v1.5"},       "privileged:latest restricted:v1.5 privileged:latest"),
    ({"enforce": "nonsense", "warn": "nonsense"},            "restricted:latest privileged:latest privileged:latest"),
])  # fmt: skip
def test_labels_choose_what_is_enforced_audited_and_warned_of(labels: dict[str, str], expected: str) -> None:
    policy = policy_of({P + name: value for name, value in labels.items()})
    assert f"{policy.enforce} {policy.audit} {policy.warn}" == expected
