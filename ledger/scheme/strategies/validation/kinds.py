"""Which functions validate which kind, and the two ways in: `validate_create` and `validate_update`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

from ledger.apimachinery.field import FieldError
from ledger.apimachinery.names import is_dns1123_subdomain
from ledger.apimachinery.resource import Object, api_version
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.strategies.context import Context
from ledger.scheme.strategies.validation.common import generic_meta, generic_meta_update, generic_name
from ledger.scheme.strategies.validation.declarative import declared_type, validate_declared_type
from ledger.scheme.strategies.validation.findings import Findings

Create = Callable[[ResourceDefinition, Object, Context], Findings]
Update = Callable[[ResourceDefinition, Object, Object, Context], Findings]


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one resource: functions of this package, named "module.function", and loaded when first called.

    A subresource without its own has those of `update_status`, or of `update`.
    """

    create: str = "core.metadata_only"  # a Create
    update: str = "core.metadata_only_update"  # an Update, as the rest
    update_status: str = "core.metadata_update"
    subresources: dict[str, str] = field(default_factory=dict)
    declared_name: bool = False  # whether what a name must be like is a declared rule


RULES: dict[str, Rules] = {
    "apiextensions.k8s.io/customresourcedefinitions": Rules("crds.create", "crds.update", "crds.update_status"),
    "/configmaps": Rules("core.config_map", "core.config_map_update"),
    "/endpoints": Rules("core.endpoints", "core.endpoints_update"),
    "/events": Rules("events.event", "events.event_update"),
    "events.k8s.io/events": Rules("events.newer_event", "events.newer_event_update"),
    "/limitranges": Rules("quotas.limit_range", "quotas.limit_range_update"),
    "/namespaces": Rules(
        "core.namespace", "core.metadata_update", "core.namespace_status", {"finalize": "core.namespace_finalize"}
    ),
    "/nodes": Rules("nodes.node", "nodes.node_update", "nodes.node_update"),
    "/persistentvolumeclaims": Rules("claims.create", "claims.update", "claims.update_status"),
    "/persistentvolumes": Rules(
        "persistent_volumes.create", "persistent_volumes.update", "persistent_volumes.update_status"
    ),
    "/pods": Rules(
        "pods.create",
        "pods.update",
        "pod_status.update_status",
        {"ephemeralcontainers": "pod_resize.update_ephemeral_containers", "resize": "pod_resize.resize"},
    ),
    "/podtemplates": Rules("pods.create_template", "pods.update_template"),
    "/resourcequotas": Rules("quotas.resource_quota", "quotas.resource_quota_update", "quotas.resource_quota_status"),
    "/secrets": Rules("core.secret", "core.secret_update"),
    "/replicationcontrollers": Rules(
        "apps.replication_controller",
        "apps.replication_controller_update",
        "apps.replica_set_status",
        declared_name=True,
    ),
    "/serviceaccounts": Rules(),
    "/services": Rules("services.create", "services.update", "services.update_status"),
    "apps/controllerrevisions": Rules("apps.controller_revision", "apps.controller_revision_update"),
    "apps/daemonsets": Rules("apps.daemon_set", "apps.daemon_set_update", "apps.daemon_set_status"),
    "apps/deployments": Rules("apps.deployment", "apps.deployment_update", "apps.deployment_status"),
    "apps/replicasets": Rules("apps.replica_set", "apps.replica_set_update", "apps.replica_set_status"),
    "apps/statefulsets": Rules(
        "stateful_sets.stateful_set", "stateful_sets.stateful_set_update", "stateful_sets.stateful_set_status"
    ),
    "batch/cronjobs": Rules("cron_jobs.cron_job", "cron_jobs.cron_job_update", "core.nothing"),
    "batch/jobs": Rules("batch.job", "batch.job_update", "batch_status.job_status"),
    "autoscaling/horizontalpodautoscalers": Rules(
        "autoscaling.autoscaler", "autoscaling.autoscaler_update", "autoscaling.autoscaler_status"
    ),
    "policy/poddisruptionbudgets": Rules(
        "policy.disruption_budget", "policy.disruption_budget_update", "policy.disruption_budget_status"
    ),
    "coordination.k8s.io/leases": Rules("policy.lease", "policy.lease_update"),
    "coordination.k8s.io/leasecandidates": Rules("policy.lease_candidate", "policy.lease_candidate_update"),
    "networking.k8s.io/networkpolicies": Rules("networking.network_policy", "networking.network_policy_update"),
    "networking.k8s.io/ingresses": Rules(
        "networking.ingress", "networking.ingress_update", "networking.ingress_status"
    ),
    "networking.k8s.io/ingressclasses": Rules("networking.ingress_class", "networking.ingress_class_update"),
    "networking.k8s.io/ipaddresses": Rules("networking.ip_address_object", "networking.ip_address_update"),
    "networking.k8s.io/servicecidrs": Rules("networking.service_cidr", "networking.service_cidr_update"),
    "rbac.authorization.k8s.io/roles": Rules("rbac.role", "rbac.role_update"),
    "rbac.authorization.k8s.io/clusterroles": Rules("rbac.role", "rbac.role_update"),
    "rbac.authorization.k8s.io/rolebindings": Rules("rbac.binding", "rbac.binding_update"),
    "rbac.authorization.k8s.io/clusterrolebindings": Rules("rbac.binding", "rbac.binding_update"),
    "scheduling.k8s.io/priorityclasses": Rules("scheduling.priority_class", "scheduling.priority_class_update"),
    "node.k8s.io/runtimeclasses": Rules("scheduling.runtime_class", "scheduling.runtime_class_update"),
    "resource.k8s.io/deviceclasses": Rules(
        "resource_claims.device_class", "resource_claims.device_class_update", declared_name=True
    ),
    "resource.k8s.io/resourceclaims": Rules(
        "resource_claims.claim", "resource_claims.claim_update", "resource_claims.claim_status"
    ),
    "resource.k8s.io/resourceclaimtemplates": Rules("resource_claims.template", "resource_claims.template_update"),
    "resource.k8s.io/resourceslices": Rules("resource_slices.resource_slice", "resource_slices.resource_slice_update"),
    "resource.k8s.io/devicetaintrules": Rules(
        "resource_slices.taint_rule", "resource_slices.taint_rule_update", "resource_slices.taint_rule_status"
    ),
    "resource.k8s.io/resourcepoolstatusrequests": Rules(update_status="resource_slices.pool_request_status"),
    "storagemigration.k8s.io/storageversionmigrations": Rules(
        "migrations.migration", "migrations.migration_update", "migrations.migration_status"
    ),
    "storage.k8s.io/storageclasses": Rules("storage.storage_class", "storage.storage_class_update"),
    "storage.k8s.io/volumeattributesclasses": Rules("storage.attributes_class", "storage.attributes_class_update"),
    "storage.k8s.io/csidrivers": Rules("storage.driver", "storage.driver_update"),
    "storage.k8s.io/csinodes": Rules("storage.node", "storage.node_update"),
    "storage.k8s.io/csistoragecapacities": Rules("storage.capacity", "storage.capacity_update"),
    "storage.k8s.io/volumeattachments": Rules(
        "storage.attachment", "storage.attachment_update", "storage.attachment_update"
    ),
    "certificates.k8s.io/certificatesigningrequests": Rules(
        "certificates.signing_request",
        "certificates.signing_request_update",
        "certificates.signing_request_status",
        {"approval": "certificates.signing_request_approval"},
    ),
    "certificates.k8s.io/clustertrustbundles": Rules("certificates.trust_bundle", "certificates.trust_bundle_update"),
    "certificates.k8s.io/podcertificaterequests": Rules(
        "certificates.pod_request", "certificates.pod_request_update", "certificates.pod_request_status"
    ),
    "flowcontrol.apiserver.k8s.io/flowschemas": Rules(
        "flowcontrol.flow_schema", "flowcontrol.flow_schema_update", "flowcontrol.status"
    ),
    "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations": Rules(
        "flowcontrol.priority_level", "flowcontrol.priority_level_update", "flowcontrol.status"
    ),
    "discovery.k8s.io/endpointslices": Rules("discovery.endpoint_slice", "discovery.endpoint_slice_update"),
    "apiregistration.k8s.io/apiservices": Rules(
        "discovery.api_service", "discovery.api_service_update", "discovery.api_service_status"
    ),
    "admissionregistration.k8s.io/mutatingwebhookconfigurations": Rules(
        "webhooks.configuration", "webhooks.configuration_update"
    ),
    "admissionregistration.k8s.io/validatingwebhookconfigurations": Rules(
        "webhooks.configuration", "webhooks.configuration_update"
    ),
    "admissionregistration.k8s.io/validatingadmissionpolicies": Rules(
        "policies.policy", "policies.policy_update", "policies.policy_status"
    ),
    "admissionregistration.k8s.io/mutatingadmissionpolicies": Rules("policies.policy", "policies.policy_update"),
    "admissionregistration.k8s.io/validatingadmissionpolicybindings": Rules(
        "policies.binding", "policies.binding_update"
    ),
    "admissionregistration.k8s.io/mutatingadmissionpolicybindings": Rules(
        "policies.binding", "policies.binding_update"
    ),
}
_OTHER = Rules()


