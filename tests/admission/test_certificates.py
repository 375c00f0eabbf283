"""Who may approve, sign and vouch for which signer; and what no client certificate may say."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ledger.admission.certificates import CLIENT_SIGNER, may
from ledger.apimachinery.http import RequestInfo, User
from ledger.apimachinery.resource import GVR
from ledger.apimachinery.status import StatusError
from ledger.auth.api import Decision
from tests.controllers.ledger import Ledger

REQUESTS = GVR("certificates.k8s.io", "v1", "certificatesigningrequests")


def request_for(organization: str) -> str:
    """A PKCS#10 request in PEM, as spec.request carries it."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization), x509.NameAttribute(NameOID.COMMON_NAME, "me")]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


@pytest.mark.parametrize("granted, allowed", [
    ("example.com/one",   True),
    ("example.com/*",     True),
    ("example.com/other", False),
    ("*/one",             False),
])  # fmt: skip
def test_a_right_is_for_one_signer_or_for_a_domain(granted: str, allowed: bool) -> None:
    def authorize(user: User, asked: RequestInfo) -> Decision:
        return Decision((asked.verb, asked.resource, asked.name) == ("sign", "signers", granted))

    assert may(authorize, User("somebody"), "sign", "example.com/one") is allowed


def test_nobody_becomes_a_master_by_a_client_certificate(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Ledger(tmp_path)

        async def ask(name: str, organization: str, signer: str) -> None:
            spec = {"request": request_for(organization), "signerName": signer, "usages": ["client auth"]}
            await ledger.user.create(REQUESTS, "", {"metadata": {"name": name}, "spec": spec})

        await ask("a", "devs", CLIENT_SIGNER)
        await ask("b", "system:masters", "example.com/own")
        with pytest.raises(StatusError) as refused:
            await ask("c", "system:masters", CLIENT_SIGNER)
        why = f"use of {CLIENT_SIGNER} signer with system:masters group is not allowed"
        assert refused.value.message == f'certificatesigningrequests.certificates.k8s.io "c" is forbidden: {why}'

    trio.run(scenario)
