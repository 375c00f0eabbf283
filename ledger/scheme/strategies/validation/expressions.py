"""CEL expressions that choose devices (dynamic-resource-allocation/cel of k8s.io/kubernetes)."""

from __future__ import annotations

from ledger.scheme.cel import BOOL, DYN, STRING, CelError, Environment, Type
from ledger.scheme.cel.types import map_of, message

_DEVICES = Environment(
    {
        "device": message(
            "DRADevice",
            {
                "driver": STRING,
                "attributes": map_of(STRING, map_of(STRING, DYN)),
                "capacity": map_of(STRING, map_of(STRING, Type("kubernetes.Quantity"))),
                "allowMultipleAllocations": BOOL,
            },
        )
    }
)


def compile_error(expression: str, result: str, has_params: bool) -> str:
    """What is wrong with an expression about a device; "" when nothing is."""
    try:
        found = _DEVICES.compile(expression).result
    except CelError as error:
        return f"compilation failed: {error}"
    return "" if found in (BOOL, DYN) else f"must evaluate to bool or the unknown type, not {found}"
