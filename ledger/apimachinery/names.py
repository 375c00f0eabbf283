"""Which strings are names, labels and keys, and what is said of those that are not.

A check takes a string and gives the list of complaints, empty when it is fine. Texts and regular expressions are those
of k8s.io/apimachinery (pkg/util/validation and pkg/api/validate/content); the two disagree on one word ("characters"
against "bytes"), and so do the checks here, because clients see it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from ledger.apimachinery.field import quoted

Check = Callable[[str], list[str]]
NameFormat = Callable[[str, bool], list[str]]  # (name, is it only a prefix: a generateName) -> complaints

SUBDOMAIN_BYTES_MAX = 253
LABEL_BYTES_MAX = 63
GENERATED_BASE_MAX = 58  # of 63: five more are random

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + ")*"
_UNDERSCORE_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORE_SUBDOMAIN = _UNDERSCORE_LABEL + r"(\." + _UNDERSCORE_LABEL + ")*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_ENDS = "and must start and end with an alphanumeric character"
_KEY_MESSAGE = f"must consist of alphanumeric characters, '-', '_' or '.', {_ENDS}"


def regex_message(message: str, pattern: str, *examples: str) -> str:
    """A complaint with examples and the expression, punctuated as upstream does it ("'a',  or 'b', regex ...")."""
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} ({'e.g. ' + shown if examples else ''}regex used for validation is '{pattern}')"


def _matcher(pattern: str, message: str, *examples: str) -> Check:
    matches = re.compile(pattern).fullmatch
    complaint = [regex_message(message, pattern, *examples)]
    return lambda value: [] if matches(value) else list(complaint)


def _mostly(pattern: str, bytes_max: int) -> Callable[[Check], Check]:
    """A check that looks closer only at what is too long or does not match, which has to be all that it finds fault with."""
    matches = re.compile(pattern).fullmatch

    def decorate(check: Check) -> Check:
        return lambda value: [] if len(value) <= bytes_max and matches(value) else check(value)

    return decorate


def _at_most(limit: int, value: str, unit: str = "characters") -> list[str]:
    return [f"must be no more than {limit} {unit}"] if len(value.encode()) > limit else []


_subdomain_shape = _matcher(
    _SUBDOMAIN,
    f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', {_ENDS}",
    "example.com",
)
_underscore_subdomain_shape = _matcher(
    _UNDERSCORE_SUBDOMAIN,
    f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', {_ENDS}",
    "example.com",
)
_wildcard_shape = _matcher(
    r"\*\." + _SUBDOMAIN,
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    "*.example.com",
)
_label_shape = _matcher(
    _LABEL,
    f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {_ENDS}",
    "my-name",
    "123-abc",
)
_label_1035_shape = _matcher(
    _LABEL_1035,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    "my-name",
    "abc-123",
)
_key_shape = _matcher(_KEY, f"name part {_KEY_MESSAGE}", "MyName", "my.name", "123-abc")
_label_value_shape = _matcher(
    f"({_KEY})?",
    f"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', {_ENDS}",
    "MyValue",
    "my_value",
    "12345",
)
_config_map_key_shape = _matcher(
    "[-._a-zA-Z0-9]+",
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "key.name",
    "KEY_NAME",
    "key-name",
)
_env_var_shape = _matcher(
    "[-._a-zA-Z][-._a-zA-Z0-9]*",
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not "
    "start with a digit",
    "my.env-name",
    "MY_ENV.NAME",
    "MyEnvName1",
)
is_http_header_name = _matcher(
    "[-A-Za-z0-9]+", "a valid HTTP header must consist of alphanumeric characters or '-'", "X-Header-Name"
)
is_c_identifier = _matcher(
    "[A-Za-z_][A-Za-z0-9_]*",
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters "
    "or '_'",
    "my_name",
    "MY_NAME",
    "MyName",
)
is_percent = _matcher(
    "[0-9]+%", "a valid percent string must be a numeric string followed by an ending '%'", "1%", "93%"
)


@_mostly(_SUBDOMAIN, SUBDOMAIN_BYTES_MAX)
def is_dns1123_subdomain(value: str) -> list[str]:
    return _at_most(SUBDOMAIN_BYTES_MAX, value) + _subdomain_shape(value)


def is_dns1123_subdomain_with_underscore(value: str) -> list[str]:
    return _at_most(SUBDOMAIN_BYTES_MAX, value) + _underscore_subdomain_shape(value)


def is_wildcard_dns1123_subdomain(value: str) -> list[str]:
    return _at_most(SUBDOMAIN_BYTES_MAX, value) + _wildcard_shape(value)


@_mostly(_LABEL, LABEL_BYTES_MAX)
def is_dns1123_label(value: str) -> list[str]:
    complaints = _at_most(LABEL_BYTES_MAX, value)
    shape = _label_shape(value)
    if shape and not _subdomain_shape(value):
        shape = ["must not contain dots"]  # a valid subdomain that is no label
    return complaints + shape


def is_dns1035_label(value: str) -> list[str]:
    return _at_most(LABEL_BYTES_MAX, value) + _label_1035_shape(value)


def is_qualified_name(value: str) -> list[str]:
    """A label key, annotation key, finalizer or condition type: an optional DNS prefix and "/", then a name."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        message = regex_message(_KEY_MESSAGE, _KEY, "MyName", "my.name", "123-abc")
        return [
            f"a valid label key {message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    complaints: list[str] = []
    if slash and not prefix:
        complaints.append("prefix part must be non-empty")
    elif slash:
        of_prefix = _at_most(SUBDOMAIN_BYTES_MAX, prefix, "bytes") + _subdomain_shape(prefix)
        complaints += [f"prefix part {one}" for one in of_prefix]
    if not name:
        complaints.append("name part must be non-empty")
    else:
        complaints += [f"name part {one}" for one in _at_most(LABEL_BYTES_MAX, name, "bytes")]
    return complaints + _key_shape(name)


@_mostly(f"({_KEY})?", LABEL_BYTES_MAX)
def is_label_value(value: str) -> list[str]:
    return _at_most(LABEL_BYTES_MAX, value, "bytes") + _label_value_shape(value)


def is_path_segment(value: str) -> list[str]:
    """A name that only has to fit into a URL and a storage key (roles and other RBAC objects)."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return is_path_segment_prefix(value) if "/" in value or "%" in value else []


def is_path_segment_prefix(value: str) -> list[str]:
    return [f"may not contain '{banned}'" for banned in "/%" if banned in value]


@_mostly("[-_a-zA-Z0-9][-._a-zA-Z0-9]*", SUBDOMAIN_BYTES_MAX)
def is_config_map_key(value: str) -> list[str]:
    return _at_most(SUBDOMAIN_BYTES_MAX, value) + _config_map_key_shape(value) + _leads_out(value)


def is_env_var_name(value: str) -> list[str]:
    """What envFrom makes of keys; env[].name itself is checked by `is_relaxed_env_var_name`."""
    return _env_var_shape(value) + _leads_out(value)


def is_relaxed_env_var_name(value: str) -> list[str]:
    if not value:
        return ["environment variable name must be non-empty"]
    if all(" " <= character <= "~" and character != "=" for character in value):
        return []
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


def is_port_name(value: str) -> list[str]:
    complaints = _at_most(15, value)
    if not re.fullmatch("[-a-z0-9]+", value):
        complaints.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        complaints.append("must contain at least one letter (a-z)")
    if "--" in value:
        complaints.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        complaints.append("must not begin or end with a hyphen")
    return complaints


def is_port_number(value: int) -> list[str]:
    return is_in_range(value, 1, 65535)


def is_in_range(value: int, low: int, high: int) -> list[str]:
    return [] if low <= value <= high else [f"must be between {low} and {high}, inclusive"]


def is_ip(value: str) -> list[str]:
    """An IP address in canonical form (validation.IsValidIP), the name of an IPAddress."""
    address = _sloppy_ip(value)
    if address is None:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    if isinstance(address, ipaddress.IPv4Address) and str(address) != value:
        return ["must not have leading 0s"]
    return [] if str(address) == value else [f"must be in canonical form ({quoted(str(address))})"]


def _sloppy_ip(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parsed as old Go did: leading zeros in IPv4 octets are decimal; no zone."""
    octets = value.split(".")
    if len(octets) == 4 and all(re.fullmatch("[0-9]+", octet) for octet in octets):
        value = ".".join(str(int(octet)) for octet in octets)
    try:
        return None if "%" in value else ipaddress.ip_address(value)
    except ValueError:
        return None


def _leads_out(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


def _masked(check: Check) -> NameFormat:
    """A prefix may end in a dash: something alphanumeric will follow it."""

    def checked(name: str, prefix: bool) -> list[str]:
        if prefix and len(name) > 1 and name.endswith("-"):
            name = name[:-2] + "a"
        return check(name)

    return checked


# How a resource wants its names (Traits.name_format).
FORMATS: Mapping[str, NameFormat] = {
    "dns1123-subdomain": _masked(is_dns1123_subdomain),
    "dns1123-label": _masked(is_dns1123_label),
    "dns1035-label": _masked(is_dns1035_label),
    "path-segment": lambda name, prefix: is_path_segment_prefix(name) if prefix else is_path_segment(name),
    "rbac": lambda name, prefix: is_path_segment(name),
    "qualified-name": lambda name, prefix: is_qualified_name(name),
    "ip": lambda name, prefix: is_ip(name),
    "any": lambda name, prefix: [],
}


def generated_name(base: str, suffix: str) -> str:
    """`generateName` with a random suffix of five characters, cut so that the whole fits into 63."""
    return base[:GENERATED_BASE_MAX] + suffix
