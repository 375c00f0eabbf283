"""Query parameters and option bodies of a request, parsed and checked as metav1's *Options are.

A parameter that does not parse is a 400; a combination that makes no sense is a 422 about "ListOptions.meta.k8s.io".
Sources: k8s.io/apimachinery/pkg/{apis/meta/v1/validation,apis/meta/internalversion/validation,runtime/converter}.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ledger.apimachinery import field as fields
from ledger.apimachinery.field import FieldError
from ledger.apimachinery.http import Request
from ledger.apimachinery.query import pairs_of
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import StatusError, bad_request, invalid

FIELD_MANAGER_LENGTH_MAX = 128
APPLY_CONTENT_TYPES = ("application/apply-patch+yaml", "application/apply-patch+cbor")
Query = dict[str, list[str]]


def query_of(request: Request) -> Query:
    """The query's parameters, each with its values in order; parsed once a request."""
    parsed: Query | None = request.scratch.get("query")
    if parsed is None:
        parsed = {}
        if request.query:
            for name, value in pairs_of(request.query):
                parsed.setdefault(name, []).append(value)
        request.scratch["query"] = parsed
    return parsed


def text(query: Query, name: str) -> str:
    values = query.get(name)
    return values[0] if values else ""


def boolean(query: Query, name: str) -> bool | None:
    """None when absent. Anything but "false" and "0" is true, an empty value too (Convert_Slice_string_To_bool)."""
    values = query.get(name)
    if not values:
        return None
    return values[0].lower() not in ("false", "0")


def integer(query: Query, name: str) -> int | None:
    values = query.get(name)
    if not values:
        return None
    raw = values[0]
    digits = raw[1:] if raw[:1] in ("+", "-") else raw
    if not (digits.isascii() and digits.isdigit()):
        raise bad_request(f"strconv.ParseInt: parsing {fields.quoted(raw)}: invalid syntax")
    if not -(1 << 63) <= int(raw) < 1 << 63:
        raise bad_request(f"strconv.ParseInt: parsing {fields.quoted(raw)}: value out of range")
    return int(raw)


