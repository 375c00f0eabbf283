"""PanicRecovery: a bug ends one request, never the process, and says so in the log with its traceback."""

from __future__ import annotations

import logging

from ledger.apimachinery.http import Handler, Request, Response
from ledger.apimachinery.status import StatusError
from ledger.pipeline.answers import text_error

_log = logging.getLogger(__name__)


def with_panic_recovery(handler: Handler) -> Handler:
    """Answers 500 for any exception that is not a StatusError (WithPanicRecovery in k8s.io/apiserver)."""

    async def recovered(request: Request) -> Response:
        try:
            return await handler(request)
        except StatusError:
            raise
        except Exception as error:
            return answer_to_bug(request, error)

    return recovered


def answer_to_bug(request: Request, error: Exception) -> Response:
    """The 500 for an exception; raises the StatusError instead when a nursery only wrapped one in a group."""
    if isinstance(error, ExceptionGroup):
        refusals, others = error.split(StatusError)
        if refusals is not None and others is None:
            raise _first(refusals) from error
    _log.error("panic: %s %s, audit id %s", request.method, request.raw_path, request.audit_id, exc_info=error)
    request.scratch["stage"] = "Panic"
    return text_error(500, "This request caused apiserver to panic. Look in the logs for details.")


def _first(group: BaseExceptionGroup[StatusError]) -> StatusError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
