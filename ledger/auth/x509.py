"""Client certificates: CN is the user, every O a group. That the certificate is good, TLS has verified already."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from ledger.apimachinery.http import Request, User
from ledger.auth.api import Authenticated, Unauthenticated, in_everybody

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
_UID = ObjectIdentifier("1.3.6.1.4.1.57683.2")
_CACHE_ENTRIES = 1024


def authenticate_certificate(request: Request, signers: frozenset[bytes] | None = None) -> Authenticated | None:
    """The user of the connection's certificate; None without one, or without a common name.

    `signers`: the CAs (DER) that sign clients; None: all that TLS knows. Raises Unauthenticated for a certificate that
    TLS took but none of them signed, or with an odd UID.
    """
    if request.peer_certificate_error:
        raise Unauthenticated(request.peer_certificate_error)
    if signers is not None and request.peer_certificate and request.peer_signer not in signers:
        raise Unauthenticated("x509: certificate signed by unknown authority")
    return _user_of(request.peer_certificate) if request.peer_certificate else None


@lru_cache(_CACHE_ENTRIES)
def _user_of(der: bytes) -> Authenticated | None:
    """Follows CommonNameUserConversion in k8s.io/apiserver; remembered, as a connection asks again and again."""
    subject = x509.load_der_x509_certificate(der).subject
    names = _values(subject, NameOID.COMMON_NAME)
    if not names or not names[-1]:
        return None
    uids = _values(subject, _UID)
    if len(uids) > 1:
        raise Unauthenticated(f"expected 1 UID, but found multiple: [{' '.join(uids)}]")
    if uids == [""]:
        raise Unauthenticated("UID cannot be an empty string")
    groups = tuple(_values(subject, NameOID.ORGANIZATION_NAME))
    extra = {CREDENTIAL_ID: (f"X509SHA256={sha256(der).hexdigest()}",)}
    return in_everybody(Authenticated(User(names[-1], uids[0] if uids else "", groups, extra)))


def _values(subject: x509.Name, oid: ObjectIdentifier) -> list[str]:
    return [
        attribute.value if isinstance(attribute.value, str) else attribute.value.decode()
        for attribute in subject.get_attributes_for_oid(oid)
    ]
