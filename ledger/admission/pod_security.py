"""PodSecurity: a namespace's labels say which Pod Security Standard its pods keep, and what happens to those that do not.

enforce refuses a pod, warn tells its client, audit notes it in the log. Objects that make pods (deployments, jobs ...)
are only warned and noted about. Follows k8s.io/pod-security-admission/admission.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from ledger.admission.api import Attributes
from ledger.admission.matching import PODS, refuse
from ledger.admission.podsecurity.pod import Violation
from ledger.admission.podsecurity.policy import PREFIX, LevelVersion, Policy, policy_of, violations
from ledger.apimachinery.resource import GroupResource, Key, Object
from ledger.apimachinery.status import invalid
from ledger.projections.api import View

NAMESPACES = GroupResource("", "namespaces")
PODS_CHECKED_MAX = 3000
# Where the template of the pods is that an object makes.
TEMPLATES = {
    GroupResource("", "replicationcontrollers"): "spec.template",
    GroupResource("", "podtemplates"): "template",
    GroupResource("apps", "replicasets"): "spec.template",
    GroupResource("apps", "deployments"): "spec.template",
    GroupResource("apps", "statefulsets"): "spec.template",
    GroupResource("apps", "daemonsets"): "spec.template",
    GroupResource("batch", "jobs"): "spec.template",
    GroupResource("batch", "cronjobs"): "spec.jobTemplate.spec.template",
}
LOOKED_AT = ("", "ephemeralcontainers", "resize")  # subresources through which a pod's spec changes


class PodSecurity:
    name = "PodSecurity"
    resources = frozenset({PODS, NAMESPACES, *TEMPLATES})

    def handles(self, attributes: Attributes) -> bool:
        if attributes.operation not in ("CREATE", "UPDATE"):
            return False
        resource = attributes.definition.group_resource
        if resource == PODS:
            return attributes.subresource in LOOKED_AT
        return not attributes.subresource and (resource == NAMESPACES or resource in TEMPLATES)

    def validate(self, attributes: Attributes, view: View) -> None:
        resource, obj = attributes.definition.group_resource, attributes.object
        assert obj is not None
        if resource == NAMESPACES:
            self._namespace(attributes, obj, view)
            return
        policy = _policy_in(attributes.namespace, view)
        if resource == PODS:
            self._pod(attributes, policy, obj)
            return
        template: Any = obj
        for part in TEMPLATES[resource].split("."):
            template = (template or {}).get(part)
        if template and template.get("spec"):
            _evaluate(attributes, policy, template.get("metadata") or {}, template["spec"])

    def _pod(self, attributes: Attributes, policy: Policy, pod: Object) -> None:
        if policy.is_privileged and not policy.errors:
            _note(attributes, "enforce-policy", str(policy.enforce))
            return
        if attributes.operation == "UPDATE" and not _matters(pod["spec"], (attributes.old or {})["spec"]):
            return
        found = violations(policy.enforce, pod["metadata"], pod["spec"])
        _note(attributes, "enforce-policy", str(policy.enforce))
        if found:
            _audit(attributes, policy, pod["metadata"], pod["spec"])
            raise refuse(attributes, f'violates PodSecurity "{policy.enforce}": {_joined(found)}')
        _evaluate(attributes, policy, pod["metadata"], pod["spec"])

    def _namespace(self, attributes: Attributes, namespace: Object, view: View) -> None:
        """Labels must mean something; a stricter level tells which pods would not have got in."""
        new = policy_of(namespace["metadata"].get("labels") or {})
        name = namespace["metadata"].get("name", "")
        if attributes.operation == "CREATE":
            if new.errors:
                raise invalid("", "Namespace", name, new.errors)
            return
        old = policy_of((attributes.old or {})["metadata"].get("labels") or {})
        if new.errors and new.errors != old.errors:
            raise invalid("", "Namespace", name, new.errors)
        same_version = new.enforce.minor == old.enforce.minor
        relaxed = same_version and new.enforce.strictness <= old.enforce.strictness
        if new.enforce == old.enforce or new.enforce.level == "privileged" or relaxed:
            return
        attributes.warnings += _existing_violations(name, new.enforce, view)


def _policy_in(namespace: str, view: View) -> Policy:
    stored = view.get(Key(*NAMESPACES, "", namespace))
    return policy_of(stored.labels if stored is not None else {})


def _evaluate(attributes: Attributes, policy: Policy, metadata: Object, spec: Object) -> None:
    """Notes and warns."""
    _audit(attributes, policy, metadata, spec)
    found = violations(policy.warn, metadata, spec)
    if found:
        attributes.warnings.append(f'would violate PodSecurity "{policy.warn}": {_joined(found)}')


def _audit(attributes: Attributes, policy: Policy, metadata: Object, spec: Object) -> None:
    if policy.errors:
        texts = [str(error) for error in policy.errors]
        joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        _note(attributes, "error", f"Failed to parse policy: {joined}")
    found = violations(policy.audit, metadata, spec)
    if found:
        _note(attributes, "audit-violations", f'would violate PodSecurity "{policy.audit}": {_joined(found)}')


def _note(attributes: Attributes, name: str, text: str) -> None:
    """An annotation of the request's event, also of one that is refused."""
    attributes.annotations[PREFIX + name] = text
    if attributes.request is not None:
        attributes.request.annotations[PREFIX + name] = text


def _joined(found: Sequence[Violation]) -> str:
    return ", ".join(map(str, found))


def _matters(spec: Object, old: Object) -> bool:
    """Whether an update could change what a pod may do: other containers, or other images."""
    for kind in ("containers", "initContainers"):
        if [one.get("image") for one in spec.get(kind) or ()] != [one.get("image") for one in old.get(kind) or ()]:
            return True
    before = {one["name"]: one.get("image") for one in old.get("ephemeralContainers") or ()}
    now = {one["name"]: one.get("image") for one in spec.get("ephemeralContainers") or ()}
    return any(name not in before or before[name] != image for name, image in now.items())


def _existing_violations(namespace: str, enforce: LevelVersion, view: View) -> list[str]:
    """Warnings about the pods there are, those with the same faults together."""
    pods: list[Object] = [orjson.loads(stored.body) for stored in view.scan(PODS, namespace)]
    by_reason: dict[str, list[str]] = {}
    for pod in pods[:PODS_CHECKED_MAX]:
        found = violations(enforce, pod["metadata"], pod["spec"])
        if found:
            by_reason.setdefault(", ".join(one.reason for one in found), []).append(pod["metadata"]["name"])
    warnings = []
    if len(pods) > PODS_CHECKED_MAX:
        what = f"first {PODS_CHECKED_MAX} of {len(pods)} existing pods"
        warnings.append(f"new PodSecurity enforce level only checked against the {what}")
    if by_reason:
        warnings.append(
            f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{enforce}"'
        )
    others = {1: "", 2: " (and 1 other pod)"}
    return warnings + sorted(
        f"{min(names)}{others.get(len(names), f' (and {len(names) - 1} other pods)')}: {reason}"
        for reason, names in by_reason.items()
    )
