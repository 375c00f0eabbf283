"""Audit records out of files: JSON lines, plain or gzip, several files merged by time."""

from __future__ import annotations

import gzip
import heapq
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import orjson

RawRecord = dict[str, Any]  # one audit.k8s.io Event as decoded JSON

NOT_A_RECORD = "not an audit event: it has no auditID and stage"


class Malformed(NamedTuple):
    """A line (or the rest of a file) that could not be used, for the report."""

    file: str
    line: int
    problem: str


class Located(NamedTuple):
    """One record and where it stands."""

    file: str
    line: int
    record: RawRecord


def read_records(paths: Iterable[str], malformed: list[Malformed]) -> Iterator[Located]:
    """The records of all files, merged by stageTimestamp as far as each file is in order itself.

    What cannot be used is appended to `malformed`; reading goes on with the next line. Two calls give the same order.
    """
    sources = [_one_file(path, malformed) for path in paths]
    if len(sources) == 1:
        return sources[0]
    return heapq.merge(*sources, key=_answered)


def _answered(located: Located) -> str:
    return str(located.record.get("stageTimestamp", ""))


def _one_file(path: str, malformed: list[Malformed]) -> Iterator[Located]:
    number = 0
    try:
        with _open(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.isspace():
                    continue
                try:
                    decoded = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    malformed.append(Malformed(path, number, f"not JSON: {error}"))
                    continue
                for record in _events(decoded):
                    if _is_event(record):
                        yield Located(path, number, record)
                    else:
                        malformed.append(Malformed(path, number, NOT_A_RECORD))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        # A log that was copied while it was written: what could be read counts, the end is reported.
        malformed.append(Malformed(path, number + 1, f"the gzip stream is cut off or damaged: {error}"))


def _open(path: str) -> IO[bytes]:
    with Path(path).open("rb") as file:
        magic = file.read(2)
    return cast(IO[bytes], gzip.open(path, "rb")) if magic == b"\x1f\x8b" else Path(path).open("rb")


def _events(decoded: Any) -> list[Any]:
    """A webhook backend posts EventLists; a file of them holds one list a line."""
    if type(decoded) is dict and decoded.get("kind") == "EventList" and type(decoded.get("items")) is list:
        items: list[Any] = decoded["items"]
        return items
    return [decoded]


def _is_event(record: Any) -> bool:
    # Items of an EventList carry no kind and apiVersion of their own.
    if type(record) is not dict:
        return False
    for name in ("auditID", "stage", "requestURI", "verb", "stageTimestamp", "requestReceivedTimestamp"):
        if type(record.get(name)) is not str:
            return False
    return True
