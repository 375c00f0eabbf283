"""Strategic merge patch: a merge patch that knows from the schema which lists merge, and by which key.

Directives inside the patch: `$patch: replace | delete | merge`, `$retainKeys`, `$setElementOrder/<list>` and
`$deleteFromPrimitiveList/<list>`. Semantics and error texts follow k8s.io/apimachinery/pkg/util/strategicpatch; of its
two modes only the server's is here (a patch on an object, never a patch on a patch).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ledger.apimachinery.gotext import json_kind, same, type_of, verb_v
from ledger.apimachinery.patch_merge import sorted_keys, without_nulls
from ledger.apimachinery.resource import Object, Schema
from ledger.apimachinery.status import StatusError, bad_request

_DIRECTIVE = "$patch"
_RETAIN_KEYS = "$retainKeys"
_ELEMENT_ORDER = "$setElementOrder/"
_DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"
_BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
_BAD_ELEMENT_ORDER = "invalid patch format of setElementOrder list"


def decode_strategic_patch(patch: Any) -> Object:
    """The decoded body, if it is an object (null is an empty one). Raises StatusError 400."""
    if isinstance(patch, dict):
        return patch
    if patch is None:
        return {}
    raise bad_request(f"json: cannot unmarshal {json_kind(patch)} into Go value of type map[string]interface {{}}")


def apply_strategic_patch(document: Object, patch: Object, schema: Schema) -> Object:
    """`document` with `patch` merged in; both are used up. Raises StatusError: 400, 422, or 500 as upstream has it.

    All maps come out sorted, those of opaque content too: upstream takes the whole object through Go's maps.
    """
    return sorted_keys(_merge_map(document, patch, _resolved(schema)))


def _unprocessed(message: str) -> StatusError:
    """What upstream does not map to a code: 500 without a reason."""
    return StatusError(500, "", message)


class _Field(NamedTuple):
    """What the schema says about one member of a map."""

    schema: Schema  # of the member; of its elements for a list
    strategy: str  # merge, replace or ""; retainKeys is the patch's business, not the schema's
    merge_key: str


def _resolved(schema: Schema) -> Schema:
    """A property that refers to a type keeps its own keys beside `allOf: [type]`."""
    while "allOf" in schema and len(schema["allOf"]) == 1:
        schema = schema["allOf"][0]
    return schema


def _field(schema: Schema, name: str, is_list: bool) -> _Field:
    """Raises StatusError for a member that a Go struct would not have."""
    properties = schema.get("properties")
    if not properties:
        if "additionalProperties" in schema:
            raise _unprocessed("merging an object in json but data type is not struct, instead is: map")
        raise _unprocessed(f'unable to find api field in struct RawExtension for the json field "{name}"')
    found = properties.get(name)
    if found is None:
        kinds = schema.get("x-kubernetes-group-version-kind") or [{}]
        struct = kinds[0].get("kind", "")
        raise _unprocessed(f'unable to find api field in struct {struct} for the json field "{name}"')
    strategies = [one for one in found.get("x-kubernetes-patch-strategy", "").split(",") if one != "retainKeys"]
    member = _resolved(found)
    if is_list and "items" in member:
        member = _resolved(member["items"])
    return _Field(member, strategies[0] if strategies else "", found.get("x-kubernetes-patch-merge-key", ""))


def _merge_map(original: Object, patch: Object, schema: Schema) -> Object:
    if _DIRECTIVE in patch:
        return _directed_map(patch)
    _retain_keys(original, patch)
    for key in [key for key in patch if key.startswith(_ELEMENT_ORDER)]:
        _merge_ordered(original, patch, key, schema)
    # Deletions first, so that what the same patch adds is there in the end (upstream leaves it to chance).
    for key, value in sorted(patch.items(), key=lambda item: not item[0].startswith(_DELETE_PRIMITIVES)):
        deletes = key.startswith(_DELETE_PRIMITIVES)
        name = key.removeprefix(_DELETE_PRIMITIVES) if deletes else key
        if value is None:
            original.pop(name, None)
        elif name in original and type(original[name]) is type(value) and isinstance(value, (dict, list)):
            original[name] = _merge_member(original[name], value, name, deletes, schema)
        elif not deletes:
            _set(original, name, value)
    return original


def _directed_map(patch: Object) -> Object:
    directive = patch[_DIRECTIVE]
    if directive == "replace":
        del patch[_DIRECTIVE]
        return patch
    if directive == "delete":
        return {}
    raise _unprocessed(f"unknown patch type: {verb_v(directive)} in map: {verb_v(patch)}")


def _retain_keys(original: Object, patch: Object) -> None:
    """`$retainKeys: [a, b]`: everything else in the live map goes; the patch may set nothing else."""
    if _RETAIN_KEYS not in patch:
        return
    retained = patch.pop(_RETAIN_KEYS)
    if not isinstance(retained, list):
        raise bad_request(_BAD_RETAIN_KEYS)
    for key, value in patch.items():
        if value is not None and not key.startswith((_DELETE_PRIMITIVES, _ELEMENT_ORDER)) and key not in retained:
            raise bad_request(_BAD_RETAIN_KEYS)
    for key in [key for key in original if key not in retained]:
        del original[key]


def _merge_member(original: Any, value: Any, name: str, deletes: bool, schema: Schema) -> Any:
    """Two maps or two lists; who merges what says the schema."""
    if isinstance(value, dict):
        known = _field(schema, name, is_list=False)
        return value if known.strategy == "replace" else _merge_map(original, value, known.schema)
    known = _field(schema, name, is_list=True)
    if known.strategy != "merge" and not deletes:
        return value
    return _merge_list(original, value, known, deletes)


def _set(original: Object, name: str, value: Any) -> None:
    value, keep = _without_directives(without_nulls(value))
    if keep:
        original[name] = value
    else:
        original.pop(name, None)


def _without_directives(value: Any) -> tuple[Any, bool]:
    """(value with every map that holds a directive left out, whether the value itself stays)."""
    if isinstance(value, dict):
        if _DIRECTIVE in value:
            return None, False
        kept = ((key, *_without_directives(member)) for key, member in value.items())
        return {key: member for key, member, keep in kept if keep}, True
    if isinstance(value, list):
        return [element for element, keep in map(_without_directives, value) if keep], True
    return value, True


def _merge_list(original: list[Any], patch: list[Any], known: _Field, deletes: bool) -> list[Any]:
    if not original and not patch:
        return original
    if not _are_maps(original, patch):
        if deletes:
            return [element for element in original if not _contains(patch, element)]
        return _ordered(_distinct([*original, *patch]), patch, original, "")
    if not known.merge_key:
        kind = "map" if "additionalProperties" in known.schema else "struct"
        raise _unprocessed(f"cannot merge lists without merge key for {kind}")
    original, patch = _apply_element_directives(original, patch, known.merge_key)
    return _ordered(_merge_elements(original, patch, known), patch, original, known.merge_key)


def _apply_element_directives(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """(live elements that stay, patch elements to merge), `{$patch: delete, key: x}` and `{$patch: replace}` done."""
    plain = [element for element in patch if _DIRECTIVE not in element]
    replace = False
    for element in patch:
        if _DIRECTIVE not in element:
            continue
        match element[_DIRECTIVE]:
            case "delete":
                value = _key_of(element, key)
                original = [live for live in original if not (key in live and same(live[key], value))]
            case "replace":
                replace = True
            case "merge":
                raise _unprocessed("merging lists cannot yet be specified in the patch")
            case directive:
                raise _unprocessed(f"unknown patch type: {verb_v(directive)} in map: {verb_v(element)}")
    return (plain, []) if replace else (original, plain)


def _merge_elements(original: list[Any], patch: list[Any], known: _Field) -> list[Any]:
    merged = list(original)
    for element in patch:
        value = _key_of(element, known.merge_key)
        for index, live in enumerate(merged):
            if known.merge_key in live and same(live[known.merge_key], value):
                merged[index] = _merge_map(live, element, known.schema)
                break
        else:
            merged.append(element)
    return merged


def _merge_ordered(original: Object, patch: Object, directive: str, schema: Schema) -> None:
    """Handles `$setElementOrder/<list>` together with the list's own patch, which is taken out of `patch`."""
    order = patch.pop(directive)
    if not isinstance(order, list):
        raise _unprocessed(f"expected a []interface {{}}, but received a {type_of(order)}")
    name = directive.removeprefix(_ELEMENT_ORDER)
    live, change = original.get(name), patch.get(name)
    for found, value in ((name in original, live), (name in patch, change)):
        if found and not isinstance(value, list):
            raise _unprocessed(f"expected a []interface {{}}, but received a {type_of(value)}")
    known = _field(schema, name, is_list=True)
    _check_order(change or [], order, known.merge_key)
    if name in patch and name in original:
        replaced = known.strategy != "merge"
        merged = change if replaced else _merge_list(live, change, known, deletes=False)  # type: ignore[arg-type]
    elif name in patch:
        merged, _ = _without_directives(change)
    elif name in original:
        merged = live
    else:
        return
    if not live and not change:
        raise _unprocessed("no elements in any of the given slices")
    original[name] = _ordered(merged, order, live or [], known.merge_key)  # type: ignore[arg-type]
    patch.pop(name, None)


