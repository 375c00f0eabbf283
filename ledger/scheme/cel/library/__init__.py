"""The functions of CEL in Kubernetes, a library a file; `BASE` is what every expression may use.

Follows pkg/cel/environment/base.go of k8s.io/apiserver.
"""

from __future__ import annotations

from ledger.scheme.cel.functions import table
from ledger.scheme.cel.library.lists import OVERLOADS as LISTS
from ledger.scheme.cel.library.network import OVERLOADS as NETWORK
from ledger.scheme.cel.library.optionals import OVERLOADS as OPTIONALS
from ledger.scheme.cel.library.quantities import OVERLOADS as QUANTITIES
from ledger.scheme.cel.library.semver import OVERLOADS as SEMVER
from ledger.scheme.cel.library.standard import OVERLOADS as STANDARD
from ledger.scheme.cel.library.strings import OVERLOADS as STRINGS
from ledger.scheme.cel.library.texts import OVERLOADS as TEXTS
from ledger.scheme.cel.library.times import OVERLOADS as TIMES

BASE = table(STANDARD, TIMES, STRINGS, LISTS, OPTIONALS, QUANTITIES, SEMVER, NETWORK, TEXTS)
