"""Lists: which revision a list is served at, paging, and selection without decoding bodies.

A page reads the state as of its first page's revision, so pages are consistent whatever happens between them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import trio

from ledger.apimachinery.resource import Key
from ledger.apimachinery.selectors import (
    FieldRequirement,
    FieldSelector,
    LabelSelector,
    SelectorError,
    parse_field_selector,
    parse_label_selector,
)
from ledger.apimachinery.status import StatusError, bad_request, too_large_resource_version
from ledger.projections.api import Place, Required, Stored, View
from ledger.projections.selections import KEYS_MAX, Question
from ledger.projections.store import Store
from ledger.projections.view import SLICE_ROWS
from ledger.registry.options import ListOptions, parse_revision
from ledger.registry.tokens import Token, decode_token, encode_token
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.selectable import UnknownFieldLabel, stored_label


@dataclass(frozen=True, slots=True)
class Selection:
    """What a list or watch selects. None: everything."""

    labels: LabelSelector | None
    fields: FieldSelector | None

    def __bool__(self) -> bool:
        return self.labels is not None or self.fields is not None

    def matches(self, name: str, namespace: str, labels: dict[str, str], fields: dict[str, str]) -> bool:
        if self.labels is not None and not self.labels.matches(labels):
            return False
        if self.fields is None:
            return True
        return self.fields.matches({"metadata.name": name, "metadata.namespace": namespace, **fields})

    def selects(self, stored: Stored) -> bool:
        return not self or self.matches(stored.key.name, stored.key.namespace, stored.labels, stored.fields)

    @property
    def text(self) -> tuple[str, str]:
        """Equal for selections of the same objects."""
        return str(self.labels), str(self.fields)

    @property
    def required(self) -> Required | None:
        """A label or field that every object has which this selects; None where nothing can be said."""
        found = None
        for one in self.labels.requirements if self.labels is not None else ():
            if one.operator in ("=", "==", "in") and len(one.values) == 1:
                return Required(one.key, one.values[0])
            if one.operator in ("exists", "in"):
                found = Required(one.key)
        for field in self.fields.requirements if self.fields is not None else ():
            if field.operator == "=" and field.value and not field.field.startswith("metadata."):
                return Required(field.field, field.value)
        return found


EVERYTHING = Selection(None, None)


def selection_of(definition: ResourceDefinition, version: Version, options: ListOptions) -> Selection:
    """The selectors of a request. StatusError 400 when they do not parse, or name a field that cannot be selected."""
    if not options.label_selector and not options.field_selector:
        return EVERYTHING
    try:
        labels = parse_label_selector(options.label_selector) if options.label_selector else None
        fields = parse_field_selector(options.field_selector) if options.field_selector else None
        if fields is not None:
            fields = FieldSelector(tuple(_stored(definition, version, one) for one in fields.requirements))
    except (SelectorError, UnknownFieldLabel) as error:
        raise bad_request(str(error)) from None
    return Selection(labels, fields)


def _stored(definition: ResourceDefinition, version: Version, one: FieldRequirement) -> FieldRequirement:
    """The requirement on the stored object that one on the request's version stands for."""
    return replace(one, field=stored_label(definition, version, one.field))


@dataclass(slots=True)
class Page:
    """One answer to a list."""

    items: list[Stored]
    revision: int
    continue_: str = ""
    remaining: int | None = None


