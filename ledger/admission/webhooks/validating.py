"""ValidatingAdmissionWebhook: webhooks that may only refuse, asked all at once.

Follows pkg/admission/plugin/webhook/validating/dispatcher.go of k8s.io/apiserver. Of several refusals the client is told
that of the first webhook by name; upstream tells whichever came first.
"""

from __future__ import annotations

import trio

from ledger.admission.api import Attributes
from ledger.admission.webhooks.calling import CallingFailed, ask
from ledger.admission.webhooks.index import VALIDATING
from ledger.admission.webhooks.matching import Invocation, Server, concerned, invocations
from ledger.apimachinery.status import StatusError, internal_error

FAILED_OPEN = "failed-open.validating.webhook.admission.k8s.io/"


class ValidatingAdmissionWebhook:
    name = "ValidatingAdmissionWebhook"

    def __init__(self, server: Server) -> None:
        self._server = server

    def handles(self, attributes: Attributes) -> bool:
        return concerned(self._server, VALIDATING, attributes)

    async def validate_async(self, attributes: Attributes) -> None:
        """Raises StatusError when a webhook denies, or fails and must not."""
        found = await invocations(self._server, self._server.webhooks.of(VALIDATING), attributes)
        shown = [one for one in found if one is not None]
        refusals: dict[int, StatusError] = {}
        async with trio.open_nursery() as nursery:
            for index, one in enumerate(shown):
                nursery.start_soon(self._ask, attributes, one, index, refusals)
        if refusals:
            raise refusals[min(refusals)]

    async def _ask(
        self, attributes: Attributes, shown: Invocation, index: int, refusals: dict[int, StatusError]
    ) -> None:
        try:
            await ask(self._server, attributes, shown, False)
        except StatusError as denied:
            refusals[index] = denied
        except CallingFailed as failed:
            if shown.webhook.ignores_failures:
                attributes.annotate(f"{FAILED_OPEN}round_0_index_{index}", shown.webhook.name)
            else:
                refusals[index] = internal_error(str(failed))
