"""`ledger replay log`: what happened."""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator

from ledger.apimachinery.resource import Object
from ledger.cli.asked import MACHINE, clock_of, selector
from ledger.cli.explain import explain
from ledger.cli.output import Out, check_strict, paged
from ledger.cli.source import moment, open_past, say
from ledger.replay.classify import CLASSES, SHOWN_FIRST, names, parse_classes
from ledger.replay.moments import Moment
from ledger.replay.past import Past, ReplayError
from ledger.replay.printing import documents, rows
from ledger.replay.printing.details import change_lines
from ledger.replay.requests import Happening, Narrowing, Tally, happenings, index_of
from ledger.replay.targets import parse_targets
from ledger.replay.text import short_user
from ledger.replay.where import Where

TERMINAL_ROWS = 40  # of `log`, where --limit does not say otherwise
COUNT_S = 1.0  # how long what a limit cut off is counted
FOLLOW_S = 0.2  # how often --follow looks


def log(options: argparse.Namespace) -> int:
    with open_past(options) as past:
        since, until = (moment(past, given, options, echo=False) for given in (options.since, options.until))
        if since.position > until.position:
            raise ReplayError(f"--from (rv {since.revision}) is after --to (rv {until.revision}). Swap them.")
        say((since, until), options)
        wanted = _narrowing(past, options, until)
        if options.explain:
            found = parse_targets(past, options.targets, options.namespace, until.revision)
            return explain(past, options, index_of(wanted), {"from": since, "to": until}, found, names(wanted.classes))
        if options.follow:
            return _follow(past, since, until, wanted, options)
        with paged(options) as out:
            return _log(past, since, until, wanted, out)


def _log(past: Past, since: Moment, until: Moment, wanted: Narrowing, out: Out) -> int:
    options, tally = out.options, Tally()
    found = happenings(past, since, until, wanted, tally, oldest_first=options.reverse)
    if options.stat:
        return _log_stat(found, out)
    taken = _Taken(found, _limit(out))
    if out.format in MACHINE:
        query = {"command": options.argv, "from": documents.moment_json(since), "to": documents.moment_json(until)}
        items = (documents.happening_json(one) for one in taken if one is not None)
        out.document("RequestLog", past, query, items, lambda: _tally_json(tally, taken.count_the_rest()))
    elif out.format == "name":
        out.lines(one.event.audit_id for one in taken if one is not None)
    else:
        _log_table(past, taken, out, namespaced=not wanted.namespace and not wanted.objects)
        out.stream.flush()
        total = taken.count_the_rest()
        out.note(rows.tally_text(tally, total))
        _note_failures(wanted, out)
        if taken.cut:
            out.note(f"{taken.limit:,} of {total}, --all for the rest")
        if losses := past.losses(since.revision):
            out.note(f"dropped by retention: {'; '.join(losses)}")
    check_strict(options, taken.doubtful)
    return 0


def _note_failures(wanted: Narrowing, out: Out) -> None:
    if isinstance(wanted.where, Where) and wanted.where.failed:
        failure = wanted.where.first_failure
        out.note(f"--where counts as false for {wanted.where.failed:,} requests it could not be asked of: {failure}")


class _Taken:
    """At most `limit` requests (0: all); the others are counted when these have been printed, for a while."""

    def __init__(self, found: Iterator[Happening | None], limit: int) -> None:
        self.found, self.limit = found, limit
        self.count, self.cut, self.doubtful = 0, 0, False

    def __iter__(self) -> Iterator[Happening | None]:
        for one in self.found:
            if one is not None:
                self.count += 1
                self.doubtful = self.doubtful or one.confidence != "known"
            yield one
            if one is not None and self.count == self.limit:
                return

    def count_the_rest(self) -> str:
        """How many there are in all: "144", or "144 or more" where counting would have taken too long."""
        deadline = time.monotonic() + COUNT_S
        for one in self.found:
            if one is not None:
                self.cut += 1
            elif time.monotonic() > deadline:
                return f"{self.count + self.cut:,} or more"
        return f"{self.count + self.cut:,}"


def _log_table(past: Past, found: Iterable[Happening | None], out: Out, *, namespaced: bool) -> None:
    clock = clock_of(past, out.options)

    def row(one: Happening) -> list[str]:
        return rows.log_row(one, clock, out.cuts, namespaced=namespaced)

    if not out.options.patch:
        out.table(rows.LOG_COLUMNS, (row(one) if one is not None else None for one in found))
        return
    for one in found:
        if one is not None:
            out.lines(["  ".join(cell for cell in row(one) if cell)])
            out.lines(change_lines(one.changes, out.cuts))


def _log_stat(found: Iterable[Happening | None], out: Out) -> int:
    counts: Counter[tuple[str, str]] = Counter()
    doubtful = False
    for one in found:
        if one is not None:
            doubtful = doubtful or one.confidence != "known"
            counts[(one.event.impersonated or one.event.user).name, one.kind] += 1
    table = [[short_user(user), kind, str(count)] for (user, kind), count in counts.most_common()]
    out.table([rows.Column("WHO"), rows.Column("CLASS"), rows.Column("REQUESTS", align=">")], table)
    check_strict(out.options, doubtful)
    return 0


def _limit(out: Out) -> int:
    if out.options.limit is not None and not out.options.all:
        return int(out.options.limit)
    return TERMINAL_ROWS if out.terminal and not out.options.all and out.format == "table" else 0


def _tally_json(tally: Tally, total: str) -> Object:
    hidden = {kind: tally.hidden[kind] for kind in CLASSES if tally.hidden[kind]}
    return {"total": _number(total), "classes": dict(tally.shown), "hidden": {"noise": tally.noise, "classes": hidden}}


def _number(total: str) -> int | str:
    """As a number where it is exact."""
    digits = total.replace(",", "")
    return int(digits) if digits.isdigit() else total


def _follow(past: Past, since: Moment, until: Moment, wanted: Narrowing, options: argparse.Namespace) -> int:
    """The log so far, oldest first, then whatever comes, until Ctrl-C."""
    out, tally, clock = Out(options), Tally(), clock_of(past, options)
    position = since.position if options.since != "start" else until.position
    while True:
        last = past.store.last_position()
        if last > position:
            after, upto = until._replace(position=position), until._replace(position=last)
            for one in happenings(past, after, upto, wanted, tally, oldest_first=True):
                if one is None:
                    continue
                if out.format in MACHINE:
                    out.lines([documents.encode(documents.happening_json(one), indent=False)])
                else:
                    out.lines(["  ".join(rows.log_row(one, clock, out.cuts, namespaced=not wanted.namespace))])
            out.stream.flush()
            position = last
        time.sleep(FOLLOW_S)


def _narrowing(past: Past, options: argparse.Namespace, at: Moment) -> Narrowing:
    targets = parse_targets(past, options.targets, options.namespace, at.revision)
    try:
        classes = parse_classes(options.classes) if options.classes else SHOWN_FIRST
        grep = re.compile(options.grep) if options.grep else None
    except (ValueError, re.error) as error:
        raise ReplayError(f"{error}") from None
    return Narrowing(
        classes=classes,
        namespace=options.namespace,
        resources=frozenset(target.resource for target in targets if target.key is None),
        objects=frozenset(target.key for target in targets if target.key is not None),
        user=options.user,
        group=options.group,
        verb=options.verb,
        labels=selector(options.selector),
        grep=grep,
        where=Where(options.where) if options.where else None,
        noise=options.noise == "show",
        conflicts=bool(options.classes),
    )
