"""The configuration of a server-side apply: YAML, taken as it is."""

from __future__ import annotations

from ledger.apimachinery import yaml_codec
from ledger.apimachinery.resource import Object
from ledger.apimachinery.status import bad_request


def decode_applied(body: bytes, field_validation: str) -> tuple[Object, list[str]]:
    """The configuration and what strict decoding complains of. StatusError 400 (applyPatcher.applyPatchToCurrentObject)."""
    try:
        config, doubled = yaml_codec.loads_strictly(body)
    except yaml_codec.YamlError as error:
        raise bad_request(f"error encoding patch: {error}") from None
    if config is None:
        config = {}
    if not isinstance(config, dict):
        kind = {str: "string", list: "array", bool: "bool"}.get(type(config), "number")
        text = f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding patch: error unmarshaling JSON: while decoding JSON: {text}")
    if field_validation == "Ignore":
        doubled = []
    if doubled and field_validation == "Strict":
        listed = "\n  ".join(doubled)
        raise bad_request(
            f"error strict decoding patch: error converting YAML to JSON: yaml: unmarshal errors:\n  {listed}"
        )
    return config, doubled
