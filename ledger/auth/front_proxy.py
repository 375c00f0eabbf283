"""Front proxies: whoever shows a certificate of a CA of their own may say in headers for whom a request is.

Follows pkg/authentication/request/headerrequest in k8s.io/apiserver. The headers are believed only with such a
certificate, and go no further than here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ledger.apimachinery.http import Headers, Request, User
from ledger.auth.api import Authenticate, Authenticated, Unauthenticated


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """The --requestheader-* flags; header names in any case."""

    signers: frozenset[bytes]  # DER of the CAs that sign front proxies
    allowed_names: tuple[str, ...] = ()  # common names; none: any that those CAs signed
    username_headers: tuple[str, ...] = ("X-Remote-User",)
    uid_headers: tuple[str, ...] = ()
    group_headers: tuple[str, ...] = ("X-Remote-Group",)
    extra_prefixes: tuple[str, ...] = ("X-Remote-Extra-",)


def signers_in(pem: bytes) -> frozenset[bytes]:
    """The certificates of a CA file, as DER; none where it holds none, which TLS says when it begins to listen."""
    try:
        return frozenset(one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(pem))
    except ValueError:
        return frozenset()


def front_proxy_authenticator(config: FrontProxy) -> Authenticate:
    """None for a request that is no front proxy's; raises Unauthenticated for one that may not be one."""
    names, uids, groups = map(_lower, (config.username_headers, config.uid_headers, config.group_headers))
    prefixes = _lower(config.extra_prefixes)
    told = {*names, *uids, *groups}

    def authenticate(request: Request) -> Authenticated | None:
        if not request.peer_certificate or request.peer_signer not in config.signers:
            return None
        common_name = _common_name(request.peer_certificate)
        if config.allowed_names and common_name not in config.allowed_names:
            raise Unauthenticated(f"x509: subject with cn={common_name} is not in the allowed list")
        headers = request.headers
        name = _first(headers, names)
        if not name:
            return None
        user = User(name, _first(headers, uids), tuple(_all(headers, groups)), _extra(headers, prefixes))
        request.headers = headers.without(lambda field: field in told or field.startswith(prefixes))
        return Authenticated(user)

    return authenticate


def _lower(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in names)


@lru_cache(256)
def _common_name(der: bytes) -> str:
    found = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[-1].value) if found else ""


def _first(headers: Headers, names: Sequence[str]) -> str:
    return next((value for name in names if (value := headers.get(name))), "")


def _all(headers: Headers, names: Sequence[str]) -> list[str]:
    return [value for name in names for value in headers.get_all(name) if value]


def _extra(headers: Headers, prefixes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for prefix in prefixes:
        for name, value in headers:
            if name.startswith(prefix):
                key = unquote(name[len(prefix) :])
                found[key] = (*found.get(key, ()), value)
    return found
