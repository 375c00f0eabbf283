"""`show`: one request as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ledger.apimachinery.http import User
from ledger.log.event import Event
from ledger.replay.moments import millis
from ledger.replay.paths import format_path
from ledger.replay.printing.documents import claims_json
from ledger.replay.requests import Happening, ObjectChange
from ledger.replay.text import LONG_VALUE, value_text, who

REQUEST_BYTES_MAX = 600  # of the request body; the whole is in --raw


def detail_lines(found: Happening, before: Event | None, after: Event | None, cuts: bool) -> Iterator[str]:
    """Times, who and by which rule, what was asked, what it did, its neighbours in the log."""
    event = found.event
    revisions = " ".join(str(revision) for revision in event.revisions)
    yield f"request   {event.audit_id}    {found.kind}"
    yield f"revision  {revisions or '- (it changed nothing)'}"
    yield f"received  {millis(event.received)}"
    yield f"answered  {millis(event.answered)}    {(event.answered - event.received) / 1000:.1f} ms    stage {event.stage}"
    yield from _who(event)
    yield f"asked     {event.verb} {event.uri}    level {event.level or '-'}"
    if event.request_body:
        shown = event.request_body[:REQUEST_BYTES_MAX] if cuts else event.request_body
        text = shown.decode(errors="replace")
        more = " .. (--raw for all of it)" if len(shown) < len(event.request_body) else ""
        yield f"          {text}{more}"
    yield f"answer    {event.code}{f' {event.reason}' if event.reason else ''}"
    if event.message:
        yield f"          {event.message}"
    yield from _did(found, cuts)
    for word, neighbour in (("before", before), ("after", after)):
        if neighbour is not None:
            yield f"{word:9} {neighbour.audit_id[:8]}  {who(neighbour)}  {neighbour.verb} {neighbour.uri.partition('?')[0]}"


def _who(event: Event) -> Iterator[str]:
    yield f"user      {_user(event.user)}"
    if event.impersonated is not None:
        yield f"as        {_user(event.impersonated)}"
    decision = event.annotations.get("authorization.k8s.io/decision")
    if decision:
        reason = event.annotations.get("authorization.k8s.io/reason") or "no reason logged"
        yield f"allowed   {reason}" if decision == "allow" else f"denied    {reason}"
    if event.source_ips:
        yield f"from      {', '.join(event.source_ips)}"
    claims = claims_json(event)
    if claims:
        yield "claims    " + "  ".join(f"{name} {value}" for name, value in claims.items())


def _user(user: User) -> str:
    groups = f"    groups {', '.join(user.groups)}" if user.groups else ""
    return f"{user.name}{groups}"


def _did(found: Happening, cuts: bool) -> Iterator[str]:
    for one in found.changes:
        revision = f"{one.change.revision}  " if one.change else "dry-run  "
        doubt = "" if one.confidence == "known" else f"   {one.confidence}: {one.change.note if one.change else ''}"
        name = f"{one.key.resource}/{one.key.name}"
        where = f"{one.key.namespace}/{name}" if one.key.namespace else name
        yield f"did       {revision}{where}  {one.what}{doubt}"
        yield from _fields(one, cuts)


def change_lines(changes: Iterable[ObjectChange], cuts: bool) -> Iterator[str]:
    """Every field of these changes, below the row of a log or history."""
    for one in changes:
        yield from _fields(one, cuts)


def _fields(one: ObjectChange, cuts: bool) -> Iterator[str]:
    limit = LONG_VALUE if cuts else 0
    for change in one.difference.fields:
        path = format_path(change.path)
        if change.mark == "~":
            before, after = value_text(change.before, limit), value_text(change.after, limit)
            yield f"          ~ {path}  {before} -> {after}"
        else:
            value = change.after if change.mark == "+" else change.before
            yield f"          {change.mark} {path}  {value_text(value, limit)}"
    if one.difference.noise:
        yield f"          ({one.difference.noise} noisy fields hidden, --noise show)"