class Listing:
    """A list while it is read: slice by slice, each in a read of its own, all of one revision.

    So a list of any length keeps no read open across an await and lets other requests have their turn between two
    slices. Raises StatusError 400, 410 (expired), 504 (revision to come), and Compacted.
    """

    __slots__ = (
        "_after", "_keys", "_last_item", "_left", "_limit", "_now_s", "_only", "_question", "_store", "_taken", "_what",
        "complete", "page", "selection",
    )  # fmt: skip

    def __init__(
        self,
        store: Store,
        definition: ResourceDefinition,
        namespace: str,
        options: ListOptions,
        selection: Selection,
        now_s: int,
    ) -> None:
        self._store, self._what, self.selection = store, (definition.stored_as, namespace), selection
        paged = options.limit > 0 or options.continue_
        self._only = None if paged else _only_key(definition, namespace, selection)
        self._now_s = now_s
        # resourceVersion 0: the watch cache gives all it has.
        self._limit = 0 if options.resource_version == "0" else max(0, options.limit)
        self._taken = 0
        self._after: Place | None = None
        self._last_item: Place = ("", "")
        self._left: int | None = None  # how many objects there are from `_after` on
        revision: int | None
        if options.continue_:
            if options.resource_version not in ("", "0"):
                raise bad_request("specifying resource version is not allowed when using continue")
            token = decode_token(options.continue_, now_s)
            self._after, self._left = token.after, token.left
            revision = token.revision if token.revision >= 0 else None
        else:
            revision = _revision(store, options)
        self.page = Page([], -1 if revision is None else revision)
        # Of a list that a selector answers with few objects of many, so that it is quick the next time.
        asks = bool(selection) and not paged and revision is None and self._only is None
        self._question = Question(*self._what, selection.text) if asks else None
        self._keys: list[Key] = []
        self.complete = False  # there is nothing more to read for this answer

    @property
    def limited(self) -> bool:
        return self._limit > 0

    def bodies(self, api_version: str, shown: Callable[[Stored], bytes]) -> bytes:
        """The bodies of the next slice, a comma before each; `shown` makes those of other versions. Without selection."""
        with self._view() as view:
            room = self._limit - self._taken if self._limit else SLICE_ROWS
            found = view.joined(*self._what, self._after, api_version, shown, room)
            self._count_first(view, found.last)
            self._took(found.rows, found.last)
        if self._limit and found.rows == room and found.last is not None:
            self._end_page(found.last)
        return found.bodies

    def items(self) -> list[Stored]:
        """The objects of the next slice, which may be none although more follow."""
        room = self._limit - self._taken if self._limit else SLICE_ROWS
        with self._view() as view:
            if self._only is not None:
                self.complete = True
                one = view.get(self._only)
                return [one] if one is not None and self.selection.selects(one) else []
            known = self._known(view)
            if known is not None:
                return known
            # One more than there is room for: a page names a next one only where something of the selection follows.
            found = view.select(
                *self._what, self._after, self.selection.selects, required=self.selection.required, items_max=room + 1
            )
            self._count_first(view, found.last)
        items = found.items
        more = bool(self._limit) and len(items) > room
        if more:
            del items[room:]
        self._took(len(items), found.last)
        if items:
            self._last_item = items[-1].key.namespace, items[-1].key.name
        if more:
            self._end_page(self._last_item)
        self._keep(items)
        return items

    def _known(self, view: View) -> list[Stored] | None:
        """All objects of the selection, where it was asked before."""
        if self._question is None or self._after is not None:
            return None
        keys = view.known(self._question, self.selection.matches)
        if keys is None:
            return None
        self.complete = True
        return [one for one in map(view.get, keys) if one is not None]

    def _keep(self, items: list[Stored]) -> None:
        if self._question is None:
            return
        self._keys += [one.key for one in items]
        if len(self._keys) > KEYS_MAX:
            self._question = None
        elif self.complete and self._store.selections is not None:
            self._store.selections.keep(self._question, self.page.revision, frozenset(self._keys))

    def _view(self) -> AbstractContextManager[View]:
        view = self._store.view(None if self.page.revision < 0 else self.page.revision)
        self.page.revision = view.revision
        return view

    def _count_first(self, view: View, last: Place | None) -> None:
        """How many objects there are from this page on, when it is one of several.

        Left open where telling would cost more than the page: remainingItemCount may be missing, and nothing may rest on it.
        """
        if self._limit and self._left is None and not self.selection and last is not None:
            self._left = view.remaining(*self._what, self._after)

    def _took(self, count: int, last: Place | None) -> None:
        self._taken += count
        self._after = last
        if self._left is not None:
            self._left -= count
        self.complete = last is None

    def _end_page(self, last: Place) -> None:
        self.complete = True
        self.page.remaining = self._left
        self.page.continue_ = encode_token(Token(self.page.revision, "/".join(last), self._now_s, self._left))


async def list_page(
    store: Store, definition: ResourceDefinition, namespace: str, options: ListOptions, selection: Selection, now_s: int
) -> Page:
    """All objects a list asks for, read slice by slice. Raises what Listing raises."""
    listing = Listing(store, definition, namespace, options, selection, now_s)
    page = listing.page
    page.items = listing.items()
    while not listing.complete:
        await trio.lowlevel.checkpoint()
        page.items += listing.items()
    return page


def _revision(store: Store, options: ListOptions) -> int | None:
    """The revision a list names that has to be served at just that one; None: as things stand now."""
    if not options.resource_version:
        return None
    revision, head = _wanted(options.resource_version), store.head()
    if revision > head:
        raise too_large_resource_version(revision, head)
    exact = options.match == "Exact" or (not options.match and options.limit > 0 and revision > 0)
    return revision if exact else None


def _wanted(resource_version: str) -> int:
    """As `parse_revision`, but a list says 400 of what is none."""
    try:
        return parse_revision(resource_version)
    except StatusError as error:
        raise bad_request(f"invalid resource version: {error.message}") from None


def _only_key(definition: ResourceDefinition, namespace: str, selection: Selection) -> Key | None:
    """The one object that a selection by name can mean."""
    name = selection.fields.exact("metadata.name") if selection.fields is not None else None
    if not name or bool(namespace) != definition.namespaced:
        return None
    return Key(*definition.stored_as, namespace, name)
