"""What clients do to webhooks, and to servers that have them: played in tests, and beside a real kube-apiserver.

A scene is a list of steps, each a request. `HOOKS` says how the webhook at each path answers. Scenes cover what
test/e2e/apimachinery/webhook.go of k8s.io/kubernetes checks, and the rules around it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
MUTATING, VALIDATING = "mutatingwebhookconfigurations", "validatingwebhookconfigurations"
MERGE = {"content-type": "application/merge-patch+json"}
APPLY = {"content-type": "application/apply-patch+yaml"}


@dataclass(frozen=True, slots=True)
class Step:
    line: str  # "POST /api/v1/namespaces"
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    settles: bool = False  # what it changes takes effect a moment later


# --- the webhooks -----------------------------------------------------------------------------------------------------
def patched(*operations: Object, **more: Any) -> Object:
    return {
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(json.dumps(operations).encode()).decode(),
        **more,
    }


def add(path: str, value: Any) -> Object:
    return {"op": "add", "path": path, "value": value}


def denied(**status: Any) -> Object:
    return {"allowed": False, "status": status}


def configmaps(request: Object) -> Object:
    """Refuses some data, as agnhost's webhook does."""
    seen = request["oldObject"] if request["operation"] == "DELETE" else request["object"]
    value = (seen.get("data") or {}).get("webhook-e2e-test")
    if value == "webhook-disallow" and request["operation"] in ("CREATE", "UPDATE"):
        return denied(reason="the configmap contains unwanted key and value")
    if value == "webhook-nondeletable" and request["operation"] == "DELETE":
        return denied(reason="the configmap cannot be deleted because it contains unwanted key and value")
    return {"allowed": True}


def pods(request: Object) -> Object:
    pod, told = request["object"], ""
    if (pod["metadata"].get("labels") or {}).get("webhook-e2e-test") == "webhook-disallow":
        told += "the pod contains unwanted label; "
    if any("webhook-disallow" in one["name"] for one in pod["spec"]["containers"]):
        told += "the pod contains unwanted container name; "
    return denied(message=told.strip()) if told else {"allowed": True}


def stages(request: Object) -> Object:
    """The second call, of whatever webhook, sees what the first one added."""
    data = request["object"].get("data") or {}
    if data.get("mutation-stage-1") == "yes":
        return patched(add("/data/mutation-stage-2", "yes"))
    return patched(add("/data/mutation-stage-1", "yes")) if data.get("mutation-start") == "yes" else {"allowed": True}


def once(key: str) -> Callable[[Object], Object]:
    """Adds a label unless it is there."""

    def answer(request: Object) -> Object:
        labels = (request["object"] or {}).get("metadata", {}).get("labels") or {}
        return {"allowed": True} if key in labels else patched(add(f"/metadata/labels/{key}", "yes"))

    return answer


def attach(request: Object) -> Object:
    options = request["object"]
    if not options.get("stdin") or options.get("container") != "container1":
        return {"allowed": True}
    return denied(message="attaching to pod 'to-be-attached-pod' is not allowed")


def raw(status: int, body: Any) -> Callable[[Object], tuple[int, bytes]]:
    return lambda _: (status, body if isinstance(body, bytes) else json.dumps(body).encode())