def validate_create(definition: ResourceDefinition, obj: Object, context: Context) -> list[FieldError]:
    """Findings about a new object in the storage version, in kube-apiserver's order; none when it is fine."""
    rules = _rules_of(definition)
    create: Create = function(rules.create)
    found = create(definition, obj, context)
    if not found and not (rules.declared_name and is_dns1123_subdomain(obj["metadata"].get("name", ""))):
        found += generic_name(obj) if found.metadata_is_fine else generic_meta(definition, obj)
    declared = _declared(definition, obj, None, context)
    return [*_each_once(definition, found.besides(declared)), *declared] if found or declared else []


def validate_update(
    definition: ResourceDefinition, obj: Object, old: Object, context: Context, subresource: str = ""
) -> list[FieldError]:
    """The same for what replaces `old`, through a subresource or not. `obj` has been prepared."""
    rules = _rules_of(definition)
    own = rules.update_status if subresource == "status" else rules.subresources.get(subresource, rules.update)
    validate: Update = function(own)
    found = validate(definition, obj, old, context)
    if found:  # what is generic is said first
        generic = generic_meta(definition, obj)
        generic += generic_meta_update(obj, old, lists=bool(generic))
        generic += found
        found = generic
    else:
        found += generic_name(obj) if found.metadata_is_fine else generic_meta(definition, obj)
        if not found.metadata_update_is_fine:
            found += generic_meta_update(obj, old, lists=bool(found))
    declared = _declared(definition, obj, old, context)
    return [*_each_once(definition, found.besides(declared)), *declared] if found or declared else []


