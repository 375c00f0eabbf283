"""Addresses and networks: sloppy ones that older fields took, and strict ones."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from ledger.apimachinery.field import quoted
from ledger.apimachinery.names import (
    is_port_name,
    is_port_number,
)
from ledger.scheme.strategies.validation.findings import Findings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_ip(text: str) -> Address | None:
    """An address as Go parsed it before 1.17: leading zeros allowed, no zone."""
    octets = text.split(".")
    if len(octets) == 4 and all(re.fullmatch("[0-9]+", one) for one in octets):
        text = ".".join(str(int(one)) for one in octets)
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def go_ip(address: Address) -> str:
    """net.IP's text: an IPv4-mapped address prints as IPv4."""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def ip_address(found: Findings, path: str, text: str, known: Iterable[str] = ()) -> bool:
    """An address in a field that once took sloppy ones; those in `known` may stay."""
    if text in known:
        return True
    address = parse_ip(text)
    if address is None:
        found.invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        return False
    before = len(found)
    if isinstance(address, ipaddress.IPv4Address) and str(address) != text:
        found.invalid(path, text, "must not have leading 0s")
    if getattr(address, "ipv4_mapped", None) is not None:
        found.invalid(path, text, "must not be an IPv4-mapped IPv6 address")
    return len(found) == before


def strict_ip_address(found: Findings, path: str, text: str) -> None:
    address = parse_ip(text)
    if ip_address(found, path, text) and address is not None and go_ip(address) != text:
        found.invalid(path, text, f"must be in canonical form ({quoted(go_ip(address))})")


def parse_cidr(text: str) -> Network | None:
    """A network, host bits dropped, as Go parsed it before 1.17."""
    base, slash, length = text.partition("/")
    address = parse_ip(base)
    if not slash or address is None or not re.fullmatch("[0-9]+", length):
        return None
    try:
        return ipaddress.ip_network(f"{address}/{int(length)}", strict=False)
    except ValueError:
        return None


def cidr(found: Findings, path: str, text: str, known: Iterable[str] = ()) -> bool:
    """A network in a field that once took sloppy ones; those in `known` may stay."""
    if text in known:
        return True
    network = parse_cidr(text)
    if network is None:
        found.invalid(path, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
        return False
    base, _, length = text.partition("/")
    address = parse_ip(base)
    before = len(found)
    octets_differ = isinstance(address, ipaddress.IPv4Address) and str(address) != base
    if octets_differ or length != str(int(length)):
        found.invalid(path, text, "must not have leading 0s in IP or prefix length")
    elif getattr(address, "ipv4_mapped", None) is not None:
        found.invalid(path, text, "must not have an IPv4-mapped IPv6 address")
    elif address != network.network_address:
        found.invalid(path, text, "must not have bits set beyond the prefix length")
    return len(found) == before


def strict_cidr(found: Findings, path: str, text: str) -> None:
    network = parse_cidr(text)
    if cidr(found, path, text) and network is not None and str(network) != text:
        found.invalid(path, text, f"must be in canonical form ({quoted(str(network))})")


def is_dual_stack(texts: Iterable[str]) -> bool:
    """Addresses or networks of both families among them."""
    versions = set()
    for text in texts:
        address = parse_ip(text.partition("/")[0])
        if address is not None:
            versions.add(4 if getattr(address, "ipv4_mapped", None) else address.version)
    return len(versions) == 2


def endpoint_ip(found: Findings, path: str, text: str) -> None:
    """An address traffic may be sent to."""
    address = parse_ip(text)
    if address is None:
        found.invalid(path, text, "must be a valid IP address")
        return
    if address.is_unspecified:
        found.invalid(path, text, f"may not be unspecified ({text})")
    if address.is_loopback:
        found.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        found.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address in (ipaddress.ip_network("224.0.0.0/24") if address.version == 4 else ipaddress.ip_network("ff02::/16")):
        found.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def port_number_or_name(found: Findings, path: str, port: Any) -> None:
    """An IntOrString port."""
    if isinstance(port, str):
        found.check(path, port, is_port_name)
        return
    for text in is_port_number(port or 0):
        found.invalid(path, port or 0, text)


def port_number(found: Findings, path: str, port: int) -> None:
    for text in is_port_number(port):
        found.invalid(path, port, text)
