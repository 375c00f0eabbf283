"""URLs, addresses and networks (library/urls.go, ip.go and cidr.go of k8s.io/apiserver)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

from ledger.apimachinery.field import quoted
from ledger.scheme.cel.functions import overload, overloads
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.types import Type

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_URL = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?")
_MAPPED = "IPv4-mapped IPv6 address {} is not allowed"


@dataclass(frozen=True, slots=True)
class Url:
    scheme: str
    host: str
    path: str
    query: str

    cel_type = Type("kubernetes.URL")

    @property
    def port(self) -> str:
        tail = self.host.rpartition("]")[2]
        return tail.rpartition(":")[2] if ":" in tail else ""

    @property
    def hostname(self) -> str:
        host = self.host[: -len(self.port) - 1] if self.port or self.host.endswith(":") else self.host
        return host[1:-1] if host.startswith("[") else host


def parse_url(text: str) -> Url:
    """As url.ParseRequestURI reads it. Raises CelError."""
    prefix = f"URL parse error during conversion from string: parse {quoted(text)}: "
    match = _URL.fullmatch(text.partition("#")[0] if "#" in text else text)
    if not text:
        raise CelError(prefix + "empty url")
    if any(ord(one) < 0x20 or one == "\x7f" for one in text):
        raise CelError(prefix + "net/url: invalid control character in URL")
    if match is None or (match[1] is None and not text.startswith("/")):
        raise CelError(prefix + ("missing protocol scheme" if text.startswith(":") else "invalid URI for request"))
    host = (match[2] or "").rpartition("@")[2]
    port = re.search(r":([^:\]]*)$", host)
    if port and not port[1].isdigit() and port[1]:
        raise CelError(f"{prefix}invalid port {quoted(port[0])} after host")
    if " " in host:
        raise CelError(f'{prefix}invalid character " " in host name')
    return Url((match[1] or "").lower(), unquote(host), match[3], match[4] or "")


def is_url(text: str) -> bool:
    try:
        parse_url(text)
    except CelError:
        return False
    return True


def query_of(url: Url) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in parse_qsl(url.query, keep_blank_values=True):
        found.setdefault(key, []).append(value)
    return found


@dataclass(frozen=True, slots=True)
class Ip:
    address: Address

    cel_type = Type("net.IP")


@dataclass(frozen=True, slots=True)
class Cidr:
    address: Address  # as written, host bits and all
    bits: int

    cel_type = Type("net.CIDR")

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        return ipaddress.ip_network(f"{self.address}/{self.bits}", strict=False)

    @property
    def text(self) -> str:
        return f"{self.address}/{self.bits}"


def parse_ip(text: str) -> Ip:
    if "%" in text and ":" in text:
        raise CelError(f"IP address {quoted(text)} with zone value is not allowed")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        why = f"ParseAddr({quoted(text)}): unable to parse IP"
        raise CelError(f"IP Address {quoted(text)} parse error during conversion from string: {why}") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise CelError(_MAPPED.format(quoted(text)))
    return Ip(address)


def parse_cidr(text: str) -> Cidr:
    wrong = f"network address parse error during conversion from string: netip.ParsePrefix({quoted(text)}): "
    address, slash, bits = text.rpartition("/")
    if not slash:
        raise CelError(wrong + "no '/'")
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise CelError(f"{wrong}ParseAddr({quoted(address)}): unable to parse IP") from None
    if not bits.isdigit() or (len(bits) > 1 and bits[0] == "0"):
        raise CelError(f"{wrong}bad bits after slash: {quoted(bits)}")
    if int(bits) > parsed.max_prefixlen:
        raise CelError(f"{wrong}prefix length out of range")
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        raise CelError(_MAPPED.format(quoted(text)))
    return Cidr(parsed, int(bits))


def _reads(read: object, text: str) -> bool:
    try:
        read(text)  # type: ignore[operator]
    except CelError:
        return False
    return True


def contains_ip(network: Cidr, ip: Ip | str) -> bool:
    one = parse_ip(ip) if isinstance(ip, str) else ip
    return one.address.version == network.address.version and one.address in network.network


def contains_cidr(network: Cidr, other: Cidr | str) -> bool:
    inner = parse_cidr(other) if isinstance(other, str) else other
    return contains_ip(network, Ip(inner.network.network_address)) and inner.bits >= network.bits


def is_global_unicast(ip: Ip) -> bool:
    one = ip.address
    broadcast = str(one) == "255.255.255.255"
    return not (one.is_unspecified or one.is_loopback or one.is_multicast or one.is_link_local or broadcast)


def _link_local_multicast(ip: Ip) -> bool:
    network = "224.0.0.0/24" if ip.address.version == 4 else "ff02::/16"
    return ip.address in ipaddress.ip_network(network)


_I, _C, _U = "net.IP", "net.CIDR", "kubernetes.URL"
OVERLOADS = [
    overload(f"url(string): {_U}", parse_url),
    overload("isURL(string): bool", is_url),
    overload(f"{_U}.getScheme(): string", lambda url: url.scheme),
    overload(f"{_U}.getHost(): string", lambda url: url.host),
    overload(f"{_U}.getHostname(): string", lambda url: url.hostname),
    overload(f"{_U}.getPort(): string", lambda url: url.port),
    overload(f"{_U}.getEscapedPath(): string", lambda url: quote(url.path, safe="/%:@!$&'()*+,;=~-._")),
    overload(f"{_U}.getQuery(): map(string, list(string))", query_of),
    overload(f"ip(string): {_I}", parse_ip),
    overload("isIP(string): bool", lambda text: _reads(parse_ip, text)),
    overload("::ip.isCanonical(string): bool", lambda text: str(parse_ip(text).address) == text),
    overload(f"{_I}.family(): int", lambda ip: ip.address.version),
    overload(f"{_I}.isUnspecified(): bool", lambda ip: ip.address.is_unspecified),
    overload(f"{_I}.isLoopback(): bool", lambda ip: ip.address.is_loopback),
    overload(f"{_I}.isLinkLocalMulticast(): bool", _link_local_multicast),
    overload(f"{_I}.isLinkLocalUnicast(): bool", lambda ip: ip.address.is_link_local),
    overload(f"{_I}.isGlobalUnicast(): bool", is_global_unicast),
    overload(f"string({_I}): string", lambda ip: str(ip.address)),
    overload(f"cidr(string): {_C}", parse_cidr),
    overload("isCIDR(string): bool", lambda text: _reads(parse_cidr, text)),
    *overloads(contains_ip, f"{_C}.containsIP(string): bool", f"{_C}.containsIP({_I}): bool"),
    *overloads(contains_cidr, f"{_C}.containsCIDR(string): bool", f"{_C}.containsCIDR({_C}): bool"),
    overload(f"{_C}.ip(): {_I}", lambda network: Ip(network.address)),
    overload(f"{_C}.prefixLength(): int", lambda network: network.bits),
    overload(f"{_C}.masked(): {_C}", lambda network: Cidr(network.network.network_address, network.bits)),
    overload(f"string({_C}): string", lambda network: network.text),
]
