"""The environment of containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.apimachinery.names import (
    is_config_map_key,
    is_dns1123_label,
    is_dns1123_subdomain,
    is_relaxed_env_var_name,
)
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.volume_files import (
    field_reference,
    no_backsteps,
    resource_reference,
)


def environment(found: Findings, path: str, variables: Sequence[Mapping[str, Any]]) -> None:
    for at, one in enumerate(variables):
        here = f"{path}[{at}]"
        found.name(f"{here}.name", one.get("name", ""), is_relaxed_env_var_name)
        source = one.get("valueFrom")
        if source is not None:
            _value_from(found, f"{here}.valueFrom", source, one.get("value", ""))


def _value_from(found: Findings, path: str, source: Mapping[str, Any], value: str) -> None:
    kinds = [kind for kind in _VALUE_SOURCES if source.get(kind) is not None]
    for kind in kinds:
        here = f"{path}.{kind}"
        if kind == "fieldRef":
            field_reference(found, here, source[kind], volume=False)
        elif kind == "resourceFieldRef":
            resource_reference(found, here, source[kind], volume=False)
        elif kind == "fileKeyRef":
            _file_key(found, here, source[kind])
        else:
            found.check(f"{here}.name", source[kind].get("name", ""), is_dns1123_subdomain)
            found.name(f"{here}.key", source[kind].get("key", ""), is_config_map_key)
    if not kinds:
        names = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        found.invalid(path, "", f"must specify one of: {names}")
    elif value:
        found.invalid(path, "", "may not be specified when `value` is not empty")
    elif len(kinds) > 1:
        found.invalid(path, "", "may not have more than one field specified at a time")


_VALUE_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def _file_key(found: Findings, path: str, reference: Mapping[str, Any]) -> None:
    found.name(f"{path}.key", reference.get("key", ""), is_relaxed_env_var_name)
    found.name(f"{path}.volumeName", reference.get("volumeName", ""), is_dns1123_label)
    if not reference.get("path"):
        found.required(f"{path}.path")
    else:
        no_backsteps(found, f"{path}.path", reference["path"])


def environment_from(found: Findings, path: str, ones: Sequence[Mapping[str, Any]]) -> None:
    for at, one in enumerate(ones):
        here = f"{path}[{at}]"
        if one.get("prefix"):
            found.check(f"{here}.prefix", one["prefix"], is_relaxed_env_var_name)
        kinds = [kind for kind in ("configMapRef", "secretRef") if one.get(kind) is not None]
        for kind in kinds:
            found.name(f"{here}.{kind}.name", one[kind].get("name", ""), is_dns1123_subdomain)
        if not kinds:
            found.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(kinds) > 1:
            found.invalid(path, "", "may not have more than one field specified at a time")
