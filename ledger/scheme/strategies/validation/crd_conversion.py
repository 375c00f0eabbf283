"""How a CustomResourceDefinition says that objects become those of another version."""

from __future__ import annotations

from typing import Any

from ledger.scheme.strategies.validation.crd_lenience import Lenience
from ledger.scheme.strategies.validation.findings import Findings
from ledger.scheme.strategies.validation.webhooks import review_versions, webhook_service, webhook_url


def conversion_findings(found: Findings, path: str, conversion: dict[str, Any] | None, lenience: Lenience) -> None:
    if conversion is None:
        return
    strategy = conversion.get("strategy") or ""
    found.one_of_required(f"{path}.strategy", strategy, ("None", "Webhook"))
    webhook = conversion.get("webhook") or {}
    client, at = webhook.get("clientConfig"), f"{path}.webhookClientConfig"
    versions = webhook.get("conversionReviewVersions") or []
    if strategy != "Webhook":
        why = "should not be set when strategy is not set to Webhook"
        if client is not None:
            found.forbidden(at, why)
        if versions:
            found.forbidden(f"{path}.conversionReviewVersions", why)
        return
    if client is None:
        found.required(at, "required when strategy is set to Webhook")
    elif (client.get("url") is None) == (client.get("service") is None):
        found.required(at, "exactly one of url or service is required")
    elif client.get("url") is not None:
        webhook_url(found, f"{at}.url", client["url"])
    else:
        # Upstream hands name and namespace over the wrong way round, so each is missed under the other's name.
        service = client["service"]
        swapped = {**service, "name": service.get("namespace"), "namespace": service.get("name")}
        webhook_service(found, f"{at}.service", swapped)
    review_versions(found, f"{path}.conversionReviewVersions", versions, lenience.review_versions)
