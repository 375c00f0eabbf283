"""What happened: the log's requests, newest first, with what each changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import orjson

from ledger.apimachinery.resource import GroupResource, Key, Object, Schema
from ledger.apimachinery.selectors import LabelSelector
from ledger.log.event import IMPORTED, Change, Event
from ledger.replay.classify import DRY_RUN, REFUSED, SHOWN_FIRST, class_of, is_machinery
from ledger.replay.fielddiff import Difference, difference
from ledger.replay.importer.record import STORED_AS
from ledger.replay.moments import Moment
from ledger.replay.past import Past

EVENTS_A_SLICE = 256


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which requests are wanted; empty members do not narrow."""

    classes: frozenset[str] = SHOWN_FIRST
    namespace: str = ""
    resources: frozenset[GroupResource] = frozenset()
    objects: frozenset[Key] = frozenset()
    user: str = ""
    group: str = ""
    verb: str = ""
    labels: LabelSelector | None = None
    grep: re.Pattern[str] | None = None
    where: Callable[[Happening], bool] | None = None
    noise: bool = False  # show the noisy fields as well
    conflicts: bool = True  # also what the cluster's own machinery was refused: it tries again


@dataclass(slots=True)
class ObjectChange:
    """One object that a request changed (or, in a dry run, would have changed)."""

    key: Key
    change: Change | None  # None: a dry run
    before: Object | None
    after: Object | None
    difference: Difference

    @property
    def what(self) -> str:
        if self.after is None:
            return "deleted"
        return "created" if self.before is None and not self.forgotten else "changed"

    @property
    def forgotten(self) -> bool:
        """Whether it replaced a state that retention dropped."""
        return self.before is None and self.change is not None and self.change.previous > 0

    @property
    def confidence(self) -> str:
        return (self.change.confidence if self.change else "") or "known"


@dataclass(slots=True)
class Happening:
    """One request of the log."""

    event: Event
    kind: str  # its class
    changes: list[ObjectChange] = field(default_factory=list)

    @property
    def revision(self) -> int:
        """The last one it made; 0: none."""
        return max(self.event.revisions, default=0)

    @property
    def confidence(self) -> str:
        found = {one.confidence for one in self.changes}
        return next((one for one in ("unknown", "inferred") if one in found), "known")


@dataclass(slots=True)
class Tally:
    """How many requests of each class were passed, shown or not."""

    shown: Counter[str] = field(default_factory=Counter)
    hidden: Counter[str] = field(default_factory=Counter)  # of other classes
    noise: int = 0


def object_key(event: Event) -> Key:
    """The object that a request named, as it is stored."""
    group, resource = STORED_AS.get((event.api_group, event.resource), (event.api_group, event.resource))
    namespace = "" if (group, resource) == ("", "namespaces") else event.namespace
    return Key(group, resource, namespace, event.name)


def happenings(
    past: Past, since: Moment, until: Moment, wanted: Narrowing, tally: Tally, *, oldest_first: bool = False
) -> Iterator[Happening | None]:
    """Requests after `since` up to and including `until`; newest first unless told otherwise. Fills `tally`.

    None stands between them whenever some more events were passed: who prints can show what there is so far, or stop.
    """
    for count, event in enumerate(_events(past, since.position, until.position, wanted, oldest_first), 1):
        if count % EVENTS_A_SLICE == 0:
            yield None
        if not _may_concern(event, wanted):
            continue
        kind = class_of(event)
        if kind not in wanted.classes or (kind == REFUSED and not wanted.conflicts and is_machinery(event)):
            if event.stage != IMPORTED and _concerns(past, event, wanted):
                tally.hidden[kind] += 1
            continue
        found = happening(past, event, wanted.noise, kind)
        if not _matches(found, wanted):
            continue
        tally.shown[kind] += 1
        tally.noise += sum(one.difference.noise for one in found.changes)
        yield found


def index_of(wanted: Narrowing) -> str:
    """Where `happenings` looks, for people."""
    if len(wanted.objects) == 1:
        return "requests of one object"
    return f"requests of {wanted.user}" if wanted.user else "every request of the range"


def _events(past: Past, after: int, upto: int, wanted: Narrowing, oldest_first: bool) -> Iterator[Event]:
    """Events by position, from the index where there is one for what is wanted."""
    if len(wanted.objects) == 1:
        (key,) = wanted.objects
        found = past.store.events_of_object(key, reverse=not oldest_first)
        return (event for event in found if after < event.position <= upto)
    if wanted.user:
        found = past.store.events_of_user(wanted.user, reverse=not oldest_first)
        return (event for event in found if after < event.position <= upto)
    if oldest_first:
        return past.store.events(after, upto - after)
    return _backwards(past, after, upto)


