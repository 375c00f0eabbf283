"""What several questions share: flags that narrow, and how times print."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from ledger.apimachinery.selectors import LabelSelector, SelectorError, parse_label_selector
from ledger.replay.past import Past, ReplayError
from ledger.replay.printing import rows

MACHINE = ("json", "jsonl", "yaml")  # outputs that are documents


def selector(text: str) -> LabelSelector | None:
    try:
        return parse_label_selector(text) if text else None
    except SelectorError as error:
        raise ReplayError(f'"{text}" is not a label selector: {error}') from None


def clock_of(past: Past, options: argparse.Namespace) -> rows.Clock:
    """How times print: the time of day where the log is of one day, else with the date."""
    if options.time == "none":
        return lambda time_us: "-"
    if options.time == "local":
        return lambda time_us: (
            datetime.fromtimestamp(time_us / 1e6, UTC).astimezone().isoformat(timespec="milliseconds")
        )
    if options.output == "tsv":
        return rows.full_time
    same_day = past.begins // 86_400_000_000 == past.ends // 86_400_000_000
    return rows.time_of_day if same_day else rows.day_and_time
