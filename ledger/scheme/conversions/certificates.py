"""certificates.k8s.io/v1 PodCertificateRequest, which has lost two fields that the stored v1beta1 still has."""

from __future__ import annotations

from ledger.apimachinery.resource import Object
from ledger.scheme.conversions.steps import Steps, with_spec

_GONE = ("pkixPublicKey", "proofOfPossession")


def _to_stored(obj: Object) -> Object:
    return obj


def _from_stored(obj: Object) -> Object:
    return with_spec(obj, lambda spec: {key: value for key, value in spec.items() if key not in _GONE})


STEPS = {("certificates.k8s.io", "v1", "PodCertificateRequest"): Steps(_to_stored, _from_stored)}