def _refuse(kind: str, errors: list[FieldError]) -> None:
    if errors:
        raise invalid("meta.k8s.io", kind, "", errors)


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Of list, watch and deletecollection."""

    label_selector: str = ""
    field_selector: str = ""
    watch: bool = False
    bookmarks: bool = False
    resource_version: str = ""
    match: str = ""
    limit: int = 0
    continue_: str = ""
    timeout_s: int | None = None
    send_initial_events: bool | None = None


def list_options(query: Query, *, watch: bool = False) -> ListOptions:
    if not query:
        return ListOptions(watch=watch)
    options = ListOptions(
        label_selector=text(query, "labelSelector"),
        field_selector=text(query, "fieldSelector"),
        watch=watch or bool(boolean(query, "watch")),
        bookmarks=bool(boolean(query, "allowWatchBookmarks")),
        resource_version=text(query, "resourceVersion"),
        match=text(query, "resourceVersionMatch"),
        limit=integer(query, "limit") or 0,
        continue_=text(query, "continue"),
        timeout_s=integer(query, "timeoutSeconds"),
        send_initial_events=boolean(query, "sendInitialEvents"),
    )
    _refuse("ListOptions", _list_errors(options))
    return options


MATCH = "resourceVersionMatch"


def _list_errors(options: ListOptions) -> list[FieldError]:
    """ValidateListOptions in k8s.io/apimachinery/pkg/apis/meta/internalversion/validation, findings in its order."""
    if options.watch:
        return _watch_errors(options)
    errors: list[FieldError] = []
    if options.match:
        if not options.resource_version:
            errors.append(fields.forbidden(MATCH, f"{MATCH} is forbidden unless resourceVersion is provided"))
        if options.continue_:
            errors.append(fields.forbidden(MATCH, f"{MATCH} is forbidden when continue is provided"))
        if options.match not in ("Exact", "NotOlderThan"):
            errors.append(fields.not_supported(MATCH, options.match, ["Exact", "NotOlderThan", ""], as_given=True))
        if options.match == "Exact" and options.resource_version == "0":
            errors.append(fields.forbidden(MATCH, f'{MATCH} "exact" is forbidden for resourceVersion "0"'))
    if options.send_initial_events is not None:
        errors.append(fields.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return errors


def _watch_errors(options: ListOptions) -> list[FieldError]:
    errors: list[FieldError] = []
    if options.send_initial_events is None and not options.match and options.resource_version in ("", "0"):
        # Such a watch begins with what is there, as if it had asked for that (SetListOptionsDefaults).
        options = replace(options, send_initial_events=True, match="NotOlderThan")
    not_older = options.match == "NotOlderThan"
    if options.send_initial_events is not None and not not_older:
        errors.append(fields.forbidden(MATCH, f"sendInitialEvents requires setting {MATCH} to NotOlderThan"))
    if options.match:
        if options.send_initial_events is None:
            why = f"{MATCH} is forbidden for watch unless sendInitialEvents is provided"
            errors.append(fields.forbidden(MATCH, why))
        if not not_older:
            errors.append(fields.not_supported(MATCH, options.match, ["NotOlderThan"]))
        if options.continue_:
            errors.append(fields.forbidden(MATCH, f"{MATCH} is forbidden when continue is provided"))
    return errors


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Of create, update and patch."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Warn"
    force: bool = False
    validation_given: str = ""  # fieldValidation as the request has it

    def as_object(self, kind: str) -> dict[str, Any]:
        """As admission plugins see it."""
        options: dict[str, Any] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
        if self.dry_run:
            options["dryRun"] = ["All"]
        if self.field_manager:
            options["fieldManager"] = self.field_manager
        if self.validation_given:
            options["fieldValidation"] = self.validation_given
        return options


def write_options(query: Query, kind: str, *, patch_type: str = "") -> WriteOptions:
    """Options of a write; `kind` is CreateOptions, UpdateOptions or PatchOptions."""
    if not query and patch_type not in APPLY_CONTENT_TYPES:
        return _DEFAULT_WRITE
    manager, dry_run = text(query, "fieldManager"), query.get("dryRun", [])
    validation, force = text(query, "fieldValidation"), boolean(query, "force")
    errors: list[FieldError] = []
    if patch_type in APPLY_CONTENT_TYPES:
        if not manager:
            errors.append(fields.required("fieldManager", "is required for apply patch"))
    elif patch_type and force is not None:
        errors.append(fields.forbidden("force", "may not be specified for non-apply patch"))
    errors += _manager_errors(manager) + _dry_run_errors(dry_run)
    if validation not in ("", "Ignore", "Warn", "Strict"):
        errors.append(fields.not_supported("fieldValidation", validation, ["", "Ignore", "Strict", "Warn"]))
    _refuse(kind, errors)
    return WriteOptions(bool(dry_run), manager, validation or "Warn", bool(force), validation)


_DEFAULT_WRITE = WriteOptions()


def _manager_errors(manager: str) -> list[FieldError]:
    errors = []
    if len(manager.encode()) > FIELD_MANAGER_LENGTH_MAX:
        errors.append(fields.too_long("fieldManager", FIELD_MANAGER_LENGTH_MAX))
    for position, character in enumerate(manager):
        if not character.isprintable():
            shown = f"U+{ord(character):04X}"
            errors.append(
                fields.invalid("fieldManager", manager, f"invalid character {shown} (at position {position})")
            )
    return errors


def _dry_run_errors(dry_run: list[str]) -> list[FieldError]:
    return [] if all(one == "All" for one in dry_run) else [fields.not_supported("dryRun", dry_run, ["All"])]


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """Of delete and deletecollection, from the body or else the query."""

    dry_run: bool = False
    grace_s: int | None = None
    propagation: str = ""  # "", Orphan, Background, Foreground
    uid: str | None = None  # precondition
    resource_version: str | None = None  # precondition

    def as_object(self) -> dict[str, Any]:
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
        if self.grace_s is not None:
            options["gracePeriodSeconds"] = self.grace_s
        given = {"uid": self.uid, "resourceVersion": self.resource_version}
        preconditions = {name: value for name, value in given.items() if value is not None}
        if preconditions:
            options["preconditions"] = preconditions
        if self.propagation:
            options["propagationPolicy"] = self.propagation
        if self.dry_run:
            options["dryRun"] = ["All"]
        return options


def delete_options(query: Query, body: Object | None) -> DeleteOptions:
    """`body`: the decoded DeleteOptions, or None when the request had no body; only then the query counts."""
    if body is None:
        body = {}
        if query:
            body = {
                "gracePeriodSeconds": integer(query, "gracePeriodSeconds"),
                "orphanDependents": boolean(query, "orphanDependents"),
                "propagationPolicy": query["propagationPolicy"][0] if query.get("propagationPolicy") else None,
                "dryRun": query.get("dryRun", []),
            }
    policy, orphan = body.get("propagationPolicy"), body.get("orphanDependents")
    errors: list[FieldError] = []
    if policy is not None and orphan is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        errors.append(fields.invalid("propagationPolicy", policy, why))
    if policy is not None and policy not in ("Foreground", "Background", "Orphan"):
        supported = ["Foreground", "Background", "Orphan", "nil"]
        values = ", ".join(fields.quoted(one) for one in supported)
        errors.append(FieldError("NotSupported", "propagationPolicy", policy, f"supported values: {values}"))
    dry_run = body.get("dryRun") or []
    errors += _dry_run_errors(dry_run)
    _refuse("DeleteOptions", errors)
    if orphan is not None and not policy:
        policy = "Orphan" if orphan else "Background"
    preconditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds")
    return DeleteOptions(
        dry_run=bool(dry_run),
        # Negative values mean "now" (rest.BeforeDelete).
        grace_s=max(0, grace) if grace is not None else None,
        propagation=policy or "",
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
    )


def get_resource_version(query: Query) -> str:
    return text(query, "resourceVersion") if query else ""


def parse_revision(raw: str) -> int:
    """A resourceVersion parameter of list or get as a number; "" gives 0. 400 when it is none."""
    if not raw:
        return 0
    if not (raw.isascii() and raw.isdigit()):
        why = f"strconv.ParseUint: parsing {fields.quoted(raw)}: invalid syntax"
        raise StatusError(500, "", str(fields.invalid("resourceVersion", raw, why)))
    return int(raw)
