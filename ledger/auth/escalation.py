"""Nobody may hand out more than they have: the check in front of every write to a role or a binding.

    write to               is fine for whoever may                                or has already
    Role, ClusterRole      `escalate` that role                                   all of its rules
    (with aggregationRule) `escalate` that role                                   everything
    RoleBinding, Cluster-  `bind` the role it refers to (in the binding's place)  all rules of that role
    RoleBinding

and for system:masters always. Follows pkg/registry/rbac in k8s.io/kubernetes.
"""

from __future__ import annotations

from dataclasses import replace

from ledger.apimachinery import status
from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import User
from ledger.apimachinery.resource import GroupResource, Object
from ledger.apimachinery.status import StatusError
from ledger.auth.api import SUPERUSERS, Authorize, resource_attributes
from ledger.auth.authenticators import joined
from ledger.auth.rbac import GROUP, Rbac, Rule, RulesError, covers_url

_FULL = (Rule(verbs=("*",), api_groups=("*",), resources=("*",)), Rule(verbs=("*",), urls=("*",)))
_GC_FIELDS = ("ownerReferences", "finalizers", "selfLink", "managedFields")


def forbid_escalation(
    rbac: Rbac,
    authorize: Authorize,
    user: User,
    resource: str,
    namespace: str,
    name: str,
    new: Object,
    old: Object | None,
) -> None:
    """Raises StatusError 403 when writing `new` would grant what `user` does not have; 404 for a binding to nothing.

    `resource` is one of the four of rbac.authorization.k8s.io, `namespace` the request's, `name` the name in the
    request's path ("" on create). Call it before validation, as upstream does.
    """
    if SUPERUSERS in user.groups or (old is not None and _same_but_for_gc(new, old)):
        return
    if resource in ("roles", "clusterroles"):
        asked = resource_attributes("escalate", GROUP, resource, name, namespace=namespace, version="*")
        if authorize(user, asked).allowed:
            return
        rules = tuple(Rule.of(rule) for rule in new.get("rules") or ())
    else:
        role = new.get("roleRef") or {}
        kind, role_name = role.get("kind", ""), role.get("name", "")
        if _may_bind(authorize, user, role, namespace):
            return
        rules = _rules_of(rbac, resource, kind, role_name, namespace)
    refused = GroupResource(GROUP, resource)
    object_name = (new.get("metadata") or {}).get("name", "")
    why = missing_rights(rbac, user, resource, namespace, rules)
    if why:
        raise status.forbidden(refused, object_name, why)
    if resource == "clusterroles" and (_aggregates(new) or _aggregates(old)):
        if missing_rights(rbac, user, resource, namespace, _FULL):
            why = "must have cluster-admin privileges to use the aggregationRule"
            raise status.forbidden(refused, object_name, why)


def missing_rights(rbac: Rbac, user: User, resource: str, namespace: str, rules: tuple[Rule, ...]) -> str:
    """What `user` lacks of these rules, in ConfirmNoEscalation's words; "" when nothing."""
    held = rbac.rules_for(user, namespace)
    missing = [part for rule in rules for part in _parts(rule) if not any(_covers(own, part) for own in held.rules)]
    if not missing:
        return ""
    groups = f"[{' '.join(map(quoted, user.groups))}]"
    text = f"user {quoted(user.name)} (groups={groups}) is attempting to grant RBAC permissions not currently held:\n"
    text += "\n".join(sorted({_shown(rule) for rule in _compacted(missing)}))
    unresolved = [str(_missing(resource, error.missing)) if error.missing else str(error) for error in held.errors]
    return f"{text}; resolution errors: [{joined(unresolved)}]" if unresolved else text


def _may_bind(authorize: Authorize, user: User, role: dict[str, str], namespace: str) -> bool:
    resources = {"ClusterRole": "clusterroles", "Role": "roles"}
    kind = role.get("kind", "")
    if kind not in resources:
        return False
    group, name = role.get("apiGroup", ""), role.get("name", "")
    asked = resource_attributes("bind", group, resources[kind], name, namespace=namespace, version="*")
    return authorize(user, asked).allowed


def _rules_of(rbac: Rbac, resource: str, kind: str, name: str, namespace: str) -> tuple[Rule, ...]:
    try:
        return rbac.role_rules(kind, name, namespace)
    except RulesError as error:
        if error.missing:
            raise _missing(resource, name) from None
        raise StatusError(500, "", str(error)) from None


def _missing(resource: str, name: str) -> StatusError:
    """Upstream's registry names the resource of the request in it, not the role's."""
    return status.not_found(GroupResource(GROUP, resource), name)


def _same_but_for_gc(new: Object, old: Object) -> bool:
    """The garbage collector may not hold the rules it needs to touch to let go of an object."""
    return _without_gc(new) == _without_gc(old)


def _without_gc(found: Object) -> Object:
    metadata = {key: value for key, value in (found.get("metadata") or {}).items() if key not in _GC_FIELDS}
    return {**found, "metadata": metadata}


def _aggregates(role: Object | None) -> bool:
    return bool(((role or {}).get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _parts(rule: Rule) -> list[Rule]:
    """The rule as rules of one verb, one resource and at most one name (BreakdownRule)."""
    names: list[tuple[str, ...]] = [(name,) for name in rule.resource_names] or [()]
    parts = [
        Rule((verb,), (group,), (resource,), one)
        for group in rule.api_groups
        for resource in rule.resources
        for verb in rule.verbs
        for one in names
    ]
    return parts + [Rule((verb,), urls=(url,)) for url in rule.urls for verb in rule.verbs]


def _covers(own: Rule, part: Rule) -> bool:
    """Whether `own` gives all that `part`, a rule of one verb and one resource or URL, does."""
    return (
        ("*" in own.verbs or set(part.verbs) <= set(own.verbs))
        and ("*" in own.api_groups or set(part.api_groups) <= set(own.api_groups))
        and all(_covers_resource(own, resource) for resource in part.resources)
        and (
            not own.resource_names
            or (bool(part.resource_names) and set(part.resource_names) <= set(own.resource_names))
        )
        and all(any(covers_url(owned, url) for owned in own.urls) for url in part.urls)
    )


def _covers_resource(own: Rule, resource: str) -> bool:
    if "*" in own.resources or resource in own.resources:
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and f"*/{subresource}" in own.resources


def _compacted(parts: list[Rule]) -> list[Rule]:
    """Parts that differ only by verb as one rule again (CompactRules)."""
    compacted: dict[tuple[object, ...], Rule] = {}
    for number, part in enumerate(parts):
        simple = len(part.api_groups) == 1 and len(part.resources) == 1 and not part.urls
        key = (part.api_groups, part.resources, part.resource_names) if simple else (number,)
        known = compacted.get(key)
        compacted[key] = replace(known, verbs=known.verbs + part.verbs) if known else part
    return list(compacted.values())


def _shown(rule: Rule) -> str:
    named = (
        ("APIGroups", rule.api_groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.urls),
        ("ResourceNames", rule.resource_names),
        ("Verbs", rule.verbs),
    )
    return "{" + ", ".join(f"{name}:[{' '.join(map(quoted, values))}]" for name, values in named if values) + "}"
