"""What an admission plugin sees and may do (admission.Attributes in k8s.io/apiserver)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Protocol

from ledger.apimachinery.http import Request, User
from ledger.apimachinery.names import is_qualified_name
from ledger.apimachinery.resource import Object
from ledger.log.event import Change, Guard
from ledger.projections.api import View
from ledger.scheme.definition import ResourceDefinition, Version


class Reinvocation:
    """Which hooks of one plugin are to be invoked a second time: those that may be, and saw an object that was changed since.

    Follows webhookReinvokeContext in pkg/admission/plugin/webhook/mutating of k8s.io/apiserver.
    """

    def __init__(self) -> None:
        self.due: set[Hashable] = set()
        self._invoked: set[Hashable] = set()  # may be invoked again, should the object change
        self._output: Object | None = None

    def invoked(self, hook: Hashable) -> None:
        self._invoked.add(hook)

    def changed(self) -> None:
        """What was invoked so far saw an object that is another one now."""
        self.due |= self._invoked
        self._invoked = set()

    def begin(self, attributes: Attributes) -> None:
        """Call it first: in the second round the plugins before this one may have changed its output."""
        if attributes.rounds.second and attributes.object != self._output:
            self.changed()

    def end(self, attributes: Attributes) -> None:
        self._output = deepcopy(attributes.object)


class Rounds:
    """Mutating plugins run once more when a hook changed the object (newReinvocationHandler)."""

    __slots__ = ("_of", "second", "wanted")

    def __init__(self) -> None:
        self.second = False  # which of the two rounds this is
        self.wanted = False  # whether there shall be a second one
        self._of: dict[str, Reinvocation] = {}

    def of(self, plugin: str) -> Reinvocation:
        return self._of.setdefault(plugin, Reinvocation())


@dataclass(slots=True)
class Attributes:
    """One write on its way in. Mutating plugins change `object` in place, or replace it."""

    operation: str  # CREATE, UPDATE, DELETE, CONNECT
    definition: ResourceDefinition
    version: Version  # of the request
    subresource: str
    namespace: str
    name: str
    object: Object | None  # in the storage version, kind and apiVersion included; None on DELETE
    old: Object | None
    user: User
    dry_run: bool
    options: dict[str, Any]
    request: Request | None = None  # None for the server's own writes
    guards: list[Guard] = field(default_factory=list)  # add what the decision read and must still hold at commit
    companions: list[Change] = field(default_factory=list)  # other objects that change in the same commit
    settle: list[Callable[[bool], None]] = field(default_factory=list)  # told whether the write was committed
    annotations: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    patched: bool = False  # a webhook or policy put another object in the place of `object`
    rounds: Rounds = field(default_factory=Rounds)
    _origin: Object | None = None  # the object before the first plugin that may not see its own work again

    def start_over(self) -> None:
        """Forgets what was read and planned: the write is decided again."""
        self.guards.clear()
        self.companions.clear()
        self.rounds = Rounds()
        if self._origin is not None:
            self.object, self._origin = self._origin, None

    def keep_origin(self) -> None:
        """For plugins whose changes may not be made twice: a write that is decided again begins with the object as it is now."""
        if self._origin is None and self.object is not None:
            self._origin = deepcopy(self.object)

    def annotate(self, key: str, value: str) -> None:
        """Adds an annotation to the write's event, unless its key is no qualified name or is taken."""
        if key.count("/") == 1 and not is_qualified_name(key):
            self.annotations.setdefault(key, value)

    def settled(self, committed: bool) -> None:
        """Tells whoever holds something for this write how it ended."""
        while self.settle:
            self.settle.pop()(committed)


class Convert(Protocol):
    """Calls work that may need versions of custom resources which a webhook has to make first, as often as that takes."""

    async def __call__(self, definition: ResourceDefinition, work: Callable[[], Any], /) -> Any: ...


class Plugin(Protocol):
    """A plugin has `admit` (mutating), `validate`, or both; it refuses by raising StatusError (403 Forbidden mostly).

    Plugins that only compute are plain functions. A plugin that must wait (a webhook) is called through `admit_async` /
    `validate_async`, outside any View. One that has `resources` is asked about writes of these only.
    """

    name: str  # as --disable-admission-plugins spells it

    def handles(self, attributes: Attributes) -> bool: ...
    def admit(self, attributes: Attributes, view: View) -> None: ...
    def validate(self, attributes: Attributes, view: View) -> None: ...
