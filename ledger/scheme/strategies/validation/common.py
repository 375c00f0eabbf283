"""Rules that many kinds share: metadata, selectors, addresses, signer names, conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ledger.apimachinery.field import FieldError, quoted
from ledger.apimachinery.names import (
    FORMATS,
    NameFormat,
    is_dns1123_label,
    is_dns1123_subdomain,
    is_label_value,
    is_qualified_name,
    regex_message,
)
from ledger.apimachinery.objectmeta import (
    validate_annotations,
    validate_labels,
    validate_object_meta,
    validate_object_meta_update,
    validate_standard_finalizers,
)
from ledger.apimachinery.resource import Object
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.validation.findings import Findings

INT32_MAX = 2147483647

# Groups whose metadata is checked without the rule for finalizers of built-in kinds.
_PLAIN_METADATA = frozenset({"admissionregistration.k8s.io", "coordination.k8s.io", "rbac.authorization.k8s.io"})


def meta_findings(
    definition: ResourceDefinition, obj: Object, name_format: NameFormat | None = None, path: str = "metadata"
) -> Findings:
    """What a create checks of metadata."""
    wanted = name_format or FORMATS[definition.traits.name_format]
    found = Findings(validate_object_meta(obj["metadata"], definition.namespaced, wanted, path))
    found.metadata_is_fine = not found
    _standard_finalizers(found, definition, obj, path)
    return found


def meta_update_findings(definition: ResourceDefinition, obj: Object, old: Object) -> Findings:
    """What an update checks of metadata."""
    found = Findings(validate_object_meta_update(obj["metadata"], old["metadata"]))
    found.metadata_update_is_fine = not found
    _standard_finalizers(found, definition, obj, "metadata")
    return found


def _standard_finalizers(found: Findings, definition: ResourceDefinition, obj: Object, path: str) -> None:
    finalizers = obj["metadata"].get("finalizers")
    if finalizers and definition.group not in _PLAIN_METADATA:
        found += validate_standard_finalizers(finalizers, f"{path}.finalizers")


def generic_meta(definition: ResourceDefinition, obj: Object) -> Findings:
    """What is checked of every object after a create's own rules passed, and before those of an update."""
    return Findings(validate_object_meta(obj["metadata"], definition.namespaced, FORMATS["path-segment"]))


def generic_name(obj: Object) -> list[FieldError]:
    """What `generic_meta` says of an object whose metadata is fine but for the generic rule of names."""
    metadata, name_format = obj["metadata"], FORMATS["path-segment"]
    base = metadata.get("generateName", "")
    if not name_format(metadata["name"], False) and not (base and name_format(base, True)):
        return []
    return validate_object_meta(metadata, bool(metadata.get("namespace")), name_format)


def generic_meta_update(obj: Object, old: Object, lists: bool = True) -> Findings:
    """`lists` False: `generic_meta` has found nothing in `obj`."""
    return Findings(validate_object_meta_update(obj["metadata"], old["metadata"], lists=lists))


