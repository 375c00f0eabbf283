"""MutatingAdmissionPolicy: expressions that give a patch, applied to the object on its way in.

Follows pkg/admission/plugin/policy/mutating and plugin/policy/generic of k8s.io/apiserver. Policies that may be invoked
again are, once, when a later one changed what they had seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from ledger.admission.api import Attributes
from ledger.admission.forms import as_matched, from_matched, patched_form
from ledger.admission.matching import refuse
from ledger.admission.policies.hooks import Hook, Server, concerned, hooks
from ledger.admission.policies.index import MUTATING, EvaluationError
from ledger.apimachinery.fieldmerge import check, merge
from ledger.apimachinery.fieldtypes import Type, TypeMismatch, compiled
from ledger.apimachinery.patch_json import TestFailed, apply_json_patch
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError
from ledger.projections.api import View

Place = tuple[str, str, str]  # names of policy, binding and parameters


class PatchError(Exception):
    """An expression's patch cannot be applied; the text is what upstream tells the client."""


class MutatingAdmissionPolicy:
    name = "MutatingAdmissionPolicy"

    def __init__(self, server: Server) -> None:
        self._server = server

    def handles(self, attributes: Attributes) -> bool:
        return concerned(self._server, MUTATING, attributes)

    def admit(self, attributes: Attributes, view: View) -> None:
        """Changes the object. Raises StatusError 403 when a policy fails that must not."""
        errors: list[str] = []
        rounds = attributes.rounds
        again = rounds.of(self.name)
        again.begin(attributes)
        attributes.keep_origin()
        for hook in hooks(self._server, MUTATING, attributes, view):
            place = _place(hook)
            if rounds.second and place not in again.due:
                continue
            if self._invoke(attributes, hook, errors):
                again.changed()
                rounds.wanted = True
            if hook.policy.spec.get("reinvocationPolicy") == "IfNeeded":
                again.invoked(place)
        again.end(attributes)
        if errors:
            raise _refused(attributes, errors)

    def _invoke(self, attributes: Attributes, hook: Hook, errors: list[str]) -> bool:
        """Whether the object was changed. What goes wrong is added to `errors`, unless the policy ignores failures."""
        policy, before = hook.policy, attributes.object
        found: list[str] = [hook.wrong] if hook.wrong else []
        try:
            if not found and policy.evaluator.applies(hook.bindings or {}, policy.ignores_failures):
                for at in range(len(policy.evaluator.mutations)):
                    try:
                        self._mutate(attributes, hook, at)
                    except (EvaluationError, PatchError) as error:
                        found.append(str(error))
        except EvaluationError as error:
            found.append(str(error))
        if not policy.ignores_failures:
            errors += [f"{_described(hook)} denied request: {one}" for one in found]
        return attributes.object != before

    def _mutate(self, attributes: Attributes, hook: Hook, at: int) -> None:
        assert hook.bindings is not None and hook.matched is not None
        bindings, found = hook.bindings, hook.matched
        if attributes.object is None:
            return
        current = as_matched(self._server.forms, found, attributes, attributes.object)
        assert current is not None
        given = hook.policy.evaluator.mutations[at].evaluate({**bindings, "object": current})
        if hook.policy.spec["mutations"][at]["patchType"] == "JSONPatch":
            patched, strict = json_patched(current, given), True
        else:
            patched, strict = merged(current, given, compiled(found.version.schema)), False
        if patched == current:
            return
        normal = patched_form(self._server.forms, found, attributes.subresource, patched, strict)
        attributes.patched = True
        attributes.object = from_matched(self._server.forms, found, attributes, normal)
        bindings["object"] = as_matched(self._server.forms, found, attributes, attributes.object)


def _place(hook: Hook) -> Place:
    params = (hook.bindings or {}).get("params")
    metadata = (params or {}).get("metadata", {})
    binding = "" if hook.binding is None else hook.binding.name
    return hook.policy.name, binding, f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"


