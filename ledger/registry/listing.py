"""Lists: which revision a list is served at, paging with continue tokens, and selection without decoding bodies.

A page reads the state as of its first page's revision, so pages are consistent whatever happens between them. Tokens
expire all the same (clients and the conformance suite count on it); only /at/ and resourceVersionMatch=Exact reach further back.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from ledger.apimachinery.selectors import (
    FieldRequirement,
    FieldSelector,
    LabelSelector,
    SelectorError,
    parse_field_selector,
    parse_label_selector,
)
from ledger.apimachinery.status import StatusError, bad_request, gone, too_large_resource_version
from ledger.log.api import Compacted
from ledger.projections.api import Stored, View
from ledger.projections.store import Store
from ledger.registry.options import ListOptions, parse_revision
from ledger.scheme.definition import ResourceDefinition, Version
from ledger.scheme.selectable import UnknownFieldLabel, stored_label

CONTINUE_LIFETIME_S = 300
TOKEN_VERSION = "meta.k8s.io/v1"
NOT_BASE64 = re.compile("[^A-Za-z0-9_-]")
EXPIRED_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


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
        return self.matches(stored.key.name, stored.key.namespace, stored.labels, stored.fields)


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


@dataclass(frozen=True, slots=True)
class _Token:
    revision: int  # -1: whatever is current
    start: str  # "namespace/name" after which the page begins
    issued: int  # seconds since 1970


def _encode_token(token: _Token) -> str:
    value = {"v": TOKEN_VERSION, "rv": token.revision, "start": token.start, "t": token.issued}
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def _decode_token(text: str) -> _Token:
    """Raises StatusError 400 for what is no token of this server (DecodeContinue of k8s.io/apiserver/pkg/storage)."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        odd = NOT_BASE64.search(text)
        raise _invalid_token(f": illegal base64 data at input byte {odd.start() if odd else len(text) - 1}") from None
    try:
        value: Any = json.loads(raw.decode("latin-1"))
        version, token = value["v"], _Token(int(value["rv"]), str(value["start"]), int(value.get("t", 0)))
    except (ValueError, KeyError, TypeError, AttributeError):
        shown = json.dumps(raw[:1].decode("latin-1"))[1:-1].replace('\\"', '"') if raw else ""
        why = f"invalid character '{shown}' looking for beginning of value" if raw else "unexpected end of JSON input"
        raise _invalid_token(f": {why}") from None
    if version != TOKEN_VERSION:
        raise _invalid_token(f": server does not recognize this encoded version {version}")
    if not token.revision:
        raise _invalid_token(f": incorrect encoded start resourceVersion (version {TOKEN_VERSION})")
    if not token.start:
        raise _invalid_token(f": encoded start key empty (version {TOKEN_VERSION})")
    absolute = token.start if token.start.startswith("/") else f"/{token.start}"
    if posixpath.normpath(absolute) != absolute:
        raise _invalid_token(f": {token.start}")
    return token


def _invalid_token(why: str) -> StatusError:
    return bad_request(f"invalid continue token: continue key is not valid{why}")


def list_page(
    store: Store, definition: ResourceDefinition, namespace: str, options: ListOptions, selection: Selection, now_s: int
) -> Page:
    """The objects a list asks for. Raises StatusError 400, 410 (expired), 504 (revision to come)."""
    revision, after = _where(store, options, now_s)
    limit = 0 if options.resource_version == "0" else options.limit  # the watch cache gives all it has
    with _view(store, revision) as view:
        return _read(view, definition, namespace, after, limit, selection, now_s)


def _where(store: Store, options: ListOptions, now_s: int) -> tuple[int | None, tuple[str, str] | None]:
    """The revision to read at (None: now) and the key after which to begin."""
    if options.continue_:
        if options.resource_version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        token = _decode_token(options.continue_)
        namespace, _, name = token.start.rpartition("/")
        if token.revision >= 0 and now_s - token.issued > CONTINUE_LIFETIME_S:
            error = gone(EXPIRED_TOKEN)
            error.list_meta = {"continue": _encode_token(_Token(-1, token.start, now_s))}
            raise error
        return (token.revision if token.revision >= 0 else None), (namespace, name)
    if not options.resource_version:
        return None, None
    revision, head = _wanted(options.resource_version), store.head()
    if revision > head:
        raise too_large_resource_version(revision, head)
    exact = options.match == "Exact" or (not options.match and options.limit > 0 and revision > 0)
    return (revision if exact else None), None


def _wanted(resource_version: str) -> int:
    """As `parse_revision`, but a list says 400 of what is none."""
    try:
        return parse_revision(resource_version)
    except StatusError as error:
        raise bad_request(f"invalid resource version: {error.message}") from None


def _view(store: Store, revision: int | None) -> AbstractContextManager[View]:
    try:
        return store.view(revision)
    except Compacted as compacted:
        raise gone(f"The provided resource version is too old: the log begins at {compacted.oldest}") from None


def _read(
    view: View,
    definition: ResourceDefinition,
    namespace: str,
    after: tuple[str, str] | None,
    limit: int,
    selection: Selection,
    now_s: int,
) -> Page:
    rows = view.scan(definition.stored_as, namespace, after)
    if selection:
        rows = (stored for stored in rows if selection.selects(stored))
    if limit <= 0:
        return Page(list(rows), view.revision)
    items: list[Stored] = []
    for stored in rows:
        if len(items) == limit:
            last = items[-1].key
            token = _encode_token(_Token(view.revision, f"{last.namespace}/{last.name}", now_s))
            rest = None if selection else view.count(definition.stored_as, namespace, (last.namespace, last.name))
            return Page(items, view.revision, token, rest)
        items.append(stored)
    return Page(items, view.revision)
