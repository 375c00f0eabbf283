"""A policy's expressions, compiled, and how they are evaluated for one write.

Follows pkg/admission/plugin/cel/{activation,composition,condition}.go of k8s.io/apiserver.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ledger.admission.api import Attributes
from ledger.admission.forms import kind_of, namespace_asked
from ledger.admission.policies.index import EvaluationError
from ledger.admission.rules import Matched
from ledger.apimachinery.http import RequestInfo
from ledger.apimachinery.resource import Object
from ledger.scheme.cel import CelError, Program
from ledger.scheme.cel.admission import Scope
from ledger.scheme.cel.library.authorizer import Ask, Authorizer, ResourceCheck
from ledger.scheme.cel.library.times import parse_timestamp

_NAMESPACE_METADATA = (
    *("name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"),
    *("deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "finalizers"),
)
_TIMES = ("creationTimestamp", "deletionTimestamp")


class Compiled:
    """One expression, or why it does not compile."""

    __slots__ = ("error", "expression", "program")

    def __init__(self, scope: Scope, expression: str, result: str) -> None:
        self.expression, self.error = expression, ""
        self.program: Program | None = None
        try:
            self.program = scope.compile(expression, result)
        except CelError as error:
            self.error = str(error)

    def evaluate(self, bindings: Mapping[str, Any]) -> Any:
        """Raises EvaluationError."""
        if self.program is None:
            raise EvaluationError(f"compilation error: {self.error}")
        try:
            return self.program.evaluate(bindings)
        except CelError as error:
            raise EvaluationError(f"expression '{self.expression}' resulted in error: {error}") from None


class Evaluator:
    """All expressions of a policy."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        scope = Scope(spec.get("paramKind") is not None)
        self.variables: dict[str, Compiled] = {}
        for one in spec.get("variables") or ():
            self.variables[one["name"]] = Compiled(scope, one["expression"], "any")
            scope.name(one["name"], one["expression"])
        self.conditions = [Compiled(scope, one["expression"], "bool") for one in spec.get("matchConditions") or ()]
        self.validations = [Compiled(scope, one["expression"], "bool") for one in spec.get("validations") or ()]
        self.messages = [
            Compiled(scope, one["messageExpression"], "string") if one.get("messageExpression") else None
            for one in spec.get("validations") or ()
        ]
        self.annotations = [
            Compiled(scope, one["valueExpression"], "annotation") for one in spec.get("auditAnnotations") or ()
        ]
        self.mutations = [_mutation(scope, one) for one in spec.get("mutations") or ()]

    def bind(self, found: Mapping[str, Any], params: Object | None) -> dict[str, Any]:
        """The bindings of a write with these parameters, and the policy's variables."""
        bindings = {**found, "params": params}
        bindings["variables"] = Variables(self.variables, bindings)
        return bindings

    def applies(self, bindings: Mapping[str, Any], ignores_failures: bool) -> bool:
        """Whether all match conditions hold. Raises EvaluationError when none is false and one fails."""
        return conditions_hold(self.conditions, bindings, ignores_failures)


def conditions_hold(conditions: Iterable[Compiled], bindings: Mapping[str, Any], ignores_failures: bool) -> bool:
    """Whether all of them are true. Raises EvaluationError when none is false and one fails that must not."""
    errors = []
    for one in conditions:
        try:
            if one.evaluate(bindings) is False:
                return False
        except EvaluationError as error:
            errors.append(str(error))
    if errors and not ignores_failures:
        distinct = list(dict.fromkeys(errors))
        raise EvaluationError(distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]")
    return not errors


def _mutation(scope: Scope, one: Mapping[str, Any]) -> Compiled:
    patch = one.get("jsonPatch" if one["patchType"] == "JSONPatch" else "applyConfiguration") or {}
    return Compiled(scope, patch.get("expression", ""), one["patchType"])


class Variables(Mapping[str, Any]):
    """The policy's variables, each evaluated once, when it is first asked for."""

    def __init__(self, compiled: Mapping[str, Compiled], bindings: Mapping[str, Any]) -> None:
        self._compiled, self._bindings = compiled, bindings
        self._values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            one = self._compiled[name]
            if one.program is None:
                raise CelError(f'composited variable "{name}" fails to compile: {one.error}')
            try:
                self._values[name] = one.program.evaluate(self._bindings)
            except CelError as error:
                raise CelError(f'composited variable "{name}" fails to evaluate: {error}') from None
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._compiled)

    def __len__(self) -> int:
        return len(self._compiled)


def bindings_of(
    attributes: Attributes,
    matched: Matched,
    forms: tuple[Object | None, Object | None],
    namespace: Object | None,
    ask: Ask,
) -> dict[str, Any]:
    """What expressions see of a write; `forms` are the object and the old object as the rule's version has them."""
    authorizer = Authorizer(ask, attributes.user)
    return {
        "object": forms[0],
        "oldObject": forms[1],
        "request": request_of(attributes, matched),
        "namespaceObject": None if namespace is None else _exposed(namespace),
        "authorizer": authorizer,
        "authorizer.requestResource": ResourceCheck(authorizer, _asked(attributes)),
    }


def _asked(attributes: Attributes) -> RequestInfo:
    return RequestInfo(
        is_resource=True,
        path="",
        verb="",
        group=attributes.definition.group,
        version=attributes.version.name,
        namespace=attributes.namespace,
        resource=attributes.definition.resource,
        subresource=attributes.subresource,
        name=attributes.name,
    )


def request_of(attributes: Attributes, matched: Matched) -> dict[str, Any]:
    """The AdmissionRequest, without the objects; what is empty is left out, as JSON leaves it out."""
    user = attributes.user
    about = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    request = {
        "kind": _kind(matched, attributes.subresource),
        "resource": _resource(matched),
        "subResource": attributes.subresource,
        "requestKind": _kind(Matched(attributes.definition, attributes.version), attributes.subresource),
        "requestResource": _resource(Matched(attributes.definition, attributes.version)),
        "requestSubResource": attributes.subresource,
        "name": attributes.name,
        "namespace": namespace_asked(attributes),
        "operation": attributes.operation,
        "userInfo": {
            **{name: value for name, value in about.items() if value},
            **({"extra": {name: list(values) for name, values in user.extra.items()}} if user.extra else {}),
        },
    }
    request = {name: value for name, value in request.items() if value != ""}
    return {**request, "dryRun": attributes.dry_run, "options": attributes.options}


def _kind(matched: Matched, subresource: str) -> dict[str, str]:
    kind = kind_of(matched, subresource)
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _resource(matched: Matched) -> dict[str, str]:
    definition = matched.definition
    return {"group": definition.group, "version": matched.version.name, "resource": definition.resource}


def _exposed(namespace: Object) -> dict[str, Any]:
    """The parts of a Namespace that expressions may see."""
    metadata = {name: namespace["metadata"][name] for name in _NAMESPACE_METADATA if name in namespace["metadata"]}
    for name in _TIMES:
        if name in metadata:
            metadata[name] = parse_timestamp(metadata[name])
    return {"metadata": metadata, "spec": namespace.get("spec") or {}, "status": namespace.get("status") or {}}
