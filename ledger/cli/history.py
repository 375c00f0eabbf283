"""`ledger replay history`: one object's revisions, one field's values."""

from __future__ import annotations

import argparse

from ledger.apimachinery.resource import GroupResource, Key
from ledger.cli.asked import MACHINE, clock_of
from ledger.cli.explain import explain
from ledger.cli.output import Out, check_strict, paged
from ledger.cli.source import moment, open_past
from ledger.replay.classify import DRY_RUN
from ledger.replay.lives import FieldValue, field_values, fields_seen, not_through, versions
from ledger.replay.moments import Moment
from ledger.replay.past import Past, ReplayError
from ledger.replay.paths import PathError, format_path, parse_path, path_json
from ledger.replay.printing import documents, rows
from ledger.replay.printing.details import change_lines
from ledger.replay.targets import not_there, parse_targets
from ledger.replay.text import short_user, value_text


def history(options: argparse.Namespace) -> int:
    with open_past(options) as past:
        at = moment(past, options.at, options)
        targets = parse_targets(past, options.targets, options.namespace, at.revision)
        if len(targets) != 1 or targets[0].key is None:
            raise ReplayError("history is of one object: write TYPE/NAME, such as cm/orders-config")
        key = targets[0].key
        if next(past.store.versions(key, upto=at.revision), None) is None:
            raise not_there(past, targets[0], at.revision)
        if options.explain:
            return explain(past, options, "revisions of one object", {"at": at}, targets)
        with paged(options) as out:
            if options.path:
                return _field_history(past, key, at, out)
            return _object_history(past, key, at, out)


def _object_history(past: Past, key: Key, at: Moment, out: Out) -> int:
    options = out.options
    found = list(versions(past, key, at.revision, noise=options.noise == "show"))
    if out.format in MACHINE:
        query = {"command": options.argv, "at": documents.moment_json(at)}
        items = (documents.version_json(one) for one in found)
        out.document("ObjectHistory", past, query, items, lambda: {"total": len(found)})
    else:
        clock = clock_of(past, options)
        if options.patch:
            for one in found:
                out.lines(["  ".join(cell for cell in rows.version_row(one, clock, out.cuts) if cell)])
                out.lines(change_lines([one.change], out.cuts))
        else:
            out.table(rows.HISTORY_COLUMNS, (rows.version_row(one, clock, out.cuts) for one in found))
        out.note(f"{len(found):,} revisions.{_not_through(past, key, at, None)}{_dropped(past, key)}")
    check_strict(options, any(one.change.confidence != "known" for one in found))
    return 0


def _field_history(past: Past, key: Key, at: Moment, out: Out) -> int:
    options = out.options
    try:
        path = parse_path(options.path)
    except PathError as error:
        raise ReplayError(str(error)) from None
    found: list[FieldValue] = list(field_values(past, key, path, at.revision))
    total = sum(1 for _ in past.store.versions(key, upto=at.revision))
    if not found:
        seen = fields_seen(past, key, path, at.revision)
        hint = f" Fields seen: {', '.join(seen)}." if seen else ""
        raise ReplayError(f"field {format_path(path)} never existed on {key.resource}/{key.name}.{hint}", 1)
    if out.format in MACHINE:
        query = {"command": options.argv, "at": documents.moment_json(at)}
        items = (documents.value_json(one, path_json(path)) for one in found)
        out.document("FieldHistory", past, query, items, lambda: {"total": len(found), "revisions": total})
    else:
        clock = clock_of(past, options)
        out.table(rows.VALUE_COLUMNS, (rows.value_row(one, clock, out.cuts) for one in found))
        values, revisions = _plural(len(found), "value"), _plural(total, "revision")
        out.note(f"{values} in {revisions}.{_not_through(past, key, at, path)}{_dropped(past, key)}")
    check_strict(options, any(one.version.change.confidence != "known" for one in found))
    return 0


def _dropped(past: Past, key: Key) -> str:
    with past.store.read() as read:
        horizon = read.horizon(GroupResource(*key[:2]))
    return f"  Earlier ones may be missing: retention dropped what was over before rv {horizon}." if horizon else ""


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' if count != 1 else ''}"


def _not_through(past: Past, key: Key, at: Moment, path: object) -> str:
    """`  Refused: dave 403, carol 409.  Dry-run: alice "6432".`"""
    refused, tried = [], []
    for one in not_through(past, key, at.position):
        user = short_user(one.event.user.name)
        if one.kind != DRY_RUN:
            refused.append(f"{user} {one.event.code}")
            continue
        fields = [field for change in one.changes for field in change.difference.fields if path in (None, field.path)]
        tried.append(f"{user} {value_text(fields[0].after)}" if fields else user)
    text = f"  Refused: {', '.join(refused)}." if refused else ""
    return text + (f"  Dry-run: {', '.join(tried)}." if tried else "")
