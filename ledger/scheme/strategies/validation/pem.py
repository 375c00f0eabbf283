"""PEM as Go's encoding/pem reads it, and what is in certificates and requests for them."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

_BEGIN = re.compile(rb"(?:^|\n)-----BEGIN ([^\n]*)-----[ \t]*\r?\n")


@dataclass(frozen=True, slots=True)
class Block:
    """One PEM block."""

    type: str
    has_headers: bool
    content: bytes


def blocks(data: bytes) -> list[Block]:
    """The blocks that are in order; what is around them, and broken ones, do not count."""
    found, at = [], 0
    while (begin := _BEGIN.search(data, at)) is not None:
        kind = begin[1]
        end = re.compile(rb"(?:^|\n)-----END " + re.escape(kind) + rb"-----[ \t]*(?:\r?\n|$)").search(
            data, begin.end() - 1
        )
        if end is None:
            at = begin.end() - 1
            continue
        headers, body = _headers(data[begin.end() : end.start()])
        try:
            content = base64.b64decode(b"".join(body.split()), validate=True)
        except binascii.Error:
            at = begin.end() - 1
            continue
        found.append(Block(kind.decode("utf-8", "replace"), headers, content))
        at = end.end() - 1 if data[end.end() - 1 : end.end()] == b"\n" else end.end()
    return found


def _headers(body: bytes) -> tuple[bool, bytes]:
    lines = body.split(b"\n")
    count = 0
    while count < len(lines) and b":" in lines[count]:
        count += 1
    return count > 0, b"\n".join(lines[count:])


def request_error(data: bytes) -> str:
    """What is wrong with a certificate signing request."""
    first = next(iter(blocks(data)), None)
    if first is None or first.type != "CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        request = x509.load_der_x509_csr(first.content)
        public_key = request.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return _structure_error(first.content)
    try:
        if request.is_signature_valid:
            return ""
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        pass
    if isinstance(public_key, rsa.RSAPublicKey):
        return "crypto/rsa: verification error"
    kind = "Ed25519" if isinstance(public_key, ed25519.Ed25519PublicKey) else "ECDSA"
    return f"x509: {kind} verification failure"


_PARAMETERS = (
    "{optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> stringType:0 "
    "timeType:0 set:false omitEmpty:false}"
)


def _structure_error(der: bytes) -> str:
    """What Go's asn1 says of what is no request at its very start; of what goes wrong later, the usual complaint."""
    if len(der) < 2:
        return f"asn1: syntax error: {'truncated tag or length' if der else 'sequence truncated'}"
    tag, length, header = der[0], der[1], 2
    if length & 0x80:
        header += length & 0x7F
        length = int.from_bytes(der[2:header], "big")
    if tag != 0x30:
        compound = "true" if tag & 0x20 else "false"
        seen = f"{{class:{tag >> 6} tag:{tag & 0x1F} length:{length} isCompound:{compound}}}"
        kind = f"{_PARAMETERS} certificateRequest @{header}"
        return f"asn1: structure error: tags don't match (16 vs {seen}) {kind}"
    if header + length > len(der):
        return "asn1: syntax error: data truncated"
    return "asn1: structure error: sequence tag mismatch"


def certificates_error(data: bytes) -> str:
    """What is wrong with an issued certificate; nothing is fine."""
    if not data:
        return ""
    found = blocks(data)
    for block in found:
        if block.type != "CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{block.type}"'
        if block.has_headers:
            return "no PEM block headers are permitted"
        if certificate(block.content) is None:
            return "x509: malformed certificate"
    return "" if found else "must contain at least one CERTIFICATE PEM block"


def certificate(der: bytes) -> x509.Certificate | None:
    try:
        one = x509.load_der_x509_certificate(der)
        _ = one.extensions
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
        return None
    return one


def is_authority(one: x509.Certificate) -> bool:
    try:
        return one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def key_error(request: x509.CertificateSigningRequest) -> tuple[str | None, str]:
    """The value to show, if any, and what is wrong with the key of a request of a pod."""
    key = request.public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        return None, ""
    if isinstance(key, ec.EllipticCurvePublicKey):
        size = key.curve.key_size
        if size in (256, 384, 521):
            return None, ""
        return f"curve P-{size}", "elliptic public keys must use curve P256, P384, or P521"
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size in (3072, 4096):
            return None, ""
        return f"{key.key_size}-bit modulus", "RSA keys must have modulus size 3072 or 4096"
    return None, "unknown public key type; supported types are Ed25519, ECDSA, and RSA"


def key_pair_error(certificate_data: bytes, key_data: bytes) -> str:
    """What is wrong with a certificate and its key for TLS (tls.X509KeyPair), or nothing."""
    ours = blocks(certificate_data)
    certificates = [block for block in ours if block.type == "CERTIFICATE"]
    if not certificates:
        return _no_certificate([block.type for block in ours])
    theirs = blocks(key_data)
    key_block = next((one for one in theirs if one.type == "PRIVATE KEY" or one.type.endswith(" PRIVATE KEY")), None)
    if key_block is None:
        return _no_key([block.type for block in theirs])
    leaf = certificate(certificates[0].content)
    if leaf is None:
        return "x509: malformed certificate"
    try:
        key = load_der_private_key(key_block.content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "tls: failed to parse private key"
    public = leaf.public_key()
    if type(public) is not type(key.public_key()):
        return "tls: private key type does not match public key type"
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != key.public_key().public_bytes(*form):
        return "tls: private key does not match public key"
    return ""


def _no_certificate(skipped: list[str]) -> str:
    if not skipped:
        return "tls: failed to find any PEM data in certificate input"
    if len(skipped) == 1 and skipped[0].endswith("PRIVATE KEY"):
        what = "but did find a private key; PEM inputs may have been switched"
        return f"tls: failed to find certificate PEM data in certificate input, {what}"
    what = "PEM block in certificate input after skipping PEM blocks of the following types"
    return f'tls: failed to find "CERTIFICATE" {what}: [{" ".join(skipped)}]'


def _no_key(skipped: list[str]) -> str:
    if not skipped:
        return "tls: failed to find any PEM data in key input"
    if skipped == ["CERTIFICATE"]:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    what = "in key input after skipping PEM blocks of the following types"
    return f'tls: failed to find PEM block with type ending in "PRIVATE KEY" {what}: [{" ".join(skipped)}]'
