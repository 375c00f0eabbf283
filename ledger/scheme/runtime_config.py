"""Which API versions are served: --runtime-config as kube-apiserver reads it.

Follows k8s.io/apiserver pkg/server/{options/api_enablement,resourceconfig/helpers}.go: GA versions are on, beta and
alpha off; api/all, api/ga, api/beta, api/alpha come first, then GROUP/VERSION, then GROUP/VERSION/RESOURCE.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.apimachinery.resource import GVR, api_version
from ledger.scheme.builtin import GroupVersion, group_versions

_MATCHERS: dict[str, Callable[[str], object]] = {  # in the order in which they apply
    "api/all": lambda version: True,
    "api/ga": re.compile(r"v\d+\Z").match,
    "api/beta": re.compile(r"v\d+beta\d+\Z").match,
    "api/alpha": re.compile(r"v\d+alpha\d+\Z").match,
}
_BOOLEANS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True)
_BOOLEANS |= dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False)


class RuntimeConfigError(ValueError):
    """The flag's value is wrong; the message is one line for whoever typed it."""


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """What --runtime-config asks for, checked. `RuntimeConfig()` is the default."""

    overrides: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> RuntimeConfig:
        """From "api/all=true,apps/v1=false"; a later pair overrides an earlier one of the same key.

        Raises RuntimeConfigError on a malformed key or value, an unknown group or version, and on api/all=false alone.
        """
        pairs: dict[str, str] = {}
        for pair in filter(None, text.split(",")):
            key, _, value = pair.partition("=")
            pairs[key.strip()] = value.strip()
        if pairs == {"api/all": "false"}:
            raise RuntimeConfigError("invalid runtime-config with only api/all=false")
        return cls({key: _checked(key, value) for key, value in pairs.items()})

    def served(self, gvr: GVR, known: GroupVersion) -> bool:
        """Whether this built-in resource is served in this version, which is `known`."""
        by_resource = self.overrides.get(f"{gvr.group}/{gvr.version}/{gvr.resource}")
        if by_resource is not None:
            return by_resource
        by_version = self.overrides.get(f"{gvr.group}/{gvr.version}")
        if by_version is not None:
            return by_version
        served = known.by_default
        if not known.historical:
            for name, matches in _MATCHERS.items():
                if name in self.overrides and matches(gvr.version):
                    served = self.overrides[name]
        return served


def _checked(key: str, value: str) -> bool:
    if key in _MATCHERS:
        if value not in ("true", "false"):
            raise RuntimeConfigError(f"invalid value {key}={value}")
        return value == "true"
    parts = key.split("/")
    if len(parts) not in (2, 3):
        raise RuntimeConfigError(f"runtime-config invalid key {key}")
    group, version = parts[:2]
    if not any(known == group for known, _ in group_versions()):
        raise RuntimeConfigError(f"unknown api groups {api_version(group, version)}")
    if (group, version) not in group_versions():
        raise RuntimeConfigError(f"group version {api_version(group, version)} that has not been registered")
    if len(parts) == 3 and parts[2] != parts[2].lower():
        raise RuntimeConfigError(
            f'invalid key {key}: group/version/resource and resource is always lowercase plural, not "{parts[2]}"'
        )
    if value and value not in _BOOLEANS:
        raise RuntimeConfigError(
            f'invalid value of {key}: {value}, err: strconv.ParseBool: parsing "{value}": invalid syntax'
        )
    return _BOOLEANS.get(value, True)
