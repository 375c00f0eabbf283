"""Tables that begin to print before all rows are known, and that a terminal's width cuts where it hurts least."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

SAMPLE_ROWS = 40  # looked at before the first line is printed, to choose the widths


class Column(NamedTuple):
    """A column; `least` is the width it may be cut to on a narrow terminal (0: never cut)."""

    name: str
    least: int = 0
    cut: str = "end"  # "end" or "middle"
    align: str = "<"


def table_lines(
    columns: list[Column],
    rows: Iterable[list[str] | None],
    *,
    width: int = 0,
    header: bool = True,
    enough: Callable[[], bool] = lambda: False,
) -> Iterator[str]:
    """The table's lines. `width` 0: never cut (pipes). `enough` tells that waiting for more rows would be noticed.

    A row of None is no row, but a moment to look at the time. No rows give no lines, not even a header.
    """
    pending = iter(rows)
    sample: list[list[str]] = []
    for row in pending:
        if row is not None:
            sample.append(row)
        if len(sample) == SAMPLE_ROWS or (sample and enough()):
            break
    if not sample:
        return
    titles = [column.name for column in columns]
    widths = [max(len(row[place]) for row in [*sample, titles]) for place in range(len(columns))]
    if width:
        _narrow(columns, widths, width)
    if header:
        yield _line(columns, titles, widths, bool(width))
    for row in chain(sample, pending):
        if row is not None:
            yield _line(columns, row, widths, bool(width))


def _narrow(columns: list[Column], widths: list[int], width: int) -> None:
    """Takes what is too much from the columns that may be cut, the widest first."""
    while (over := sum(widths) + 2 * (len(widths) - 1) - width) > 0:
        spare = [(widths[place] - column.least, place) for place, column in enumerate(columns) if column.least]
        most, place = max(spare, default=(0, 0))
        if most <= 0:
            return
        widths[place] -= min(over, most)


def _line(columns: list[Column], row: list[str], widths: list[int], cut: bool) -> str:
    cells = []
    for column, text, width in zip(columns, row, widths, strict=True):
        if cut and column.least and len(text) > width:
            text = shortened(text, width, column.cut)
        cells.append(text.rjust(width) if column.align == ">" else text.ljust(width))
    return "  ".join(cells).rstrip()


def shortened(text: str, width: int, where: str = "end") -> str:
    """The text in `width` characters, two dots for what is left out."""
    if len(text) <= width:
        return text
    if width <= 4 or where == "end":
        return text[: max(width - 2, 1)] + ".."
    head = (width - 2) // 2
    return text[:head] + ".." + text[len(text) - (width - 2 - head) :]


def tsv_lines(columns: list[Column], rows: Iterable[list[str] | None], *, header: bool = True) -> Iterator[str]:
    """Tab-separated, never cut; tabs and line ends inside values become spaces."""
    if header:
        yield "\t".join(column.name for column in columns)
    for row in rows:
        if row is not None:
            yield "\t".join(" ".join(cell.split()) if "\t" in cell or "\n" in cell else cell for cell in row)
