"""Facts about Kubernetes 1.37.2 that no endpoint of a server tells, each with the source file that says it."""

from __future__ import annotations

VERSION = "1.37.2"

# (group, version) -> (priority of the group, priority of the version): the order of /apis.
# cmd/kube-apiserver/app/aggregator.go, pkg/controlplane/apiserver/aggregator.go
PRIORITIES: dict[tuple[str, str], tuple[int, int]] = {
    ("", "v1"): (18000, 1),
    ("admissionregistration.k8s.io", "v1"): (16700, 15),
    ("admissionregistration.k8s.io", "v1alpha1"): (16700, 9),
    ("admissionregistration.k8s.io", "v1beta1"): (16700, 12),
    ("apiextensions.k8s.io", "v1"): (16700, 15),
    ("apiregistration.k8s.io", "v1"): (20000, 1),  # the aggregator puts itself first: apiservice_controller's handler
    ("apps", "v1"): (17800, 15),
    ("authentication.k8s.io", "v1"): (17700, 15),
    ("authorization.k8s.io", "v1"): (17600, 15),
    ("autoscaling", "v1"): (17500, 15),
    ("autoscaling", "v2"): (17500, 30),
    ("batch", "v1"): (17400, 15),
    ("batch", "v2alpha1"): (17400, 9),
    ("certificates.k8s.io", "v1"): (17300, 15),
    ("certificates.k8s.io", "v1beta1"): (17300, 9),
    ("coordination.k8s.io", "v1"): (16500, 15),
    ("coordination.k8s.io", "v1alpha2"): (16500, 12),
    ("coordination.k8s.io", "v1beta1"): (16500, 13),
    ("discovery.k8s.io", "v1"): (16200, 15),
    ("events.k8s.io", "v1"): (17750, 15),
    ("extensions", "v1beta1"): (17150, 1),  # as served last, in 1.21: behind apps and networking.k8s.io
    ("flowcontrol.apiserver.k8s.io", "v1"): (16100, 21),
    ("internal.apiserver.k8s.io", "v1alpha1"): (16000, 9),
    ("networking.k8s.io", "v1"): (17200, 15),
    ("node.k8s.io", "v1"): (16300, 15),
    ("policy", "v1"): (17100, 15),
    ("rbac.authorization.k8s.io", "v1"): (17000, 15),
    ("resource.k8s.io", "v1"): (16200, 21),
    ("resource.k8s.io", "v1alpha3"): (16200, 1),
    ("resource.k8s.io", "v1beta1"): (16200, 9),
    ("resource.k8s.io", "v1beta2"): (16200, 15),
    ("scheduling.k8s.io", "v1"): (16600, 15),
    ("storage.k8s.io", "v1"): (16800, 15),
    ("storagemigration.k8s.io", "v1"): (15800, 15),
    ("storagemigration.k8s.io", "v1beta1"): (15800, 9),
}

# Group-versions that can be named in --runtime-config but bring no resource (their feature gates are off, or every
# type has moved on). pkg/controlplane/instance.go and the schemes of pkg/apis/*/install
EMPTY_VERSIONS: dict[str, tuple[str, ...]] = {
    "apps": ("v1beta1", "v1beta2"),
    "authentication.k8s.io": ("v1alpha1", "v1beta1"),
    "authorization.k8s.io": ("v1beta1",),
    "batch": ("v1beta1",),
    "certificates.k8s.io": ("v1alpha1",),
    "discovery.k8s.io": ("v1beta1",),
    "events.k8s.io": ("v1beta1",),
    "flowcontrol.apiserver.k8s.io": ("v1beta1", "v1beta2", "v1beta3"),
    "imagepolicy.k8s.io": ("v1alpha1",),
    "lifecycle.k8s.io": ("v1alpha1",),
    "networking.k8s.io": ("v1beta1",),
    "node.k8s.io": ("v1alpha1", "v1beta1"),
    "policy": ("v1beta1",),
    "rbac.authorization.k8s.io": ("v1alpha1", "v1beta1"),
    "scheduling.k8s.io": ("v1alpha3", "v1beta1"),
    "storage.k8s.io": ("v1alpha1", "v1beta1"),
}

# Resources whose objects another resource stores. pkg/registry/events/rest/storage_events.go
STORED_AS: dict[tuple[str, str], str] = {("events.k8s.io", "events"): "/events"}

