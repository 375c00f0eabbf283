"""Reviews: questions put as objects. Who am I, may she, what may I, whose token is this? Nothing of them is stored.

Each is a function from the decoded object to the answered one; `review_verbs` binds them to what they ask. Follows
pkg/registry/authentication and pkg/registry/authorization in k8s.io/kubernetes, whose 422s name no kind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from ledger.apimachinery import field as fields
from ledger.apimachinery import status
from ledger.apimachinery.field import FieldError
from ledger.apimachinery.http import RequestInfo, Response, User
from ledger.apimachinery.managedfields import manager_name
from ledger.apimachinery.names import is_label_value, is_qualified_name
from ledger.apimachinery.negotiation import negotiate
from ledger.apimachinery.resource import Object
from ledger.apimachinery.selectors import SelectorError, parse_field_selector, parse_label_selector, requirement
from ledger.apimachinery.status import StatusError
from ledger.apimachinery.times import rfc3339
from ledger.auth.api import Authenticated, AuthenticateToken, Authorize, Unauthenticated
from ledger.auth.authenticators import joined
from ledger.auth.rbac import Rules
from ledger.handlers.api import Api
from ledger.registry.options import query_of, write_options
from ledger.registry.registry import Call

AUTHENTICATION, AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
RulesFor = Callable[[User, str], Rules]
Answer = Callable[[Call, Object, int], Object]  # the call, its body, microseconds since 1970
Verb = Callable[[Api, Call], Awaitable[Response]]

_WRONG_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
_ONE_OF = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


def review_verbs(
    authorize: Authorize, rules_for: RulesFor, authenticate_token: AuthenticateToken, audiences: tuple[str, ...]
) -> Mapping[tuple[str, str, str], Verb]:
    """The create handlers of all reviews, by (group, resource, subresource)."""
    answers: dict[tuple[str, str], Answer] = {
        (AUTHENTICATION, "selfsubjectreviews"): lambda call, obj, now: self_subject_review(obj, call.user, now),
        (AUTHENTICATION, "tokenreviews"): lambda call, obj, now: token_review(obj, authenticate_token, audiences),
        (AUTHORIZATION, "subjectaccessreviews"): lambda call, obj, now: subject_access_review(obj, authorize),
        (AUTHORIZATION, "localsubjectaccessreviews"): lambda call, obj, now: local_subject_access_review(
            obj, call.namespace, authorize
        ),
        (AUTHORIZATION, "selfsubjectaccessreviews"): lambda call, obj, now: self_subject_access_review(
            obj, call.user, authorize
        ),
        (AUTHORIZATION, "selfsubjectrulesreviews"): lambda call, obj, now: self_subject_rules_review(
            obj, call.user, rules_for
        ),
    }
    return {(group, resource, ""): _verb(answer) for (group, resource), answer in answers.items()}


def _verb(answer: Answer) -> Verb:
    async def review(api: Api, call: Call) -> Response:
        negotiate(call.request.headers.get("accept"), table=False)
        options = write_options(query_of(call.request), "CreateOptions")
        obj = await api.decoded(call, options.field_validation)
        now = api.clock()
        if call.definition.namespaced:
            obj["metadata"] = {"namespace": call.namespace} | (obj.get("metadata") or {})
            if obj["metadata"]["namespace"] != call.namespace:
                raise status.bad_request(_WRONG_NAMESPACE)
        manager = manager_name(options.field_manager, call.request.headers.get("user-agent"))
        obj = api.behaviour.track(call.definition, call.version, None, obj, manager, call.subresource, now)
        return api.encoder.plain(call.request, call.version.kind, answer(call, obj, now), 201)

    return review


def self_subject_review(obj: Object, user: User, now: int) -> Object:
    """The user as this server sees it, after impersonation. What was sent does not matter."""
    answered = {"metadata": {"creationTimestamp": rfc3339(now)}, "status": {"userInfo": user_info(user)}}
    return _kind_of(obj) | answered


def token_review(obj: Object, authenticate_token: AuthenticateToken, audiences: tuple[str, ...]) -> Object:
    """Whose token it is, for one of the audiences asked for, or for one of ours when none is.

    A bad token is an answer, not an error; StatusError 400 without a token.
    """
    spec = obj.get("spec") or {}
    token = spec.get("token", "")
    if not token:
        raise status.bad_request("token is required for TokenReview in authentication")
    wanted = tuple(spec.get("audiences") or audiences)
    try:
        found = authenticate_token(token, wanted)
    except Unauthenticated as refusal:
        # Upstream asks its loopback authenticator first, which knows no token but its own.
        return _with_status(obj, {"user": {}, "error": joined(["invalid bearer token", str(refusal)])})
    assert found is not None, "a token authenticator at the end of the list refuses instead"
    return _with_status(obj, _authenticated(found, wanted))


def _authenticated(found: Authenticated, wanted: tuple[str, ...]) -> dict[str, Any]:
    if wanted and not set(wanted) & set(found.audiences):
        raise status.internal_error("error validating audiences")
    answered = {"authenticated": True, "user": user_info(found.user)}
    return answered | ({"audiences": list(found.audiences)} if found.audiences else {})


def subject_access_review(obj: Object, authorize: Authorize) -> Object:
    """Whether the user of the spec may; StatusError 422 for a spec that asks nothing or about nobody."""
    spec = obj.get("spec") or {}
    _refuse_invalid([*_spec_errors(spec, named=True), *_metadata_errors(obj)])
    return _with_status(obj, _decided(authorize, _user_of(spec), spec))


def local_subject_access_review(obj: Object, namespace: str, authorize: Authorize) -> Object:
    """The same within one namespace, for those who may ask about it only there."""
    spec, metadata = obj.get("spec") or {}, obj.get("metadata") or {}
    asked, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    errors = [*_spec_errors(spec, named=True), *_metadata_errors(obj, but=("namespace",))]
    if asked is not None and asked.get("namespace", "") != metadata.get("namespace", ""):
        where = "spec.resourceAttributes.namespace"
        errors.append(fields.invalid(where, asked.get("namespace", ""), "must match metadata.namespace"))
    if path is not None:
        where = "spec.nonResourceAttributes"
        errors.append(fields.invalid(where, _go_path(path), "disallowed on this kind of request"))
    _refuse_invalid(errors)
    if metadata.get("namespace", "") != namespace:
        raise status.bad_request(f"spec.resourceAttributes.namespace must match namespace: {namespace}")
    return _with_status(obj, _decided(authorize, _user_of(spec), spec))


def self_subject_access_review(obj: Object, user: User, authorize: Authorize) -> Object:
    """Whether whoever asks may: `kubectl auth can-i`."""
    spec = obj.get("spec") or {}
    _refuse_invalid([*_spec_errors(spec, named=False), *_metadata_errors(obj)])
    return _with_status(obj, _decided(authorize, user, spec))


def self_subject_rules_review(obj: Object, user: User, rules_for: RulesFor) -> Object:
    """All that whoever asks may in a namespace, rule by rule: `kubectl auth can-i --list`."""
    namespace = (obj.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise status.bad_request("no namespace on request")
    found = rules_for(user, namespace)
    resources = [
        {"verbs": list(rule.verbs), "apiGroups": list(rule.api_groups), "resources": list(rule.resources)}
        | ({"resourceNames": list(rule.resource_names)} if rule.resource_names else {})
        for rule in found.rules
        if rule.resources
    ]
    urls = [{"verbs": list(rule.verbs), "nonResourceURLs": list(rule.urls)} for rule in found.rules if rule.urls]
    answered: dict[str, Any] = {"resourceRules": resources, "nonResourceRules": urls, "incomplete": False}
    if found.errors:
        answered["evaluationError"] = joined([str(error) for error in found.errors])
    return _kind_of(obj) | {"metadata": {}, "spec": {}, "status": answered}


def user_info(user: User) -> dict[str, Any]:
    """authentication.k8s.io/v1 UserInfo, without what is empty."""
    shown: dict[str, Any] = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    shown["extra"] = {key: list(values) for key, values in sorted(user.extra.items())}
    return {key: value for key, value in shown.items() if value}


def _decided(authorize: Authorize, user: User, spec: dict[str, Any]) -> dict[str, Any]:
    decision = authorize(user, _attributes(spec))
    answered: dict[str, Any] = {"allowed": decision.allowed}
    if decision.reason:
        answered["reason"] = decision.reason
    if decision.denied:
        answered["denied"] = True
    ignored = [*filter(None, [decision.error]), *_ignored_selectors(spec.get("resourceAttributes") or {})]
    if ignored:
        answered["evaluationError"] = "; ".join(ignored)
    return answered


def _attributes(spec: dict[str, Any]) -> RequestInfo:
    asked = spec.get("resourceAttributes")
    if asked is None:
        path = spec["nonResourceAttributes"]
        return RequestInfo(is_resource=False, path=path.get("path", ""), verb=path.get("verb", ""))
    parts = ("group", "namespace", "resource", "subresource", "name")
    named = {part: asked.get(part, "") for part in parts}
    return RequestInfo(
        is_resource=True, path="", verb=asked.get("verb", ""), version=asked.get("version") or "*", **named
    )


def _user_of(spec: dict[str, Any]) -> User:
    extra = {key: tuple(values or ()) for key, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)


def _spec_errors(spec: dict[str, Any], named: bool) -> list[FieldError]:
    """`named`: the spec says whom it is about."""
    asked, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    errors = []
    if (asked is None) == (path is None):
        errors.append(fields.invalid("spec", None if path is None else _go_path(path), _ONE_OF))
    if named and not spec.get("user") and not spec.get("groups"):
        errors.append(fields.invalid("spec.user", "", "at least one of user or group must be specified"))
    for kind in ("fieldSelector", "labelSelector"):
        selector = (asked or {}).get(kind)
        if selector is not None:
            errors += _selector_errors(selector, f"spec.resourceAttributes.{kind}", kind == "labelSelector")
    return errors


def _selector_errors(selector: dict[str, Any], where: str, of_labels: bool) -> list[FieldError]:
    raw, requirements = selector.get("rawSelector", ""), selector.get("requirements") or []
    errors = []
    if raw and requirements:
        errors.append(fields.invalid(f"{where}.rawSelector", raw, "may not specified at the same time as requirements"))
    if not raw and not requirements:
        why = f"when {where} is specified, requirements or rawSelector is required"
        errors.append(fields.required(f"{where}.requirements", why))
    for number, one in enumerate(requirements):
        errors += _requirement_errors(one, f"{where}.requirements[{number}]", of_labels)
    return errors


def _requirement_errors(one: dict[str, Any], where: str, of_labels: bool) -> list[FieldError]:
    """Operators that this server does not know pass: a newer client may."""
    key, operator, values = one.get("key", ""), one.get("operator", ""), one.get("values") or []
    errors = []
    if not of_labels and not key:
        errors.append(fields.required(f"{where}.key", "must be specified"))
    if operator in ("In", "NotIn") and not values:
        errors.append(fields.required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    if operator in ("Exists", "DoesNotExist") and values:
        why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        errors.append(fields.forbidden(f"{where}.values", why))
    if of_labels:
        errors += [fields.invalid(f"{where}.key", key, why) for why in is_qualified_name(key)]
        for number, value in enumerate(values):
            errors += [fields.invalid(f"{where}.values[{number}]", value, why) for why in is_label_value(value)]
    return errors


def _ignored_selectors(asked: dict[str, Any]) -> list[str]:
    """RBAC looks at no selector; what could not be parsed of one is said all the same."""
    ignored = []
    for kind, parsed in (("fieldSelector", _parsed_fields), ("labelSelector", _parsed_labels)):
        selector = asked.get(kind)
        good, bad = parsed(selector) if selector else (0, 0)
        if bad:
            how = "partially ignored" if good else "ignored"
            ignored.append(f"spec.resourceAttributes.{kind} {how} due to parse error")
    return ignored


def _parsed_fields(selector: dict[str, Any]) -> tuple[int, int]:
    """(requirements that can be used, those that cannot)."""
    if selector.get("rawSelector"):
        return _parsed(lambda: parse_field_selector(selector["rawSelector"]))
    requirements = selector.get("requirements") or []
    good = sum(one.get("operator") in ("In", "NotIn") and len(one.get("values") or ()) == 1 for one in requirements)
    return good, len(requirements) - good


def _parsed_labels(selector: dict[str, Any]) -> tuple[int, int]:
    if selector.get("rawSelector"):
        return _parsed(lambda: parse_label_selector(selector["rawSelector"]))
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    good = bad = 0
    for one in selector.get("requirements") or []:
        operator = operators.get(one.get("operator", ""))
        if operator is None:
            bad += 1
            continue
        more = _parsed(partial(requirement, one.get("key", ""), operator, one.get("values") or []))
        good, bad = good + more[0], bad + more[1]
    return good, bad


def _parsed(parse: Callable[[], object]) -> tuple[int, int]:
    try:
        parse()
    except SelectorError:
        return 0, 1
    return 1, 0


def _metadata_errors(obj: Object, but: tuple[str, ...] = ()) -> list[FieldError]:
    metadata = obj.get("metadata") or {}
    if not any(value for key, value in metadata.items() if key not in ("managedFields", *but)):
        return []
    why = f"must be empty except for {but[0]}" if but else "must be empty"
    return [fields.invalid("metadata", metadata, why)]


def _go_path(path: dict[str, Any]) -> dict[str, str]:
    """nonResourceAttributes as upstream shows the internal type, which has no JSON names."""
    return {"Path": path.get("path", ""), "Verb": path.get("verb", "")}


def _refuse_invalid(errors: list[FieldError]) -> None:
    if errors:
        error = status.invalid(AUTHORIZATION, "", "", errors)
        error.details = {key: value for key, value in (error.details or {}).items() if value}
        raise StatusError(error.code, error.reason, error.message, error.details)


def _kind_of(obj: Object) -> Object:
    return {"kind": obj.get("kind", ""), "apiVersion": obj.get("apiVersion", "")}


def _with_status(obj: Object, answered: dict[str, Any]) -> Object:
    sent = {key: value for key, value in obj.items() if key not in ("kind", "apiVersion", "status")}
    return _kind_of(obj) | {"metadata": {}} | sent | {"status": answered}
