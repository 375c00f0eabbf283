"""Admission policies and their bindings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ledger.apimachinery.names import is_dns1035_label, is_dns1123_subdomain, is_path_segment, is_qualified_name
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.common import conditions, label_selector, meta_findings
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.webhooks import (
    expression,
    match_conditions,
    rule_with_operations,
    static_suffix,
)

if TYPE_CHECKING:
    from ledger.scheme.cel.admission import Scope

Spec = dict[str, Any]
_EMPTY = "validations or auditAnnotations must contain at least one item"
_RESERVED = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    }
)


def policy(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """A ValidatingAdmissionPolicy or a MutatingAdmissionPolicy."""
    found = _policy(definition, obj, None)
    static_suffix(found, obj)
    return found


def policy_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return _policy(definition, obj, old.get("spec") or {})


def _policy(definition: ResourceDefinition, obj: Object, old: Spec | None) -> Findings:
    found, spec = meta_findings(definition, obj), obj.get("spec") or {}
    mutating = definition.kind.startswith("Mutating")
    if spec.get("failurePolicy") is None:
        found.required("spec.failurePolicy")
    else:
        found.one_of("spec.failurePolicy", spec["failurePolicy"], ("Fail", "Ignore"))
    from ledger.scheme.cel.admission import Scope  # loaded with the first policy, not at every start

    parameters, constraints = spec.get("paramKind"), spec.get("matchConstraints")
    if parameters is not None:
        _param_kind(found, "spec.paramKind", parameters)
    if constraints is None:
        found.required("spec.matchConstraints")
    else:
        _match_resources(found, "spec.matchConstraints", constraints)
        if not constraints.get("resourceRules"):
            found.required("spec.matchConstraints.resourceRules")
        if mutating:
            _mutable_operations(found, "spec.matchConstraints", constraints)
    scope = Scope(parameters is not None)
    unchanged = old is not None and all(same(spec.get(k), old.get(k)) for k in ("paramKind", "matchConditions"))
    if not unchanged:
        match_conditions(found, "spec.matchConditions", spec.get("matchConditions"), scope)
    for at, one in enumerate(spec.get("variables") or ()):
        _variable(found, f"spec.variables[{at}]", one, scope)
    if mutating:
        _mutations(found, spec, scope)
    else:
        _validations(found, obj["metadata"].get("name", ""), spec, scope)
    return found


def _param_kind(found: Findings, path: str, one: Spec) -> None:
    version, kind = one.get("apiVersion", ""), one.get("kind", "")
    if not version:
        found.required(f"{path}.apiVersion")
    elif version.count("/") > 1:
        found.invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}")
    else:
        group, _, name = version.rpartition("/")
        complaints = is_dns1123_subdomain(group) if group else []
        if complaints:
            found.invalid(f"{path}.apiVersion", group, ",".join(complaints))
        complaints = is_dns1035_label(name)
        if not name:
            found.invalid(f"{path}.apiVersion", version, "version must be specified")
        elif complaints:
            found.invalid(f"{path}.apiVersion", name, ",".join(complaints))
    complaints = is_dns1035_label(kind.lower())
    if not kind:
        found.required(f"{path}.kind")
    elif complaints:
        text = "may have mixed case, but should otherwise match: " + ",".join(complaints)
        found.invalid(f"{path}.kind", kind, text)


def _match_resources(found: Findings, path: str, match: Spec) -> None:
    if match.get("matchPolicy") is None:
        found.required(f"{path}.matchPolicy")
    else:
        found.one_of(f"{path}.matchPolicy", match["matchPolicy"], ("Equivalent", "Exact"))
    for key in ("namespaceSelector", "objectSelector"):
        if match.get(key) is None:
            found.required(f"{path}.{key}")
        label_selector(found, match.get(key), f"{path}.{key}")
    for key in ("resourceRules", "excludeResourceRules"):
        for at, rule in enumerate(match.get(key) or ()):
            here, names = f"{path}.{key}[{at}]", rule.get("resourceNames") or []
            for index, name in enumerate(names):
                found.check(f"{here}.resourceNames[{index}]", name, is_path_segment)
                if name in names[:index]:
                    found.duplicate(f"{here}.resourceNames[{index}]", name)
            rule_with_operations(found, here, rule)


def _mutable_operations(found: Findings, path: str, match: Spec) -> None:
    for rule in match.get("resourceRules") or ():
        for one in rule.get("operations") or ():
            found.one_of(f"{path}.resourceRules.operations", one, ("*", "CONNECT", "CREATE", "UPDATE"))


def _variable(found: Findings, path: str, one: Spec, scope: Scope) -> None:
    name = one.get("name", "")
    if not name.strip():
        found.required(f"{path}.name", "name is not specified")
    elif not re.fullmatch("[_a-zA-Z][_a-zA-Z0-9]*", name) or name in _RESERVED:
        found.invalid(f"{path}.name", name, "must be a valid CEL identifier")
    expression(found, f"{path}.expression", one.get("expression", ""), "any", scope, "expression is not specified")
    scope.name(name, one.get("expression", ""))


def _validations(found: Findings, name: str, spec: Spec, scope: Scope) -> None:
    validations, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
    if not validations and not annotations:
        found.required("spec.validations", _EMPTY)
        found.required("spec.auditAnnotations", _EMPTY)
        return
    for at, one in enumerate(validations):
        _validation(found, f"spec.validations[{at}]", one, scope)
    if len(annotations) > 20:
        shown = [{"Key": one.get("key", ""), "ValueExpression": one.get("valueExpression", "")} for one in annotations]
        found.invalid("spec.auditAnnotations", shown, "must not have more than 20 auditAnnotations")
    keys: set[str] = set()
    for at, one in enumerate(annotations):
        path, key = f"spec.auditAnnotations[{at}]", one.get("key", "")
        _audit_annotation(found, path, name, one, scope)
        if key in keys:
            found.duplicate(f"{path}.key", key)
        keys.add(key)


def _validation(found: Findings, path: str, one: Spec, scope: Scope) -> None:
    message, computed = one.get("message", ""), one.get("messageExpression", "")
    text = "expression is not specified"
    expression(found, f"{path}.expression", one.get("expression", ""), "bool", scope, text)
    if computed and not computed.strip():
        found.invalid(f"{path}.messageExpression", computed, "must be non-empty if specified")
    elif computed:
        expression(found, f"{path}.messageExpression", computed, "string", scope)
    if message and not message.strip():
        found.invalid(f"{path}.message", message, "must be non-empty if specified")
    elif re.search("[\n\r]", message.strip()):
        found.invalid(f"{path}.message", message, "must not contain line breaks")
    if one.get("reason") is not None:
        found.one_of(f"{path}.reason", one["reason"], ("Forbidden", "Invalid", "RequestEntityTooLarge"))


def _audit_annotation(found: Findings, path: str, name: str, one: Spec, scope: Scope) -> None:
    key, text = one.get("key", ""), one.get("valueExpression", "").strip()
    if name:
        found.check(f"{path}.key", f"{name}/{key}", is_qualified_name)
    else:
        found.invalid(f"{path}.key", key, "requires metadata.name be non-empty")
    path += ".valueExpression"
    if len(text.encode()) > 5 * 1024:
        found.required(path, "must not exceed 5120 bytes in length")
    else:
        expression(found, path, text, "annotation", scope, "valueExpression is not specified")


def _mutations(found: Findings, spec: Spec, scope: Scope) -> None:
    mutations = spec.get("mutations") or []
    if not mutations:
        found.required("spec.mutations", "mutations must contain at least one item")
    keys = {"JSONPatch": "jsonPatch", "ApplyConfiguration": "applyConfiguration"}
    for at, one in enumerate(mutations):
        path, kind = f"spec.mutations[{at}]", one.get("patchType", "")
        found.one_of_required(f"{path}.patchType", kind, sorted(keys, key=str.encode))
        if kind not in keys:
            continue
        (other,) = (value for name, value in keys.items() if name != kind)
        patch = one.get(keys[kind])
        if patch is None:
            found.required(f"{path}.{keys[kind]}", f"must be specified when patchType is {kind}")
        else:
            text = patch.get("expression", "").strip()
            expression(found, f"{path}.{keys[kind]}.expression", text, kind, scope)
        if one.get(other) is not None:
            text = f"must not be specified when patchType is {kind}"
            found.invalid(f"{path}.{other}", "{" + other + "}", text)
    again = spec.get("reinvocationPolicy", "")
    found.one_of_required("spec.reinvocationPolicy", again, ("IfNeeded", "Never"))


def binding(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """A binding of either kind of policy."""
    found = _binding(definition, obj)
    static_suffix(found, obj)
    return found


def binding_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return _binding(definition, obj)


def _binding(definition: ResourceDefinition, obj: Object) -> Findings:
    """That a ValidatingAdmissionPolicyBinding names a policy and an action has declared rules."""
    found, spec = meta_findings(definition, obj), obj.get("spec") or {}
    mutating, name = definition.kind.startswith("Mutating"), spec.get("policyName", "")
    if name:
        found.check("spec.policyName", name, is_dns1123_subdomain)
    elif mutating:
        found.required("spec.policyName")
    if spec.get("paramRef") is not None:
        _param_ref(found, "spec.paramRef", spec["paramRef"])
    match = spec.get("matchResources")
    if match is not None:
        _match_resources(found, "spec.matchResources", match)
        if mutating:
            _mutable_operations(found, "spec.matchResources", match)
    if not mutating:
        _actions(found, "spec.validationActions", spec.get("validationActions") or [])
    return found


def _param_ref(found: Findings, path: str, reference: Spec) -> None:
    name, selector, action = (reference.get(key) for key in ("name", "selector", "parameterNotFoundAction"))
    exclusive = "name and selector are mutually exclusive"
    if name:
        found.check(f"{path}.name", name, is_path_segment)
        if selector is not None:
            found.forbidden(f"{path}.name", exclusive)
    label_selector(found, selector, f"{path}.selector")
    if name and selector is not None:
        found.forbidden(f"{path}.selector", exclusive)
    if not name and selector is None:
        found.required(path, "one of name or selector must be specified")
    found.one_of_required(f"{path}.parameterNotFoundAction", action, ("Deny", "Allow"))


def _actions(found: Findings, path: str, actions: list[str]) -> None:
    for at, action in enumerate(actions):
        found.one_of(f"{path}[{at}]", action, ("Audit", "Deny", "Warn"))
        if action in actions[:at]:
            found.duplicate(f"{path}[{at}]", action)
    if {"Deny", "Warn"} <= set(actions):
        why = "repeating the same validation failure information in the API response and headers serves no purpose"
        found.invalid(path, actions, f"must not contain both Deny and Warn ({why})")


def policy_status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = Findings()
    for at, one in enumerate(get(obj, "status.typeChecking.expressionWarnings", [])):
        path = f"status.typeChecking.expressionWarnings[{at}]"
        if not one.get("warning"):
            found.required(f"{path}.warning")
        if not one.get("fieldRef", "").strip():
            found.required(f"{path}.fieldRef")
    conditions(found, get(obj, "status.conditions"), "status.conditions")
    return found