def _check_order(change: list[Any], order: list[Any], key: str) -> None:
    """What is not deleted must come in the order the directive gives."""
    if not order or not change:
        return
    stays = (
        [one for one in change if not (isinstance(one, dict) and one.get(_DIRECTIVE) == "delete")] if key else change
    )
    rest = [one for one in stays if not (isinstance(one, dict) and _DIRECTIVE in one)]
    position = 0
    for one in order:
        if position < len(rest) and _equal_by(rest[position], one, key):
            position += 1
    if position < len(rest):
        text = f"The order in patch list:\n{verb_v(change)}\n doesn't match $setElementOrder list:\n{verb_v(order)}\n"
        raise _unprocessed(text)


def _equal_by(left: Any, right: Any, key: str) -> bool:
    if not key:
        return same(left, right)
    for one in (left, right):
        if not isinstance(one, dict):
            raise _unprocessed(f"expected a map[string]interface {{}}, but received a {type_of(one)}")
    return same(_key_of(left, key), _key_of(right, key))


def _ordered(merged: list[Any], patch_order: list[Any], live_order: list[Any], key: str) -> list[Any]:
    """Elements the patch names in the patch's order, the others in the live order, interleaved by the live order."""
    patch_places, live_places = _Places(patch_order, key), _Places(live_order, key)
    named = [(patch_places.of(one), one) for one in merged if patch_places.of(one) >= 0]
    others = [(live_places.of(one), one) for one in merged if patch_places.of(one) < 0]
    left = [one for _, one in sorted(others, key=lambda pair: pair[0])]
    right = [one for _, one in sorted(named, key=lambda pair: pair[0])]
    result: list[Any] = []
    for element in right:
        place = live_places.of(element)
        while left and 0 <= live_places.of(left[0]) < place:
            result.append(left.pop(0))
        result.append(element)
    return result + left


