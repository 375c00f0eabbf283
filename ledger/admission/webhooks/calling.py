"""Asks a webhook about a write, once: the answer to the same question is kept as long as the write is decided.

A write that lost a race is decided again, and its webhooks would be asked again what they answered already. Upstream
never asks twice about a create, and asks about an update anew only when the object it replaces is another one.
"""

from __future__ import annotations

import hashlib

from ledger.admission.api import Attributes
from ledger.admission.webhooks.index import Webhook
from ledger.admission.webhooks.matching import Invocation, Server
from ledger.admission.webhooks.review import Malformed, Verdict, asked, question, spoken, verdict
from ledger.apimachinery.field import quoted
from ledger.apimachinery.status import StatusError, bad_request
from ledger.outbound import answers
from ledger.outbound.client import Timeout
from ledger.outbound.endpoint import Misconfigured
from ledger.outbound.refusal import CallFailed
from ledger.scheme.reviews import Undecodable

UNKNOWN_VERSIONS = (
    "could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)"
)
_DRY_RUNNABLE = ("None", "NoneOnDryRun")


class CallingFailed(Exception):
    """The webhook could not be asked, or did not answer as it must; its failurePolicy decides what that means."""

    def __init__(self, webhook: Webhook, why: str) -> None:
        super().__init__(f"failed calling webhook {quoted(webhook.name)}: {why}")


async def ask(server: Server, attributes: Attributes, invocation: Invocation, mutating: bool) -> Verdict:
    """What the webhook answers, its warnings and annotations passed on. Raises CallingFailed, and StatusError for a denial."""
    webhook = invocation.webhook
    if attributes.dry_run and webhook.spec.get("sideEffects") not in _DRY_RUNNABLE:
        raise bad_request(f"admission webhook {quoted(webhook.name)} does not support dry run")
    found = await _answer(server, attributes, invocation, mutating)
    for name, value in found.annotations.items():
        attributes.annotate(f"{webhook.name}/{name}", value)
    attributes.warnings += found.warnings
    if not found.allowed:
        raise denial(webhook.name, found.status)
    return found


async def _answer(server: Server, attributes: Attributes, invocation: Invocation, mutating: bool) -> Verdict:
    webhook = invocation.webhook
    kind = spoken(webhook.spec.get("admissionReviewVersions") or [])
    if kind is None:
        raise CallingFailed(webhook, UNKNOWN_VERSIONS)
    fields = question(attributes, invocation)
    known: dict[tuple[str, bool, bytes], Verdict] = {}
    if attributes.request is not None:
        known = attributes.request.scratch.setdefault("webhooks", known)
    key = (webhook.uid, mutating, hashlib.sha256(fields).digest())
    if key not in known:
        uid = server.new_uid()
        try:
            timeout = Timeout(webhook.timeout_s)
            answer = await server.client.post(webhook.endpoint, asked(kind, uid, fields), timeout)
            answers.check(answer)
            known[key] = verdict(answer.body, kind, uid, mutating)
        except Malformed as error:
            raise CallingFailed(webhook, f"received invalid webhook response: {error}") from None
        except Misconfigured as error:
            why = f"failed calling webhook {quoted(webhook.name)}: {error}"
            raise CallingFailed(webhook, f"could not get REST client: {why}") from None
        except (CallFailed, StatusError, Undecodable, ValueError) as error:
            raise CallingFailed(webhook, f"failed to call webhook: {error}") from None
    return known[key]


def denial(name: str, status: dict[str, object] | None) -> StatusError:
    """The webhook's Status as an error, whatever of it makes sense (ToStatusErr)."""
    given = dict(status or {})
    told = f"admission webhook {quoted(name)} denied the request"
    message, reason, code, details = (given.get(one) for one in ("message", "reason", "code", "details"))
    text = f"{told}: {message or reason}" if message or reason else f"{told} without explanation"
    return StatusError(
        code if isinstance(code, int) and 400 <= code <= 999 else 400,
        str(reason or ""),
        text,
        details if isinstance(details, dict) else None,
    )
