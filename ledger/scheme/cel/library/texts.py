"""Named formats: `format.dns1123Label().validate(text)` (library/format.go of k8s.io/apiserver)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ledger.apimachinery.names import FORMATS, is_label_value, is_qualified_name
from ledger.scheme import string_formats
from ledger.scheme.cel.functions import overload
from ledger.scheme.cel.library.network import parse_url
from ledger.scheme.cel.syntax import CelError
from ledger.scheme.cel.types import Type
from ledger.scheme.cel.values import NOTHING, Optional

_F = "kubernetes.NamedFormat"


@dataclass(frozen=True, slots=True)
class NamedFormat:
    name: str
    findings: Callable[[str], list[str]]

    cel_type = Type(_F)


def _name(format: str, prefix: bool) -> Callable[[str], list[str]]:
    return lambda text: FORMATS[format](text, prefix)


def _conforming(format: str, wrong: str) -> Callable[[str], list[str]]:
    return lambda text: [] if string_formats.conforms(format, text) else [wrong]


def _uri(text: str) -> list[str]:
    try:
        parse_url(text)
    except CelError as error:
        return [str(error).removeprefix("URL parse error during conversion from string: ")]
    return []


_KNOWN: Mapping[str, Callable[[str], list[str]]] = {
    "dns1123Label": _name("dns1123-label", False),
    "dns1123Subdomain": _name("dns1123-subdomain", False),
    "dns1035Label": _name("dns1035-label", False),
    "qualifiedName": is_qualified_name,
    "dns1123LabelPrefix": _name("dns1123-label", True),
    "dns1123SubdomainPrefix": _name("dns1123-subdomain", True),
    "dns1035LabelPrefix": _name("dns1035-label", True),
    "labelValue": is_label_value,
    "uri": _uri,
    "uuid": _conforming("uuid", "does not match the UUID format"),
    "byte": _conforming("byte", "invalid base64"),
    "date": _conforming("date", "invalid date"),
    "datetime": _conforming("datetime", "invalid datetime"),
}
_FORMATS = {name: NamedFormat(name, findings) for name, findings in _KNOWN.items()}


def validate(format: NamedFormat, text: str) -> Optional:
    found = format.findings(text)
    return Optional(True, found) if found else NOTHING


def named(name: str) -> Optional:
    return Optional(True, _FORMATS[name]) if name in _FORMATS else NOTHING


def _constant(format: NamedFormat) -> Callable[[], NamedFormat]:
    return lambda: format


OVERLOADS = [
    *(overload(f"::format.{name}(): {_F}", _constant(format)) for name, format in _FORMATS.items()),
    overload(f"{_F}.validate(string): optional_type(list(string))", validate),
    overload(f"::format.named(string): optional_type({_F})", named),
]
