"""The kinds that exist: built-ins, and whatever CustomResourceDefinitions define, now and at any moment of the past."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from ledger.apimachinery.resource import GroupResource, Object
from ledger.log.api import Entry
from ledger.projections.api import View
from ledger.projections.store import Store
from ledger.registry.body import decode
from ledger.scheme.definition import ResourceDefinition
from ledger.scheme.scheme import Scheme

CRDS = GroupResource("apiextensions.k8s.io", "customresourcedefinitions")
PAST_SCHEMES_MAX = 16
MOMENTS_MAX = 64  # revisions of which the scheme is known without a look at the definitions

DefinitionOf = Callable[[Object], ResourceDefinition | None]  # of a CRD object; None: not (yet) served


class Schemes:
    """Follows the store: `now()` is up to date when the append that changed a definition returns."""

    def __init__(self, store: Store, builtin: Scheme, definition_of: DefinitionOf) -> None:
        self._store, self._builtin, self._definition_of = store, builtin, definition_of
        self._parsed: OrderedDict[tuple[str, int], ResourceDefinition | None] = OrderedDict()
        self._past: OrderedDict[tuple[tuple[str, int], ...], Scheme] = OrderedDict()
        self._at: OrderedDict[int, Scheme] = OrderedDict()  # by revision
        self._stale = True
        self._now = builtin
        store.engine.subscribe(self._follow)

    def now(self) -> Scheme:
        if self._stale:
            with self._store.view() as view:
                self._now = self._scheme(view)
            self._stale = False
        return self._now

    def latest(self) -> Scheme:
        """As `now`, and of commits as well that this server has not been told of yet, though readers see them."""
        self._stale = True
        return self.now()

    def at(self, revision: int) -> Scheme:
        """The kinds as of a revision."""
        scheme = self._at.get(revision)
        if scheme is None:
            with self._store.view(revision) as view:
                scheme = self._scheme(view)
            if self._store.is_told:
                self._at[revision] = scheme
                if len(self._at) > MOMENTS_MAX:
                    self._at.popitem(last=False)
        return scheme

    def _follow(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            for change in entry.changes:
                if change.key.resource == CRDS.resource and change.key.group == CRDS.group:
                    self._stale = True
                    self._at.clear()  # an import fills in the past

    def _scheme(self, view: View) -> Scheme:
        """Schemes are kept by the revisions of the definitions they were made from, so most moments share one."""
        stored = list(view.scan(CRDS))
        made_from = tuple((one.key.name, one.revision) for one in stored)
        scheme = self._past.get(made_from)
        if scheme is None:
            definitions = []
            for one in stored:
                place = (one.key.name, one.revision)
                if place not in self._parsed:
                    self._parsed[place] = self._definition_of(decode(one))
                if (definition := self._parsed[place]) is not None:
                    definitions.append(definition)
            scheme = self._builtin.with_custom(definitions) if definitions else self._builtin
            self._past[made_from] = scheme
            while len(self._past) > PAST_SCHEMES_MAX:
                self._past.popitem(last=False)
            while len(self._parsed) > 64 * PAST_SCHEMES_MAX:
                self._parsed.popitem(last=False)
        return scheme
