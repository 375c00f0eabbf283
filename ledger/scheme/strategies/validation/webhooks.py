"""Webhook configurations, and the rules of what they and admission policies match."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ledger.apimachinery.names import is_dns1035_label, is_dns1123_subdomain, is_port_number, is_qualified_name
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.equality import same
from ledger.scheme.strategies.validation.common import label_selector, meta_findings
from ledger.scheme.strategies.validation.findings import Findings

if TYPE_CHECKING:
    from ledger.scheme.cel.admission import Scope

Spec = dict[str, Any]
_REVIEW_VERSIONS = ("v1", "v1beta1")
_KNOWN = ", ".join(_REVIEW_VERSIONS)
_HARMLESS = ("None", "NoneOnDryRun")


@dataclass(frozen=True, slots=True)
class _Lenience:
    """What an update leaves alone because it was stored so."""

    conditions: bool = False
    side_effects: bool = False
    review_versions: bool = False
    names: bool = False
    selectors: bool = False


def configuration(definition: ResourceDefinition, obj: Object, context: Context) -> Findings:
    """A MutatingWebhookConfiguration or a ValidatingWebhookConfiguration."""
    found = _configuration(definition, obj, _Lenience())
    static_suffix(found, obj)
    return found


def configuration_update(definition: ResourceDefinition, obj: Object, old: Object, context: Context) -> Findings:
    hooks, before = obj.get("webhooks") or [], old.get("webhooks") or []
    conditions = len(hooks) == len(before) and all(
        same(new.get("matchConditions"), was.get("matchConditions")) for new, was in zip(hooks, before, strict=True)
    )
    versions = [hook.get("admissionReviewVersions") or [] for hook in before]
    names, was_selector = [hook.get("name", "") for hook in before], Findings()
    for hook in before:
        for key in ("namespaceSelector", "objectSelector"):
            label_selector(was_selector, hook.get(key), "")
    lenience = _Lenience(
        conditions,
        side_effects=any(hook.get("sideEffects") not in _HARMLESS for hook in before),
        review_versions=any(ones and not set(ones) & set(_REVIEW_VERSIONS) for ones in versions),
        names=len(set(names)) != len(names),
        selectors=bool(was_selector),
    )
    return _configuration(definition, obj, lenience)


def static_suffix(found: Findings, obj: Object) -> None:
    name = obj["metadata"].get("name", "")
    if name.endswith(".static.k8s.io"):
        what = "are reserved for static manifest-based configurations and cannot be managed via the API"
        found.invalid("metadata.name", name, f'names ending with ".static.k8s.io" {what}')


def _configuration(definition: ResourceDefinition, obj: Object, lenience: _Lenience) -> Findings:
    found, names = meta_findings(definition, obj), set()
    for at, hook in enumerate(obj.get("webhooks") or ()):
        path, name = f"webhooks[{at}]", hook.get("name", "")
        _webhook(found, path, hook, lenience)
        told, at_versions = hook.get("admissionReviewVersions"), f"{path}.admissionReviewVersions"
        review_versions(found, at_versions, told, lenience.review_versions, f"must specify one of {_KNOWN}")
        if name and not lenience.names:
            if name in names:
                found.duplicate(f"{path}.name", name)
            names.add(name)
    return found


def review_versions(found: Findings, path: str, versions: list[str] | None, lenient: bool, missing: str = "") -> None:
    """The versions of reviews that a webhook takes; `missing`: what is said where none is told."""
    if not versions:
        found.required(path, missing)
        return
    for at, version in enumerate(versions):
        if version in versions[:at]:
            found.invalid(f"{path}[{at}]", version, "duplicate version")
        else:
            found.check(f"{path}[{at}]", version, is_dns1035_label)
    if not lenient and not set(versions) & set(_REVIEW_VERSIONS):
        found.invalid(path, versions, f"must include at least one of {_KNOWN}")


def _webhook(found: Findings, path: str, hook: Spec, lenience: _Lenience) -> None:
    _qualified(found, f"{path}.name", hook.get("name", ""))
    for at, rule in enumerate(hook.get("rules") or ()):
        rule_with_operations(found, f"{path}.rules[{at}]", rule)
    for key, values in (("failurePolicy", ("Fail", "Ignore")), ("matchPolicy", ("Equivalent", "Exact"))):
        if hook.get(key) is not None:
            found.one_of(f"{path}.{key}", hook[key], values)
    effects = ("None", "NoneOnDryRun", "Some", "Unknown") if lenience.side_effects else _HARMLESS
    if hook.get("sideEffects") is None:
        found.required(f"{path}.sideEffects", f"must specify one of {', '.join(effects)}")
    else:
        found.one_of(f"{path}.sideEffects", hook["sideEffects"], effects)
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        found.invalid(f"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
    for key in ("namespaceSelector", "objectSelector"):
        label_selector(found, hook.get(key), f"{path}.{key}", lenience.selectors)
    if hook.get("reinvocationPolicy") is not None:
        found.one_of(f"{path}.reinvocationPolicy", hook["reinvocationPolicy"], ("IfNeeded", "Never"))
    _client(found, f"{path}.clientConfig", hook.get("clientConfig") or {})
    if hook.get("matchConditions") and not lenience.conditions:
        from ledger.scheme.cel.admission import Scope  # loaded with the first condition, not at every start

        match_conditions(found, f"{path}.matchConditions", hook.get("matchConditions"), Scope(variables=None))


def _qualified(found: Findings, path: str, name: str) -> None:
    complaints = is_dns1123_subdomain(name)
    if not name:
        found.required(path)
    elif complaints:
        found.invalid(path, name, ",".join(complaints))
    elif name.count(".") < 2:
        found.invalid(path, name, "should be a domain with at least three segments separated by dots")


def _client(found: Findings, path: str, client: Spec) -> None:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        found.required(path, "exactly one of url or service is required")
    elif url is not None:
        webhook_url(found, f"{path}.url", url)
    elif service is not None:
        # Upstream takes the name for the namespace here, and the namespace for the name.
        swapped = {**service, "name": service.get("namespace"), "namespace": service.get("name")}
        webhook_service(found, f"{path}.service", swapped)


def webhook_url(found: Findings, path: str, text: str) -> None:
    form = "; desired format: https://host[/path]"
    try:
        url = urlsplit(text)
    except ValueError as error:
        found.required(path, f"url must be a valid URL: {error}{form}")
        return
    user, at, host = url.netloc.rpartition("@")
    if url.scheme != "https":
        found.invalid(path, url.scheme, f"'https' is the only allowed URL scheme{form}")
    if not host:
        found.invalid(path, "", f"host must be specified{form}")
    if at:
        found.invalid(path, user, "user information is not permitted in the URL")
    if url.fragment:
        found.invalid(path, url.fragment, "fragments are not permitted in the URL")
    if url.query:
        found.invalid(path, url.query, "query parameters are not permitted in the URL")


def webhook_service(found: Findings, path: str, service: Spec) -> None:
    for key in ("name", "namespace"):
        if not service.get(key):
            found.required(f"{path}.{key}")
    port, text = service.get("port") or 0, service.get("path")
    complaints = is_port_number(port)
    if complaints:
        found.invalid(f"{path}.port", port, "port is not valid: " + ", ".join(complaints))
    if text in (None, "", "/"):
        return
    path += ".path"
    if text == "//":
        found.invalid(path, text, "segment[0] may not be empty")
        return
    if not text.startswith("/"):
        found.invalid(path, text, "must start with a '/'")
    for at, step in enumerate(text[1:].removesuffix("/").split("/")):
        if not step:
            found.invalid(path, text, f"segment[{at}] may not be empty")
            continue
        for complaint in is_dns1123_subdomain(step):
            found.invalid(path, text, f"segment[{at}]: {complaint}")


def rule_with_operations(found: Findings, path: str, rule: Spec) -> None:
    operations = rule.get("operations") or []
    if not operations:
        found.required(f"{path}.operations")
    _alone(found, f"{path}.operations", operations, "operations")
    for at, one in enumerate(operations):
        found.one_of(f"{path}.operations[{at}]", one, ("*", "CONNECT", "CREATE", "DELETE", "UPDATE"))
    for key, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        if not rule.get(key):
            found.required(f"{path}.{key}")
        _alone(found, f"{path}.{key}", rule.get(key) or [], what)
    for at, version in enumerate(rule.get("apiVersions") or ()):
        if not version:
            found.required(f"{path}.apiVersions[{at}]")
    _resources(found, f"{path}.resources", rule.get("resources") or [])
    if rule.get("scope") is not None:
        found.one_of(f"{path}.scope", rule["scope"], ("*", "Cluster", "Namespaced"))


def _alone(found: Findings, path: str, values: list[str], what: str) -> None:
    if len(values) > 1 and "*" in values:
        found.invalid(path, values, f"if '*' is present, must not specify other {what}")


def _resources(found: Findings, path: str, resources: list[str]) -> None:
    if not resources:
        found.required(path)
    with_any_part: set[str] = set()
    parts_of_any: set[str] = set()
    plain = False
    for at, one in enumerate(resources):
        resource, slash, part = one.partition("/")
        if not one:
            found.required(f"{path}[{at}]")
        elif not slash:
            plain = one != "*"
        else:
            if resource in with_any_part:
                text = f"if '{resource}/*' is present, must not specify {one}"
                found.invalid(f"{path}[{at}]", one, text)
            if part in parts_of_any:
                found.invalid(f"{path}[{at}]", one, f"if '*/{part}' is present, must not specify {one}")
            if part == "*":
                with_any_part.add(resource)
            if resource == "*":
                parts_of_any.add(part)
    if len(resources) > 1 and "*/*" in resources:
        found.invalid(path, resources, "if '*/*' is present, must not specify other resources")
    if "*" in resources and plain:
        text = "if '*' is present, must not specify other resources without subresources"
        found.invalid(path, resources, text)


def match_conditions(found: Findings, path: str, conditions: Iterable[Spec] | None, scope: Scope) -> None:
    ones, names = list(conditions or ()), set()
    if len(ones) > 64:
        found.too_many(path, len(ones), 64)
    for at, one in enumerate(ones):
        here, name, text = f"{path}[{at}]", one.get("name", ""), one.get("expression", "").strip()
        expression(found, f"{here}.expression", text, "bool", scope)
        found.name(f"{here}.name", name, is_qualified_name)
        if name and name in names:
            found.duplicate(f"{here}.name", name)
        names.add(name)


def expression(found: Findings, path: str, text: str, result: str, scope: Scope, missing: str = "") -> None:
    """A CEL expression that must give `result`, a key of RESULTS; `missing`: what to say when there is none."""
    if not text.strip():
        found.required(path, missing)
        return
    error = scope.error(text, result)
    if error:
        found.invalid(path, text, error)
