"""Secrets out of an audit log: values become digests before anything is stored.

A digest tells whether two values of one ledger are equal, and nothing else: it is keyed, and the key is forgotten with
the import, so that short passwords cannot be found by trying. In `data` it is base64 again, as clients expect there.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import orjson

from ledger.apimachinery.resource import Key, Object
from ledger.replay.importer.lines import RawRecord

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LAST_APPLIED_POINTER = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"
_PATCH_ANNOTATION = "patch.webhook.admission.k8s.io/"  # of audit records: what webhooks changed
_SECRETS = ("", "secrets")


class Redaction:
    """Redacts records and objects; `count` is of those that held something."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.count = 0

    def record(self, record: RawRecord) -> RawRecord:
        """The record without secrets' values and tokens; the given one where it holds none."""
        reference = record.get("objectRef") or {}
        group, resource = reference.get("apiGroup", ""), reference.get("resource", "")
        if (group, resource) == _SECRETS:
            redact = self._secret
        elif group == "authentication.k8s.io" or reference.get("subresource") == "token":
            redact = self._token
        else:
            return record
        changed: Object = {name: redact(record[name]) for name in ("requestObject", "responseObject") if name in record}
        if annotations := record.get("annotations"):
            changed["annotations"] = {
                name: self.digest(text) if name.startswith(_PATCH_ANNOTATION) else text
                for name, text in annotations.items()
            }
        if all(record[name] == value for name, value in changed.items()):
            return record
        self.count += 1
        return {**record, **changed}

    def objects(self, objects: Mapping[Key, Object]) -> dict[Key, Object]:
        """The objects of a snapshot."""
        return {key: self._secret(obj) if key[:2] == _SECRETS else obj for key, obj in objects.items()}

    def digest(self, value: Any) -> str:
        """ "hmac:" and 32 hexadecimal digits."""
        encoded = (
            value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else orjson.dumps(value)
        )
        return "hmac:" + hmac.digest(self._key, encoded, "sha256").hex()[:32]

    def _secret(self, value: Any) -> Any:
        """A Secret, a list or table of them, or a patch of one."""
        if isinstance(value, list):
            return [self._operation(one) if _is_operation(one) else self._secret(one) for one in value]
        if not isinstance(value, dict):
            return value
        return {name: self._member(name, member) for name, member in value.items()}

    def _member(self, name: str, member: Any) -> Any:
        if name in ("data", "stringData"):
            return self._values(name, member)
        if name == LAST_APPLIED:
            return self._last_applied(member)
        return self._secret(member)

    def _values(self, name: str, member: Any) -> Any:
        if isinstance(member, dict):
            return {key: self._value(name, value) for key, value in member.items()}
        return member if member is None else self._value(name, member)

    def _value(self, name: str, value: Any) -> Any:
        """A null, which a patch deletes with, stays."""
        if value is None:
            return None
        if name == "stringData":
            return self.digest(value)
        return b64encode(self.digest(_decoded(value)).encode()).decode()

    def _last_applied(self, text: Any) -> Any:
        try:
            return orjson.dumps(self._secret(orjson.loads(text))).decode()
        except (orjson.JSONDecodeError, TypeError):
            return None if text is None else self.digest(text)

    def _operation(self, one: Object) -> Object:
        """Of a JSON patch."""
        path = str(one.get("path", ""))
        head = path.split("/")[1] if path.startswith("/") else ""
        if "value" not in one:
            return one
        if head in ("data", "stringData"):
            redacted = self._values(head, one["value"])
        elif path == _LAST_APPLIED_POINTER:
            redacted = self._last_applied(one["value"])
        else:
            redacted = self._secret(one["value"])
        return {**one, "value": redacted}

    def _token(self, value: Any) -> Any:
        """TokenRequest and TokenReview: their tokens are bearer credentials."""
        if not isinstance(value, dict):
            return value
        return {
            name: self.digest(member) if name == "token" and member else self._token(member)
            for name, member in value.items()
        }


def _is_operation(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("op"), str) and isinstance(one.get("path"), str)


def _decoded(value: Any) -> Any:
    """So that `data` and `stringData` of one value have one digest."""
    try:
        return b64decode(value, validate=True)
    except (ValueError, TypeError):
        return value