REVIEW = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}
STATUS = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "message": "go away",
    "code": 403,
    "reason": "Forbidden",
}
INIT = {"image": "added", "name": "added-init", "resources": {}}
HOOKS: dict[str, Callable[[Object], Any]] = {
    "/allow": lambda _: {"allowed": True},
    "/configmaps": configmaps,
    "/pods": pods,
    "/attach": attach,
    "/stages": stages,
    "/label-a": once("a"),
    "/label-b": once("b"),
    "/label-c": once("c"),
    "/init-container": lambda _: patched(add("/spec/initContainers", [INIT])),
    "/deny": lambda _: {"allowed": False},
    "/deny-message": lambda _: denied(message="no"),
    "/deny-whole": lambda _: denied(
        status="Success", message="no", reason="Teapot", code=418, details={"name": "x", "causes": [{"message": "why"}]}
    ),
    "/deny-low-code": lambda _: denied(code=200, reason="OnlyReason"),
    "/warn": lambda _: {"allowed": True, "warnings": ["mind the gap", 'with "quotes"'], "auditAnnotations": {"k": "v"}},
    "/warn-and-deny": lambda _: {**denied(message="no"), "warnings": ["told you"], "auditAnnotations": {"k": "v"}},
    "/patch-add-data": lambda _: patched(add("/data/added", "yes")),
    "/patch-unknown-field": lambda _: patched(add("/unknown", "x"), add("/data/added", "yes")),
    "/patch-wrong-type": lambda _: patched(add("/data", "text")),
    "/patch-invalid-name": lambda _: patched(add("/data/not a key", "x")),
    "/patch-missing-path": lambda _: patched(add("/none/x", "x")),
    "/patch-remove-missing": lambda _: patched({"op": "remove", "path": "/data/none"}),
    "/patch-test-fails": lambda _: patched({"op": "test", "path": "/data/k", "value": "other"}),
    "/patch-rename": lambda _: patched({"op": "replace", "path": "/metadata/name", "value": "other"}),
    "/patch-empty": lambda _: patched(),
    "/patch-no-list": lambda _: {**patched(), "patch": base64.b64encode(b'{"a":1}').decode()},
    "/patch-garbage": lambda _: {**patched(), "patch": base64.b64encode(b"nothing").decode()},
    "/patch-no-base64": lambda _: {**patched(), "patch": "!!"},
    "/patch-without-type": lambda _: {"allowed": True, "patch": patched()["patch"]},
    "/type-without-patch": lambda _: {"allowed": True, "patchType": "JSONPatch"},
    "/patch-empty-type": lambda _: {**patched(add("/data/added", "yes")), "patchType": ""},
    "/patch-other-type": lambda _: {**patched(add("/data/added", "yes")), "patchType": "MergePatch"},
    "/patch-managed-fields": lambda _: patched(
        add("/metadata/managedFields", [{"manager": "x", "operation": "Nothing"}])
    ),
    "/drop-managed-fields": lambda _: patched({"op": "remove", "path": "/metadata/managedFields"}),
    "/replicas": lambda _: patched({"op": "replace", "path": "/spec/replicas", "value": 7}),
    "/max-replicas": lambda _: patched({"op": "replace", "path": "/spec/maxReplicas", "value": 9}),
    "/wrong-uid": lambda _: {"uid": "another", "allowed": True},
    "/absent": raw(200, REVIEW),
    "/no-kind": raw(200, {"response": {"allowed": True}}),
    "/other-kind": raw(200, {"kind": "Pod", "apiVersion": "v1"}),
    "/other-version": raw(200, {**REVIEW, "apiVersion": "admission.k8s.io/v1beta1", "response": {"allowed": True}}),
    "/unknown-kind": raw(200, {"kind": "Nothing", "apiVersion": "no.io/v1"}),
    "/wrong-type": raw(200, {**REVIEW, "response": {"allowed": "yes"}}),
    "/garbage": raw(200, b"garbage"),
    "/half": raw(200, b'{"kind":'),
    "/empty": raw(200, b""),
    "/array": raw(200, b"[]"),
    "/error-500": raw(500, b"it broke"),
    "/error-503": raw(503, b""),
    "/error-404": raw(404, b"not here"),
    "/error-400": raw(400, b"bad"),
    "/error-418": raw(418, b"tea"),
    "/error-status": raw(403, STATUS),
    "/ok-status": raw(200, STATUS),
}
for _code in (400, 401, 403, 405, 409, 422, 429, 502, 504):
    HOOKS[f"/code-{_code}"] = raw(_code, b"told")


# --- conversion -------------------------------------------------------------------------------------------------------
def converted(request: Object) -> Object:
    """v1 has hostPort, v2 and v3 have host and port, as in test/e2e/apimachinery/crd_conversion_webhook.go."""
    return {"convertedObjects": [_as(one, request["desiredAPIVersion"]) for one in request["objects"]], **SUCCESS}


def _as(obj: Object, wanted: str) -> Object:
    made = {**obj, "apiVersion": wanted}
    if obj["apiVersion"].endswith("/v1") and "hostPort" in obj:
        made["host"], _, made["port"] = made.pop("hostPort").partition(":")
    elif wanted.endswith("/v1") and "host" in obj:
        made["hostPort"] = f"{made.pop('host')}:{made.pop('port', '')}"
    return made


def changed(**fields: Any) -> Callable[[Object], Object]:
    """Converts, and then spoils what it made."""

    def answer(request: Object) -> Object:
        response = converted(request)
        response["convertedObjects"] = [{**one, **fields} for one in response["convertedObjects"]]
        return response

    return answer


def relabelled(metadata: Object) -> Callable[[Object], Object]:
    def answer(request: Object) -> Object:
        response = converted(request)
        for one in response["convertedObjects"]:
            one["metadata"] = {**one["metadata"], **metadata}
        return response

    return answer


