"""CertificateSigningRequests, ClusterTrustBundles and PodCertificateRequests."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ledger.apimachinery.names import is_dns1123_subdomain
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation import pem
from ledger.scheme.strategies.validation.common import (
    conditions,
    is_kubernetes_signer,
    meta_findings,
    meta_update_findings,
    signer_name,
    trust_bundle_name,
)
from ledger.scheme.strategies.validation.diffs import go_diff
from ledger.scheme.strategies.validation.findings import Findings

_LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
_USAGES = (
    *("any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment"),
    *("decipher only", "digital signature", "email protection", "encipher only", "ipsec end system"),
    *("ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc"),
    *("ocsp signing", "s/mime", "server auth", "signing", "timestamping"),
)
_FINAL = ("Approved", "Denied", "Failed")
Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Lenience:
    """What an update leaves alone because it was stored so, and what its path may set."""

    legacy_signer: bool = False
    conditions: bool = False
    empty_conditions: bool = False
    certificate: bool = False
    usages: bool = False
    duplicate_usages: bool = False


def signing_request(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    return _signing_request(definition, obj, _Lenience())


def _signing_request(definition: ResourceDefinition, obj: Object, lenience: _Lenience) -> Findings:
    found, spec = meta_findings(definition, obj, lambda name, prefix: []), obj.get("spec") or {}
    text, usages, name = spec.get("request") or "", spec.get("usages") or [], spec.get("signerName", "")
    error = pem.request_error(base64.b64decode(text))
    if error:
        found.invalid("spec.request", spec.get("request"), error)
    if not usages:
        found.required("spec.usages")
    for at, usage in enumerate(() if lenience.usages else usages):
        found.one_of(f"spec.usages[{at}]", usage, _USAGES)
    for at, usage in enumerate(() if lenience.duplicate_usages else usages):
        if usage in usages[:at]:
            found.duplicate(f"spec.usages[{at}]", usage)
    if name == _LEGACY_SIGNER and not lenience.legacy_signer:
        found.invalid("spec.signerName", name, "the legacy signerName is not allowed via this API version")
    else:
        signer_name(found, "spec.signerName", name)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < 600:
        text = "may not specify a duration less than 600 seconds (10 minutes)"
        found.invalid("spec.expirationSeconds", seconds, text)
    _request_conditions(found, get(obj, "status.conditions", []), lenience)
    if not lenience.certificate:
        error = pem.certificates_error(_certificate(obj))
        if error:
            found.invalid("status.certificate", "<certificate data>", error)
    return found


def _certificate(obj: Object) -> bytes:
    return base64.b64decode(get(obj, "status.certificate", ""))


def _request_conditions(found: Findings, ones: list[Spec], lenience: _Lenience) -> None:
    """That a request is not both approved and denied has a declared rule."""
    seen: set[str] = set()
    for at, one in enumerate(ones):
        path, kind = f"status.conditions[{at}]", one.get("type", "")
        if not kind and not lenience.empty_conditions:
            found.required(f"{path}.type")
        values = ("True",) if kind in _FINAL else ("False", "True", "Unknown")
        found.one_of_required(f"{path}.status", one.get("status", ""), values)
        if kind in seen and not lenience.conditions:
            found.duplicate(f"{path}.type", kind)
        seen.add(kind)


def _with_type(obj: Object, kind: str) -> list[Spec]:
    return [one for one in get(obj, "status.conditions", []) if one.get("type") == kind]


def signing_request_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return _signing_request_update(definition, obj, old)


def signing_request_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return _signing_request_update(definition, obj, old, certificate=True)


def signing_request_approval(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return _signing_request_update(definition, obj, old, approval=True)


def _signing_request_update(
    definition: ResourceDefinition, obj: Object, old: Object, certificate: bool = False, approval: bool = False
) -> Findings:
    found = _signing_request(definition, obj, _lenience(obj, old))
    path = "status.conditions"
    for kind in _FINAL:
        if len(_with_type(obj, kind)) < len(_with_type(old, kind)):
            found.forbidden(path, f'updates may not remove a condition of type "{kind}"')
    for kind in () if approval else ("Approved", "Denied"):
        new, before = _with_type(obj, kind), _with_type(old, kind)
        if len(new) > len(before):
            found.forbidden(path, f'updates may not add a condition of type "{kind}"')
        elif len(new) == len(before) and not same(new, before):
            diff = go_diff("[]certificates.CertificateSigningRequestCondition", before, new)
            found.forbidden(path, f'updates may not modify a condition of type "{kind}"\n{diff}')
    if _certificate(obj) != _certificate(old):
        if not certificate:
            found.forbidden("status.certificate", "updates may not set certificate content")
        elif _certificate(old):
            found.forbidden("status.certificate", "updates may not modify existing certificate content")
    found += meta_update_findings(definition, obj, old)
    return found


def _lenience(obj: Object, old: Object) -> _Lenience:
    kinds = [one.get("type", "") for one in get(old, "status.conditions", [])]
    usages = get(old, "spec.usages", [])
    untouched = _certificate(obj) == _certificate(old)
    return _Lenience(
        legacy_signer=get(old, "spec.signerName") == _LEGACY_SIGNER,
        conditions=len(set(kinds)) != len(kinds),
        empty_conditions="" in kinds,
        certificate=untouched or bool(pem.certificates_error(_certificate(old))),
        usages=not set(usages) <= set(_USAGES),
        duplicate_usages=len(set(usages)) != len(usages),
    )


def trust_bundle(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    return _trust_bundle(definition, obj, parse=True)


def trust_bundle_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    found = _trust_bundle(definition, obj, parse=spec.get("trustBundle", "") != before.get("trustBundle", ""))
    found += meta_update_findings(definition, obj, old)
    found.immutable("spec.signerName", spec.get("signerName", ""), before.get("signerName", ""))
    return found


def _trust_bundle(definition: ResourceDefinition, obj: Object, parse: bool) -> Findings:
    name = get(obj, "spec.signerName", "")
    found = meta_findings(definition, obj, trust_bundle_name(name))
    if name:
        signer_name(found, "spec.signerName", name)
    if parse:
        found += _bundle_findings(get(obj, "spec.trustBundle", "").encode())
    return found


def _bundle_findings(data: bytes) -> Findings:
    found, path = Findings(), "spec.trustBundle"
    if len(data) > 1024 * 1024:
        found.too_long(path, 1024 * 1024)
        return found
    places: dict[bytes, list[int]] = {}
    for at, block in enumerate(pem.blocks(data)):
        one = pem.certificate(block.content)
        if block.type != "CERTIFICATE":
            found.invalid(path, "<value omitted>", f"entry {at} has bad block type: {block.type}")
        elif block.has_headers:
            found.invalid(path, "<value omitted>", f"entry {at} has PEM block headers")
        elif one is None:
            found.invalid(path, "<value omitted>", f"entry {at} does not parse as X.509")
        elif not pem.is_authority(one):
            found.invalid(path, "<value omitted>", f"entry {at} does not have the CA bit set")
        else:
            places.setdefault(block.content, []).append(at)
    if found:
        return found
    if not places:
        found.invalid(path, "<value omitted>", "at least one trust anchor must be provided")
    for indices in places.values():
        if len(indices) > 1:
            text = f"duplicate trust anchor (indices [{' '.join(map(str, indices))}])"
            found.invalid(path, "<value omitted>", text)
    return found


def pod_request(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found, spec = meta_findings(definition, obj), obj.get("spec") or {}
    signer = spec.get("signerName", "")
    signer_name(found, "spec.signerName", signer)
    for what in ("pod", "serviceAccount", "node"):
        name, uid = spec.get(f"{what}Name", ""), spec.get(f"{what}UID", "")
        found.check(f"spec.{what}Name", name, is_dns1123_subdomain)
        if not uid:
            found.invalid(f"spec.{what}UID", uid, "must not be empty")
        if len(uid) > 128:
            found.too_long(f"spec.{what}UID", 128)
    seconds, longest = spec.get("maxExpirationSeconds"), (1 if is_kubernetes_signer(signer) else 91) * 24 * 3600
    if seconds is None:
        found.required("spec.maxExpirationSeconds", "must be set")
        return found
    if not 3600 <= seconds <= longest:
        found.invalid("spec.maxExpirationSeconds", seconds, f"must be in the range [3600, {longest}]")
    stub, key, proof = (spec.get(k) for k in ("stubPKCS10Request", "pkixPublicKey", "proofOfPossession"))
    if stub and not key and not proof:
        _stub_request(found, base64.b64decode(stub))
    elif stub or not (key and proof):
        text = "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set"
        found.wrong("spec", text)
    return found


def _stub_request(found: Findings, der: bytes) -> None:
    path = "spec.stubPKCS10Request"
    if len(der) > 10 * 1024:
        found.too_long(path, 10 * 1024)
        return
    try:
        request = x509.load_der_x509_csr(der)
        shown, error = pem.key_error(request)
    except (ValueError, UnsupportedAlgorithm):
        found.wrong(path, "must be a valid PKCS#10 CSR")
        return
    if error and shown is not None:
        found.invalid(path, shown, error)
    elif error:
        found.wrong(path, error)
    elif not request.is_signature_valid:
        found.wrong(path, "invalid signature")


def pod_request_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = meta_update_findings(definition, obj, old)
    found.immutable("spec", obj.get("spec"), old.get("spec"))
    return found


def pod_request_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    """Conditions, and that the rest follows them; the certificate itself is the signer's business."""
    found = meta_update_findings(definition, obj, old)
    if found:
        return found
    kinds, known = ("Issued", "Denied", "Failed"), 0
    for at, one in enumerate(get(obj, "status.conditions", [])):
        path, kind = f"status.conditions.[{at}]", one.get("type", "")
        if kind not in kinds:
            found.not_supported(f"{path}.type", kind, kinds)
            continue
        known += 1
        if known > 1:
            text = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
            found.invalid(f"{path}.type", kind, text)
        found.one_of(f"{path}.status", one.get("status", ""), ("True",))
    conditions(found, get(obj, "status.conditions"), "status.conditions")
    if found:
        return found
    status, before = obj.get("status") or {}, old.get("status") or {}
    if any(_with_type(old, kind) for kind in kinds):
        if not same(status, before):
            found.wrong("status", "immutable after PodCertificateRequest is issued, denied, or failed")
    elif _with_type(obj, "Denied") or _with_type(obj, "Failed"):
        if any(value for key, value in status.items() if key != "conditions"):
            text = "non-condition status fields must be empty when denying or failing the PodCertificateRequest"
            found.wrong("status", text)
    elif not _with_type(obj, "Issued") and not same(status, before):
        found.wrong("status", 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"')
    return found
