"""What sort of request an event was: what people wanted, what followed from it, and the traffic around both."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.log.event import Event

INTENT, REACTION, STATUS, HEARTBEAT, EVENT = "intent", "reaction", "status", "heartbeat", "event"
READ, REFUSED, DRY_RUN, REVIEW, IMPORT = "read", "refused", "dry-run", "review", "import"


CLASSES = (INTENT, REACTION, STATUS, HEARTBEAT, EVENT, READ, REFUSED, DRY_RUN, REVIEW, IMPORT)
SHOWN_FIRST = frozenset({INTENT, REFUSED, DRY_RUN})  # what `log` shows unless told otherwise

READ_VERBS = frozenset({"get", "list", "watch", "head", "options"})
STREAMS = frozenset({"log", "exec", "attach", "portforward", "proxy"})
FORBIDDEN = (401, 403)


def class_of(event: Event) -> str:
    """One of CLASSES.

    A read that was forbidden counts as refused. Writes by service accounts outside kube-* are intents (CI, GitOps),
    unless they maintain what an object owns or take part in its deletion, as operators do.
    """
    if event.verb == "import":
        return IMPORT
    if event.verb in READ_VERBS or event.subresource in STREAMS or not event.resource:
        return REFUSED if event.code in FORBIDDEN else READ
    if event.subresource == "token" or event.api_group in ("authentication.k8s.io", "authorization.k8s.io"):
        return REVIEW
    if is_dry_run(event):
        return DRY_RUN
    if event.code >= 400:
        return REFUSED
    return _class_of_write(event)


def is_dry_run(event: Event) -> bool:
    return "dryRun=All" in event.uri or b'"dryRun":["All"]' in event.request_body


def _class_of_write(event: Event) -> str:
    if event.resource == "leases" and event.api_group == "coordination.k8s.io":
        return HEARTBEAT
    if event.resource == "events" and event.api_group in ("", "events.k8s.io"):
        return EVENT
    if event.subresource == "status":
        return STATUS
    return REACTION if is_machinery(event) else INTENT


def is_machinery(event: Event) -> bool:
    """Whether the writer is part of the cluster's own reconciliation."""
    name = (event.impersonated or event.user).name
    if not name.startswith("system:"):
        return False
    if not name.startswith("system:serviceaccount:"):
        return True
    namespace = name.split(":")[2]
    if namespace.startswith("kube-"):
        return True
    return b'"ownerReferences"' in event.request_body or b'"finalizers"' in event.request_body


def parse_classes(text: str) -> frozenset[str]:
    """The classes of a comma-separated list; "all" is all of them. Raises ValueError."""
    chosen = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [part for part in chosen if part != "all" and part not in CLASSES]
    if unknown or not chosen:
        raise ValueError(f"{unknown[0] if unknown else text!r} is not a class: give {', '.join(CLASSES)} or all")
    return frozenset(CLASSES) if "all" in chosen else frozenset(chosen)


def names(classes: Iterable[str]) -> str:
    """In the order of CLASSES, for messages."""
    return ",".join(name for name in CLASSES if name in set(classes))
