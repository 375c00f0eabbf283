"""JSON Merge Patch (RFC 7386) as kube-apiserver applies it: null removes, a map is merged, all else replaces."""

from __future__ import annotations

from typing import Any

from ledger.apimachinery.gotext import json_kind
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import bad_request


def decode_merge_patch(patch: Any, strict: bool = True) -> Object:
    """The decoded body, if it is an object. Raises StatusError 400 (`strict`: field validation is not Ignore)."""
    if isinstance(patch, dict):
        return patch
    if patch is None or not strict:
        raise bad_request("Invalid JSON Patch")
    text = f"json: cannot unmarshal {json_kind(patch)} into Go value of type map[string]interface {{}}"
    raise bad_request(f"error decoding patch: {text}")


def apply_merge_patch(document: Object, patch: Object) -> Object:
    """`document` with `patch` merged in; both are used up (the document is changed in place, the patch shared).

    The maps that the patch reaches into come out sorted, as they leave Go's maps; the others keep their order, which
    shows where the content is opaque to the server.
    """
    for key, value in patch.items():
        if value is None:
            document.pop(key, None)
            continue
        current = document.get(key)
        if isinstance(current, dict) and isinstance(value, dict):
            apply_merge_patch(current, value)
        elif isinstance(current, dict):
            document[key] = value  # nulls inside a list that replaces a map stay, as upstream leaves them
        else:
            document[key] = without_nulls(value)
    sort_keys(document)
    return document


def sort_keys(document: Object) -> None:
    """Puts a map's keys in order, in place."""
    ordered = sorted(document.items())
    document.clear()
    document.update(ordered)


def sorted_keys(value: Any) -> Any:
    """`value` with the keys of all maps in order, at any depth."""
    if isinstance(value, dict):
        return {
            key: sorted_keys(member) if isinstance(member, (dict, list)) else member
            for key, member in sorted(value.items())
        }
    return [sorted_keys(element) for element in value] if isinstance(value, list) else value


def without_nulls(value: Any) -> Any:
    """`value` without its null members, at any depth, and sorted; null elements of lists stay. Changes `value` in place."""
    if isinstance(value, dict):
        for key in [key for key, member in value.items() if member is None]:
            del value[key]
        sort_keys(value)
        for member in value.values():
            without_nulls(member)
    elif isinstance(value, list):
        for element in value:
            without_nulls(element)
    return value
