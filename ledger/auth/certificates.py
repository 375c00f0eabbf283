"""The certificates a server makes for itself when it is given none: a CA, a serving and an admin client certificate.

    DIR/ca.crt ca.key                  signs the other two; clients trust it
    DIR/apiserver.crt apiserver.key    what the server shows; made again when it does not name all it should
    DIR/admin.crt admin.key            system:masters, for the admin kubeconfig
    DIR/front-proxy-ca.crt .key        signs the next one; extension servers trust it
    DIR/front-proxy-client.crt .key    what we show to extension servers
    DIR/sa.key                         signs service account tokens

Files are mode 0600 from their first byte, and are moved into place whole, so that a crash leaves either none or all of
one. What exists and is good is kept: certificates must survive a restart.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.auth.api import SUPERUSERS

FRONT_PROXY = "front-proxy-client"  # the common name that extension servers are told to trust
_CLOCKS_DIFFER = timedelta(minutes=5)  # certificates are good a little before they are made
_CA_AGE, _LEAF_AGE, _RENEWED_BEFORE = timedelta(days=3650), timedelta(days=365), timedelta(days=30)
_SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, where they lie."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Credentials:
    """All that `ensure_credentials` made or found."""

    ca: Pair
    serving: Pair
    admin: Pair
    service_account_key: Path
    front_proxy_ca: Pair
    front_proxy: Pair


def ensure_credentials(
    directory: Path,
    *,
    service_ip: str = "10.0.0.1",
    names: Sequence[str] = (),
    now: datetime | None = None,
    key_ahead: Callable[[], bytes] | None = None,
) -> Credentials:
    """Makes in `directory` what is missing there. `names` are further DNS names or addresses the server answers to.

    `key_ahead` waits for a service account key that somebody is making already; b"" when that failed.
    Raises OSError when the directory cannot be written, ValueError for a file in it that is no certificate or key.
    """
    moment = now or datetime.now(UTC)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca, serving, admin = (_pair(directory, name) for name in ("ca", "apiserver", "admin"))
    if not (ca.certificate.exists() and ca.key.exists()):
        _write_pair(ca, *_make_ca(moment))
    ca_certificate, ca_key = _load_pair(ca)
    wanted = serving_names(service_ip, names)
    if not _is_good(serving, ca_certificate, moment, wanted):
        subject = _name("kube-apiserver")
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        _write_pair(serving, *_make_leaf(ca_certificate, ca_key, subject, usage, moment, wanted))
    if not _is_good(admin, ca_certificate, moment, []):
        subject = _name("kubernetes-admin", SUPERUSERS)
        _write_pair(admin, *_make_leaf(ca_certificate, ca_key, subject, ExtendedKeyUsageOID.CLIENT_AUTH, moment, []))
    proxy_ca, proxy = _pair(directory, "front-proxy-ca"), _pair(directory, "front-proxy-client")
    if not (proxy_ca.certificate.exists() and proxy_ca.key.exists()):
        _write_pair(proxy_ca, *_make_ca(moment, "ledger-front-proxy-ca"))
    proxy_ca_certificate, proxy_ca_key = _load_pair(proxy_ca)
    if not _is_good(proxy, proxy_ca_certificate, moment, []):
        subject, usage = _name(FRONT_PROXY), ExtendedKeyUsageOID.CLIENT_AUTH
        _write_pair(proxy, *_make_leaf(proxy_ca_certificate, proxy_ca_key, subject, usage, moment, []))
    service_account_key = directory / "sa.key"
    if not service_account_key.exists():
        _write(service_account_key, (key_ahead and key_ahead()) or new_service_account_key())
    return Credentials(ca, serving, admin, service_account_key, proxy_ca, proxy)


def new_service_account_key() -> bytes:
    """PEM. RSA, which every verifier of tokens knows."""
    return _key_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def serving_names(service_ip: str, names: Sequence[str] = ()) -> list[str]:
    """Every name and address under which clients may reach the server, each once."""
    fixed = ("localhost", "127.0.0.1", "::1", *_SERVICE_NAMES, service_ip, socket.gethostname())
    return list(dict.fromkeys(name for name in (*fixed, *names) if name))


def _pair(directory: Path, name: str) -> Pair:
    return Pair(directory / f"{name}.crt", directory / f"{name}.key")


def _make_ca(now: datetime, common_name: str = "ledger-ca") -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name)
    builder = _builder(name, name, key, now, _CA_AGE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def _make_leaf(
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    usage: x509.ObjectIdentifier,
    now: datetime,
    names: Sequence[str],
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(subject, ca.subject, key, now, _LEAF_AGE)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_general_name, names))), critical=False)
    return builder.sign(ca_key, hashes.SHA256()), key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, age: timedelta
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - _CLOCKS_DIFFER).not_valid_after(now + age)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str, organization: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _is_good(pair: Pair, ca: x509.Certificate, now: datetime, names: Sequence[str]) -> bool:
    """Whether the pair exists, is by this CA, lasts a while and names all that it should."""
    if not (pair.certificate.exists() and pair.key.exists()):
        return False
    certificate, key = _load_pair(pair)
    if certificate.issuer != ca.subject or certificate.public_key() != key.public_key():
        return False
    if certificate.not_valid_after_utc - _RENEWED_BEFORE < now:
        return False
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError):  # each means "not by this CA"
        return False
    return set(map(_general_name, names)) <= _names_in(certificate)


def _names_in(certificate: x509.Certificate) -> set[x509.GeneralName]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return set()


def _load_pair(pair: Pair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        key = serialization.load_pem_private_key(pair.key.read_bytes(), password=None)
    except ValueError as error:
        raise ValueError(f"{pair.certificate} or its key cannot be read: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{pair.key} is not an EC key")
    return certificate, key


def _write_pair(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    _write(pair.key, _key_pem(key))
    _write(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _write(path: Path, content: bytes) -> None:
    """The file whole and private, or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