SUCCESS = {"result": {"status": "Success"}}
CONVERSION_REVIEW = {"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1"}
HOOKS |= {
    "/convert": converted,
    "/convert-fails": lambda _: {"result": {"status": "Failure", "message": "not today"}},
    "/convert-says-nothing": lambda _: {"result": {"status": "Failure"}},
    "/convert-to-nothing": lambda _: {"convertedObjects": [], **SUCCESS},
    "/convert-to-other-version": changed(apiVersion="other.io/v9"),
    "/convert-to-other-kind": changed(kind="Other"),
    "/convert-to-no-metadata": changed(metadata=None),
    "/convert-renames": relabelled({"name": "other"}),
    "/convert-moves": relabelled({"namespace": "other"}),
    "/convert-new-uid": relabelled({"uid": "other"}),
    "/convert-labels": relabelled({"labels": {"by": "webhook"}, "annotations": None, "finalizers": ["a.io/b"]}),
    "/convert-bad-label": relabelled({"labels": {"not a label": "x"}}),
    "/convert-number-label": relabelled({"labels": {"l": 5}}),
    "/convert-text-labels": relabelled({"labels": "x"}),
    "/convert-wrong-uid": lambda request: {**converted(request), "uid": "other"},
    "/convert-no-response": raw(200, CONVERSION_REVIEW),
    "/convert-no-review": raw(200, {"response": {}}),
    "/convert-garbage": raw(200, b"garbage"),
    "/convert-500": raw(500, b"it broke"),
}


# --- configurations ---------------------------------------------------------------------------------------------------
def rule(
    resources: str = "configmaps", operations: str = "CREATE,UPDATE", group: str = "", version: str = "v1"
) -> Object:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "resources": resources.split(","),
        "operations": operations.split(","),
    }


def hook(path: str, *rules: Object, name: str = "", **more: Any) -> Object:
    """A webhook of the server that plays; SERVER and CA are filled in there."""
    return {
        "name": name or f"{path[1:]}.example.com",
        "clientConfig": {"url": f"SERVER{path}", "caBundle": "CA"},
        "rules": list(rules) or [rule()],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "objectSelector": {"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]},
        "namespaceSelector": {"matchLabels": {"hooked": "yes"}},
        **more,
    }


def configured(kind: str, name: str, *hooks: Object) -> Step:
    title = "MutatingWebhookConfiguration" if kind == MUTATING else "ValidatingWebhookConfiguration"
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": title,
        "metadata": {"name": name},
        "webhooks": list(hooks),
    }
    return Step(f"POST {REGISTRATION}/{kind}", body, settles=True)


def gone(kind: str, name: str) -> Step:
    return Step(f"DELETE {REGISTRATION}/{kind}/{name}", settles=True)


def config_map(name: str, data: Object | None = None, **labels: str) -> Object:
    metadata: Object = {"name": name, "labels": {"l": "x", **labels}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {"k": "v"}}


def pod(name: str, container: str = "c", **labels: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "containers": [{"name": container, "image": "i"}],
            "automountServiceAccountToken": False,
            "serviceAccountName": "default",
            "terminationGracePeriodSeconds": 0,
        },
    }


NAMESPACE = "webhook-scene"
MAPS, PODS = f"/api/v1/namespaces/{NAMESPACE}/configmaps", f"/api/v1/namespaces/{NAMESPACE}/pods"


def created(*paths: str, kind: str = VALIDATING, **more: Any) -> list[Step]:
    """One ConfigMap for each path, with only that webhook asked about it."""
    label = "only"
    hooks = [
        hook(path, rule(), objectSelector={"matchLabels": {label: path[1:]}}, name=f"w{number}.example.com", **more)
        for number, path in enumerate(paths)
    ]
    steps = [configured(kind, "each", *hooks)]
    steps += [Step(f"POST {MAPS}", config_map(f"cm-{path[1:]}", only=path[1:])) for path in paths]
    steps += [Step(f"DELETE {MAPS}?labelSelector=l"), gone(kind, "each")]
    return steps


WIDGET_SCHEMA = {
    "type": "object",
    "properties": {
        "data": {"type": "object", "additionalProperties": {"type": "string"}},
        "spec": {
            "type": "object",
            "properties": {"size": {"type": "integer", "default": 3}, "color": {"type": "string"}},
        },
    },
}


def crd(group: str, versions: tuple[str, ...] = ("v1",), storage: str = "v1", **more: Any) -> Object:
    served = [
        {
            "name": one,
            "served": True,
            "storage": one == storage,
            "schema": {"openAPIV3Schema": WIDGET_SCHEMA},
            "subresources": {"status": {}},
        }
        for one in versions
    ]
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}", **more},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": served},
    }


CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def widget(group: str, name: str, version: str = "v1", data: Object | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": f"{group}/{version}",
        "kind": "Widget",
        "metadata": {"name": name, "labels": {"l": "x"}},
        "data": data or {"k": "v"},
        "spec": spec,
    }


def widgets(group: str, version: str = "v1") -> str:
    return f"/apis/{group}/{version}/namespaces/{NAMESPACE}/widgets"


DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "labels": {"l": "x"}},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}
SCALE = {
    "apiVersion": "autoscaling/v1",
    "kind": "Scale",
    "metadata": {"name": "d", "namespace": NAMESPACE},
    "spec": {"replicas": 2},
}
AUTOSCALERS = f"namespaces/{NAMESPACE}/horizontalpodautoscalers"
AUTOSCALER = {
    "apiVersion": "autoscaling/v1",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "h", "labels": {"l": "x"}},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        "maxReplicas": 5,
        "targetCPUUtilizationPercentage": 50,
    },
}
SUBJECT_REVIEW = {
    "apiVersion": "authorization.k8s.io/v1",
    "kind": "SelfSubjectAccessReview",
    "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}},
}

HOST_SCHEMAS = {
    "v1": {"hostPort": {"type": "string"}},
    "v2": {"host": {"type": "string"}, "port": {"type": "string"}, "extra": {"type": "string", "default": "from-v2"}},
}


def hosts(group: str, path: str, storage: str = "v1", **conversion: Any) -> Object:
    """A definition whose two versions a webhook converts."""
    versions = [
        {
            "name": name,
            "served": True,
            "storage": name == storage,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": fields}},
            "additionalPrinterColumns": [{"name": one, "type": "string", "jsonPath": f".{one}"} for one in fields],
        }
        for name, fields in HOST_SCHEMAS.items()
    ]
    config = {"url": f"SERVER{path}", "caBundle": "CA"}
    webhook = {"clientConfig": config, "conversionReviewVersions": ["v1"], **conversion}
    names = {"plural": "hosts", "singular": "host", "kind": "Host", "listKind": "HostList"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"hosts.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": names,
            "versions": versions,
            "conversion": {"strategy": "Webhook", "webhook": webhook},
        },
    }


def host(group: str, name: str, version: str = "v1", **fields: Any) -> Object:
    given = fields or ({"hostPort": "a:1"} if version == "v1" else {"host": "a", "port": "1"})
    metadata = {"name": name, "labels": {"l": "x"}, "annotations": {"n": "x"}}
    return {"apiVersion": f"{group}/{version}", "kind": "Host", "metadata": metadata, **given}


def at(group: str, version: str = "v1", name: str = "") -> str:
    return f"/apis/{group}/{version}/namespaces/{NAMESPACE}/hosts" + (f"/{name}" if name else "")


TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
JSON_PATCH = {"content-type": "application/json-patch+json"}
FLIPPED = [
    {"op": "replace", "path": "/spec/versions/0/storage", "value": False},
    {"op": "replace", "path": "/spec/versions/1/storage", "value": True},
]


def badly_converted(*paths: str) -> list[Step]:
    """One definition for each path; an object is written in the storage version and read in the other."""
    steps = []
    for path in paths:
        group = f"{path[1:]}.example.com"
        steps += [
            Step(f"POST {CRDS}", hosts(group, path), settles=True),
            Step(f"POST {at(group)}", host(group, "h")),
            Step(f"GET {at(group, 'v2')}/h"),
            Step(f"POST {at(group, 'v2')}", host(group, "i", "v2")),
            Step(f"GET {at(group)}/h"),
            Step(f"DELETE {at(group)}/h"),
            Step(f"DELETE {CRDS}/hosts.{group}"),
        ]
    return steps


