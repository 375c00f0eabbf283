"""Which media type and which transformation a request gets, from its Accept header; and what Content-Type says.

Two judges sit one behind the other in kube-apiserver, with texts of their own: the router, which knows only media types
("406: Not Acceptable ..."), and the negotiation of the endpoint, which knows parameters ("only the following media
types are accepted ..."). Results are cached by header, so that the hot path is one dict lookup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ledger.apimachinery.remember import remembered
from ledger.apimachinery.status import StatusError

JSON, YAML, PROTOBUF, CBOR = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/cbor",
)
BUILTIN = (JSON, YAML, PROTOBUF)
_STREAMS = (JSON, PROTOBUF)
_META_VERSIONS = ("v1", "v1beta1")
_BROWSERS = ("curl", "Wget", "Mozilla/5.0")
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEDIA_TYPE = re.compile(rf"\s*({_TOKEN}/{_TOKEN})\s*(;.*)?", re.DOTALL)
_PARAMETER = re.compile(rf';\s*({_TOKEN})\s*=\s*(?:{_TOKEN}|"(?:[^"\\]|\\.)*")\s*')


class Negotiated(NamedTuple):
    """How to answer."""

    media_type: str = JSON
    transform: str = ""  # "Table", "PartialObjectMetadata", "PartialObjectMetadataList", "" for the object itself
    version: str = "v1"  # of meta.k8s.io, for the transformation
    pretty: bool = False  # asked for in the header; ?pretty and the user agent ask too (`wants_pretty`)
    profile: str = ""  # of discovery: "nopeer"
    convert: tuple[str, str, str] | None = None  # (group, version, kind) as given, for discovery's own documents


@remembered(1024)
def negotiate(
    accept: str,
    *,
    offered: tuple[str, ...] = BUILTIN,
    table: bool = True,
    routed: bool = True,
    streaming_route: bool = False,
    custom: bool = False,
) -> Negotiated:
    """The answer's form for an Accept header; raises StatusError 406.

    `table`: the resource can be printed as one. `routed`: the router judges first (built-in resources; not custom
    ones). `streaming_route`: a collection, whose route lists the watch types too. `custom`: protobuf only carries
    transformed objects.
    """
    if routed and not _router_accepts(accept, offered):
        raise not_acceptable_by_router(offered + (_stream_types(offered) if streaming_route else ()))
    if not accept:
        return Negotiated(offered[0])
    for main, sub, parameters in _clauses(accept):
        for media_type in offered:
            offered_main, _, offered_sub = media_type.partition("/")
            if main not in (offered_main, "*") or sub not in (offered_sub, "*") or (main == "*" and sub != "*"):
                continue
            found = _accepted(media_type, parameters, table, custom)
            if found is not None:
                return found
    raise not_acceptable(offered)


@remembered(1024)
def negotiate_watch(accept: str, *, offered: tuple[str, ...] = BUILTIN, custom: bool = False) -> Negotiated:
    """Like `negotiate` for a watch, which only goes out as JSON or protobuf."""
    if not custom and not _router_accepts(accept, offered):
        raise not_acceptable_by_router(offered + _stream_types(offered))
    try:
        found = negotiate(accept, offered=offered, routed=False, custom=custom)
    except StatusError:
        raise not_acceptable(_stream_types(offered)) from None
    if found.media_type not in _STREAMS:
        raise not_acceptable(_stream_types(offered))
    return found


@remembered(1024)
def negotiate_error(accept: str) -> Negotiated:
    """The form of an error: JSON, indented, where the header asks for what a Status cannot be."""
    try:
        found = negotiate(accept, routed=False)
    except StatusError:
        found = Negotiated(transform="none")
    return Negotiated(pretty=True) if found.transform else found


def watch_content_type(media_type: str) -> str:
    """What a watch answers as its Content-Type."""
    return media_type if media_type == JSON else f"{media_type};stream=watch"


def wants_pretty(query: str | None, user_agent: str) -> bool:
    """Whether JSON is to be indented: ?pretty (None: not given), or a browser or command-line tool asks."""
    if query:
        return query in ("1", "t", "T", "true", "TRUE", "True")
    return user_agent.startswith(_BROWSERS)


@remembered(256)
def content_type_of(header: str) -> str:
    """The media type of a Content-Type header, lower case; JSON for an empty header, "" for a broken one."""
    if not header:
        return JSON
    found = _MEDIA_TYPE.fullmatch(header)
    if not found:
        return ""
    parameters = (found[2] or "").strip().rstrip(";").rstrip()
    names = [name.lower() for name in _PARAMETER.findall(parameters)]
    if len(names) > len(set(names)) or _PARAMETER.sub("", parameters):
        return ""  # as mime.ParseMediaType refuses it
    return found[1].lower()


def unsupported_media_type(accepted: Iterable[str]) -> StatusError:
    """415 of a body nobody can read."""
    listed = ", ".join(accepted)
    message = f"the body of the request was in an unknown format - accepted media types include: {listed}"
    return StatusError(415, "UnsupportedMediaType", message)


def unsupported_patch_type() -> StatusError:
    """415 of the router, for a PATCH whose Content-Type is no patch type."""
    return StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def not_acceptable(accepted: Iterable[str]) -> StatusError:
    """406 of an endpoint."""
    listed = ", ".join(accepted)
    return StatusError(406, "NotAcceptable", f"only the following media types are accepted: {listed}")


def not_acceptable_by_router(produced: Iterable[str]) -> StatusError:
    """406 of the router."""
    message = f"406: Not Acceptable\n\nAvailable representations: {', '.join(produced)}"
    return StatusError(406, "NotAcceptable", message, {})


def not_a_list(asked: str, internal_name: str) -> StatusError:
    """406 of a list transformation asked of one object; `internal_name`: "core.ConfigMap"."""
    message = f"you requested {asked}, but the requested object is not a list (*{internal_name})"
    return StatusError(406, "NotAcceptable", message)


def is_a_list(asked: str, internal_name: str) -> StatusError:
    """406 of an object transformation asked of a list; `internal_name`: "core.ConfigMapList"."""
    message = f"you requested {asked}, but the requested object is a list (*{internal_name})"
    return StatusError(406, "NotAcceptable", message)


def _stream_types(offered: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{one};stream=watch" for one in offered if one in _STREAMS)


def _router_accepts(accept: str, offered: tuple[str, ...]) -> bool:
    """go-restful looks at media types without parameters and knows no wildcard but */*."""
    if not accept:
        return True
    named = {part.partition(";")[0].strip(" ") for part in accept.split(",")}
    return "*/*" in named or not named.isdisjoint(offered)


