"""FlowSchemas and PriorityLevelConfigurations. Which parts of a priority level go with its type has declared rules."""

from __future__ import annotations

import math
from typing import Any

from ledger.apimachinery.names import is_dns1123_label, is_dns1123_subdomain
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.paths import get
from ledger.scheme.strategies.validation.common import meta_findings
from ledger.scheme.strategies.validation.diffs import go_value
from ledger.scheme.strategies.validation.findings import Findings

Spec = dict[str, Any]
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_EVERYTHING: Spec = {
    "resourceRules": [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    ],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}


def _groups(*names: str) -> list[Spec]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


# Objects whose spec is fixed.
_FIXED_SCHEMAS: dict[str, Spec] = {
    "exempt": {
        "priorityLevelConfiguration": {"name": "exempt"},
        "matchingPrecedence": 1,
        "rules": [{"subjects": _groups("system:masters"), **_EVERYTHING}],
    },
    "catch-all": {
        "priorityLevelConfiguration": {"name": "catch-all"},
        "matchingPrecedence": 10000,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [{"subjects": _groups("system:unauthenticated", "system:authenticated"), **_EVERYTHING}],
    },
}
_FIXED_CATCH_ALL: Spec = {
    "type": "Limited",
    "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}},
}


def flow_schema(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found, spec, name = meta_findings(definition, obj), obj.get("spec") or {}, obj["metadata"].get("name", "")
    _precedence(found, name, spec.get("matchingPrecedence", 0))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        path = "spec.distinguisherMethod.type"
        found.not_supported(path, {"Type": method.get("type", "")}, ("ByNamespace", "ByUser"))
    level, path = get(spec, "priorityLevelConfiguration.name", ""), "spec.priorityLevelConfiguration.name"
    if level:
        found.check(path, level, is_dns1123_subdomain)
    else:
        found.required(path, "must reference a priority level")
    for at, rule in enumerate(spec.get("rules") or ()):
        _rule_with_subjects(found, f"spec.rules[{at}]", rule)
    if name in _FIXED_SCHEMAS and not same(spec, _FIXED_SCHEMAS[name]):
        shown = go_value("flowcontrol.FlowSchemaSpec", spec)
        found.invalid("spec", shown, f"spec of '{name}' must equal the fixed value")
    _conditions(found, obj)
    return found


def flow_schema_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return flow_schema(definition, obj, context)


def _precedence(found: Findings, name: str, value: int) -> None:
    path = "spec.matchingPrecedence"
    if value <= 0:
        found.invalid(path, value, "must be a positive value")
    if value > 10000:
        found.invalid(path, value, "must not be greater than 10000")
    if value == 1 and name != "exempt":
        found.invalid(path, value, "only the schema named 'exempt' may have matchingPrecedence 1")


def _rule_with_subjects(found: Findings, path: str, rule: Spec) -> None:
    for at, subject in enumerate(rule.get("subjects") or ()):
        _subject(found, f"{path}.subjects[{at}]", subject)
    if not rule.get("subjects"):
        found.required(f"{path}.subjects", "subjects must contain at least one value")
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        found.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty")
    for at, one in enumerate(rule.get("resourceRules") or ()):
        _resource_rule(found, f"{path}.resourceRules[{at}]", one)
    for at, one in enumerate(rule.get("nonResourceRules") or ()):
        _verbs(found, f"{path}.nonResourceRules[{at}]", one.get("verbs"))
        _urls(found, f"{path}.nonResourceRules[{at}].nonResourceURLs", one.get("nonResourceURLs"))


_SUBJECTS = {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}


def _subject(found: Findings, path: str, subject: Spec) -> None:
    kind = subject.get("kind", "")
    if kind not in _SUBJECTS:
        found.not_supported(f"{path}.kind", kind, sorted(_SUBJECTS))
        return
    key = _SUBJECTS[kind]
    here, one = f"{path}.{key}", subject.get(key)
    if one is None:
        found.required(here, f"{key} is required when subject kind is '{kind}'")
    elif not one.get("name"):
        found.required(f"{here}.name")
    elif kind == "ServiceAccount" and one["name"] != "*":
        found.check(f"{here}.name", one["name"], is_dns1123_subdomain)
    if kind == "ServiceAccount" and one is not None:
        if one.get("namespace"):
            found.check(f"{here}.namespace", one["namespace"], is_dns1123_label)
        else:
            found.required(f"{here}.namespace", "must specify namespace for service account")
    for other, name in _SUBJECTS.items():
        if other != kind and subject.get(name) is not None:
            found.forbidden(f"{path}.{name}", f"{name} is forbidden when subject kind is not '{other}'")


def _verbs(found: Findings, path: str, verbs: list[str] | None) -> None:
    if not verbs:
        found.required(f"{path}.verbs", "verbs must contain at least one value")
    elif "*" in verbs:
        _alone(found, f"{path}.verbs", verbs, "verbs")
    elif not set(verbs) <= set(_VERBS):
        found.not_supported(f"{path}.verbs", verbs, _VERBS)


def _alone(found: Findings, path: str, values: list[str], what: str) -> None:
    if len(values) > 1 and "*" in values:
        found.invalid(path, values, f"if '*' is present, must not specify other {what}")


def _urls(found: Findings, path: str, urls: list[str] | None) -> None:
    if not urls:
        found.required(path, "nonResourceURLs must contain at least one value")
    elif "*" in urls:
        _alone(found, path, urls, "non-resource URLs")
    else:
        for at, url in enumerate(urls):
            error = _url_error(url)
            if error:
                found.invalid(f"{path}[{at}]", url, error)


def _url_error(url: str) -> str:
    if not url:
        return "must not be empty"
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    if url.count("*") > 1 or ("*" in url and not url.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""


def _resource_rule(found: Findings, path: str, rule: Spec) -> None:
    _verbs(found, path, rule.get("verbs"))
    for key, one, many in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        if rule.get(key):
            _alone(found, f"{path}.{key}", rule[key], many)
        else:
            found.required(f"{path}.{key}", f"resource rules must supply at least one {one}")
    namespaces = rule.get("namespaces") or []
    if not namespaces and not rule.get("clusterScope"):
        text = "resource rules that are not cluster scoped must supply at least one namespace"
        found.required(f"{path}.namespaces", text)
    elif "*" in namespaces:
        _alone(found, f"{path}.namespaces", namespaces, "namespaces")
    else:
        for at, name in enumerate(namespaces):
            for text in is_dns1123_label(name):
                intro = "each member of this list must be '*' or a DNS-1123 label; "
                found.invalid(f"{path}.namespaces[{at}]", name, intro + text)


def _conditions(found: Findings, obj: Object) -> None:
    seen: set[str] = set()
    for at, one in enumerate(get(obj, "status.conditions", [])):
        kind, path = one.get("type", ""), f"status.conditions[{at}].type"
        if kind in seen:
            found.duplicate(path, kind)
        seen.add(kind)
        if not kind:
            found.required(path)


def status(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    found = Findings()
    _conditions(found, obj)
    return found


_ZERO_SHARES = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"


def priority_level(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    found, spec, name = meta_findings(definition, obj), obj.get("spec") or {}, obj["metadata"].get("name", "")
    if _ZERO_SHARES in get(obj, "metadata.annotations", {}):
        found.forbidden("metadata.annotations", f"annotation '{_ZERO_SHARES}' is forbidden")
    kind = spec.get("type", "")
    if (name == "exempt") != (kind == "Exempt"):
        found.invalid("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'")
    if kind == "Exempt" and spec.get("exempt") is not None:
        _shares(found, "spec.exempt", spec["exempt"])
    elif kind == "Limited" and spec.get("limited") is not None:
        _limited(found, spec["limited"], context)
    elif kind not in ("", "Exempt", "Limited"):
        found.not_supported("spec.type", kind, ("Exempt", "Limited"))
    _fixed_level(found, name, spec)
    _conditions(found, obj)
    return found


def priority_level_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    return priority_level(definition, obj, context)


def _fixed_level(found: Findings, name: str, spec: Spec) -> None:
    shown = "flowcontrol.PriorityLevelConfigurationSpec"
    rest = {key: value for key, value in spec.items() if key != "exempt"}
    if name == "exempt" and not same(rest, {"type": "Exempt"}):
        text = "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value"
        found.invalid("spec", go_value(shown, spec), text)
    elif name == "catch-all" and not same(spec, _FIXED_CATCH_ALL):
        found.invalid("spec", go_value(shown, spec), "spec of 'catch-all' must equal the fixed value")


def _shares(found: Findings, path: str, level: Spec) -> None:
    shares, percent = level.get("nominalConcurrencyShares"), level.get("lendablePercent")
    if shares is not None and shares < 0:
        found.invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer")
    if percent is not None and not 0 <= percent <= 100:
        found.invalid(f"{path}.lendablePercent", percent, "must be between 0 and 100, inclusive")


def _limited(found: Findings, level: Spec, context: Context) -> None:
    path, response = "spec.limited", level.get("limitResponse") or {}
    shares, borrowed = level.get("nominalConcurrencyShares") or 0, level.get("borrowingLimitPercent")
    if shares < 0:
        found.invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer")
    kind, queuing = response.get("type", ""), response.get("queuing")
    if kind == "Queue" and queuing is not None:
        _queuing(found, f"{path}.limitResponse.queuing", queuing)
    elif kind not in ("", "Queue", "Reject"):
        found.not_supported(f"{path}.limitResponse.type", kind, ("Queue", "Reject"))
    _shares(found, path, {"lendablePercent": level.get("lendablePercent")})
    if borrowed is not None and borrowed < 0:
        text = "if specified, must be a non-negative integer"
        found.invalid(f"{path}.borrowingLimitPercent", borrowed, text)


def _queuing(found: Findings, path: str, queuing: Spec) -> None:
    limit, queues, hand = (queuing.get(key, 0) for key in ("queueLengthLimit", "queues", "handSize"))
    if limit <= 0:
        found.invalid(f"{path}.queueLengthLimit", limit, "must be positive")
    if queues <= 0:
        found.invalid(f"{path}.queues", queues, "must be positive")
    elif queues > 10_000_000:
        found.invalid(f"{path}.queues", queues, "must not be greater than 10000000")
    if hand <= 0:
        found.invalid(f"{path}.handSize", hand, "must be positive")
    elif hand > queues:
        found.invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})")
    elif math.ceil(math.log2(queues) * hand) > 60:
        text = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than 60"
        found.invalid(f"{path}.handSize", hand, text)
