"""How the registry asks for what an object is to be given beyond what its client chose.

An allocator never writes. What it gives out are fields of the object and `companions` of its write: Changes of other
objects that hold the claim, committed together with it. Two writers that want the same thing meet at the claim's guard;
the one who comes second decides again.
"""

from __future__ import annotations

from typing import Protocol

from ledger.admission.api import Attributes
from ledger.apimachinery.resource import Object
from ledger.log.event import Change
from ledger.projections.api import View


class Allocator(Protocol):
    """Of one resource. It is asked after mutating admission and before preparation and validation."""

    def allocate(self, attributes: Attributes, view: View) -> None:
        """On CREATE and UPDATE: fills `attributes.object`, adds companions. Raises StatusError 422, 500.

        It may run again for the same write after a lost race, on the object as it left it.
        """
        ...

    def free(self, obj: Object, view: View) -> list[Change]:
        """What changes beside an object that is removed."""
        ...
