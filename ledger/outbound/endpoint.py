"""Where a webhook is: what its configuration says, taken apart once.

Follows pkg/util/webhook/client.go of k8s.io/apiserver: a service is reached under the name `NAME.NAMESPACE.svc`, which its
certificate must carry, at the address of one of its endpoints; everything else is a URL.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

HTTPS_PORT = 443


class ServicePort(NamedTuple):
    namespace: str
    name: str
    port: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place that answers POSTs. Equal endpoints share connections."""

    url: str  # as errors tell it, without a query
    host: str  # what the certificate must be for
    port: int
    path: str  # what is asked for, percent-encoded
    ca: bytes = b""  # PEM; empty: whom the system trusts
    service: ServicePort | None = None  # where to connect to; None: to host and port
    verify: bool = True
    token: str = ""  # sent as a bearer token
    certificate_file: str = ""  # a client certificate, and its key
    key_file: str = ""


class Misconfigured(ValueError):
    """A configuration that names no place to call; the text is upstream's."""


def endpoint_of(config: Mapping[str, Any]) -> Endpoint:
    """The place that a `clientConfig` names. Raises Misconfigured."""
    ca = decoded(config.get("caBundle") or "")
    if not ca.strip():
        ca = b""
    service = config.get("service")
    if service is not None:
        port = service.get("port") or HTTPS_PORT
        host = f"{service['name']}.{service['namespace']}.svc"
        path = cleaned(service.get("path") or "")
        where = ServicePort(service["namespace"], service["name"], port)
        return Endpoint(f"https://{host}:{port}{path}", host, port, path, ca, where)
    if not config.get("url"):
        raise Misconfigured("webhook configuration must have either service or URL")
    return url_endpoint(config["url"], ca)


def url_endpoint(url: str, ca: bytes, **more: Any) -> Endpoint:
    """The place that a URL names. Raises Misconfigured."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or HTTPS_PORT
    except ValueError as error:
        raise Misconfigured(f"Unparsable URL: {error}") from None
    if parts.scheme != "https" or not host:
        raise Misconfigured(f"Unparsable URL: {url} names no HTTPS server")
    path = cleaned(parts.path)
    return Endpoint(f"https://{parts.netloc}{path}", host, port, path, ca, **more)


def decoded(text: str | bytes) -> bytes:
    """The bytes of a base64 field; no base64 is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def cleaned(path: str) -> str:
    """The path as Go joins it to the host: without empty, "." and ".." parts, and without a slash at its end."""
    whole = posixpath.normpath("/" + path.strip("/"))
    return quote(whole, safe="/%:@!$&'()*+,;=-._~")
