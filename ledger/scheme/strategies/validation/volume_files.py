"""What volumes put into files: keys of secrets and config maps, fields of the pod, tokens and certificates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ledger.apimachinery.names import (
    is_qualified_name,
)
from ledger.scheme.strategies.validation.common import (
    is_kubernetes_signer,
    label_selector,
    signer_name,
    trust_bundle_name,
)
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.resources import ZERO, amount

Source = Mapping[str, Any]
Rule = Callable[[Findings, str, Source], None]

FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"


def needs(*keys: str) -> Rule:
    """A source whose only rule is that these fields are there."""

    def rule(found: Findings, path: str, source: Source) -> None:
        for key in keys:
            if not source.get(key):
                found.required(f"{path}.{key}")

    return rule


def no_backsteps(found: Findings, path: str, target: str) -> None:
    if ".." in target.split("/"):
        found.invalid(path, target, "must not contain '..'")


def local_path(found: Findings, path: str, target: str) -> None:
    if target.startswith("/"):
        found.invalid(path, target, "must be a relative path")
    no_backsteps(found, path, target)


def local_non_reserved_path(found: Findings, path: str, target: str) -> None:
    local_path(found, path, target)
    if target.startswith("..") and not target.startswith("../"):
        found.invalid(path, target, "must not start with '..'")


def mode(found: Findings, path: str, value: int | None) -> None:
    if value is not None and not 0 <= value <= 0o777:
        found.invalid(path, value, FILE_MODE)


def user_id(found: Findings, path: str, value: int | None) -> None:
    if value is not None and not 0 <= value <= 2147483647:
        found.invalid(path, value, "must be between 0 and 2147483647, inclusive")


def key_to_path(found: Findings, path: str, item: Source) -> None:
    needs("key", "path")(found, path, item)
    local_non_reserved_path(found, f"{path}.path", item.get("path", ""))
    mode(found, f"{path}.mode", item.get("mode"))
    user_id(found, f"{path}.user", item.get("user"))


def secret(found: Findings, path: str, source: Source) -> None:
    needs("secretName")(found, path, source)
    _files(found, path, source)


def config_map(found: Findings, path: str, source: Source) -> None:
    needs("name")(found, path, source)
    _files(found, path, source)


def _files(found: Findings, path: str, source: Source) -> None:
    mode(found, f"{path}.defaultMode", source.get("defaultMode"))
    for at, item in enumerate(source.get("items") or ()):
        key_to_path(found, f"{path}.items[{at}]", item)


_VOLUME_FIELDS = ("metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid")
_ENV_FIELDS = (
    *("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"),
    *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
)
_SUBSCRIPT = re.compile(r"(.*)\['(.*)'\]", re.DOTALL)


def field_reference(found: Findings, path: str, reference: Source, volume: bool) -> None:
    """A field of the pod, in a volume or (otherwise) in the environment (validateObjectFieldSelector)."""
    for key in ("apiVersion", "fieldPath"):
        if not reference.get(key):
            found.required(f"{path}.{key}")
            return
    field_path = reference["fieldPath"]
    subscripted = _SUBSCRIPT.fullmatch(field_path)
    base = subscripted[1] if subscripted else field_path
    if reference["apiVersion"] != "v1":
        text = f"unsupported pod version: {reference['apiVersion']}"
        found.invalid(f"{path}.fieldPath", field_path, f"error converting fieldPath: {text}")
        return
    if subscripted and base not in ("metadata.annotations", "metadata.labels"):
        text = f"field label does not support subscript: {field_path}"
    else:
        text = "" if base in _KNOWN_LABELS else f"field label not supported: {base}"
    if text:
        found.invalid(f"{path}.fieldPath", field_path, f"error converting fieldPath: {text}")
        return
    field_path = "spec.nodeName" if field_path == "spec.host" else field_path
    expressions = _VOLUME_FIELDS if volume else _ENV_FIELDS
    if subscripted:
        key = subscripted[2].lower() if base == "metadata.annotations" else subscripted[2]
        found.check(path, key, is_qualified_name)
    elif field_path not in expressions:
        found.not_supported(f"{path}.fieldPath", field_path, sorted(expressions))


# What ConvertDownwardAPIFieldLabel knows.
_KNOWN_LABELS = frozenset(
    {"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
    | {"spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName", "status.phase"}
    | {"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs", "spec.host"}
)

_COMPUTE_FIELDS = tuple(
    f"{way}.{name}" for way in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")
)
_BINARY_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_DIVISORS = {
    "cpu": (("1m", "1"), "1m and 1", "cpu"),
    "memory": (_BINARY_DIVISORS, ", ".join(_BINARY_DIVISORS), "memory"),
    "ephemeral-storage": (_BINARY_DIVISORS, ", ".join(_BINARY_DIVISORS), "local ephemeral storage"),
    "hugepages": (_BINARY_DIVISORS, ", ".join(_BINARY_DIVISORS), "hugepages"),
}


def resource_reference(found: Findings, path: str, reference: Source, volume: bool) -> None:
    """A request or limit of a container, in a volume or in the environment."""
    resource = reference.get("resource", "")
    if volume and not reference.get("containerName"):
        found.required(f"{path}.containerName")
    elif not resource:
        found.required(f"{path}.resource")
    elif resource not in _COMPUTE_FIELDS and not resource.startswith(("requests.hugepages-", "limits.hugepages-")):
        found.not_supported(f"{path}.resource", resource, _COMPUTE_FIELDS)
    divisor = amount(reference.get("divisor") or "0")
    if divisor == ZERO:
        return
    name = resource.partition(".")[2]
    allowed = _DIVISORS.get("hugepages" if name.startswith("hugepages-") else name)
    if allowed and str(divisor) not in allowed[0]:
        text = f"only divisor's values {allowed[1]} are supported with the {allowed[2]} resource"
        found.invalid(f"{path}.divisor", resource, text)


def downward_file(found: Findings, path: str, item: Source) -> None:
    needs("path")(found, path, item)
    local_non_reserved_path(found, f"{path}.path", item.get("path", ""))
    if item.get("fieldRef") is not None:
        field_reference(found, f"{path}.fieldRef", item["fieldRef"], volume=True)
        if item.get("resourceFieldRef") is not None:
            found.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif item.get("resourceFieldRef") is not None:
        resource_reference(found, f"{path}.resourceFieldRef", item["resourceFieldRef"], volume=True)
    else:
        found.required(path, "one of fieldRef and resourceFieldRef is required")
    mode(found, f"{path}.mode", item.get("mode"))


def downward_api(found: Findings, path: str, source: Source) -> None:
    mode(found, f"{path}.defaultMode", source.get("defaultMode"))
    for item in source.get("items") or ():
        downward_file(found, path, item)


def projected(found: Findings, path: str, source: Source) -> None:
    mode(found, f"{path}.defaultMode", source.get("defaultMode"))
    paths = _Paths(found, path)
    for at, one in enumerate(source.get("sources") or ()):
        here = f"{path}.sources[{at}]"
        kinds = [kind for kind in _PROJECTIONS if one.get(kind) is not None]
        for kind in kinds:
            _PROJECTIONS[kind](found, f"{here}.{kind}", one[kind], paths)
        if len(kinds) > 1:
            found.forbidden(here, "may not specify more than 1 volume type per source")


class _Paths:
    """The file names of one projected volume, each used once."""

    def __init__(self, found: Findings, path: str) -> None:
        self.found, self.path, self.seen = found, path, set[str]()

    def add(self, name: str, shown: str) -> None:
        if name in self.seen:
            self.found.invalid(self.path, shown, "conflicting duplicate paths")
        self.seen.add(name)


def _projected_keys(found: Findings, path: str, source: Source, paths: _Paths) -> None:
    needs("name")(found, path, source)
    for at, item in enumerate(source.get("items") or ()):
        key_to_path(found, f"{path}.items[{at}]", item)
        if item.get("path"):
            paths.add(item["path"], source.get("name", ""))


def _projected_fields(found: Findings, path: str, source: Source, paths: _Paths) -> None:
    for item in source.get("items") or ():
        downward_file(found, path, item)
        if item.get("path"):
            paths.add(item["path"], item["path"])


def _projected_token(found: Findings, path: str, source: Source, paths: _Paths) -> None:
    seconds = source.get("expirationSeconds")
    if seconds is None:
        found.required(f"{path}.expirationSeconds")
    else:
        if seconds < 600:
            found.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds > 1 << 32:
            text = "may not specify a duration larger than 2^32 seconds"
            found.invalid(f"{path}.expirationSeconds", seconds, text)
    if not source.get("path"):
        found.required(f"{paths.path}.path")
    else:
        local_non_reserved_path(found, f"{paths.path}.path", source["path"])


def _projected_bundle(found: Findings, path: str, source: Source, paths: _Paths) -> None:
    name, signer = source.get("name"), source.get("signerName")
    if name is not None and signer is not None:
        shown = {"Name": name, "SignerName": signer, "LabelSelector": source.get("labelSelector")}
        shown |= {"Optional": source.get("optional"), "Path": source.get("path", ""), "User": source.get("user")}
        found.invalid(path, shown, "only one of name and signerName may be used")
    elif name is not None:
        if not name:
            found.required(f"{path}.name", "must be a valid object name")
        of_signer = name.rpartition(":")[0].replace(":", "/")
        for text in trust_bundle_name(of_signer)(name, False):
            found.invalid(f"{path}.name", name, f"not a valid clustertrustbundlename: {text}")
        if source.get("labelSelector") is not None:
            text = "labelSelector must be unset if name is specified"
            found.invalid(f"{path}.labelSelector", source["labelSelector"], text)
    elif signer is not None:
        if not signer:
            found.required(f"{path}.signerName", "must be a valid signer name")
        signer_name(found, f"{path}.signerName", signer)
        label_selector(found, source.get("labelSelector"), f"{path}.labelSelector")
    else:
        found.required(path, "either name or signerName must be specified")
    needs("path")(found, path, source)
    local_non_reserved_path(found, f"{path}.path", source.get("path", ""))
    paths.add(source.get("path", ""), source.get("path", ""))


_KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")


def _projected_certificate(found: Findings, path: str, source: Source, paths: _Paths) -> None:
    signer = source.get("signerName", "")
    signer_name(found, f"{path}.signerName", signer)
    found.one_of(f"{path}.keyType", source.get("keyType", ""), _KEY_TYPES)
    seconds = source.get("maxExpirationSeconds")
    if seconds is not None:
        if seconds < 3600:
            text = "if provided, maxExpirationSeconds must be >= 3600"
            found.invalid(f"{path}.maxExpirationSeconds", seconds, text)
        limit = 86400 if is_kubernetes_signer(signer) else 7862400
        if seconds > limit:
            text = f"if provided, maxExpirationSeconds must be <= {limit}"
            found.invalid(f"{path}.maxExpirationSeconds", seconds, text)
    targets = [key for key in ("credentialBundlePath", "keyPath", "certificateChainPath") if source.get(key)]
    for key in targets:
        local_non_reserved_path(found, f"{path}.{key}", source[key])
        paths.add(source[key], source[key])
    if not targets:
        text = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        found.required(path, text)


_PROJECTIONS: dict[str, Callable[[Findings, str, Source, _Paths], None]] = {
    "secret": _projected_keys,
    "configMap": _projected_keys,
    "downwardAPI": _projected_fields,
    "serviceAccountToken": _projected_token,
    "clusterTrustBundle": _projected_bundle,
    "podCertificate": _projected_certificate,
}