# group/resource -> {field label: path in the stored object}, beside metadata.name and metadata.namespace.
# A path may name alternatives ("|"), list indices, and after "=" the text of Go's zero value where that is not "".
# AddFieldLabelConversionFunc in pkg/apis/*/*/conversion.go, GetAttrs in pkg/registry/*/*/strategy.go
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_SIGNER = {"spec.signerName": "spec.signerName"}
FIELD_LABELS: dict[str, dict[str, str]] = {
    "/events": {
        **{f"involvedObject.{name}": f"involvedObject.{name}" for name in _INVOLVED},
        "reason": "reason",
        "reportingComponent": "reportingComponent",
        "source": "source.component|reportingComponent",
        "type": "type",
    },
    "/namespaces": {"status.phase": "status.phase"},
    "/nodes": {"spec.unschedulable": "spec.unschedulable=false"},
    "/pods": {
        "spec.nodeName": "spec.nodeName",
        "spec.restartPolicy": "spec.restartPolicy",
        "spec.schedulerName": "spec.schedulerName",
        "spec.serviceAccountName": "spec.serviceAccountName",
        "spec.hostNetwork": "spec.hostNetwork=false",
        "status.phase": "status.phase",
        "status.podIP": "status.podIPs.0.ip",
        "status.podIPs": "",  # accepted as a label and never set: only the empty text matches
        "status.nominatedNodeName": "status.nominatedNodeName",
    },
    "/replicationcontrollers": {"status.replicas": "status.replicas=0"},
    "/secrets": {"type": "type"},
    "/services": {"spec.clusterIP": "spec.clusterIP", "spec.type": "spec.type"},
    "batch/jobs": {"status.successful": "status.succeeded=0"},
    "certificates.k8s.io/certificatesigningrequests": _SIGNER,
    "certificates.k8s.io/clustertrustbundles": _SIGNER,
    "certificates.k8s.io/podcertificaterequests": {
        **_SIGNER,
        "spec.podName": "spec.podName",
        "spec.nodeName": "spec.nodeName",
    },
    "resource.k8s.io/resourceslices": {
        "spec.nodeName": "spec.nodeName",
        "spec.driver": "spec.driver",
        "spec.pool.name": "spec.pool.name",
    },
}
# group/resource -> {field label: the label of the stored resource it stands for}; an alias has no other labels.
FIELD_ALIASES: dict[str, dict[str, str]] = {
    "/pods": {"spec.host": "spec.nodeName"},
    "events.k8s.io/events": {
        **{f"regarding.{name}": f"involvedObject.{name}" for name in _INVOLVED},
        "reason": "reason",
        "reportingController": "reportingComponent",
        "type": "type",
    },
}
# How an unknown field label is refused, where it is not "field label not supported: LABEL"; {kind} is the GVK in Go.
FIELD_LABEL_ERRORS: dict[str, str] = {
    "batch/jobs": 'field label "{label}" not supported for Job',
    "resource.k8s.io/resourceslices": "field label not supported for {kind}: {label}",
}
# Types with their own label conversion that leave metadata.namespace out.
FIELD_LABELS_WITHOUT_NAMESPACE = (
    "/namespaces",
    "/nodes",
    "certificates.k8s.io/certificatesigningrequests",
    "certificates.k8s.io/clustertrustbundles",
    "certificates.k8s.io/podcertificaterequests",
    "resource.k8s.io/resourceslices",
)

# Where /scale finds its values. pkg/registry/{apps,core}/*/storage/storage.go
SCALE: dict[str, tuple[str, str, str]] = {
    "/replicationcontrollers": ("spec.replicas", "status.replicas", "spec.selector"),
    "apps/deployments": ("spec.replicas", "status.replicas", "spec.selector"),
    "apps/replicasets": ("spec.replicas", "status.replicas", "spec.selector"),
    "apps/statefulsets": ("spec.replicas", "status.replicas", "spec.selector"),
}

# (group, version, kind) -> (deprecated in, unavailable in, "apiVersion Kind" to use instead), minor versions of 1.
# APILifecycleDeprecated, -Removed, -Replacement in k8s.io/api; only those that are deprecated by 1.37.
DEPRECATED: dict[tuple[str, str, str], tuple[int, int, str]] = {
    ("", "v1", "ComponentStatus"): (19, 0, ""),
    ("", "v1", "Endpoints"): (33, 0, "discovery.k8s.io/v1 EndpointSlice"),
    ("admissionregistration.k8s.io", "v1alpha1", "MutatingAdmissionPolicy"): (35, 38, ""),
    ("admissionregistration.k8s.io", "v1alpha1", "MutatingAdmissionPolicyBinding"): (35, 38, ""),
    ("admissionregistration.k8s.io", "v1beta1", "MutatingAdmissionPolicy"): (
        37,
        40,
        "admissionregistration.k8s.io/v1 MutatingAdmissionPolicy",
    ),
    ("admissionregistration.k8s.io", "v1beta1", "MutatingAdmissionPolicyBinding"): (
        37,
        40,
        "admissionregistration.k8s.io/v1 MutatingAdmissionPolicyBinding",
    ),
    ("certificates.k8s.io", "v1beta1", "ClusterTrustBundle"): (37, 40, "certificates.k8s.io/v1 ClusterTrustBundle"),
    ("certificates.k8s.io", "v1beta1", "PodCertificateRequest"): (
        37,
        40,
        "certificates.k8s.io/v1 PodCertificateRequest",
    ),
    ("coordination.k8s.io", "v1alpha2", "LeaseCandidate"): (35, 38, ""),
    ("coordination.k8s.io", "v1beta1", "LeaseCandidate"): (36, 39, ""),
    ("extensions", "v1beta1", "DaemonSet"): (8, 16, "apps/v1 DaemonSet"),
    ("extensions", "v1beta1", "Deployment"): (8, 16, "apps/v1 Deployment"),
    ("extensions", "v1beta1", "Ingress"): (14, 22, "networking.k8s.io/v1 Ingress"),
    ("extensions", "v1beta1", "ReplicaSet"): (8, 16, "apps/v1 ReplicaSet"),
    ("resource.k8s.io", "v1alpha3", "DeviceTaintRule"): (36, 39, ""),
    ("resource.k8s.io", "v1beta1", "DeviceClass"): (35, 38, ""),
    ("resource.k8s.io", "v1beta1", "ResourceClaim"): (35, 38, ""),
    ("resource.k8s.io", "v1beta1", "ResourceClaimTemplate"): (35, 38, ""),
    ("resource.k8s.io", "v1beta1", "ResourceSlice"): (35, 38, ""),
    ("resource.k8s.io", "v1beta2", "DeviceClass"): (36, 39, ""),
    ("resource.k8s.io", "v1beta2", "ResourceClaim"): (36, 39, ""),
    ("resource.k8s.io", "v1beta2", "ResourceClaimTemplate"): (36, 39, ""),
    ("resource.k8s.io", "v1beta2", "ResourceSlice"): (36, 39, ""),
    ("storagemigration.k8s.io", "v1beta1", "StorageVersionMigration"): (
        37,
        40,
        "storagemigration.k8s.io/v1 StorageVersionMigration",
    ),
}
