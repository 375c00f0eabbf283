"""Answers that are no success, as client-go turns them into errors (rest.Request.transformResponse)."""

from __future__ import annotations

import orjson

from ledger.apimachinery.field import quoted
from ledger.apimachinery.status import StatusError
from ledger.outbound.client import Answer

_TEXT_MAX = 2048
_KNOWN = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    409: ("AlreadyExists", "the server reported a conflict"),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: (
        "TooManyRequests",
        "the server has received too many requests and has asked us to try again later",
    ),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: (
        "Timeout",
        "the server was unable to return a response in the time allotted, but may still be processing the request",
    ),
}
_TOLD = {403: "Forbidden", 406: "NotAcceptable", 415: "UnsupportedMediaType"}  # their message is the server's


def check(answer: Answer) -> None:
    """Raises StatusError for a status other than 2xx, and ValueError for an answer that says nothing."""
    if 200 <= answer.status <= 206:
        if not answer.body:
            raise ValueError(
                f"0-length response with status code: {answer.status} and content type: {answer.content_type}"
            )
        return
    raise _told(answer) or _guessed(answer)


def _told(answer: Answer) -> StatusError | None:
    """The Status that the answer holds."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or found.get("kind") != "Status" or found.get("status") == "Success":
        return None
    code, reason, message, details = (found.get(name) for name in ("code", "reason", "message", "details"))
    return StatusError(
        code if isinstance(code, int) else answer.status,
        reason if isinstance(reason, str) else "",
        message if isinstance(message, str) else "",
        details if isinstance(details, dict) else None,
    )


def _guessed(answer: Answer) -> StatusError:
    code = answer.status
    is_text = not answer.content_type or answer.content_type.startswith("text/")
    text = answer.body[:_TEXT_MAX].decode(errors="replace").strip() if is_text else "unknown"
    details = {"causes": [{"reason": "UnexpectedServerResponse", "message": text}]}
    if code in _KNOWN:
        return StatusError(code, *_KNOWN[code], details)
    if code in _TOLD:
        return StatusError(code, _TOLD[code], text, details)
    if code >= 500:
        message = f"an error on the server ({quoted(text)}) has prevented the request from succeeding"
        return StatusError(code, "InternalError", message, details)
    message = f"the server responded with the status code {code} but did not return more information"
    return StatusError(code, "", message, details)
