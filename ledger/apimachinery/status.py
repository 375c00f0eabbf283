"""Errors as Kubernetes shows them: metav1.Status, one constructor a reason.

Texts and codes follow k8s.io/apimachinery/pkg/api/errors. kubectl prints `message`; client-go branches on `reason`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ledger.apimachinery.field import FieldError, quoted
from ledger.apimachinery.resource import GroupResource


class StatusError(Exception):
    """Ends a request with a Status. The only exception that reaches a client as it is."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details
        self.list_meta: dict[str, Any] = {}  # of the Status itself: {"continue": ...}

    def status(self) -> dict[str, Any]:
        """The Status object, in kube-apiserver's order of keys."""
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": self.list_meta, "status": "Failure"}
        if self.message:
            status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


def success(details: dict[str, Any]) -> dict[str, Any]:
    """What a delete answers when it does not answer with the object."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _details(resource: GroupResource, name: str, **more: Any) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if resource.group:
        details["group"] = resource.group
    if resource.resource:
        details["kind"] = resource.resource
    return details | more


def not_found(resource: GroupResource, name: str) -> StatusError:
    return StatusError(404, "NotFound", f"{resource} {quoted(name)} not found", _details(resource, name))


def already_exists(resource: GroupResource, name: str) -> StatusError:
    return StatusError(409, "AlreadyExists", f"{resource} {quoted(name)} already exists", _details(resource, name))


def conflict(resource: GroupResource, name: str, why: str, causes: list[dict[str, Any]] | None = None) -> StatusError:
    more = {"causes": causes} if causes else {}
    message = f"Operation cannot be fulfilled on {resource} {quoted(name)}: {why}"
    return StatusError(409, "Conflict", message, _details(resource, name, **more))


def modified(resource: GroupResource, name: str) -> StatusError:
    """The optimistic lock failed (registry.OptimisticLockErrorMsg)."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(resource, name, why)


def invalid(group: str, kind: str, name: str, errors: Iterable[FieldError]) -> StatusError:
    """422 with one cause a field error; several are joined as Go's aggregate does."""
    errors = list(errors)
    causes = [{"reason": error.reason, "message": error.body(), "field": error.field} for error in errors]
    texts = list(dict.fromkeys(str(error) for error in errors))
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    message = f'{GroupKindText(group, kind)} "{name}" is invalid' + (f": {joined}" if texts else "")
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    if causes:
        details["causes"] = causes
    return StatusError(422, "Invalid", message, details)


def GroupKindText(group: str, kind: str) -> str:
    return f"{kind}.{group}" if group else kind


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: GroupResource, name: str, why: str) -> StatusError:
    """403 with kube-apiserver's text; an empty resource gives the short form."""
    if not resource.resource:
        message = f"forbidden: {why}"
    elif name:
        message = f'{resource} "{name}" is forbidden: {why}'
    else:
        message = f"{resource} is forbidden: {why}"
    return StatusError(403, "Forbidden", message, _details(resource, name))


def method_not_supported(resource: GroupResource, action: str) -> StatusError:
    message = f'{action} is not supported on resources of kind "{resource}"'
    return StatusError(405, "MethodNotAllowed", message, _details(resource, ""))


def gone(message: str) -> StatusError:
    """410 Expired: the revision has left what this server keeps."""
    return StatusError(410, "Expired", message)


def too_many_requests(message: str, retry_after_s: int) -> StatusError:
    return StatusError(429, "TooManyRequests", message, {"retryAfterSeconds": retry_after_s})


def internal_error(message: str) -> StatusError:
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def timeout(message: str, retry_after_s: int = 0) -> StatusError:
    details = {"retryAfterSeconds": retry_after_s} if retry_after_s else {}
    return StatusError(504, "Timeout", f"Timeout: {message}", details)


def too_large_resource_version(asked: int, current: int) -> StatusError:
    """504: the client asks for a revision that is not there yet (storage.NewTooLargeResourceVersionError)."""
    error = timeout(f"Too large resource version: {asked}, current: {current}", 1)
    assert error.details is not None
    error.details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    } | error.details
    return error
