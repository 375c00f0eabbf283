"""JSON Patch (RFC 6902) with the habits of the library kube-apiserver uses (evanphx/json-patch v4).

Where that library and the RFC differ, clients rely on the library: `replace` of a missing map key adds it, `copy` of
one adds null, an index may be -1 or 01, a missing value is null, and what precedes the first slash of a path is
ignored. Every failure is one 422 with one text; the reason stays in `__cause__` for whoever debugs.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ledger.apimachinery.gotext import json_kind, same
from ledger.apimachinery.patch_merge import sort_keys
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError, bad_request

OPERATIONS_MAX = 10_000
COPIED_BYTES_MAX = 3 << 20  # total growth by "copy" in one patch
_FIELDS = ("op", "path", "from", "value")


class PatchFailed(Exception):
    """Why an operation does not apply, in the library's words."""


class TestFailed(PatchFailed):
    """A "test" operation found another value."""


def decode_json_patch(patch: Any, strict: bool = True) -> tuple[list[Object], list[str]]:
    """The operations of a decoded body, and the complaints of strict decoding.

    `strict`: field validation is not Ignore. Raises StatusError: 400 for a body that is no list of operations, 413 for
    too many of them.
    """
    if patch is None:
        return [], []
    prefix, whole, one = "", "jsonpatch.Patch", "jsonpatch.Operation"
    if strict:
        prefix, whole, one = "error decoding patch: ", "[]handlers.jsonPatchOp", "handlers.jsonPatchOp"
    if not isinstance(patch, list):
        raise bad_request(f"{prefix}json: cannot unmarshal {json_kind(patch)} into Go value of type {whole}")
    operations = [{} if operation is None else operation for operation in patch]
    unknown: list[str] = []
    for index, operation in enumerate(operations):
        if not isinstance(operation, dict):
            raise bad_request(f"{prefix}json: cannot unmarshal {json_kind(operation)} into Go value of type {one}")
        if strict:
            _check_operation(operation)
            unknown += [f'json patch unknown field "[{index}].{name}"' for name in operation if name not in _FIELDS]
    if len(operations) > OPERATIONS_MAX:
        text = f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(operations)}"
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {text}")
    return operations, unknown


def _check_operation(operation: Object) -> None:
    for name in ("op", "path", "from"):
        value = operation.get(name)
        if value is not None and not isinstance(value, str):
            text = f"Go struct field jsonPatchOp.{name} of type string"
            raise bad_request(f"error decoding patch: json: cannot unmarshal {json_kind(value)} into {text}")


def apply_json_patch(document: Object, operations: list[Object]) -> Any:
    """`document` with the operations applied in order, in place. Raises StatusError 422 at the first failure."""
    target = _Target(document)
    try:
        for operation in operations:
            target.apply(operation)
    except PatchFailed as why:
        message = "the server rejected our request due to an error in our request"
        raise StatusError(422, "Invalid", message, {}) from why
    target.sort()
    return target.root


