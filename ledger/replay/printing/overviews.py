"""`info` and the summary of `import` as text."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.apimachinery.resource import Object
from ledger.apimachinery.times import rfc3339
from ledger.replay.classify import CLASSES
from ledger.replay.moments import clock, duration_text
from ledger.replay.overview import Overview
from ledger.replay.past import Past

TOP = 8  # rows of a list before the rest is counted
MALFORMED_SHOWN = 20


def overview_lines(found: Overview, past: Past, source: str) -> Iterator[str]:
    span = duration_text(past.ends - past.begins)
    end = "finished (imported)" if past.finished else "its end is now"
    yield f"ledger    {source}    {end}"
    yield f"time      {rfc3339(past.begins)} .. {rfc3339(past.ends)}    {span}"
    yield f"revisions 1 .. {past.head}    {sum(found.changes.values()):,} changes, {found.events:,} requests"
    yield "classes   " + ", ".join(f"{kind} {found.classes[kind]:,}" for kind in CLASSES if found.classes[kind])
    yield "writers   " + _top(found.writers.most_common())
    yield "objects   " + _top(sorted(found.objects.items(), key=lambda pair: -pair[1]))
    levels: dict[str, dict[str, int]] = {}
    for (resource, level), count in found.levels.items():
        levels.setdefault(level or "-", {})[resource] = count
    for level, counts in sorted(levels.items()):
        yield f"level     {level}: " + _top(sorted(counts.items(), key=lambda pair: -pair[1]))
    yield "changes   " + ", ".join(f"{name} {count:,}" for name, count in sorted(found.changes.items()))
    if losses := past.losses():
        yield f"dropped   {'; '.join(losses)}"
    if found.imported is not None:
        yield from import_notes(found.imported)
    if found.changes["inferred"] or found.changes["unknown"]:
        yield "try       ledger replay info --quality    (each inferred or unknown change)"
        yield "try       ledger replay info --unknowable --at T    (what the log does not tell of a moment)"


def _top(pairs: list[tuple[str, int]]) -> str:
    shown = ", ".join(f"{name} {count:,}" for name, count in pairs[:TOP])
    rest = pairs[TOP:]
    return shown + (f", and {len(rest)} more ({sum(count for _, count in rest):,})" if rest else "")


def import_lines(report: Object, data_dir: str) -> Iterator[str]:
    """What `import` prints when it is done."""
    first, last = report["first"], report["last"]
    files = len(report["files"])
    span = f"{rfc3339(first).replace('T', ' ')[:-1]} .. {clock(last)}" if report["records"] else "no records"
    servers = len(report.get("apiservers") or ())
    sources = _counted(servers, "apiserver") if servers else _counted(files, "file")
    yield f"read      {report['records']:,} records, {sources}, {span}"
    levels = ", ".join(f"{level} {count:,}" for level, count in sorted(report["levels"].items()))
    yield f"requests  {report['events']:,}    levels: {levels or '-'}"
    yield f"state     rv ..{report['head']}"
    changes = report["changes"]
    yield f"          known {changes['known']:,}   inferred {changes['inferred']:,}   unknown {changes['unknown']:,}"
    yield from import_notes(report)
    yield f"try       ledger replay log --data-dir {data_dir}"


def import_notes(report: Object) -> Iterator[str]:
    """What an import could not use or could not know."""
    base = report["base"]
    if base["revision"]:
        yield f"note      snapshot at rv {base['revision']}: {base['objects']:,} of its objects are not in the log"
    if report.get("redacted"):
        yield f"note      secrets are stored as digests in {report['redacted']:,} requests (import --redact none keeps them)"
    if report["truncated"]:
        yield f"note      {report['truncated']:,} truncated events: both bodies are lost"
    if report["repeats"]:
        yield f"note      {report['repeats']:,} writes changed nothing: they were answered with an earlier revision"
    if report["failedLate"]:
        yield f"note      {report['failedLate']:,} writes were answered 500 or above: they may have taken place"
    for one in report.get("unlogged", ()):
        resource = f"{one['resource']}.{one['group']}" if one["group"] else one["resource"]
        where = f" in {one['namespace']}" if one["namespace"] else ""
        yield f"unknown   {resource}{where} since rv {one['after']}: {one['why']}"
    for name, why in (("unplaced", "no revision was left for them"), ("overtaken", "the object had changed by then")):
        if report[name]:
            yield f"note      {len(report[name]):,} changes are left out: {why}"
    malformed = report["malformed"]
    if malformed:
        yield f"malformed {len(malformed):,} lines could not be used"
        for one in malformed[:MALFORMED_SHOWN]:
            yield f"          {one['file']}:{one['line']}: {one['problem']}"
        if len(malformed) > MALFORMED_SHOWN:
            yield f"          .. and {len(malformed) - MALFORMED_SHOWN:,} more (info -o json lists all)"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"