ONE, OLD = "conv.example.com", "old.example.com"
SCENES: dict[str, list[Step]] = {
    "deny pods and configmaps": [
        configured(
            VALIDATING,
            "deny",
            hook("/pods", rule("pods", "CREATE")),
            hook("/configmaps", rule("configmaps", "CREATE,UPDATE,DELETE")),
        ),
        Step(f"POST {PODS}", pod("p1", "webhook-disallow", **{"webhook-e2e-test": "webhook-disallow"})),
        Step(f"POST {PODS}", pod("p2")),
        Step(f"POST {MAPS}", config_map("c1", {"webhook-e2e-test": "webhook-disallow"})),
        Step(f"POST {MAPS}?dryRun=All&fieldManager=m&fieldValidation=Strict", config_map("c2")),
        Step(f"POST {MAPS}", config_map("c2")),
        Step(f"PUT {MAPS}/c2", config_map("c2", {"webhook-e2e-test": "webhook-disallow"})),
        Step(f"PATCH {MAPS}/c2", {"data": {"webhook-e2e-test": "webhook-disallow"}}, MERGE),
        Step(f"PUT {MAPS}/c2", config_map("c2", {"other": "data"})),
        Step(f"PATCH {MAPS}/c2?fieldManager=me&force=true", config_map("c2", {"applied": "data"}), APPLY),
        Step(f"PATCH {MAPS}/c3?fieldManager=me", config_map("c3", {"applied": "data"}), APPLY),
        Step(f"POST {MAPS}", config_map("c4", {"webhook-e2e-test": "webhook-nondeletable"})),
        Step(f"DELETE {MAPS}/c4"),
        Step(f"DELETE {MAPS}?labelSelector=l"),
        Step(f"PATCH {MAPS}/c4", {"data": {"webhook-e2e-test": "fine"}}, MERGE),
        Step(f"DELETE {MAPS}/c4?gracePeriodSeconds=5&propagationPolicy=Background"),
        Step(f"POST {MAPS}", {**config_map("c5"), "metadata": {"generateName": "made-"}}),
        Step("POST /api/v1/namespaces/default/configmaps", config_map("c1", {"webhook-e2e-test": "webhook-disallow"})),
        Step("DELETE /api/v1/namespaces/default/configmaps/c1"),
        Step(f"POST {MAPS}", config_map("c6", {"webhook-e2e-test": "webhook-disallow"}, skip="yes")),
        Step(f"PATCH {MAPS}/c6", {"metadata": {"labels": {"skip": None}}}, MERGE),
        Step(f"DELETE {MAPS}"),
        Step(f"DELETE {PODS}/p2"),
        gone(VALIDATING, "deny"),
    ],
    "denials": created("/deny", "/deny-message", "/deny-whole", "/deny-low-code"),
    "warnings": created("/warn", "/warn-and-deny"),
    "warnings of mutating": created("/warn", "/warn-and-deny", "/deny-whole", kind=MUTATING),
    "broken validating answers": created(
        *("/wrong-uid", "/absent", "/no-kind", "/other-kind", "/other-version", "/unknown-kind", "/wrong-type"),
        *(
            "/garbage",
            "/half",
            "/empty",
            "/array",
            "/error-500",
            "/error-503",
            "/error-404",
            "/error-400",
            "/error-418",
        ),
        *("/error-status", "/ok-status", "/patch-add-data", "/type-without-patch", "/patch-without-type"),
        *(f"/code-{one}" for one in (401, 403, 405, 409, 422, 429, 502, 504)),
    ),
    "broken validating answers, ignored": created(
        "/wrong-uid", "/garbage", "/error-500", "/error-status", "/deny-message", failurePolicy="Ignore"
    ),
    "broken mutating answers": created(
        *("/wrong-uid", "/absent", "/garbage", "/error-500", "/patch-unknown-field", "/patch-wrong-type"),
        *("/patch-invalid-name", "/patch-missing-path", "/patch-remove-missing", "/patch-test-fails", "/patch-rename"),
        *("/patch-empty", "/patch-no-list", "/patch-garbage", "/patch-no-base64", "/patch-without-type"),
        *("/type-without-patch", "/patch-empty-type", "/patch-other-type", "/patch-managed-fields"),
        *("/drop-managed-fields", "/patch-add-data"),
        kind=MUTATING,
    ),
    "broken mutating answers, ignored": created(
        *("/wrong-uid", "/garbage", "/patch-garbage", "/patch-wrong-type", "/patch-missing-path", "/patch-other-type"),
        *("/deny-message", "/patch-add-data"),
        kind=MUTATING,
        failurePolicy="Ignore",
    ),
    "reviews of version v1beta1": created(
        *(
            "/allow",
            "/deny-message",
            "/wrong-uid",
            "/no-kind",
            "/other-version",
            "/patch-without-type",
            "/patch-add-data",
        ),
        kind=MUTATING,
        admissionReviewVersions=["v2", "v1beta1", "v1"],
    ),
    "dry run and side effects": [
        configured(
            VALIDATING,
            "effects",
            hook("/allow", rule(), name="none.example.com", sideEffects="NoneOnDryRun"),
            hook("/allow", rule("secrets"), name="some.example.com", sideEffects="Some"),
        ),
        Step(f"POST {MAPS}?dryRun=All", config_map("c1")),
        gone(VALIDATING, "effects"),
    ],
    "mutate a configmap in stages": [
        configured(MUTATING, "stage-b", hook("/stages", name="b.example.com")),
        configured(MUTATING, "stage-a", hook("/stages", name="a.example.com")),
        Step(f"POST {MAPS}", config_map("c1", {"mutation-start": "yes"})),
        Step(f"PATCH {MAPS}/c2?fieldManager=me", config_map("c2", {"mutation-start": "yes"}), APPLY),
        Step(f"PATCH {MAPS}/c2?fieldManager=me", config_map("c2", {"mutation-start": "yes"}), APPLY),
        Step(f"PATCH {MAPS}/c2?fieldManager=you", config_map("c2", {"mutation-stage-2": "no"}), APPLY),
        Step(f"DELETE {MAPS}"),
        gone(MUTATING, "stage-a"),
        gone(MUTATING, "stage-b"),
    ],
    "mutate a pod, then default it": [
        configured(MUTATING, "pods", hook("/init-container", rule("pods", "CREATE"))),
        Step(f"POST {PODS}", pod("webhook-to-be-mutated")),
        Step(f"DELETE {PODS}/webhook-to-be-mutated"),
        gone(MUTATING, "pods"),
    ],
    "invoke again": [
        configured(
            MUTATING,
            "again",
            hook("/label-a", name="a.example.com", reinvocationPolicy="IfNeeded"),
            hook("/label-b", name="b.example.com", reinvocationPolicy="Never"),
            hook("/label-c", name="c.example.com", reinvocationPolicy="IfNeeded"),
            hook("/allow", name="d.example.com", reinvocationPolicy="IfNeeded"),
        ),
        Step(f"POST {MAPS}", config_map("c1")),
        Step(f"POST {MAPS}", config_map("c2", a="x", b="x", c="x")),
        Step(f"DELETE {MAPS}"),
        gone(MUTATING, "again"),
    ],
    "configurations are safe from webhooks": [
        configured(
            VALIDATING,
            "all",
            hook(
                "/deny",
                rule("*", "*", "*", "*"),
                namespaceSelector={},
                objectSelector={"matchLabels": {"target": "yes"}},
            ),
        ),
        Step(
            f"POST {REGISTRATION}/{MUTATING}",
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": "free", "labels": {"target": "yes"}},
            },
        ),
        Step(f"DELETE {REGISTRATION}/{MUTATING}/free"),
        Step("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", SUBJECT_REVIEW),
        Step(f"POST {CRDS}", crd("denied.example.com", labels={"target": "yes"})),
        gone(VALIDATING, "all"),
    ],
    "namespaces": [
        configured(
            VALIDATING,
            "ns",
            hook("/deny-message", rule("namespaces", "CREATE,DELETE"), objectSelector={}),
        ),
        Step(
            "POST /api/v1/namespaces",
            {"kind": "Namespace", "metadata": {"name": "scene-a", "labels": {"hooked": "yes"}}},
        ),
        Step("POST /api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": "scene-b"}}),
        Step("PATCH /api/v1/namespaces/scene-b", {"metadata": {"labels": {"hooked": "yes"}}}, MERGE),
        Step("DELETE /api/v1/namespaces/scene-b"),
        gone(VALIDATING, "ns"),
        Step("DELETE /api/v1/namespaces/scene-b"),
        Step(
            "PUT /api/v1/namespaces/scene-b/finalize",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "scene-b"}, "spec": {}},
        ),
        Step("POST /api/v1/namespaces/nowhere/configmaps", config_map("c1")),
    ],
    "custom resources": [
        Step(f"POST {CRDS}", crd("one.example.com"), settles=True),
        configured(
            MUTATING,
            "cr",
            hook("/stages", rule("widgets", "CREATE,UPDATE", "one.example.com")),
            hook("/patch-unknown-field", rule("widgets", "CREATE", "one.example.com")),
        ),
        configured(VALIDATING, "cr", hook("/configmaps", rule("widgets", "*", "one.example.com"))),
        Step(
            f"POST {widgets('one.example.com')}",
            widget("one.example.com", "w1", data={"webhook-e2e-test": "webhook-disallow"}),
        ),
        Step(f"POST {widgets('one.example.com')}", widget("one.example.com", "w2", data={"mutation-start": "yes"})),
        Step(f"PATCH {widgets('one.example.com')}/w2", {"data": {"webhook-e2e-test": "webhook-nondeletable"}}, MERGE),
        Step(f"PATCH {widgets('one.example.com')}/w2/status", {"status": {"x": 1}}, MERGE),
        Step(f"DELETE {widgets('one.example.com')}/w2"),
        Step(f"PATCH {widgets('one.example.com')}/w2", {"data": {"webhook-e2e-test": "fine"}}, MERGE),
        Step(f"DELETE {widgets('one.example.com')}/w2"),
        gone(MUTATING, "cr"),
        gone(VALIDATING, "cr"),
        Step(f"DELETE {CRDS}/widgets.one.example.com", settles=True),
    ],
    "custom resources stored in another version": [
        Step(f"POST {CRDS}", crd("two.example.com", ("v1", "v2"), "v2"), settles=True),
        configured(MUTATING, "cr", hook("/stages", rule("widgets", "CREATE,UPDATE", "two.example.com", "v1"))),
        Step(f"POST {widgets('two.example.com')}", widget("two.example.com", "w1", data={"mutation-start": "yes"})),
        Step(
            f"POST {widgets('two.example.com', 'v2')}",
            widget("two.example.com", "w2", "v2", data={"mutation-start": "yes"}),
        ),
        Step(f"PATCH {widgets('two.example.com', 'v2')}/w2", {"data": {"x": "y"}}, MERGE),
        Step(f"GET {widgets('two.example.com')}/w2"),
        Step(
            f"PATCH {REGISTRATION}/{MUTATING}/cr",
            [{"op": "add", "path": "/webhooks/0/matchPolicy", "value": "Exact"}],
            {"content-type": "application/json-patch+json"},
            settles=True,
        ),
        Step(
            f"POST {widgets('two.example.com', 'v2')}",
            widget("two.example.com", "w3", "v2", data={"mutation-start": "yes"}),
        ),
        gone(MUTATING, "cr"),
        Step(f"DELETE {CRDS}/widgets.two.example.com", settles=True),
    ],
    "equivalent versions of built-in kinds": [
        configured(
            MUTATING,
            "hpa",
            hook("/max-replicas", rule("horizontalpodautoscalers", "CREATE", "autoscaling", "v2")),
            hook("/allow", rule("horizontalpodautoscalers", "*", "autoscaling", "v2"), matchPolicy="Exact"),
        ),
        Step(f"POST /apis/autoscaling/v1/{AUTOSCALERS}", AUTOSCALER),
        Step(f"GET /apis/autoscaling/v2/{AUTOSCALERS}/h"),
        Step(f"DELETE /apis/autoscaling/v2/{AUTOSCALERS}/h"),
        gone(MUTATING, "hpa"),
    ],
    "subresources": [
        Step(f"POST {DEPLOYMENTS}", DEPLOYMENT),
        Step(f"POST {PODS}", pod("to-be-attached-pod", "container1")),
        configured(
            MUTATING,
            "parts",
            hook("/replicas", rule("deployments/scale", "UPDATE", "apps"), objectSelector={}, name="m.example.com"),
        ),
        configured(
            VALIDATING,
            "parts",
            hook("/attach", rule("pods/attach,pods/exec,pods/portforward,pods/proxy", "CONNECT"), objectSelector={}),
            hook("/allow", rule("*/*", "*", "*"), objectSelector={}, name="all.example.com"),
        ),
        Step(f"PUT {DEPLOYMENTS}/d/scale", SCALE),
        Step(f"PATCH {DEPLOYMENTS}/d/scale", {"spec": {"replicas": 3}}, MERGE),
        Step(f"GET {DEPLOYMENTS}/d/scale"),
        Step(f"PATCH {DEPLOYMENTS}/d/status", {"status": {"observedGeneration": 9}}, MERGE),
        Step(f"POST {PODS}/to-be-attached-pod/attach?container=container1&stdin=true&stdout=1&tty=false"),
        Step(f"POST {PODS}/to-be-attached-pod/attach?container=container1"),
        Step(f"GET {PODS}/to-be-attached-pod/exec?command=a&command=b&container=container1&stdin=true"),
        Step(f"GET {PODS}/none/exec?command=a&container=x"),
        Step(f"GET {PODS}/to-be-attached-pod/log"),
        Step(
            f"POST /api/v1/namespaces/{NAMESPACE}/serviceaccounts/default/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["a"]}},
        ),
        Step(
            f"POST {PODS}/to-be-attached-pod/binding",
            {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": "to-be-attached-pod"},
                "target": {"kind": "Node", "name": "n"},
            },
        ),
        Step(
            f"POST {PODS}/to-be-attached-pod/eviction",
            {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "to-be-attached-pod"}},
        ),
        gone(VALIDATING, "parts"),
        gone(MUTATING, "parts"),
        Step(f"DELETE {DEPLOYMENTS}/d"),
        Step(f"DELETE {PODS}/to-be-attached-pod?gracePeriodSeconds=0"),
    ],
    "match conditions": [
        configured(
            MUTATING,
            "conditions",
            hook(
                "/patch-add-data",
                matchConditions=[
                    {"name": "not-me", "expression": "object.metadata.name != 'skip-me'"},
                    {"name": "me", "expression": "request.userInfo.username == 'peer-admin-token-user'"},
                    {"name": "may", "expression": "authorizer.group('').resource('pods').check('get').allowed()"},
                ],
            ),
            hook(
                "/label-b",
                name="fails.example.com",
                matchConditions=[{"name": "no-key", "expression": "object.data.nokey == 'x'"}],
                objectSelector={"matchLabels": {"fails": "closed"}},
            ),
            hook(
                "/label-b",
                name="opens.example.com",
                failurePolicy="Ignore",
                matchConditions=[{"name": "no-key", "expression": "object.data.nokey == 'x'"}],
                objectSelector={"matchLabels": {"fails": "open"}},
            ),
        ),
        Step(f"POST {MAPS}", config_map("skip-me")),
        Step(f"POST {MAPS}", config_map("mutate-me")),
        Step(f"POST {MAPS}", config_map("closed", fails="closed")),
        Step(f"POST {MAPS}", config_map("open", fails="open")),
        Step(f"DELETE {MAPS}"),
        gone(MUTATING, "conditions"),
        configured(
            VALIDATING,
            "bad",
            hook("/allow", matchConditions=[{"name": "bad", "expression": "nothing == 1"}]),
        ),
    ],
    "change a configuration": [
        configured(VALIDATING, "changing", hook("/configmaps", rule("configmaps", "CREATE"))),
        Step(f"POST {MAPS}", config_map("c1", {"webhook-e2e-test": "webhook-disallow"})),
        Step(
            f"PATCH {REGISTRATION}/{VALIDATING}/changing",
            [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["UPDATE"]}],
            {"content-type": "application/json-patch+json"},
            settles=True,
        ),
        Step(f"POST {MAPS}", config_map("c1", {"webhook-e2e-test": "webhook-disallow"})),
        Step(f"PATCH {MAPS}/c1", {"data": {"x": "y"}}, MERGE),
        Step(f"DELETE {REGISTRATION}/{VALIDATING}", settles=True),
        Step(f"PATCH {MAPS}/c1", {"data": {"x": "y"}}, MERGE),
        Step(f"DELETE {MAPS}"),
    ],
    "conversion by webhook": [
        Step(f"POST {CRDS}", hosts(ONE, "/convert"), settles=True),
        Step(f"POST {at(ONE)}", host(ONE, "a")),
        Step(f"GET {at(ONE, 'v2')}/a"),
        Step(f"POST {at(ONE, 'v2')}", host(ONE, "b", "v2")),
        Step(f"POST {at(ONE, 'v2')}?dryRun=All", host(ONE, "z", "v2")),
        Step(f"GET {at(ONE)}/b"),
        Step(f"PATCH {at(ONE, 'v2')}/b", {"port": "2"}, MERGE),
        Step(f"PATCH {at(ONE, 'v2')}/b", {"port": "2"}, MERGE),
        Step(f"PATCH {at(ONE)}/b", {"hostPort": "c:3"}, MERGE),
        Step(f"PATCH {at(ONE, 'v2')}/c?fieldManager=me", host(ONE, "c", "v2"), APPLY),
        Step(f"PATCH {at(ONE)}/c?fieldManager=you", host(ONE, "c", hostPort="a:1"), APPLY),
        Step(f"PATCH {at(ONE)}/c?fieldManager=you&force=true", host(ONE, "c", hostPort="d:4"), APPLY),
        Step(f"GET {at(ONE, 'v2')}"),
        Step(f"GET {at(ONE)}"),
        Step(f"GET {at(ONE, 'v2')}", None, TABLE),
        Step(f"GET {at(ONE, 'v2')}?watch=1&timeoutSeconds=1&resourceVersion=0"),
        Step(f"PATCH {CRDS}/hosts.{ONE}", FLIPPED, JSON_PATCH, settles=True),
        Step(f"POST {at(ONE)}", host(ONE, "e")),
        Step(f"POST {at(ONE, 'v2')}", host(ONE, "f", "v2", host="f", port="6", unknown="x")),
        Step(f"GET {at(ONE, 'v2')}"),
        Step(f"GET {at(ONE)}"),
        Step(f"DELETE {at(ONE, 'v2')}/a"),
        Step(f"DELETE {at(ONE, 'v2')}"),
        Step(f"DELETE {CRDS}/hosts.{ONE}"),
    ],
    "conversion reviews of version v1beta1": [
        Step(f"POST {CRDS}", hosts(OLD, "/convert", conversionReviewVersions=["v2", "v1beta1", "v1"]), settles=True),
        Step(f"POST {at(OLD)}", host(OLD, "a")),
        Step(f"GET {at(OLD, 'v2')}/a"),
        Step(f"DELETE {at(OLD)}/a"),
        Step(f"DELETE {CRDS}/hosts.{OLD}"),
    ],
    "conversions that fail": badly_converted(*(one for one in HOOKS if one.startswith("/convert-"))),
}
SETUP = [
    Step(f"DELETE {CRDS}", settles=True),
    Step(f"DELETE {REGISTRATION}/{MUTATING}"),
    Step(f"DELETE {REGISTRATION}/{VALIDATING}", settles=True),
    Step(
        "POST /api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"hooked": "yes"}}}
    ),
    Step(
        f"POST /api/v1/namespaces/{NAMESPACE}/serviceaccounts",
        {"kind": "ServiceAccount", "metadata": {"name": "default"}},
        settles=True,
    ),
]
