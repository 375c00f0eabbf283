"""Formats that declared rules name (k8s.io/apimachinery/pkg/api/validate/strfmt.go): value -> findings at a path."""

from __future__ import annotations

import re
from collections.abc import Callable

from ledger.apimachinery.field import FieldError, invalid, too_long
from ledger.apimachinery.names import (
    SUBDOMAIN_BYTES_MAX,
    Check,
    is_c_identifier,
    is_dns1123_label,
    is_dns1123_subdomain,
    is_path_segment,
    is_qualified_name,
    regex_message,
)

Format = Callable[[str, str], list[FieldError]]

_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _PART + r"(\." + _PART + ")*"
_CASELESS_MESSAGE = regex_message(
    "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character",
    _SUBDOMAIN,
    "Example.com",
)
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID_MESSAGE = "must be a lowercase UUID in 8-4-4-4-12 format"
_DEVICE_ID_BYTES_MAX = 32
_DOMAIN_BYTES_MAX = 63


def is_dns1123_subdomain_caseless(value: str) -> list[str]:
    too_big = [f"must be no more than {SUBDOMAIN_BYTES_MAX} characters"] if len(value) > SUBDOMAIN_BYTES_MAX else []
    return too_big + ([] if re.fullmatch(_SUBDOMAIN, value, re.IGNORECASE) else [_CASELESS_MESSAGE])


def _checked_by(check: Check) -> Format:
    """Declared rules count in bytes, in words too."""
    return lambda value, path: [invalid(path, value, _in_bytes(text)) for text in check(value)]


def _in_bytes(text: str) -> str:
    return re.sub("(must be no more than [0-9]+) characters", r"\1 bytes", text)


def uuid(value: str, path: str) -> list[FieldError]:
    return [] if re.fullmatch(_UUID, value) else [invalid(path, value, _UUID_MESSAGE)]


def resource_pool_name(value: str, path: str) -> list[FieldError]:
    """Subdomains joined by slashes."""
    errors = [too_long(path, SUBDOMAIN_BYTES_MAX)] if len(value) > SUBDOMAIN_BYTES_MAX else []
    for at, part in enumerate(value.split("/")):
        if not part:
            errors.append(invalid(path, value, f"segment {at}: must not be empty"))
        errors += [
            invalid(path, part, f"segment {at}: {text}") for text in (is_dns1123_subdomain(part) if part else [])
        ]
    return errors


def extended_resource_name(value: str, path: str) -> list[FieldError]:
    errors = []
    if "/" not in value:
        errors.append(invalid(path, value, "a name must be a domain-prefixed path, such as 'example.com/my-prop'"))
    elif "kubernetes.io/" in value:
        errors.append(invalid(path, value, 'must not have "kubernetes.io/" domain'))
    if value.startswith("requests."):
        errors.append(invalid(path, value, 'must not have "requests." prefix'))
    return errors + [invalid(path, value, text) for text in is_qualified_name(f"requests.{value}")]


def resource_qualified_name(value: str, path: str) -> list[FieldError]:
    """A C identifier, behind a domain or not."""
    domain, slash, name = value.partition("/")
    if not slash:
        return c_identifier(value, path)
    if "/" in name:
        return []
    errors = []
    if not domain:
        errors.append(invalid(path, "", "prefix must not be empty"))
    else:
        if len(domain) > _DOMAIN_BYTES_MAX:
            errors.append(too_long(path, _DOMAIN_BYTES_MAX))
        errors += [invalid(path, domain, f"prefix: {text}") for text in is_dns1123_subdomain(domain)]
    return errors + (c_identifier(name, path) if name else [invalid(path, "", "name must not be empty")])


def resource_fully_qualified_name(value: str, path: str) -> list[FieldError]:
    errors = resource_qualified_name(value, path)
    if "/" not in value:
        text = "a fully qualified name must be a domain and a name separated by a slash"
        errors.append(invalid(path, value, text))
    return errors


def c_identifier(value: str, path: str) -> list[FieldError]:
    errors = [too_long(path, _DEVICE_ID_BYTES_MAX)] if len(value) > _DEVICE_ID_BYTES_MAX else []
    return errors + [invalid(path, value, text) for text in is_c_identifier(value)]


def prefixed_label_key(value: str, path: str) -> list[FieldError]:
    texts = is_qualified_name(value)
    if not texts and "/" not in value:
        texts = ["must include a prefix (e.g. 'example.com/key')"]
    return [invalid(path, value, text) for text in texts]


FORMATS: dict[str, Format] = {
    "ShortName": _checked_by(is_dns1123_label),
    "LongName": _checked_by(is_dns1123_subdomain),
    "LongNameCaseless": _checked_by(is_dns1123_subdomain_caseless),
    "LabelKey": _checked_by(is_qualified_name),
    "PrefixedLabelKey": prefixed_label_key,
    "PathSegmentName": _checked_by(is_path_segment),
    "UUID": uuid,
    "ResourcePoolName": resource_pool_name,
    "ExtendedResourceName": extended_resource_name,
    "ResourceFullyQualifiedName": resource_fully_qualified_name,
}
