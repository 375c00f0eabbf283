"""Validation: what may be in an object of each kind, in kube-apiserver's order and words.

Rules upstream declares on its types are data (declarative.py); the rest is functions, a module for each family of kinds,
listed in kinds.py.
"""

from ledger.scheme.strategies.validation.kinds import has_rules, validate_create, validate_update

__all__ = ["has_rules", "validate_create", "validate_update"]