def _described(hook: Hook) -> str:
    if hook.binding is None:
        return f'policy "{hook.policy.name}"'
    return f"policy '{hook.policy.name}' with binding '{hook.binding.name}'"


def _refused(attributes: Attributes, errors: list[str]) -> StatusError:
    """403, although the reason is mostly Invalid: upstream leaves the code as it is."""
    error = refuse(attributes, "admission request denied by policy")
    error.message = errors[0]
    error.args = (errors[0],)
    error.reason = "Invalid"
    error.details = {**(error.details or {}), "causes": [{"message": one} for one in errors]}
    return error


# --- patches ---------------------------------------------------------------------------------------------------------
def json_patched(current: Object, given: Any) -> Object:
    """The object after a list of JSONPatch values. A failed test changes nothing. Raises PatchError."""
    patched = deepcopy(current)
    for one in given:
        _check_names(one.get("value"))
        operation = {name: plain(value) for name, value in one.items() if name != "from" or value}
        try:
            patched = apply_json_patch(patched, [operation])
        except StatusError as error:
            if isinstance(error.__cause__, TestFailed):
                return current
            raise PatchError(f"JSON Patch: {error.__cause__ or error}") from None
    return patched


def merged(current: Object, given: Any, made: Type) -> Object:
    """The object with everything an apply configuration says. Raises PatchError."""
    _check_names(given)
    patch = {**plain(given), "apiVersion": current["apiVersion"], "kind": current["kind"]}
    try:
        check(patch, made)
    except TypeMismatch as error:
        why = f"failed to convert patch object to typed object: {error}"
        raise PatchError(f"error applying patch: {why}") from None
    atomics = list(_atomics(patch, made, ""))
    if atomics:
        why = f"may not mutate atomic arrays, maps or structs: {', '.join(atomics)}"
        raise PatchError(f"error applying patch: invalid ApplyConfiguration: {why}")
    result: Object = merge(deepcopy(current), patch, made)
    return result


def _atomics(value: Any, made: Type, path: str) -> list[str]:
    """Where the patch would replace something whole."""
    found: list[str] = []
    if isinstance(value, dict) and made.map_type:
        if made.map_type.atomic:
            found.append(path)
        for name, one in value.items():
            if name in made.map_type.fields:
                found += _atomics(one, made.map_type.fields[name], f"{path}.{name}")
    elif isinstance(value, list) and made.list_type:
        if not made.list_type.associative:
            found.append(path)
        for index, one in enumerate(value):
            found += _atomics(one, made.list_type.element, f"{path}[{index}]")
    return found


def _check_names(value: Any) -> None:
    """`Object.spec{...}` may only stand where spec is. Raises PatchError."""
    from ledger.scheme.cel.values import MessageValue

    if isinstance(value, MessageValue):
        wrong = list(_misnamed(value, value.name))
        if wrong:
            raise PatchError(f"type mismatch: {chr(10).join(wrong)}")


def _misnamed(value: Any, path: str) -> list[str]:
    from ledger.scheme.cel.values import MessageValue

    found: list[str] = []
    if isinstance(value, MessageValue):
        if value.name != path:
            expected = f'expected "{path}", which matches field name path from root Object type'
            found.append(f'unexpected type name "{value.name}", {expected}')
        for name, one in value.items():
            found += _misnamed(one, f"{path}.{name}")
    elif isinstance(value, Mapping):
        for one in value.values():
            found += _misnamed(one, path)
    elif isinstance(value, list):
        for one in value:
            found += _misnamed(one, path)
    return found


def plain(value: Any) -> Any:
    """A CEL value as JSON has it. Raises PatchError."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)  # uint is a number of its own in CEL
    if isinstance(value, bytes) or hasattr(value, "cel_type"):
        raise PatchError("JSONPath valueExpression evaluated to a type that could not marshal to JSON")
    return value
