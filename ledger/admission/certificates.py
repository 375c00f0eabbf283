"""CertificateApproval, CertificateSigning, CertificateSubjectRestriction, ClusterTrustBundleAttest.

Who approves, signs or vouches for a signer must be allowed to do so for that signer, whatever else RBAC lets them write.
Follows plugin/pkg/admission/certificates in k8s.io/kubernetes.
"""

from __future__ import annotations

import base64

from ledger.admission.api import Attributes
from ledger.admission.matching import concerns, refuse
from ledger.apimachinery.field import quoted
from ledger.apimachinery.http import User
from ledger.apimachinery.resource import GroupResource, Object
from ledger.auth.api import Authorize, resource_attributes
from ledger.auth.signing_requests import organizations
from ledger.projections.api import View

GROUP = "certificates.k8s.io"
REQUESTS, BUNDLES = GroupResource(GROUP, "certificatesigningrequests"), GroupResource(GROUP, "clustertrustbundles")
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
MASTERS = "system:masters"


def may(authorize: Authorize, user: User, verb: str, signer: str) -> bool:
    """Whether the user may do this for the signer, or for all signers of its domain (IsAuthorizedForSignerName)."""
    domain = signer.split("/", 1)[0]
    return any(
        authorize(user, resource_attributes(verb, GROUP, "signers", name, version="*")).allowed
        for name in (signer, f"{domain}/*")
    )


def _signer(obj: Object | None) -> str:
    name: str = ((obj or {}).get("spec") or {}).get("signerName", "")
    return name


class CertificateApproval:
    name = "CertificateApproval"
    resources = frozenset({REQUESTS})

    def __init__(self, authorize: Authorize) -> None:
        self.authorize = authorize

    def handles(self, attributes: Attributes) -> bool:
        through = attributes.operation == "UPDATE" and attributes.subresource == "approval"
        return through and attributes.definition.group_resource == REQUESTS

    def validate(self, attributes: Attributes, view: View) -> None:
        signer = _signer(attributes.old)
        if not may(self.authorize, attributes.user, "approve", signer):
            raise refuse(attributes, f"user not permitted to approve requests with signerName {quoted(signer)}")


class CertificateSigning:
    name = "CertificateSigning"
    resources = frozenset({REQUESTS})

    def __init__(self, authorize: Authorize) -> None:
        self.authorize = authorize

    def handles(self, attributes: Attributes) -> bool:
        through = attributes.operation == "UPDATE" and attributes.subresource == "status"
        return through and attributes.definition.group_resource == REQUESTS

    def validate(self, attributes: Attributes, view: View) -> None:
        new, old = ((one or {}).get("status") or {} for one in (attributes.object, attributes.old))
        if all(new.get(name) == old.get(name) for name in ("certificate", "conditions")):
            return
        signer = _signer(attributes.old)
        if not may(self.authorize, attributes.user, "sign", signer):
            raise refuse(attributes, f"user not permitted to sign requests with signerName {quoted(signer)}")


class CertificateSubjectRestriction:
    name = "CertificateSubjectRestriction"
    resources = frozenset({REQUESTS})

    def handles(self, attributes: Attributes) -> bool:
        return concerns(attributes, REQUESTS, "CREATE") and _signer(attributes.object) == CLIENT_SIGNER

    def validate(self, attributes: Attributes, view: View) -> None:
        """Nobody becomes a master by a client certificate."""
        assert attributes.object is not None
        try:
            found = organizations(base64.b64decode(attributes.object["spec"].get("request") or ""))
        except ValueError as error:
            raise refuse(attributes, f"failed to parse CSR: {error}") from None
        if MASTERS in found:
            raise refuse(attributes, f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")


class ClusterTrustBundleAttest:
    name = "ClusterTrustBundleAttest"
    resources = frozenset({BUNDLES})

    def __init__(self, authorize: Authorize) -> None:
        self.authorize = authorize

    def handles(self, attributes: Attributes) -> bool:
        if attributes.operation not in ("CREATE", "UPDATE") or attributes.definition.group_resource != BUNDLES:
            return False
        return bool(_signer(attributes.object)) and (attributes.object or {}).get("spec") != (attributes.old or {}).get(
            "spec"
        )

    def validate(self, attributes: Attributes, view: View) -> None:
        signer = _signer(attributes.object)
        if not may(self.authorize, attributes.user, "attest", signer):
            raise refuse(attributes, f"user not permitted to attest for signerName {quoted(signer)}")