def _accepted(media_type: str, parameters: dict[str, str], table: bool, custom: bool) -> Negotiated | None:
    """The answer in that media type, None where a parameter rules it out."""
    group, version, kind = parameters.get("g", ""), parameters.get("v", ""), parameters.get("as", "")
    converted = any(name in parameters for name in ("as", "g", "v"))
    if parameters.get("stream", "") not in ("", "watch") or (parameters.get("stream") and media_type not in _STREAMS):
        return None
    if parameters.get("sv", "") not in ("", "v1"):
        return None
    pretty, profile = parameters.get("pretty") == "1", parameters.get("profile", "")
    if not converted:
        return None if custom and media_type == PROTOBUF else Negotiated(media_type, "", "v1", pretty, profile)
    if group == "meta.k8s.io" and version in _META_VERSIONS:
        printable = kind == "Table" and table and media_type != PROTOBUF
        if printable or kind in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return Negotiated(media_type, kind, version, pretty, profile, (group, version, kind))
    return None


@remembered(1024)
def clauses(accept: str) -> tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]:
    """(type, subtype, parameters) of an Accept header's clauses, best first: for endpoints with documents of their own."""
    return tuple((main, sub, tuple(parameters.items())) for main, sub, parameters in _clauses(accept))


def _clauses(accept: str) -> list[tuple[str, str, dict[str, str]]]:
    """(type, subtype, parameters) in order of preference, parsed and sorted as goautoneg does."""
    parsed = []
    for part in accept.split(","):
        named, *rest = part.strip(" ").split(";")
        main, *subs = named.split("/")
        main = main.strip(" ")
        if len(subs) > 1 or (not (subs and subs[0]) and main != "*"):
            continue
        sub = subs[0].strip(" ") if subs and subs[0] else "*"
        quality, parameters = 1.0, {}
        for one in rest:
            pair = one.split("=")
            if len(pair) != 2 or not pair[1]:
                continue
            name = pair[0].strip(" ")
            if name == "q":
                quality = _float(pair[1])
            else:
                parameters[name] = pair[1].strip(" ")
        parsed.append((quality, main, sub, parameters))
    # The comparison is no order, so the algorithm matters: insertion sort, as Go sorts short slices.
    for end in range(1, len(parsed)):
        at = end
        while at and _before(parsed[at], parsed[at - 1]):
            parsed[at], parsed[at - 1] = parsed[at - 1], parsed[at]
            at -= 1
    return [(main, sub, parameters) for _, main, sub, parameters in parsed]


def _before(a: tuple[float, str, str, dict[str, str]], b: tuple[float, str, str, dict[str, str]]) -> bool:
    return a[0] > b[0] or (a[1] != "*" and b[1] == "*") or (a[2] != "*" and b[2] == "*")


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
