"""The recorder: stands in front of the nine filters, opens every request's event and closes it on every way out.

Whatever ends a request (an answer, a Status raised by any filter, a bug, a client that went away), exactly one event
is left. A write appends its event together with its change, in one commit, and says so by `request.recorded`; for all
others the event is noted here, before the answer is sent: a server that is killed then has not forgotten what it
answered. See docs/adr/0008 and 0012.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ledger.apimachinery.http import Handler, Request, RequestInfo, Response
from ledger.apimachinery.status import StatusError
from ledger.auth.api import DECISION
from ledger.log.event import Event, event_of
from ledger.pipeline.answers import json_status
from ledger.pipeline.longrunning import is_long_running
from ledger.pipeline.panic import answer_to_bug
from ledger.pipeline.warning import warning_headers

CLIENT_GONE = 499  # no answer reached anybody; nginx's code for it, as HTTP has none
_SECRET_REQUESTS = frozenset({("authentication.k8s.io", "tokenreviews")})  # their bodies are credentials
_TEXT_MAX = 1024
_NO_CACHE = ("cache-control", "no-cache, private")

EncodeStatus = Callable[[Request, StatusError], Response]


async def _at_once() -> None:
    """A log that never lags."""


class Recorder(NamedTuple):
    """What the recorder needs to know of the world."""

    clock_us: Callable[[], int]  # microseconds since 1970
    new_audit_id: Callable[[], str]
    note: Callable[[Event], bool]  # puts an event without changes into the log. False: `noted` must be awaited
    encode_status: EncodeStatus = json_status
    flow_of: Callable[[Request], tuple[str, str] | None] = lambda request: None  # (FlowSchema uid, priority level uid)
    observe: Callable[[Request, int, float], None] = lambda request, code, seconds: None  # for metrics
    room: Callable[[], Awaitable[None]] = _at_once  # waits while the log lags behind, before any work is begun
    noted: Callable[[], Awaitable[None]] = _at_once  # waits until what was noted is safe


def with_recorder(handler: Handler, recorder: Recorder) -> Handler:
    """Stamps time and Audit-ID, turns a raised StatusError into its answer, adds the headers that every answer has."""

    async def recorded(request: Request) -> Response:
        request.received = recorder.clock_us()
        request.audit_id = request.headers.get("audit-id") or recorder.new_audit_id()
        try:
            await recorder.room()
            try:
                response = await handler(request)
                why = _NOTHING if response.status < 400 else _Why("", _plain_text(response))
            except Exception as error:
                response, why = _answer_to(request, error, recorder.encode_status)
        except BaseException:  # cancelled: every Exception has an answer
            _close(recorder, request, CLIENT_GONE, _Why("", "the client went away before it was answered"))
            raise
        response.headers = _common_headers(request, response, recorder.flow_of) + response.headers
        if not _close(recorder, request, response.status, why):
            await recorder.noted()
        return response

    return recorded


class _Why(NamedTuple):
    """Of a failure, for the event."""

    reason: str = ""
    message: str = ""


_NOTHING = _Why()


def _answer_to(request: Request, error: Exception, encode_status: EncodeStatus) -> tuple[Response, _Why]:
    """What a request is answered that a filter or handler ended by raising."""
    if not isinstance(error, StatusError):  # a bug in a filter outside PanicRecovery
        try:
            response = answer_to_bug(request, error)
            return response, _Why("", _plain_text(response))
        except StatusError as refusal:
            error = refusal
    response = encode_status(request, error)
    retry_after = (error.details or {}).get("retryAfterSeconds")
    if retry_after:
        response.headers.append(("retry-after", str(retry_after)))
    return response, _Why(error.reason, error.message)


def _plain_text(response: Response) -> str:
    """What a text answer says: filters that answer as Go's http.Error does have no Status to tell it."""
    for name, value in response.headers:
        if name == "content-type" and value.startswith("text/plain"):
            return response.body[:_TEXT_MAX].decode(errors="replace").strip()
    return ""


def _common_headers(
    request: Request, response: Response, flow_of: Callable[[Request], tuple[str, str] | None]
) -> list[tuple[str, str]]:
    headers = [("audit-id", request.audit_id)]
    for name, _ in response.headers:
        if name == "cache-control":
            break
    else:
        headers.append(_NO_CACHE)
    flow = flow_of(request) if _has_flow(request) else None
    if flow is not None:
        headers += [("x-kubernetes-pf-flowschema-uid", flow[0]), ("x-kubernetes-pf-prioritylevel-uid", flow[1])]
    headers += request.response_headers
    if request.warnings:
        headers += warning_headers(request.warnings)
    return headers


def _has_flow(request: Request) -> bool:
    """Whether it came as far as authorization. What stays open is outside upstream's priorities, but for watches."""
    if request.info is None or DECISION not in request.annotations:
        return False
    return request.info.verb == "watch" or not is_long_running(request.info)


def _close(recorder: Recorder, request: Request, code: int, why: _Why) -> bool:
    """Leaves the request's event, unless a write did. False: it is not safe yet."""
    answered = recorder.clock_us()
    recorder.observe(request, code, (answered - request.received) / 1e6)
    if request.recorded:
        return True
    request.recorded = True
    if _is_secret(request.info):
        request.body = b""
    stage = request.scratch.get("stage") or (
        "ResponseStarted" if code < 400 and is_long_running(request.info) else "ResponseComplete"
    )
    return recorder.note(event_of(request, code, answered, reason=why.reason, message=why.message, stage=stage))


def _is_secret(info: RequestInfo | None) -> bool:
    return info is not None and (info.group, info.resource) in _SECRET_REQUESTS
