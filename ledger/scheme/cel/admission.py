"""What expressions of admission policies and webhooks may use, and what they must give.

Follows pkg/admission/plugin/cel/{compile,composition}.go of k8s.io/apiserver.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ledger.scheme.cel import Environment, Program
from ledger.scheme.cel import types as t
from ledger.scheme.cel.functions import overload
from ledger.scheme.cel.library.authorizer import AUTHORIZER, RESOURCE_CHECK
from ledger.scheme.cel.library.authorizer import OVERLOADS as AUTHORIZATION
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.types import BOOL, DYN, INT, STRING, TIMESTAMP, Type, list_of, map_of, message

_STRINGS, _LABELS = list_of(STRING), map_of(STRING, STRING)
_KIND = message("kubernetes.GroupVersionKind", {"group": STRING, "version": STRING, "kind": STRING})
_RESOURCE = message("kubernetes.GroupVersionResource", {"group": STRING, "version": STRING, "resource": STRING})
_USER = message(
    "kubernetes.UserInfo",
    {"username": STRING, "uid": STRING, "groups": _STRINGS, "extra": map_of(STRING, _STRINGS)},
)
REQUEST = message(
    "kubernetes.AdmissionRequest",
    {
        **{"kind": _KIND, "resource": _RESOURCE, "requestKind": _KIND, "requestResource": _RESOURCE},
        **dict.fromkeys(("subResource", "requestSubResource", "name", "namespace", "operation"), STRING),
        **{"userInfo": _USER, "dryRun": BOOL, "options": DYN},
    },
)
_CONDITION = message(
    "kubernetes.NamespaceCondition",
    {**dict.fromkeys(("status", "type", "message", "reason"), STRING), "lastTransitionTime": TIMESTAMP},
)
_METADATA = message(
    "kubernetes.NamespaceMetadata",
    {
        **dict.fromkeys(("name", "generateName", "namespace", "UID", "resourceVersion"), STRING),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), TIMESTAMP),
        **dict.fromkeys(("deletionGracePeriodSeconds", "generation"), INT),
        **{"labels": _LABELS, "annotations": _LABELS, "finalizers": _STRINGS},
    },
)
NAMESPACE = message(
    "kubernetes.Namespace",
    {
        "metadata": _METADATA,
        "spec": message("kubernetes.NamespaceSpec", {"finalizers": _STRINGS}),
        "status": message("kubernetes.NamespaceStatus", {"conditions": list_of(_CONDITION), "phase": STRING}),
    },
)
_PATCH_FIELDS = {"op": STRING, "path": STRING, "from": STRING, "value": DYN}
JSON_PATCH = message("JSONPatch", _PATCH_FIELDS)
OBJECT = message("Object", lambda name: DYN)
ESCAPE_KEY = overload("::jsonpatch.escapeKey(string): string", lambda text: text.replace("~", "~0").replace("/", "~1"))

# What an expression must give, by what it is for. None: anything.
RESULTS: Mapping[str, tuple[Type, ...] | None] = {
    "any": None,
    "bool": (BOOL,),
    "string": (STRING,),
    "annotation": (STRING, t.NULL),
    "JSONPatch": (list_of(JSON_PATCH),),
    "ApplyConfiguration": (OBJECT,),
}


def _patch_types(name: str) -> Type | None:
    if name == "JSONPatch":
        return JSON_PATCH
    return message(name, lambda field: DYN) if name == "Object" or name.startswith("Object.") else None


@lru_cache(maxsize=512)
def _environment(
    has_params: bool, has_authorizer: bool, patches: bool, named: tuple[tuple[str, Type], ...] | None
) -> Environment:
    variables = {"object": DYN, "oldObject": DYN, "namespaceObject": NAMESPACE, "request": REQUEST}
    if named is not None:
        variables["variables"] = message("kubernetes.variables", dict(named))
    if has_params:
        variables["params"] = DYN
    if has_authorizer:
        variables |= {"authorizer": AUTHORIZER, "authorizer.requestResource": RESOURCE_CHECK}
    functions = [*AUTHORIZATION, *([ESCAPE_KEY] if patches else [])]
    return Environment(variables, functions, _patch_types if patches else lambda name: None)


@dataclass(slots=True)
class Scope:
    """Where expressions stand: whether there are parameters, and the variables named so far.

    `variables` is None where expressions cannot have any (webhooks).
    """

    has_params: bool = False
    variables: dict[str, Type] | None = field(default_factory=dict)

    def compile(self, expression: str, result: str) -> Program:
        """Raises CelError with the text that upstream puts into a finding. `result` is a key of RESULTS."""
        named = None if self.variables is None else tuple(self.variables.items())
        patches = result in ("JSONPatch", "ApplyConfiguration")
        environment = _environment(self.has_params, result != "string", patches, named)
        try:
            program = environment.compile(expression)
        except CelError as error:
            raise CelError(f"compilation failed: {error}") from None
        wanted = RESULTS[result]
        if wanted is not None and program.result not in wanted:
            shown = str(wanted[0]) if len(wanted) == 1 else f"one of [{' '.join(map(str, wanted))}]"
            raise CelError(f"must evaluate to {shown} but got {program.result}")
        return program

    def error(self, expression: str, result: str) -> str:
        """What is wrong with an expression; "" when nothing is."""
        try:
            self.compile(expression, result)
        except CelError as error:
            return str(error)
        return ""

    def name(self, variable: str, expression: str) -> Program | None:
        """Later expressions may use this variable. None: it does not compile, and may be anything."""
        try:
            program = self.compile(expression, "any")
        except CelError:
            program = None
        if self.variables is not None:
            self.variables[variable] = DYN if program is None else _kept(program.result)
        return program


def _kept(found: Type) -> Type:
    """What is known of a variable's type: plain types, lists and maps of them."""
    if found.name in ("list", "map"):
        return Type(found.name, tuple(map(_kept, found.parameters)))
    return found if found.name in t.PLAIN else DYN