@cache
def function(name: str) -> Any:
    """What a name in RULES stands for. A server has seldom objects of all kinds, and these modules take long to load."""
    module, _, own = name.partition(".")
    return getattr(import_module(f"{__package__}.{module}"), own)


def _each_once(definition: ResourceDefinition, found: Findings) -> Findings:
    """Kinds that may have declared rules, all but those of other servers, say nothing twice."""
    if definition.group in ("apiextensions.k8s.io", "apiregistration.k8s.io"):
        return found
    return Findings({str(error): error for error in found}.values())


def has_rules(definition: ResourceDefinition) -> bool:
    """Whether the resource has rules of its own, beside those of the resource that stores its objects."""
    return _key(definition) in RULES


def _key(definition: ResourceDefinition) -> str:
    return f"{definition.group}/{definition.resource}"


def _rules_of(definition: ResourceDefinition) -> Rules:
    rules: Rules | None = definition.plans.get("rules")
    if rules is None:
        rules = definition.plans["rules"] = RULES.get(_key(definition), _OTHER)
    return rules


def _declared(definition: ResourceDefinition, obj: Object, old: Object | None, context: Context) -> list[FieldError]:
    """Declared rules are those of the storage version; other versions have the same, under the same names."""
    name = definition.plans.get("declared")
    if name is None:
        version = api_version(definition.group, definition.storage_version)
        name = definition.plans["declared"] = declared_type(version, definition.kind)
    return validate_declared_type(name, obj, old) if name else []
