"""MaxInFlightLimit: at most so many requests at once, reads and writes counted apart.

Where this filter stands nobody has authenticated yet, so system:masters is not exempt as it is in kube-apiserver, which
moved the filter behind authentication later on. A slot is held until the answer begins; a streamed body is bounded by
the timeout filter instead.
"""

from __future__ import annotations

from ledger.apimachinery.http import Handler, Request, Response
from ledger.pipeline.answers import text_error
from ledger.pipeline.longrunning import is_long_running

_READS = frozenset({"get", "list", "watch"})


class InFlight:
    """How many requests are being answered now."""

    def __init__(self) -> None:
        self.counts = {"reads": 0, "writes": 0}

    def by_kind(self) -> dict[tuple[str, ...], float]:
        """As apiserver_current_inflight_requests names them."""
        return {("readOnly",): float(self.counts["reads"]), ("mutating",): float(self.counts["writes"])}


def with_max_in_flight_limit(
    handler: Handler, reads_max: int, writes_max: int, counter: InFlight | None = None
) -> Handler:
    """Answers 429 above the limit; 0 means no limit. Follows WithMaxInFlightLimit in k8s.io/apiserver."""
    limits = {"reads": reads_max, "writes": writes_max}
    in_flight = (counter or InFlight()).counts

    async def limited(request: Request) -> Response:
        assert request.info is not None
        if is_long_running(request.info):
            return await handler(request)
        sort = "reads" if request.info.verb in _READS else "writes"
        if limits[sort] and in_flight[sort] >= limits[sort]:
            return text_error(429, "Too many requests, please try again later.", [("retry-after", "1")])
        in_flight[sort] += 1
        try:
            return await handler(request)
        finally:
            in_flight[sort] -= 1

    return limited