def _backwards(past: Past, after: int, upto: int) -> Iterator[Event]:
    while upto > after:
        start = max(after, upto - EVENTS_A_SLICE)
        yield from reversed(list(past.store.events(start, upto - start)))
        upto = start


def _may_concern(event: Event, wanted: Narrowing) -> bool:
    """Cheap refusals, on the event alone."""
    if wanted.verb and event.verb != wanted.verb:
        return False
    if wanted.user and wanted.user not in (event.user.name, event.impersonated.name if event.impersonated else ""):
        return False
    if wanted.group and wanted.group not in (event.impersonated or event.user).groups:
        return False
    if event.revisions and event.stage == IMPORTED:
        return True
    key = object_key(event)
    if wanted.namespace and key.namespace != wanted.namespace and key.namespace:
        return False
    return not wanted.resources or GroupResource(*key[:2]) in wanted.resources or len(event.revisions) > 1


def _concerns(past: Past, event: Event, wanted: Narrowing) -> bool:
    """The same, on what it changed; for counting."""
    key = object_key(event)
    if wanted.namespace and key.namespace != wanted.namespace:
        return False
    if wanted.resources and GroupResource(*key[:2]) not in wanted.resources:
        return False
    return not wanted.objects or key in wanted.objects


def _matches(found: Happening, wanted: Narrowing) -> bool:
    keys = [one.key for one in found.changes] or [object_key(found.event)]
    if wanted.namespace and not any(key.namespace == wanted.namespace for key in keys):
        return False
    if wanted.resources and not any(GroupResource(*key[:2]) in wanted.resources for key in keys):
        return False
    if wanted.objects and not any(key in wanted.objects for key in keys):
        return False
    if wanted.labels is not None and not any(_has_labels(one, wanted.labels) for one in found.changes):
        return False
    if wanted.grep is not None and not _mentions(found, wanted.grep):
        return False
    return wanted.where is None or wanted.where(found)


def _has_labels(one: ObjectChange, labels: LabelSelector) -> bool:
    obj = one.after or one.before or {}
    return labels.matches((obj.get("metadata") or {}).get("labels") or {})


def _mentions(found: Happening, pattern: re.Pattern[str]) -> bool:
    event = found.event
    texts = [event.uri, event.message, event.user.name, event.request_body.decode(errors="replace")]
    texts += [one.change.body.decode(errors="replace") for one in found.changes if one.change and one.change.body]
    return any(pattern.search(text) for text in texts)


def happening(past: Past, event: Event, noise: bool = False, kind: str = "") -> Happening:
    """A request with what it changed."""
    kind = kind or class_of(event)
    found = Happening(event, kind)
    if kind == DRY_RUN:
        found.changes = _would_have_changed(past, event, noise)
    for revision in event.revisions:
        change = past.store.change(revision)
        if change is not None:
            found.changes.append(object_change(past, change, noise))
    return found


def object_change(past: Past, change: Change, noise: bool = False) -> ObjectChange:
    before = past.before(change)
    after = past.object(change)
    return ObjectChange(change.key, change, before, after, compare(past, change, before, after, noise))


def compare(past: Past, change: Change, before: Object | None, after: Object | None, noise: bool) -> Difference:
    if before is None or after is None:
        return Difference([], 0)
    return difference(before, after, schema_of(past, change), noise=noise)


def schema_of(past: Past, change: Change) -> Schema | None:
    """The built-in schema, for the keys of lists."""
    definition = past.builtin.definition(GroupResource(*change.key[:2]))
    version = definition.versions.get(change.api_version.rpartition("/")[2]) if definition else None
    return version.schema if version else None


def _would_have_changed(past: Past, event: Event, noise: bool) -> list[ObjectChange]:
    """What a dry run answered, against the state it was tried on."""
    try:
        answer = orjson.loads(event.response_body) if event.response_body else None
    except orjson.JSONDecodeError:
        answer = None
    if event.code >= 400 or not isinstance(answer, dict) or answer.get("kind") in ("Status", "Scale", None):
        return []
    key = object_key(event)._replace(name=event.name or (answer.get("metadata") or {}).get("name", ""))
    known = past.version(key, _revision_before(past, event))
    before = past.object(known) if known is not None else None
    after = None if event.verb == "delete" else answer
    if known is None or before is None or after is None:
        return [ObjectChange(key, None, before, after, Difference([], 0))]
    return [ObjectChange(key, None, before, after, compare(past, known, before, after, noise))]


def _revision_before(past: Past, event: Event) -> int:
    for earlier in _backwards(past, 0, event.position - 1):
        if earlier.revisions:
            return max(earlier.revisions)
    return 0
