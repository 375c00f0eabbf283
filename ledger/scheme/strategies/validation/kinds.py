"""Which functions validate which kind, and the two ways in: `validate_create` and `validate_update`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.apimachinery.field import FieldError
from ledger.apimachinery.resource import Object, api_version
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.validation import claims, core, persistent_volumes, pods, services
from ledger.scheme.strategies.validation.declarative import validate_declared
from ledger.scheme.strategies.validation.findings import Findings

Create = Callable[[ResourceDefinition, Object, Context], Findings]
Update = Callable[[ResourceDefinition, Object, Object, Context], Findings]


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one resource; a subresource without its own has those of `update_status`, or of `update`."""

    create: Create = core.metadata_only
    update: Update = core.metadata_only_update
    update_status: Update = core.metadata_update
    subresources: dict[str, Update] = field(default_factory=dict)


RULES: dict[str, Rules] = {
    "/configmaps": Rules(core.config_map, core.config_map_update),
    "/endpoints": Rules(core.endpoints, core.endpoints_update),
    "/events": Rules(core.event, core.event_update),
    "events.k8s.io/events": Rules(core.newer_event, core.newer_event_update),
    "/limitranges": Rules(core.limit_range, core.limit_range_update),
    "/namespaces": Rules(
        core.namespace, core.metadata_update, core.namespace_status, {"finalize": core.namespace_finalize}
    ),
    "/nodes": Rules(core.node, core.node_update, core.node_update),
    "/persistentvolumeclaims": Rules(claims.create, claims.update, claims.update_status),
    "/persistentvolumes": Rules(persistent_volumes.create, persistent_volumes.update, persistent_volumes.update_status),
    "/pods": Rules(
        pods.create,
        pods.update,
        pods.update_status,
        {"ephemeralcontainers": pods.update_ephemeral_containers, "resize": pods.resize},
    ),
    "/podtemplates": Rules(pods.create_template, pods.update_template),
    "/resourcequotas": Rules(core.resource_quota, core.resource_quota_update, core.resource_quota_status),
    "/secrets": Rules(core.secret, core.secret_update),
    "/serviceaccounts": Rules(),
    "/services": Rules(services.create, services.update, services.update_status),
}
_OTHER = Rules()


def validate_create(definition: ResourceDefinition, obj: Object, context: Context) -> list[FieldError]:
    """Findings about a new object in the storage version, in kube-apiserver's order; none when it is fine."""
    rules = RULES.get(_key(definition), _OTHER)
    found = rules.create(definition, obj, context)
    found += _declared(definition, obj, None, context)
    return found


def validate_update(
    definition: ResourceDefinition, obj: Object, old: Object, context: Context, subresource: str = ""
) -> list[FieldError]:
    """The same for what replaces `old`, through a subresource or not. `obj` has been prepared."""
    rules = RULES.get(_key(definition), _OTHER)
    if subresource == "status":
        validate = rules.update_status
    else:
        validate = rules.subresources.get(subresource, rules.update)
    found = validate(definition, obj, old, context)
    found += _declared(definition, obj, old, context)
    return found


def has_rules(definition: ResourceDefinition) -> bool:
    """Whether the resource has rules of its own, beside those of the resource that stores its objects."""
    return _key(definition) in RULES


def _key(definition: ResourceDefinition) -> str:
    return f"{definition.group}/{definition.resource}"


def _declared(definition: ResourceDefinition, obj: Object, old: Object | None, context: Context) -> list[FieldError]:
    """Declared rules are those of the storage version; other versions have the same, under the same names."""
    version = api_version(definition.group, definition.storage_version)
    return validate_declared(version, definition.kind, obj, old)
