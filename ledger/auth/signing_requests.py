"""What a certificate signing request asks for: PEM with one PKCS#10 request."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID


def organizations(pem: bytes) -> list[str]:
    """The organizations of the subject, which become groups. Raises ValueError when it is no request."""
    request = x509.load_pem_x509_csr(pem)
    return [str(one.value) for one in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
