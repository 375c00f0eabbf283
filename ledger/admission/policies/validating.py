"""ValidatingAdmissionPolicy: expressions that must hold, or the write is denied, warned about, or noted for audits.

Follows pkg/admission/plugin/policy/validating/{dispatcher,validator}.go of k8s.io/apiserver.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from ledger.admission.api import Attributes
from ledger.admission.matching import refuse
from ledger.admission.policies.hooks import Hook, Server, concerned, hooks
from ledger.admission.policies.index import VALIDATING, EvaluationError
from ledger.apimachinery.status import StatusError
from ledger.projections.api import View

FAILURE_ANNOTATION = "validation.policy.admission.k8s.io/validation_failure"
FAILURES_MAX = 50
MESSAGE_BYTES_MAX = 5 * 1024
ANNOTATION_BYTES_MAX = 10 * 1024
_CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, "Invalid": 422}


class Denial(NamedTuple):
    """A validation that did not hold. Without a reason the client sees Invalid."""

    place: int  # of the validation in the policy
    message: str
    reason: str = ""


class Findings:
    """What one write collected from all policies."""

    def __init__(self) -> None:
        self.denied: list[tuple[str, str]] = []  # (message, reason)
        self.failures: list[dict[str, Any]] = []

    def deny(self, hook: Hook, message: str, reason: str = "") -> None:
        bound = f" with binding '{hook.binding.name}'" if hook.binding is not None else ""
        text = f"ValidatingAdmissionPolicy '{hook.policy.name}'{bound} denied request: {message}"
        self.denied.append((text, reason))


class ValidatingAdmissionPolicy:
    name = "ValidatingAdmissionPolicy"

    def __init__(self, server: Server) -> None:
        self._server = server

    def handles(self, attributes: Attributes) -> bool:
        return concerned(self._server, VALIDATING, attributes)

    def validate(self, attributes: Attributes, view: View) -> None:
        """Raises StatusError with the first denial's reason and code."""
        found = Findings()
        annotations: dict[str, list[str]] = {}
        for hook in hooks(self._server, VALIDATING, attributes, view):
            if not hook.wrong:
                self._judge(attributes, hook, found, annotations)
            elif not hook.policy.ignores_failures:
                found.deny(hook, hook.wrong)
        for key, values in annotations.items():
            attributes.annotations[key] = ", ".join(values)
        if found.failures:
            attributes.annotations[FAILURE_ANNOTATION] = orjson.dumps(found.failures[:FAILURES_MAX]).decode()
        if found.denied:
            raise _refused(attributes, *found.denied[0])

    def _judge(self, attributes: Attributes, hook: Hook, found: Findings, annotations: dict[str, list[str]]) -> None:
        assert hook.binding is not None and hook.bindings is not None
        try:
            if not hook.policy.evaluator.applies(hook.bindings, hook.policy.ignores_failures):
                return
        except EvaluationError as error:
            self._act(attributes, hook, found, Denial(0, str(error)))
            return
        for denial in _denials(hook):
            self._act(attributes, hook, found, denial)
        _annotate(hook, found, annotations)

    def _act(self, attributes: Attributes, hook: Hook, found: Findings, denial: Denial) -> None:
        binding = hook.binding
        assert binding is not None
        actions = binding.spec.get("validationActions") or []
        for action in actions:
            if action == "Deny":
                found.deny(hook, denial.message, denial.reason)
            elif action == "Warn":
                about = f"ValidatingAdmissionPolicy '{hook.policy.name}' with binding '{binding.name}'"
                attributes.warnings.append(f"Validation failed for {about}: {denial.message}")
            elif action == "Audit":
                found.failures.append(
                    {
                        "message": denial.message,
                        "policy": hook.policy.name,
                        "binding": binding.name,
                        "expressionIndex": denial.place,
                        "validationActions": actions,
                    }
                )


def _denials(hook: Hook) -> Iterator[Denial]:
    assert hook.bindings is not None
    evaluator, ignores = hook.policy.evaluator, hook.policy.ignores_failures
    written = hook.policy.spec.get("validations") or ()
    for index, (validation, compiled) in enumerate(zip(written, evaluator.validations, strict=True)):
        try:
            holds = compiled.evaluate(hook.bindings)
        except EvaluationError as error:
            if not ignores:
                yield Denial(index, str(error))
            continue
        if holds is not True:
            yield Denial(index, _message(hook, index, validation), validation.get("reason") or "Invalid")


def _message(hook: Hook, index: int, validation: dict[str, Any]) -> str:
    """What messageExpression gives; else the message; else the expression itself."""
    assert hook.bindings is not None
    computed = hook.policy.evaluator.messages[index]
    if computed is not None:
        try:
            value = computed.evaluate(hook.bindings)
        except EvaluationError:
            value = None  # upstream writes it to its own log and falls back as well
        if isinstance(value, str):
            value = value.strip()
            if value and len(value.encode()) <= MESSAGE_BYTES_MAX and "\n" not in value:
                return value
    return (validation.get("message") or "").strip() or f"failed expression: {validation['expression'].strip()}"


def _annotate(hook: Hook, found: Findings, annotations: dict[str, list[str]]) -> None:
    assert hook.bindings is not None
    written = hook.policy.spec.get("auditAnnotations") or ()
    for one, compiled in zip(written, hook.policy.evaluator.annotations, strict=True):
        try:
            value = compiled.evaluate(hook.bindings)
        except EvaluationError as error:
            if not hook.policy.ignores_failures:
                found.deny(hook, str(error))
            continue
        if isinstance(value, str) and value.strip():
            values = annotations.setdefault(f"{hook.policy.name}/{one['key']}", [])
            text = value.strip().encode()[:ANNOTATION_BYTES_MAX].decode(errors="ignore")
            if text not in values:
                values.append(text)


def _refused(attributes: Attributes, message: str, reason: str) -> StatusError:
    error = refuse(attributes, message)
    error.reason = reason or "Invalid"
    error.code = _CODES.get(error.reason, 422)
    error.details = {**(error.details or {}), "causes": [{"message": message}]}
    return error
