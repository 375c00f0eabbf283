"""The names of the admission plugins, for flags; ledger.admission.chain makes them."""

from __future__ import annotations

from ledger.admission.chain import PLUGIN_NAMES

__all__ = ["PLUGIN_NAMES"]
