from __future__ import annotations

import pytest

from ledger.apimachinery.names import (
    FORMATS,
    generated_name,
    is_config_map_key,
    is_ip,
    is_label_value,
    is_port_name,
    is_qualified_name,
    is_relaxed_env_var_name,
)

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)


@pytest.mark.parametrize(
    "name_format, name, complaints",
    [
        ("dns1123-subdomain", "a.b-c.0", []),
        ("dns1123-subdomain", "A", [SUBDOMAIN]),
        ("dns1123-subdomain", "a\n", [SUBDOMAIN]),
        ("dns1123-subdomain", "a" * 254, ["must be no more than 253 characters"]),
        ("dns1123-label", "a-1", []),
        ("dns1123-label", "a.b", ["must not contain dots"]),
        ("dns1035-label", "1a", [LABEL_1035]),
        ("path-segment", "system:node/x%", ["may not contain '/'", "may not contain '%'"]),
        ("path-segment", "..", ["may not be '..'"]),
        ("path-segment", "system:node", []),
        ("ip", "10.0.0.1", []),
    ],
)
def test_names_of_objects(name_format: str, name: str, complaints: list[str]) -> None:
    assert FORMATS[name_format](name, False) == complaints


@pytest.mark.parametrize(
    "name_format, base, valid",
    [
        ("dns1123-subdomain", "web-", True),
        ("dns1123-subdomain", "Web-", False),
        ("dns1123-subdomain", "-", False),
        ("dns1123-label", "a.b-", False),
        ("path-segment", "..", True),
    ],
)
def test_a_generateName_may_end_in_a_dash(name_format: str, base: str, valid: bool) -> None:
    assert (FORMATS[name_format](base, True) == []) is valid


def test_a_generated_name_fits_into_63_characters() -> None:
    assert generated_name("web-", "x2b4c") == "web-x2b4c"
    assert generated_name("w" * 80, "x2b4c") == "w" * 58 + "x2b4c"


@pytest.mark.parametrize(
    "key, beginnings",
    [
        ("a", []),
        ("example.com/A_b.c-1", []),
        ("", ["name part must be non-empty", "name part must consist of"]),
        ("/a", ["prefix part must be non-empty"]),
        ("A/a", ["prefix part a lowercase RFC 1123 subdomain"]),
        ("p" * 254 + "/a", ["prefix part must be no more than 253 bytes"]),
        ("a" * 64, ["name part must be no more than 63 bytes"]),
        ("a/b/c", ["a valid label key must consist of alphanumeric characters"]),
        ("a b", ["name part must consist of alphanumeric characters, '-', '_' or '.'"]),
    ],
)
def test_label_keys(key: str, beginnings: list[str]) -> None:
    complaints = is_qualified_name(key)
    assert len(complaints) == len(beginnings)
    assert all(map(str.startswith, complaints, beginnings))


@pytest.mark.parametrize(
    "check, value, count",
    [
        (is_label_value, "", 0),
        (is_label_value, "v" * 64, 1),
        (is_label_value, "-v-", 1),
        (is_config_map_key, "a/b", 1),
        (is_config_map_key, "..a", 1),
        (is_config_map_key, ".", 1),
        (is_port_name, "http-1", 0),
        (is_port_name, "-HTTP--", 4),
        (is_port_name, "0", 1),
        (is_relaxed_env_var_name, "a b", 0),
        (is_relaxed_env_var_name, "a=b", 1),
    ],
)
def test_other_formats(check: object, value: str, count: int) -> None:
    assert callable(check)
    assert len(check(value)) == count


@pytest.mark.parametrize(
    "address, complaints",
    [
        ("2001:db8::1", []),
        ("2001:DB8:0::1", ['must be in canonical form ("2001:db8::1")']),
        ("010.0.0.1", ["must not have leading 0s"]),
        ("::ffff:1.2.3.4", ["must not be an IPv4-mapped IPv6 address"]),
        ("x", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]),
        ("fe80::1%eth0", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]),
    ],
)
def test_ip_addresses(address: str, complaints: list[str]) -> None:
    assert is_ip(address) == complaints