class _Target:
    """The document while it is patched."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self._copied_bytes = 0
        self._reached: dict[int, Object] = {}  # the maps that paths led through, by identity

    def sort(self) -> None:
        """Puts the keys of maps that were reached in order, as they leave Go's maps; the others keep theirs."""
        for reached in self._reached.values():
            sort_keys(reached)

    def apply(self, operation: Object) -> None:
        match operation.get("op"):
            case "add":
                path = _text(operation, "path", "add operation failed to decode path: missing value")
                self._add(path, operation.get("value"), "add operation does not apply: doc is missing path")
            case "remove":
                self._remove(_text(operation, "path", "remove operation failed to decode path: missing value"))
            case "replace":
                self._replace(operation)
            case "move":
                self._move(operation)
            case "test":
                self._test(operation)
            case "copy":
                self._copy(operation)
            case other:
                raise PatchFailed(f"Unexpected kind: {other if isinstance(other, str) else 'unknown'}")

    def _find(self, path: str, missing: str) -> tuple[Any, str]:
        """The container `path` points into, and the last part of the path. The library puts some paths in quotes."""
        shown = f'"{path}"' if missing.startswith(("add ", "remove ")) else path
        parts = path.split("/")
        if len(parts) < 2:
            raise PatchFailed(f"{missing}: {shown}: missing value")
        container = self.root
        for part in parts[1:-1]:
            self._reach(container)
            try:
                container = _get(container, _unescaped(part))
            except PatchFailed:
                container = None
            if not isinstance(container, (dict, list)):
                raise PatchFailed(f"{missing}: {shown}: missing value")
        self._reach(container)
        return container, _unescaped(parts[-1])

    def _reach(self, container: Any) -> None:
        if isinstance(container, dict):
            self._reached[id(container)] = container

    def _add(self, path: str, value: Any, missing: str) -> None:
        container, key = self._find(path, missing)
        if isinstance(container, dict):
            container[key] = value
        else:
            with _within("add", path):
                container.insert(len(container) if key == "-" else _index(key, len(container) + 1), value)

    def _remove(self, path: str) -> None:
        container, key = self._find(path, "remove operation does not apply: doc is missing path")
        with _within("remove", path):
            _delete(container, key)

    def _replace(self, operation: Object) -> None:
        path = _text(operation, "path", "replace operation failed to decode path: missing value")
        value = operation.get("value")
        if path == "":
            if not isinstance(value, (dict, list)):
                raise PatchFailed("replace operation value must be object or array")
            self.root = value
            return
        container, key = self._find(path, "replace operation does not apply: doc is missing path")
        with _within("remove", path):  # the library says so of a replace
            container[key if isinstance(container, dict) else _index(key, len(container))] = value

    def _move(self, operation: Object) -> None:
        source = _text(operation, "from", "move operation failed to decode from: missing value")
        container, key = self._find(source, "move operation does not apply: doc is missing from path")
        with _within("move", key):
            value = _get(container, key)
            _delete(container, key)
        path = _text(operation, "path", "move operation failed to decode path: missing value")
        self._add(path, value, "move operation does not apply: doc is missing destination path")

    def _copy(self, operation: Object) -> None:
        source = _text(operation, "from", "copy operation failed to decode from: missing value")
        container, key = self._find(source, "copy operation does not apply: doc is missing from path")
        value = _get(container, key)
        path = _text(operation, "path", "copy operation failed to decode path: missing value")
        if value is not None:
            self._copied_bytes += len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
        if self._copied_bytes > COPIED_BYTES_MAX:
            text = "Unable to complete the copy, the accumulated size increase of copy is"
            raise PatchFailed(f"{text} {self._copied_bytes}, exceeding the limit {COPIED_BYTES_MAX}")
        self._add(path, copy.deepcopy(value), "copy operation does not apply: doc is missing destination path")

    def _test(self, operation: Object) -> None:
        path = _text(operation, "path", "test operation failed to decode path: missing value")
        value = self.root
        if path:
            container, key = self._find(path, "test operation does not apply: is missing path")
            with _within("test", path):
                value = _get(container, key)
        if not same(value, operation.get("value")):
            raise TestFailed(f"testing value {path} failed: test failed")


@contextmanager
def _within(operation: str, path: str) -> Iterator[None]:
    """Puts in front of a failure where it happened."""
    try:
        yield
    except PatchFailed as why:
        raise PatchFailed(f"error in {operation} for path: '{path}': {why}") from None


def _text(operation: Object, name: str, missing: str) -> str:
    value = operation.get(name)
    if not isinstance(value, str):
        raise PatchFailed(missing)
    return value


def _get(container: Any, key: str) -> Any:
    """A member; a missing key of a map is null, a missing index of a list a failure."""
    return container.get(key) if isinstance(container, dict) else container[_index(key, len(container))]


def _delete(container: Any, key: str) -> None:
    if isinstance(container, list):
        del container[_index(key, len(container))]
    elif key in container:
        del container[key]
    else:
        raise PatchFailed(f"Unable to remove nonexistent key: {key}: missing value")


def _index(text: str, size: int) -> int:
    """A position below `size`; -1 is the last one (for "add": behind the last one)."""
    if not re.fullmatch("[+-]?[0-9]+", text):
        raise PatchFailed(f"value was not a proper array index: '{text}'")
    index = int(text)
    if not -size <= index < size:
        raise PatchFailed(f"Unable to access invalid index: {index}: invalid index referenced")
    return index + size if index < 0 else index


def _unescaped(part: str) -> str:
    # One pass, as the library's replacer works: "~01" is "~1", not "/".
    return re.sub("~[01]", lambda found: "/" if found[0] == "~1" else "~", part)
