"""The ledger a question is about, and the moments that its flags name."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.cli.output import Out
from ledger.cli.replay import now_us
from ledger.projections.store import Store
from ledger.replay.moments import Moment, resolve
from ledger.replay.past import Past, ReplayError

SAID_ANYWAY = ("start", "end", "now")  # moments that need no echo


def data_dir(options: argparse.Namespace) -> Path:
    if not options.data_dir:
        raise ReplayError("which ledger? Give --data-dir DIR, or set LEDGER_DATA_DIR.", 3)
    return Path(options.data_dir).expanduser()


@contextmanager
def open_past(options: argparse.Namespace) -> Iterator[Past]:
    """The ledger, for reading; its server may be running. Raises ReplayError, Unusable."""
    with Store.open(data_dir(options), read_only=True) as store:
        yield Past(store, now_us())


def moment(past: Past, given: str, options: argparse.Namespace, *, echo: bool = True) -> Moment:
    """Resolved, and said on stderr unless `echo` is off."""
    found = resolve(past, given, marks(past), options.tz)
    if echo:
        say((found,), options)
    return found


def say(moments: Iterable[Moment], options: argparse.Namespace) -> None:
    """On stderr, so that a moment which was read in another way than meant is seen at once."""
    for found in moments:
        if found.given not in SAID_ANYWAY:
            Out(options).note(found.echo())


def marks(past: Past) -> dict[str, int]:
    """Named moments: that of the snapshot an import began with."""
    last = past.store.event(past.last_position)
    if last is None or not past.finished or not last.response_body:
        return {}
    from ledger.replay.importer.report import base_revision

    revision = base_revision(last.response_body)
    return {"base": revision} if revision else {}
