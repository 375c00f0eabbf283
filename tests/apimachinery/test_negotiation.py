"""Which form an answer takes, and what is said when there is none."""

from __future__ import annotations

import pytest

from ledger.apimachinery.negotiation import (
    BUILTIN,
    JSON,
    PROTOBUF,
    YAML,
    Negotiated,
    content_type_of,
    negotiate,
    negotiate_error,
    negotiate_watch,
    wants_pretty,
    watch_content_type,
)
from ledger.apimachinery.status import StatusError

_META = "v=v1;g=meta.k8s.io"
_ROUTER = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, " + PROTOBUF
_ENDPOINT = f"only the following media types are accepted: {JSON}, {YAML}, {PROTOBUF}"


@pytest.mark.parametrize(
    ("accept", "media_type", "transform"),
    [
        ("", JSON, ""),
        ("*/*", JSON, ""),
        ("application/yaml, application/json", YAML, ""),
        ("application/json;q=0.1,application/yaml;q=0.9", YAML, ""),
        ("text/html, application/json", JSON, ""),
        ("*/*, application/yaml", YAML, ""),
        ("application/json;charset=utf-8", JSON, ""),
        ("application/json;stream=watch", JSON, ""),
        (f"application/json;as=Table;{_META}, application/json", JSON, "Table"),
        (f"application/json;as=Nothing;{_META}, application/json", JSON, ""),
        (f"{PROTOBUF};as=Table;{_META}, application/yaml", YAML, ""),
        (f"{PROTOBUF};as=PartialObjectMetadata;{_META}", PROTOBUF, "PartialObjectMetadata"),
    ],
)
def test_negotiation(accept: str, media_type: str, transform: str) -> None:
    assert negotiate(accept)[:2] == (media_type, transform)


@pytest.mark.parametrize(
    ("accept", "why"),
    [
        ("text/html", _ROUTER),
        ("application/*", _ROUTER),
        ("nonsense", _ROUTER),
        (f"application/json;as=Nothing;{_META}", _ENDPOINT),
        (f"{PROTOBUF};as=Table;{_META}", _ENDPOINT),
        ("application/yaml;stream=watch", _ENDPOINT),
        ("application/json;stream=other", _ENDPOINT),
    ],
)
def test_what_cannot_be_had(accept: str, why: str) -> None:
    with pytest.raises(StatusError) as refused:
        negotiate(accept)
    assert (refused.value.code, refused.value.message) == (406, why)


def test_collections_name_their_watch_types_too() -> None:
    with pytest.raises(StatusError, match=r"protobuf, application/json;stream=watch, .*protobuf;stream=watch$"):
        negotiate("application/cbor", streaming_route=True)


def test_custom_resources_go_out_as_protobuf_only_when_transformed() -> None:
    with pytest.raises(StatusError) as refused:
        negotiate(PROTOBUF, routed=False, custom=True)
    assert refused.value.message == _ENDPOINT
    accept = f"{PROTOBUF};as=PartialObjectMetadataList;{_META}"
    assert negotiate(accept, routed=False, custom=True).media_type == PROTOBUF


def test_watches_are_json_or_protobuf() -> None:
    assert negotiate_watch("").media_type == JSON
    assert watch_content_type(negotiate_watch(f"{PROTOBUF};stream=watch").media_type) == f"{PROTOBUF};stream=watch"
    with pytest.raises(StatusError, match="application/json;stream=watch, "):
        negotiate_watch(YAML)


def test_errors_fall_back_to_indented_json() -> None:
    assert negotiate_error("application/yaml").media_type == YAML
    assert negotiate_error("text/html") == Negotiated(JSON, pretty=True)
    assert negotiate_error(f"application/json;as=Table;{_META}") == Negotiated(JSON, pretty=True)


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        ("", JSON),
        ("Application/JSON", JSON),
        ("application/json; charset=utf-8", JSON),
        ('application/json;a="b;c"', JSON),
        ("application/json;", JSON),
        ("application/json; charset", ""),
        ("application/json; a=b; a=c", ""),
        ("application/", ""),
        ("json", "json"),
    ],
)
def test_content_types(header: str, media_type: str) -> None:
    assert (content_type_of(header) in BUILTIN) == (media_type in BUILTIN)


def test_tools_and_browsers_get_indented_json_unless_they_say_otherwise() -> None:
    assert wants_pretty(None, "curl/8.0")
    assert wants_pretty("1", "kubectl/v1.37")
    assert not wants_pretty("false", "curl/8.0")
    assert not wants_pretty(None, "kubectl/v1.37")
