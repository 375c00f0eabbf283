"""ServiceAccount: a pod runs as an account that exists, with its token mounted and its pull secrets.

Follows plugin/pkg/admission/serviceaccount in k8s.io/kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from ledger.admission.api import Attributes
from ledger.admission.matching import PODS, concerns, refuse
from ledger.apimachinery.resource import Key, Object
from ledger.projections.api import View

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
ENFORCE_ANNOTATION = "kubernetes.io/enforce-mountable-secrets"
VOLUME_PREFIX = "kube-api-access-"


class ServiceAccount:
    """`new_suffix` ends the name of the token's volume."""

    name = "ServiceAccount"
    resources = frozenset({PODS})

    def __init__(self, new_suffix: Callable[[], str]) -> None:
        self.new_suffix = new_suffix

    def handles(self, attributes: Attributes) -> bool:
        return concerns(attributes, PODS, "CREATE")

    def admit(self, attributes: Attributes, view: View) -> None:
        pod = attributes.object
        assert pod is not None
        if MIRROR_ANNOTATION in (pod["metadata"].get("annotations") or {}):
            self._check_mirror(attributes, pod)
            return
        spec = pod["spec"]
        name = spec.get("serviceAccountName") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = self._account(attributes, view, name)
        if self._wants_token(pod, account):
            self._mount_token(pod)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = account["imagePullSecrets"]

    def validate(self, attributes: Attributes, view: View) -> None:
        pod = attributes.object
        assert pod is not None
        if MIRROR_ANNOTATION not in (pod["metadata"].get("annotations") or {}):
            self._account(attributes, view, pod["spec"].get("serviceAccountName") or "default")

    def _account(self, attributes: Attributes, view: View, name: str) -> Object:
        namespace = attributes.namespace
        stored = view.get(Key("", "serviceaccounts", namespace, name))
        if stored is None:
            why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
            raise refuse(attributes, why)
        account: Object = orjson.loads(stored.body)
        return account

    def _check_mirror(self, attributes: Attributes, pod: Object) -> None:
        """A mirror pod shows what a kubelet runs by itself; it can have no account and no secrets."""
        if pod["spec"].get("serviceAccountName"):
            raise refuse(attributes, "a mirror pod may not reference service accounts")
        for volume in pod["spec"].get("volumes") or ():
            if "secret" in volume:
                raise refuse(attributes, "a mirror pod may not reference secrets")
            projected = volume.get("projected") or {}
            if any("serviceAccountToken" in source for source in projected.get("sources") or ()):
                raise refuse(attributes, "a mirror pod may not use ServiceAccountToken volume projections")

    def _wants_token(self, pod: Object, account: Object) -> bool:
        own = pod["spec"].get("automountServiceAccountToken")
        return bool(own if own is not None else account.get("automountServiceAccountToken", True))

    def _mount_token(self, pod: Object) -> None:
        """Mounts the token where a container has nothing at its path yet; adds the volume when one needed it."""
        spec = pod["spec"]
        present = next((one["name"] for one in spec.get("volumes") or () if one["name"].startswith(VOLUME_PREFIX)), "")
        name = present or VOLUME_PREFIX + self.new_suffix()
        mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
        mounted = False
        for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
            mounts = container.get("volumeMounts") or []
            if not any(one.get("mountPath") == MOUNT_PATH for one in mounts):
                container["volumeMounts"] = [*mounts, dict(mount)]
                mounted = True
        if mounted and not present:
            spec["volumes"] = [*(spec.get("volumes") or ()), _token_volume(name)]


def _token_volume(name: str) -> dict[str, Any]:
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources: list[dict[str, Any]] = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 420}}
