"""MutatingAdmissionWebhook: webhooks that may change the object, asked one after the other.

Follows pkg/admission/plugin/webhook/mutating/dispatcher.go of k8s.io/apiserver.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Any

from ledger.admission.api import Attributes
from ledger.admission.forms import from_matched, patched_form
from ledger.admission.webhooks.calling import CallingFailed, ask
from ledger.admission.webhooks.index import MUTATING
from ledger.admission.webhooks.matching import Invocation, Server, concerned, invocations
from ledger.admission.webhooks.review import Verdict
from ledger.apimachinery import json_codec
from ledger.apimachinery.field import quoted
from ledger.apimachinery.json_syntax import syntax_error
from ledger.apimachinery.patch_json import apply_json_patch, decode_json_patch
from ledger.apimachinery.status import StatusError, internal_error

MUTATION, PATCH = "mutation.webhook.admission.k8s.io/", "patch.webhook.admission.k8s.io/"


class MutatingAdmissionWebhook:
    name = "MutatingAdmissionWebhook"

    def __init__(self, server: Server) -> None:
        self._server = server

    def handles(self, attributes: Attributes) -> bool:
        return concerned(self._server, MUTATING, attributes)

    async def admit_async(self, attributes: Attributes) -> None:
        """Changes the object. Raises StatusError when a webhook denies, or fails and must not."""
        rounds = attributes.rounds
        again = rounds.of(self.name)
        again.begin(attributes)
        attributes.keep_origin()
        for index, webhook in enumerate(self._server.webhooks.of(MUTATING)):
            [shown] = await invocations(self._server, [webhook], attributes)
            if shown is None or (rounds.second and webhook.uid not in again.due):
                continue
            place = f"round_{int(rounds.second)}_index_{index}"
            try:
                changed = await self._call(attributes, shown, place)
            except CallingFailed as failed:
                if not webhook.ignores_failures:
                    raise internal_error(str(failed)) from None
                attributes.annotate(f"failed-open.{MUTATION}{place}", webhook.name)
                changed = False
            if changed:
                again.changed()
                rounds.wanted = True
            if webhook.spec.get("reinvocationPolicy") == "IfNeeded":
                again.invoked(webhook.uid)
        again.end(attributes)

    async def _call(self, attributes: Attributes, shown: Invocation, place: str) -> bool:
        """Whether the webhook changed the object; its event says so whatever happens."""
        webhook, changed = shown.webhook, False
        told: dict[str, Any] = {"configuration": webhook.configuration, "webhook": webhook.name}
        try:
            found = await ask(self._server, attributes, shown, True)
            operations = _operations(shown, found)
            if operations:
                changed = await self._patch(attributes, shown, operations)
                patch = [dict(sorted(one.items())) for one in operations]
                text = json_codec.dumps({**told, "patch": patch, "patchType": "JSONPatch"})
                attributes.annotate(f"{PATCH}{place}", text.decode())
        finally:
            attributes.annotate(f"{MUTATION}{place}", json_codec.dumps({**told, "mutated": changed}).decode())
        return changed

    async def _patch(self, attributes: Attributes, shown: Invocation, operations: list[dict[str, Any]]) -> bool:
        """Applies a patch to the object as the webhook saw it."""
        if shown.object is None:
            name = quoted(shown.webhook.name)
            why = "attempted to modify the object, which is not supported for this operation"
            raise internal_error(f"admission webhook {name} {why}")
        try:
            patched = apply_json_patch(deepcopy(shown.object), operations)
        except StatusError as error:
            raise internal_error(str(error.__cause__ or error)) from None
        if patched == shown.object:
            return False
        forms, found = self._server.forms, shown.matched
        normal = patched_form(forms, found, attributes.subresource, patched)
        attributes.patched = True
        back = partial(from_matched, forms, found, attributes, normal)
        attributes.object = await self._server.convert(attributes.definition, back)
        return bool(normal != shown.object)


def _operations(shown: Invocation, found: Verdict) -> list[dict[str, Any]]:
    """Raises CallingFailed for a patch that is none."""
    if not found.patch:
        return []
    try:
        why = syntax_error(found.patch)
        operations = [] if why else decode_json_patch(json_codec.loads_exact(found.patch), strict=False)[0]
    except StatusError as error:
        why = str(error)
    if why:
        raise CallingFailed(shown.webhook, f"received undecodable patch in webhook response: {why}")
    if operations and found.patch_type != "JSONPatch":
        raise CallingFailed(shown.webhook, f"unsupported patch type {quoted(found.patch_type)}")
    return operations
