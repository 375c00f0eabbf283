"""What Go's HTTP client says when a call fails: clients and tests read these words.

OpenSSL and the system say the same things differently; this is the one place that translates.
"""

from __future__ import annotations

import errno
import os
import ssl
from dataclasses import dataclass
from datetime import datetime

UNKNOWN_AUTHORITY = "x509: certificate signed by unknown authority"
_UNTRUSTED = frozenset({2, 18, 19, 20, 21, 24, 26, 27, 79})  # X509_V_ERR_*: no way to a CA we were given
_NOT_YET, _EXPIRED, _WRONG_NAME, _WRONG_ADDRESS = 9, 10, 62, 64
_ALERTS = {
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "handshake failure",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "certificate required",
    "SSLV3_ALERT_BAD_CERTIFICATE": "bad certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "unknown certificate authority",
    "TLSV1_ALERT_INTERNAL_ERROR": "internal error",
    "TLSV1_ALERT_PROTOCOL_VERSION": "protocol version not supported",
    "TLSV1_UNRECOGNIZED_NAME": "unrecognized name",
}


class CallFailed(Exception):
    """A call that brought no answer; the text is the reason in Go's words, without the URL."""


class NotSent(CallFailed):
    """The peer was never asked: it cannot be reached."""


class CannotBeSent(NotSent):
    """The request has no form in which it could be sent."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The certificate a server showed, trusted or not."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    has_common_name: bool
    not_before: datetime
    not_after: datetime


def dial_error(where: str, error: OSError) -> str:
    """Why a connection to an address ("10.0.0.1:443") could not be made."""
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    if error.errno == errno.ETIMEDOUT:
        reason = "connection timed out"
    return f"dial tcp {where}: connect: {reason}"


def lookup_error(host: str) -> str:
    return f"dial tcp: lookup {host}: no such host"


def tls_error(error: ssl.SSLError, host: str, is_address: bool, shown: Shown | None, now: datetime) -> str:
    """Why a handshake failed; `shown` is needed where the certificate was not accepted for its names or its time."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {_verification(error, host, is_address, shown, now)}"
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return "http: server gave HTTP response to HTTPS client"
    if error.reason in _ALERTS:
        return f"remote error: tls: {_ALERTS[error.reason]}"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "EOF"
    return f"tls: {(error.reason or str(error)).lower().replace('_', ' ')}"


def _verification(
    error: ssl.SSLCertVerificationError, host: str, is_address: bool, shown: Shown | None, now: datetime
) -> str:
    code = error.verify_code
    if code in _UNTRUSTED:
        return UNKNOWN_AUTHORITY
    if code in (_NOT_YET, _EXPIRED):
        text = "x509: certificate has expired or is not yet valid"
        if shown is None:
            return text
        how, limit = ("after", shown.not_after) if code == _EXPIRED else ("before", shown.not_before)
        return f"{text}: current time {_rfc3339(now)} is {how} {_rfc3339(limit)}"
    if code in (_WRONG_NAME, _WRONG_ADDRESS):
        return wrong_name(host, is_address, shown)
    return f"x509: {error.verify_message}"


def wrong_name(host: str, is_address: bool, shown: Shown | None) -> str:
    """x509.HostnameError: what the certificate is good for, and what was wanted."""
    names = () if shown is None else shown.names
    addresses = () if shown is None else shown.addresses
    if is_address:
        if not addresses:
            return f"x509: cannot validate certificate for {host} because it doesn't contain any IP SANs"
        return f"x509: certificate is valid for {', '.join(addresses)}, not {host}"
    if shown is not None and shown.has_common_name and not (names or addresses):
        return "x509: certificate relies on legacy Common Name field, use SANs instead"
    if not names:
        return f"x509: certificate is not valid for any names, but wanted to match {host}"
    return f"x509: certificate is valid for {', '.join(names)}, not {host}"


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
