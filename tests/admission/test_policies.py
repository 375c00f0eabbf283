"""Admission policies: what they deny, warn about, note and change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from ledger.admission.api import Attributes
from ledger.admission.chain import Chain, default_plugins
from ledger.admission.policies.hooks import Server
from ledger.admission.policies.index import MUTATING, VALIDATING, Policies
from ledger.admission.policies.validating import FAILURE_ANNOTATION, ValidatingAdmissionPolicy
from ledger.apimachinery.http import User
from ledger.apimachinery.resource import GVR, GroupResource, Object
from ledger.apimachinery.status import StatusError
from ledger.auth.authorizers import always_allow
from tests.controllers.ledger import CONFIG_MAPS, NAMESPACES, Ledger

GROUP = "admissionregistration.k8s.io"
VAPS, MAPS = GVR(GROUP, "v1", VALIDATING), GVR(GROUP, "v1", MUTATING)
BINDINGS = {VAPS: "validatingadmissionpolicybindings", MAPS: "mutatingadmissionpolicybindings"}
DEPLOYMENTS = GVR("apps", "v1", "deployments")
ALL = {"namespaceSelector": {}, "objectSelector": {}, "matchPolicy": "Equivalent"}


def rule(resource: GVR = CONFIG_MAPS, **more: Any) -> dict[str, Any]:
    one = {"operations": ["CREATE", "UPDATE"], "apiGroups": [resource.group], "apiVersions": [resource.version],
           "resources": [resource.resource], "scope": "*"}  # fmt: skip
    return {**ALL, "resourceRules": [one], **more}


class Judged(Ledger):
    """A ledger whose writes admission policies judge."""

    def __init__(self, tmp: Path) -> None:
        super().__init__(tmp)
        policies = Policies()
        self.store.engine.subscribe(policies.follow)
        self.server = Server(policies, lambda: self.scheme, self.registry.behaviour, always_allow)
        plugins = default_plugins(lambda: "12345", always_allow, (), self.server)
        self.registry.admission = Chain(plugins, self.store.view)

    async def policy(self, kind: GVR, spec: dict[str, Any], **binding: Any) -> None:
        await self.user.create(kind, "", {"metadata": {"name": "p"}, "spec": {"failurePolicy": "Fail", **spec}})
        bound = {"policyName": "p", **binding}
        await self.user.create(GVR(GROUP, "v1", BINDINGS[kind]), "", {"metadata": {"name": "b"}, "spec": bound})


def judge(tmp_path: Path, spec: dict[str, Any], **binding: Any) -> Attributes | StatusError:
    """What a policy says to a new ConfigMap c in ns with data k=v: the write with its notes, or the refusal."""
    outcome: list[Attributes | StatusError] = []

    async def scenario() -> None:
        ledger = Judged(tmp_path)
        await ledger.user.create(NAMESPACES, "", {"metadata": {"name": "ns", "labels": {"on": "yes"}}})
        await ledger.user.create(CONFIG_MAPS, "ns", {"metadata": {"name": "limits"}, "data": {"max": "0"}})
        await ledger.policy(VAPS, {"matchConstraints": rule(), **spec}, **({"validationActions": ["Deny"]} | binding))
        definition = ledger.scheme.definitions[GroupResource("", "configmaps")]
        obj: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns"}}
        attributes = Attributes(
            "CREATE", definition, definition.versions["v1"], "", "ns", "c", {**obj, "data": {"k": "v"}}, None,
            User("me"), False, {},
        )  # fmt: skip
        plugin = ValidatingAdmissionPolicy(ledger.server)
        assert plugin.handles(attributes)
        try:
            with ledger.store.view() as view:
                plugin.validate(attributes, view)
            outcome.append(attributes)
        except StatusError as refused:
            outcome.append(refused)

    trio.run(scenario)
    return outcome[0]


def validations(*expressions: str, **more: Any) -> dict[str, Any]:
    return {"validations": [{"expression": one, **more} for one in expressions]}


PARAMS = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}


@pytest.mark.parametrize("spec, binding, message", [
    (validations("object.data.k == 'v'"), {}, ""),
    (validations("object.data.k == 'w'"), {}, "failed expression: object.data.k == 'w'"),
    (validations("false", message="no"), {}, "no"),
    (validations("false", message="no", messageExpression="'not ' + object.data.k"), {}, "not v"),
    (validations("false", message="no", messageExpression="string(object.data.z)"), {}, "no"),
    (validations("int(object.data.k) > 0"), {},
     "expression 'int(object.data.k) > 0' resulted in error: type conversion error from 'string' to 'int'"),
    ({**validations("object.data.z == 'w'"), "failurePolicy": "Ignore"}, {}, ""),
    ({**validations("variables.k == 'w'"), "variables": [{"name": "k", "expression": "object.data.k"}]}, {},
     "failed expression: variables.k == 'w'"),
    ({**validations("variables.z"), "variables": [{"name": "z", "expression": "object.data.z == ''"}]}, {},
     "expression 'variables.z' resulted in error: composited variable \"z\" fails to evaluate: no such key: z"),
    ({**validations("false"), "matchConditions": [{"name": "n", "expression": "object.data.k == 'w'"}]}, {}, ""),
    (validations("namespaceObject.metadata.labels.on == 'no'"), {},
     "failed expression: namespaceObject.metadata.labels.on == 'no'"),
    (validations("request.operation + request.name + request.kind.kind == 'CREATEcConfigMap'"), {}, ""),
    ({**validations("false"), "matchConstraints": rule(namespaceSelector={"matchLabels": {"on": "no"}})}, {}, ""),
    ({**validations("false"), "matchConstraints": rule(objectSelector={"matchLabels": {"a": "b"}})}, {}, ""),
    ({**validations("false"), "matchConstraints": rule(DEPLOYMENTS)}, {}, ""),
    (validations("false"), {"matchResources": {**ALL, "namespaceSelector": {"matchLabels": {"on": "no"}}}}, ""),
    ({**validations("object.data.size() <= int(params.data.max)"), **PARAMS},
     {"paramRef": {"name": "limits", "parameterNotFoundAction": "Deny"}},
     "failed expression: object.data.size() <= int(params.data.max)"),
    ({**validations("false"), **PARAMS}, {"paramRef": {"name": "none", "parameterNotFoundAction": "Allow"}}, ""),
    ({**validations("true"), **PARAMS}, {"paramRef": {"name": "none", "parameterNotFoundAction": "Deny"}},
     "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"),
    ({**validations("params == null"), **PARAMS}, {}, ""),
])  # fmt: skip
def test_what_is_denied(spec: dict[str, Any], binding: dict[str, Any], message: str, tmp_path: Path) -> None:
    outcome = judge(tmp_path, spec, **binding)
    if not message:
        assert isinstance(outcome, Attributes)
        return
    assert isinstance(outcome, StatusError)
    text = f"ValidatingAdmissionPolicy 'p' with binding 'b' denied request: {message}"
    assert (outcome.code, outcome.reason) == (422, "Invalid")
    assert outcome.message == f'configmaps "c" is forbidden: {text}'
    assert outcome.details == {"name": "c", "kind": "configmaps", "causes": [{"message": text}]}


def test_a_validation_names_its_reason(tmp_path: Path) -> None:
    outcome = judge(tmp_path, validations("false", reason="Forbidden"))
    assert isinstance(outcome, StatusError)
    assert (outcome.code, outcome.reason) == (403, "Forbidden")


def test_warnings_and_audit_annotations_let_the_write_pass(tmp_path: Path) -> None:
    spec = {
        **validations("false", message="no"),
        "auditAnnotations": [{"key": "k", "valueExpression": "string(object.data.k)"}],
    }
    outcome = judge(tmp_path, spec, validationActions=["Warn", "Audit"])
    assert isinstance(outcome, Attributes)
    assert outcome.warnings == ["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': no"]
    assert outcome.annotations == {
        "p/k": "v",
        FAILURE_ANNOTATION: '[{"message":"no","policy":"p","binding":"b","expressionIndex":0,'
        '"validationActions":["Warn","Audit"]}]',
    }


def test_policies_never_judge_policies_and_none_cost_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Judged(tmp_path)
        plugin = ValidatingAdmissionPolicy(ledger.server)
        resources = [GroupResource("", "configmaps"), GroupResource(GROUP, VALIDATING)]
        definitions = [ledger.scheme.definitions[one] for one in resources]
        writes = [
            Attributes("CREATE", one, next(iter(one.versions.values())), "", "", "x", {}, None, User("me"), False, {})
            for one in definitions
        ]
        assert [plugin.handles(one) for one in writes] == [False, False]
        await ledger.policy(VAPS, {"matchConstraints": rule(), **validations("false")}, validationActions=["Deny"])
        assert [plugin.handles(one) for one in writes] == [True, False]
        await ledger.user.delete(GVR(GROUP, "v1", BINDINGS[VAPS]), "", "b")
        assert [plugin.handles(one) for one in writes] == [False, False]

    trio.run(scenario)


def deployment(replicas: int = 1) -> Object:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    return {"metadata": {"name": "d"}, "spec": spec}


def apply(expression: str) -> dict[str, Any]:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patch(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def mutate(tmp_path: Path, *mutations: dict[str, Any]) -> Object:
    made: list[Object] = []

    async def scenario() -> None:
        ledger = Judged(tmp_path)
        await ledger.namespace("ns")
        spec = {"matchConstraints": rule(DEPLOYMENTS), "mutations": list(mutations), "reinvocationPolicy": "Never"}
        await ledger.policy(MAPS, spec)
        made.append(await ledger.user.create(DEPLOYMENTS, "ns", deployment()))

    trio.run(scenario)
    return made[0]


def test_mutations_follow_one_another(tmp_path: Path) -> None:
    side = "Object.spec.template.spec.containers{name: 'side', image: string(object.spec.replicas)}"
    found = mutate(
        tmp_path,
        apply("Object{spec: Object.spec{replicas: 1337}}"),
        patch(f"[JSONPatch{{op: 'add', path: '/spec/template/spec/containers/-', value: {side}}}]"),
        patch("[JSONPatch{op: 'test', path: '/spec/replicas', value: 1}, JSONPatch{op: 'remove', path: '/spec'}]"),
    )
    assert found["spec"]["replicas"] == 1337
    containers = found["spec"]["template"]["spec"]["containers"]
    assert [(one["name"], one["image"]) for one in containers] == [("c", "i"), ("side", "1337")]
    assert containers[1]["terminationMessagePath"] == "/dev/termination-log"  # defaults come after patches


@pytest.mark.parametrize("mutation, message", [
    (patch("[JSONPatch{op: 'remove', path: '/metadata/nope'}]"),
     "JSON Patch: error in remove for path: '/metadata/nope': Unable to remove nonexistent key: nope: missing value"),
    (apply("Object{spec: Object.spec{template: Object.spec.wrong{x: 1}}}"),
     'type mismatch: unexpected type name "Object.spec.wrong", expected "Object.spec.template", which matches field name'
     " path from root Object type"),
    (apply("Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {'x': 'y'}}}}"),
     "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.selector"),
])  # fmt: skip
def test_patches_that_fail_refuse_the_write(mutation: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(StatusError) as refused:
        mutate(tmp_path, mutation)
    assert refused.value.message == f"policy 'p' with binding 'b' denied request: {message}"
    assert (refused.value.code, refused.value.reason) == (403, "Invalid")


def test_policies_that_do_not_compile_are_not_taken(tmp_path: Path) -> None:
    async def scenario() -> None:
        ledger = Judged(tmp_path)
        with pytest.raises(StatusError) as refused:
            await ledger.policy(VAPS, {"matchConstraints": rule(), **validations("object.a +")})
        assert refused.value.code == 422
        assert 'Invalid value: "object.a +": compilation failed: ERROR: <input>:1:11: Syntax error' in str(
            refused.value
        )

    trio.run(scenario)
