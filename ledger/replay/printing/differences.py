"""`diff A B` as text: what people and bots asked for first, what followed from it folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ledger.replay.classify import INTENT
from ledger.replay.comparison import AttributedField, Cause, ObjectDifference
from ledger.replay.moments import Moment, clock
from ledger.replay.paths import ABSENT, format_path
from ledger.replay.text import LONG_VALUE, last_name, short_user, value_text, who

FOLDED_FIELDS = 3  # of an object in the reactions, before the rest is counted
VALUES_WIDTH = 40  # values wider than this do not push the causes further right
PATHS_WIDTH = 60


def header_lines(a: Moment, b: Moment, objects: int, noise: int) -> Iterator[str]:
    hidden = f", {noise} noisy field{'s' if noise != 1 else ''} hidden" if noise else ""
    left = [f"--- rv {a.revision}", f"+++ rv {b.revision}"]
    size = max(map(len, left))
    yield f"{left[0]:{size}}  {clock(a.time)}  {a.given}"
    yield f"{left[1]:{size}}  {clock(b.time)}  {b.given}    {objects} object{'s' if objects != 1 else ''}{hidden}"


def difference_lines(
    found: Iterable[ObjectDifference], cuts: bool, *, everything: bool, namespaced: bool
) -> Iterator[str]:
    """Both groups. `everything`: reactions field by field as well, not folded; `cuts`: long values may be shortened."""
    printer = _Printer(LONG_VALUE if cuts else 0, namespaced)
    listed = list(found)
    asked_for = [one for one in listed if one.asked_for]
    reactions = listed if not everything else [one for one in listed if not one.asked_for]
    if asked_for:
        yield "asked for by people and bots"
        for one in asked_for:
            yield from printer.whole(one, only_intents=not everything)
    lines = list(_reactions(printer, reactions, everything))
    if lines:
        yield "reactions"
        yield from lines


def _reactions(printer: _Printer, reactions: list[ObjectDifference], everything: bool) -> Iterator[str]:
    if everything:
        for one in reactions:
            yield from printer.whole(one, only_intents=False)
        return
    events = Counter[str]()
    for one in reactions:
        if one.key.resource in ("events", "leases"):
            events[f"{one.mark} {one.key.resource}"] += 1
        else:
            yield from printer.brief(one)
    for what, count in events.items():
        yield f"{what}    {count} object{'s' if count != 1 else ''}, --class all for each"


def name_of(one: ObjectDifference, namespaced: bool) -> str:
    key = one.key
    name = f"{key.resource}/{key.name}"
    return f"{key.namespace}/{name}" if namespaced and key.namespace else name


class _Printer:
    """Lines of one object. `limit`: the length of values, 0 for all of it."""

    def __init__(self, limit: int, namespaced: bool) -> None:
        self.limit, self.namespaced = limit, namespaced

    def whole(self, one: ObjectDifference, *, only_intents: bool) -> Iterator[str]:
        """Every field in a line of its own."""
        doubt = f"   ({one.doubt})" if one.doubt else ""
        name = name_of(one, self.namespaced)
        if one.mark != "~":
            yield f"{one.mark} {name}    {cause_text(_decisive(one))}{doubt}"
            return
        yield f"~ {name}{doubt}"
        fields = [field for field in one.fields if not only_intents or _is_asked_for(field)]
        lines = [(format_path(field.field.path), self.values(field), _causes(field)) for field in fields]
        paths = min(max((len(path) for path, _, _ in lines), default=0), PATHS_WIDTH)
        values = min(max((len(value) for _, value, _ in lines), default=0), VALUES_WIDTH)
        for path, value, cause in lines:
            yield f"    {path:{paths}}  {value:{values}}  {cause}".rstrip()

    def brief(self, one: ObjectDifference) -> Iterator[str]:
        """One line; of an object that people changed, only what followed."""
        name = name_of(one, self.namespaced)
        if one.mark != "~":
            if not one.asked_for:
                yield f"{one.mark} {name}    {cause_text(_decisive(one))}"
            return
        fields = [field for field in one.fields if not field.returned and not _is_asked_for(field)]
        if not fields:
            return
        fields.sort(key=lambda field: field.field.path[0] == "metadata")
        folded = _Printer(LONG_VALUE, self.namespaced)  # a summary, in pipes too
        shown = ", ".join(f"{last_name(field.field)} {folded.values(field)}" for field in fields[:FOLDED_FIELDS])
        more = f", +{len(fields) - FOLDED_FIELDS} more" if len(fields) > FOLDED_FIELDS else ""
        yield f"~ {name}    {shown}{more}    {_causes(fields[0])}"

    def values(self, field: AttributedField) -> str:
        change = field.field
        if field.returned:
            return "(moved and came back)"
        if change.before is ABSENT:
            return f"+ {value_text(change.after, self.limit)}"
        if change.after is ABSENT:
            return f"- {value_text(change.before, self.limit)}"
        return f"{value_text(change.before, self.limit)} -> {value_text(change.after, self.limit)}"


def _is_asked_for(field: AttributedField) -> bool:
    return any(cause.kind == INTENT for cause in field.causes)


def _decisive(one: ObjectDifference) -> Cause:
    """The change that made the object, or took it away."""
    if one.mark == "+":
        return next((cause for cause in reversed(one.causes) if not cause.state.stored.previous), one.causes[0])
    return one.causes[-1]


def _causes(field: AttributedField) -> str:
    if field.returned:
        return ", ".join(f"{_user(cause)} {cause.change.revision}" for cause in field.causes)
    return cause_text(field.causes[-1]) if field.causes else ""


def cause_text(cause: Cause) -> str:
    """`alice  924  748bd20d`, with ~ or ? where the change is inferred or unknown."""
    event = cause.event
    if event is None:
        return str(cause.change.revision)
    doubt = {"inferred": " ~", "unknown": " ?"}.get(cause.change.confidence, "")
    return f"{who(event)}  {cause.change.revision}  {event.audit_id[:8]}{doubt}"


def _user(cause: Cause) -> str:
    return short_user(cause.event.user.name) if cause.event else "?"