def template_meta(found: Findings, meta: Mapping[str, Any], path: str) -> None:
    """Metadata in a template of a claim: labels and annotations, nothing else."""
    found += validate_annotations(meta.get("annotations"), f"{path}.annotations")
    found += validate_labels(meta.get("labels"), f"{path}.labels")
    order = (
        *("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation"),
        *("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "finalizers"),
        "managedFields",
    )
    special = {"uid": "uID"}  # Go's UID, its first letter in lower case
    for key in order:
        if meta.get(key):
            found.forbidden(f"{path}.{special.get(key, key)}", "cannot be set")


def label_selector(
    found: Findings, selector: Mapping[str, Any] | None, path: str, invalid_values: bool = False
) -> None:
    """A metav1.LabelSelector; `invalid_values`: values need not be label values."""
    if selector is None:
        return
    found += validate_labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for at, one in enumerate(selector.get("matchExpressions") or ()):
        label_requirement(found, one, f"{path}.matchExpressions[{at}]", invalid_values)


def label_requirement(found: Findings, one: Mapping[str, Any], path: str, invalid_values: bool = False) -> None:
    operator, values = one.get("operator", ""), one.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            found.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            found.forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        found.invalid(f"{path}.operator", operator, "not a valid selector operator")
    found.check(f"{path}.key", one.get("key", ""), is_qualified_name)
    if not invalid_values:
        for at, value in enumerate(values):
            found.check(f"{path}.values[{at}]", value, is_label_value)


def is_empty_selector(selector: Mapping[str, Any] | None) -> bool:
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a label selector matches; none matches nothing, an empty one everything."""
    if selector is None:
        return False
    labels = labels or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_requirement_matches(one, labels) for one in selector.get("matchExpressions") or ())


def selector_fails(selector: Mapping[str, Any] | None) -> bool:
    """Whether Go could not make a matcher of it (LabelSelectorAsSelector)."""
    selector, found = selector or {}, Findings()
    label_selector(found, {"matchExpressions": selector.get("matchExpressions")}, "")
    labels = selector.get("matchLabels") or {}
    return bool(found) or any(is_qualified_name(key) or is_label_value(value) for key, value in labels.items())


def selector_has_invalid_values(selector: Mapping[str, Any] | None) -> bool:
    """Whether an expression of it has what is no label value; such ones that are stored may stay."""
    ones = (selector or {}).get("matchExpressions") or ()
    return any(is_label_value(value) for one in ones for value in one.get("values") or ())


def _requirement_matches(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = one.get("key", ""), one.get("values") or []
    match one.get("operator"):
        case "In":
            return labels.get(key) in values if key in labels else False
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def signer_name(found: Findings, path: str, name: str) -> None:
    """A domain and a path: "example.com/my-signer"."""
    if not name:
        found.required(path)
        return
    segments = name.split("/")
    if len(segments) != 2:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        found.invalid(path, name, text)
        return
    domain, below = segments
    if len(domain) > 253:
        found.too_long(path, 253)
    _first_bad_label(found, path, domain, is_dns1123_label)
    if "." not in domain:
        found.invalid(path, domain, "should be a domain with at least two segments separated by dots")
    _first_bad_label(found, path, below, is_dns1123_subdomain)
    if len(name) > 253 + 253 + 63 + 2:
        found.too_long(path, 253 + 253 + 63 + 2)


def _first_bad_label(found: Findings, path: str, text: str, check: Any) -> None:
    for label in text.split("."):
        complaints = check(label)
        if complaints:
            for complaint in complaints:
                found.invalid(path, text, f"validating label {quoted(label)}: {complaint}")
            return


def is_kubernetes_signer(name: str) -> bool:
    host = name.partition("/")[0]
    return host == "kubernetes.io" or host.endswith(".kubernetes.io")


def trust_bundle_name(signer: str) -> NameFormat:
    """Names of ClusterTrustBundles: with a signer, "example.com:my-signer:NAME"."""
    subdomain = FORMATS["dns1123-subdomain"]

    def checked(name: str, prefix: bool) -> list[str]:
        if not signer:
            if ":" in name:
                return ['ClusterTrustBundle without signer name must not have ":" in its name']
            return subdomain(name, prefix)
        wanted = signer.replace("/", ":") + ":"
        if not name.startswith(wanted):
            return [f"ClusterTrustBundle for signerName {signer} must be named with prefix {wanted}"]
        return subdomain(name.removeprefix(wanted), prefix)

    return checked


_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_REASON_MESSAGE = regex_message(
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_'",
    _REASON,
    "my_name",
    "MY_NAME",
    "MyName",
    "ReasonA,ReasonB",
    "ReasonA:ReasonB",
)


def conditions(found: Findings, ones: Iterable[Mapping[str, Any]] | None, path: str) -> None:
    """A list of metav1.Condition."""
    seen: set[str] = set()
    for at, one in enumerate(ones or ()):
        here, kind = f"{path}[{at}]", one.get("type", "")
        if kind in seen:
            found.duplicate(here, kind)
        seen.add(kind)
        if kind:
            found.check(f"{here}.type", kind, is_qualified_name)
        else:
            found.required(f"{here}.type", "is required")
        found.one_of_required(f"{here}.status", one.get("status", ""), ("False", "True", "Unknown"))
        if one.get("observedGeneration", 0) < 0:
            text = "must be greater than or equal to zero"
            found.invalid(f"{here}.observedGeneration", one["observedGeneration"], text)
        if not one.get("lastTransitionTime"):
            found.required(f"{here}.lastTransitionTime")
        reason = one.get("reason", "")
        if not reason:
            found.required(f"{here}.reason")
        else:
            if not re.fullmatch(_REASON, reason):
                found.invalid(f"{here}.reason", reason, _REASON_MESSAGE)
            if len(reason.encode()) > 1024:
                found.too_long(f"{here}.reason", 1024)
        if len(one.get("message", "").encode()) > 32 * 1024:
            found.too_long(f"{here}.message", 32 * 1024)


_PERCENT = "[0-9]+%"
_PERCENT_MESSAGE = regex_message(
    "a valid percent string must be a numeric string followed by an ending '%'", _PERCENT, "1%", "93%"
)


def int_or_percent(found: Findings, path: str, value: int | str) -> None:
    """An IntOrString that is not negative, or a percentage."""
    if isinstance(value, int):
        found.not_negative(path, value)
    elif not re.fullmatch(_PERCENT, value):
        found.invalid(path, value, _PERCENT_MESSAGE)


def int_or_percent_value(value: int | str) -> int:
    if isinstance(value, int):
        return value
    digits = re.fullmatch("([+-]?[0-9]+)%?", value)
    return int(digits[1]) if digits else 0


def percent_within_bounds(found: Findings, path: str, value: int | str) -> None:
    if isinstance(value, str) and re.fullmatch(_PERCENT, value) and int(value[:-1]) > 100:
        found.invalid(path, value, "must not be greater than 100%")


def at_most_all(found: Findings, status: Mapping[str, Any], *keys: str, ready: str = "readyReplicas") -> None:
    """No count is above the number of replicas, nor are there more available than ready ones."""
    for key in keys:
        if status.get(key, 0) > status.get("replicas", 0):
            found.invalid(f"status.{key}", status[key], "cannot be greater than status.replicas")
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        found.invalid("status.availableReplicas", status["availableReplicas"], f"cannot be greater than {ready}")


def not_decremented(found: Findings, obj: Object, old: Object) -> None:
    """status.collisionCount only grows."""
    new, before = ((one.get("status") or {}).get("collisionCount") for one in (obj, old))
    if before is not None and (new is None or new < before):
        found.invalid("status.collisionCount", new or 0, "cannot be decremented")
