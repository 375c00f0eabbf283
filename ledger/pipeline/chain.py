"""The list of filters, outermost first. Reading it top to bottom is reading what happens to a request.

recorder                               opens the event, closes it whatever happens
  RequestInfo                          what the path asks for, and as of when
    MaxInFlightLimit                   429
      TimeoutForNonLongRunningRequests 504
        PanicRecovery                  500
          CORS                         preflights
            Authentication             401; the Authorization header ends here
              Audit                    who authenticated
                Impersonation          403
                  Authorization        403
                    handler
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.apimachinery.http import Handler, Request
from ledger.auth.api import Authenticate, Authorize
from ledger.pipeline.audit import with_audit
from ledger.pipeline.authentication import with_authentication
from ledger.pipeline.authorization import with_authorization
from ledger.pipeline.cors import with_cors
from ledger.pipeline.impersonation import with_impersonation
from ledger.pipeline.maxinflight import InFlight, with_max_in_flight_limit
from ledger.pipeline.panic import with_panic_recovery
from ledger.pipeline.record import Recorder, with_recorder
from ledger.pipeline.requestinfo import with_request_info
from ledger.pipeline.timeout import may_wait, with_timeout_for_non_long_running_requests


@dataclass(frozen=True, slots=True)
class ChainConfig:
    """What the filters need; the numbers are kube-apiserver's defaults."""

    recorder: Recorder
    authenticate: Authenticate
    authorize: Authorize
    audiences: Sequence[str] = ()  # this server's names in tokens
    requests_in_flight_max: int = 400  # reads; 0: no limit
    mutating_requests_in_flight_max: int = 200
    request_timeout_s: float = 60.0
    cors_origins: Sequence[re.Pattern[str]] = ()
    in_flight: InFlight | None = None  # counts for metrics
    answers_at_once: Callable[[Request], bool] = may_wait  # without waiting for anything


def build_chain(handler: Handler, config: ChainConfig) -> Handler:
    handler = with_authorization(handler, config.authorize)
    handler = with_impersonation(handler, config.authorize)
    handler = with_audit(handler)
    handler = with_authentication(handler, config.authenticate, config.audiences)
    handler = with_cors(handler, config.cors_origins)
    handler = with_panic_recovery(handler)
    handler = with_timeout_for_non_long_running_requests(handler, config.request_timeout_s, config.answers_at_once)
    handler = with_max_in_flight_limit(
        handler, config.requests_in_flight_max, config.mutating_requests_in_flight_max, config.in_flight
    )
    handler = with_request_info(handler)
    return with_recorder(handler, config.recorder)
