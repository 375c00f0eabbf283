"""One step is a request whose body may build on an earlier answer of the same server; the answer comes back decoded."""

from __future__ import annotations

import copy
import http.client
import json
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Step:
    about: str
    method: str
    path: str
    body: Any = None
    base: str = ""  # the earlier step whose answer `body` is merged into
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """One connection, and the answers so far by the steps that got them."""

    def __init__(self, url: str, token: str, ca: str | None = None) -> None:
        parts = urlsplit(url)
        context = ssl.create_default_context(cafile=ca)
        if not ca:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        assert parts.hostname
        self.connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=30, context=context)
        self.token = token
        self.answers: dict[str, Any] = {}

    def perform(self, step: Step) -> dict[str, Any]:
        """Status, the headers clients look at, and the body under "body", "wire" or "text" by its type."""
        headers = {
            "accept": JSON,
            "user-agent": "differential/1",
            "authorization": f"Bearer {self.token}",
            "content-type": JSON,
        } | step.headers
        path = step.path + ("?" + urlencode(step.query) if step.query else "")
        self.connection.request(step.method, path, self.encoded(step), headers)
        response = self.connection.getresponse()
        raw = response.read()
        kind = response.getheader("content-type", "")
        answer: dict[str, Any] = {
            "status": response.status,
            "content-type": kind,
            "warning": response.headers.get_all("warning", []),
        }
        key, value = decoded(kind, raw)
        self.answers[step.about] = answer[key] = value
        return answer

    def encoded(self, step: Step) -> bytes | None:
        if step.base:
            return compact(merged(copy.deepcopy(self.answers[step.base]), step.body))
        if isinstance(step.body, str):
            return step.body.encode()
        return None if step.body is None else compact(step.body)


def compact(body: Any) -> bytes:
    """As clients in Go send it: what is opaque to the server is kept byte for byte, spaces too."""
    return json.dumps(body, separators=(",", ":")).encode()


def merged(base: Any, patch: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(patch, dict):
        return patch
    for key, value in patch.items():
        if value is None:
            base.pop(key, None)
        else:
            base[key] = merged(base.get(key, {}), value)
    return base


def decoded(content_type: str, raw: bytes) -> tuple[str, Any]:
    kind = content_type.split(";")[0]
    try:
        if kind == JSON:
            return "body", json.loads(raw)
        if "protobuf" in kind:
            return "wire", wire(raw.removeprefix(b"k8s\x00"))
    except (ValueError, IndexError):
        return "text", raw.decode("utf-8", "backslashreplace")
    return "text", raw.decode("utf-8", "backslashreplace")


def wire(raw: bytes) -> list[list[Any]]:
    """Protobuf without its schema: [[field number, value], ...], where a value is an int, a text, or more fields.

    Raises ValueError or IndexError for what is not protobuf.
    """
    fields: list[list[Any]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = raw[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(raw):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            fields.append([number, varint()])
            continue
        size = varint() if kind == 2 else {1: 8, 5: 4}.get(kind, -1)
        content = raw[at : at + size]
        if not number or size < 0 or len(content) != size:
            raise ValueError("not protobuf")
        at += size
        fields.append([number, wire_text(content) if kind == 2 else content.hex()])
    return fields


def wire_text(content: bytes) -> Any:
    try:
        if all(byte >= 32 or byte in (9, 10, 13) for byte in content):
            return content.decode()
    except UnicodeDecodeError:
        return content.hex()
    try:
        return wire(content)
    except (ValueError, IndexError):
        return content.hex()
