"""--runtime-config, as kube-apiserver reads it."""

from __future__ import annotations

import pytest

from ledger.scheme.runtime_config import RuntimeConfig, RuntimeConfigError
from ledger.scheme.scheme import Scheme, builtin


def versions(scheme: Scheme) -> set[str]:
    return {f"{group.name}/{version}" for group in scheme.groups() for version in group.versions}


DEFAULT = versions(builtin())
BETA = {"resource.k8s.io/v1beta1", "certificates.k8s.io/v1beta1"}
ALPHA = {"internal.apiserver.k8s.io/v1alpha1", "coordination.k8s.io/v1alpha2"}
PAST = {"extensions/v1beta1", "batch/v2alpha1"}


@pytest.mark.parametrize(
    "flag, more, less",
    [
        ("", set(), set()),
        ("api/beta=true", BETA, set()),
        ("api/alpha=true", ALPHA, set()),
        ("api/all=true", BETA | ALPHA, set()),
        ("api/all=true,api/beta=false", ALPHA, set()),
        ("api/ga=false", set(), DEFAULT),
        ("api/all=false,v1=true", None, None),
        ("api/all=false,apps/v1=true", set(), DEFAULT - {"apps/v1"}),
        ("autoscaling/v1=false", set(), {"autoscaling/v1"}),
        ("apps/v1=0,apps/v1=T", set(), set()),
        ("extensions/v1beta1=true", {"extensions/v1beta1"}, set()),
        ("extensions/v1beta1,batch/v2alpha1", PAST, set()),
        ("storage.k8s.io/v1beta1=true", set(), set()),  # known, but brings nothing
        ("resource.k8s.io/v1beta1/deviceclasses=true", {"resource.k8s.io/v1beta1"}, set()),
    ],
)
def test_which_versions_are_served(flag: str, more: set[str] | None, less: set[str] | None) -> None:
    if more is None or less is None:
        with pytest.raises(RuntimeConfigError, match="runtime-config invalid key v1"):
            RuntimeConfig.parse(flag)
        return
    served = versions(builtin(RuntimeConfig.parse(flag)))
    assert served >= more
    assert (DEFAULT - served) == less
    if "api/all" in flag:
        assert not served & PAST, "versions of the past are served only when they are named"


def test_one_resource_of_a_version() -> None:
    scheme = builtin(RuntimeConfig.parse("apps/v1/daemonsets=false,resource.k8s.io/v1beta1/resourceclaims=true"))
    assert [definition.resource for definition, _ in scheme.resources("resource.k8s.io", "v1beta1")] == [
        "resourceclaims"
    ]
    assert "daemonsets" not in [definition.resource for definition, _ in scheme.resources("apps", "v1")]


@pytest.mark.parametrize(
    "flag, complaint",
    [
        ("api/all=false", "invalid runtime-config with only api/all=false"),
        ("api/all=yes", "invalid value api/all=yes"),
        ("api/beta", "invalid value api/beta="),
        ("none/v1=true", "unknown api groups none/v1"),
        ("apps/v9=true", "group version apps/v9 that has not been registered"),
        ("apps=true", "runtime-config invalid key apps"),
        ("a/b/c/d=true", "runtime-config invalid key a/b/c/d"),
        ("apps/v1=x", 'invalid value of apps/v1: x, err: strconv.ParseBool: parsing "x": invalid syntax'),
        (
            "apps/v1/Pods=true",
            "invalid key apps/v1/Pods: group/version/resource and resource is always lowercase plural",
        ),
    ],
)
def test_a_wrong_flag_is_one_clear_line(flag: str, complaint: str) -> None:
    with pytest.raises(RuntimeConfigError) as error:
        RuntimeConfig.parse(flag)
    assert str(error.value).startswith(complaint)
    assert "\n" not in str(error.value)
