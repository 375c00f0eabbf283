"""JSON Web Tokens as far as service accounts need them: compact form, RS256 and ES256/384/512, with `cryptography`.

Written here rather than taken from a library because a wrong choice is the classic hole: the algorithm is decided by
the key that is tried, never by the token, so neither "none" nor HMAC with a public key can get in.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
Claims = dict[str, Any]

_CURVES: dict[str, tuple[str, hashes.HashAlgorithm, str]] = {  # curve -> algorithm, hash, name in a JWK
    "secp256r1": ("ES256", hashes.SHA256(), "P-256"),
    "secp384r1": ("ES384", hashes.SHA384(), "P-384"),
    "secp521r1": ("ES512", hashes.SHA512(), "P-521"),
}


class BadToken(ValueError):
    """Not a token, or its signature is not by the key it names."""


@dataclass(frozen=True)
class VerificationKey:
    """A public key with the name that tokens call it by: the hash of its DER form (keyIDFromPublicKey upstream)."""

    key: PublicKey

    @cached_property
    def id(self) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return _encode(sha256(self.key.public_bytes(serialization.Encoding.DER, form)).digest())

    @cached_property
    def algorithm(self) -> str:
        return "RS256" if isinstance(self.key, rsa.RSAPublicKey) else _CURVES[self.key.curve.name][0]

    def verify(self, signed: bytes, signature: bytes) -> bool:
        try:
            if isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            else:
                size = (self.key.curve.key_size + 7) // 8
                if len(signature) != 2 * size:
                    return False
                r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
                self.key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(_CURVES[self.key.curve.name][1]))
        except InvalidSignature:
            return False
        return True

    def as_jwk(self) -> dict[str, str]:
        """The key as a JSON Web Key, in go-jose's order of fields."""
        numbers = self.key.public_numbers()
        jwk = {"use": "sig", "kty": "", "kid": self.id}
        if isinstance(numbers, rsa.RSAPublicNumbers):
            return jwk | {"kty": "RSA", "alg": self.algorithm, "n": _encode_int(numbers.n), "e": _encode_int(numbers.e)}
        size = (numbers.curve.key_size + 7) // 8
        point = {"x": _encode(numbers.x.to_bytes(size, "big")), "y": _encode(numbers.y.to_bytes(size, "big"))}
        return jwk | {"kty": "EC", "crv": _CURVES[numbers.curve.name][2], "alg": self.algorithm} | point


@dataclass(frozen=True, slots=True)
class Token:
    """A token taken apart. Nothing in it may be believed before `verified_by` has found its key."""

    key_id: str
    claims: Claims
    signed: bytes
    signature: bytes

    def verified_by(self, keys: tuple[VerificationKey, ...]) -> Claims:
        """The claims, when one of the keys signed them; raises BadToken. A key that the token names must be the one."""
        candidates = [key for key in keys if not self.key_id or key.id == self.key_id]
        if not candidates:
            raise BadToken("invalid signature, no keys found")
        if not any(key.verify(self.signed, self.signature) for key in candidates):
            raise BadToken("go-jose/go-jose: error in cryptographic primitive")
        return self.claims


def parse_token(text: str) -> Token | None:
    """None for whatever is not a JWT in compact form: it may be a token of another sort."""
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        header, claims = (orjson.loads(_decode(part)) for part in parts[:2])
        signature = _decode(parts[2])
    except (binascii.Error, ValueError):
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        return None
    key_id = header.get("kid", "")
    signed = text[: len(text) - len(parts[2]) - 1].encode()
    return Token(key_id if isinstance(key_id, str) else "", claims, signed, signature)


def signed_token(key: PrivateKey, claims: Claims) -> str:
    """The claims as a token. Keys are sorted, as go-jose sorts them."""
    public = VerificationKey(key.public_key())
    header = {"alg": public.algorithm, "kid": public.id}
    signed = b".".join(_encode(orjson.dumps(part, option=orjson.OPT_SORT_KEYS)).encode() for part in (header, claims))
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        size = (key.curve.key_size + 7) // 8
        numbers = decode_dss_signature(key.sign(signed, ec.ECDSA(_CURVES[key.curve.name][1])))
        signature = b"".join(number.to_bytes(size, "big") for number in numbers)
    return f"{signed.decode()}.{_encode(signature)}"


def load_private_key(pem: bytes) -> PrivateKey:
    """An RSA or EC key that tokens can be signed with; raises ValueError for anything else."""
    # Checking that an RSA key's numbers are primes takes 40 ms at every start, and the file is the owner's own.
    key = serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in _CURVES:
        raise ValueError("unknown private key curve, must be 256, 384, or 521")
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise ValueError("a service account key must be an RSA or an EC key")
    return key


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _encode_int(number: int) -> str:
    return _encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _decode(text: str) -> bytes:
    if "=" in text or "+" in text or "/" in text:
        raise ValueError("not base64url without padding")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
