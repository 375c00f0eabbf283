"""What upstream says of a strategic merge patch whose result does not fit the type.

It takes such a result from maps to a struct without JSON in between (runtime.DefaultUnstructuredConverter of
k8s.io/apimachinery), so the words differ from those for other patches, and the patch is shown, not the object.
"""

from __future__ import annotations

import re

from ledger.apimachinery.field import FieldError
from ledger.apimachinery.gotext import verb_v
from ledger.apimachinery.resource import Object

_JSON_ERROR = re.compile(r"json: cannot unmarshal (\w+)(?: \S+)? into Go (?:struct field \S+|value) of type (.+)")
_KINDS = {"array": "slice", "object": "map", "number": "int64"}  # reflect's words for JSON's
_SCALAR = re.compile(r"(?:u?int|float)(?:8|16|32|64)?|string|bool")


def strategic_error(patch: Object, refused: Exception) -> FieldError:
    """An error of the decoder of JSON, in the converter's words."""
    text = str(refused)
    found = _JSON_ERROR.fullmatch(text)
    return shown_patch(patch, _converted(found[1], found[2]) if found else text)


def _converted(given: str, wanted: str) -> str:
    kind = _KINDS.get(given, given)
    if _SCALAR.fullmatch(wanted):
        # Go converts between numbers, and a number to a string: those are told as failed conversions.
        convertible = given == "number" and wanted != "bool"
        return f"cannot convert {kind} to {wanted}" if convertible else f"unrecognized type: {wanted}"
    if wanted.startswith("map["):
        return f"cannot restore map from {kind}"
    if wanted.startswith("[]"):
        return f"cannot restore slice from {kind}"
    return f"cannot restore struct from: {kind}"


def shown_patch(patch: Object, why: str) -> FieldError:
    return FieldError("Invalid", "patch", verb_v(patch), why)