class _Places:
    """Where elements stand in a list, found by merge key or by value; -1 when they do not."""

    def __init__(self, elements: list[Any], key: str) -> None:
        self._key = key
        self._places: dict[tuple[type, Any], int] = {}
        for index, element in enumerate(elements):
            self._places.setdefault(self._identity(element), index)

    def of(self, element: Any) -> int:
        return self._places.get(self._identity(element), -1)

    def _identity(self, element: Any) -> tuple[type, Any]:
        if self._key:
            element = _key_of(element, self._key)
        return type(element), element


def _key_of(element: Any, key: str) -> Any:
    if not isinstance(element, dict):
        raise _unprocessed(f"expected a map[string]interface {{}}, but received a {type_of(element)}")
    if key not in element:
        raise _unprocessed(f"map: {verb_v(element)} does not contain declared merge key: {key}")
    value = element[key]
    if isinstance(value, (dict, list)):
        raise _unprocessed(f"map: {verb_v(element)} does not contain declared merge key: {key}")
    return value


def _are_maps(*lists: list[Any]) -> bool:
    """Whether the elements are maps. Raises when they differ in type, or are lists themselves."""
    types = {type_of(element) for elements in lists for element in elements}
    if "[]interface {}" in types:
        raise StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {})
    if len(types) > 1:
        raise _unprocessed(f"list element types are not identical: {verb_v(list(lists))}")
    return types == {"map[string]interface {}"}


def _contains(elements: list[Any], wanted: Any) -> bool:
    return any(same(element, wanted) for element in elements)


def _distinct(elements: list[Any]) -> list[Any]:
    return list({(type(element), element): element for element in elements}.values())
