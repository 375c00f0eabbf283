"""What a request body becomes, and how a bad one is refused: kube-apiserver 1.37's words."""

# ruff: noqa: E501 - the texts are one line each, so that they can be searched for

from __future__ import annotations

from typing import Any

import pytest

from ledger.apimachinery import json_codec
from ledger.apimachinery.negotiation import JSON, PROTOBUF, YAML
from ledger.apimachinery.resource import GVK
from ledger.apimachinery.status import StatusError
from ledger.scheme import protobuf
from ledger.scheme.codec import Decoded, decode

CONFIG_MAP = GVK("", "v1", "ConfigMap")
POD = GVK("", "v1", "Pod")
CRD = GVK("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
WIDGET = GVK("example.com", "v1", "Widget")


def refused(body: str | bytes, expected: GVK = CONFIG_MAP, content_type: str = JSON, **options: Any) -> str:
    with pytest.raises(StatusError) as error:
        decode(body.encode() if isinstance(body, str) else body, content_type, expected, **options)
    assert error.value.code == 400
    return error.value.message


def decoded(body: str, expected: GVK = CONFIG_MAP, content_type: str = JSON, **options: Any) -> Decoded:
    return decode(body.encode(), content_type, expected, **options)


@pytest.mark.parametrize("body", ["null", "{}", '{"kind":"ConfigMap"}', '{"apiVersion":"v1"}'])
def test_kind_and_version_come_from_the_url_where_the_body_has_none(body: str) -> None:
    assert decoded(body).obj == {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{nope", "invalid character 'n' looking for beginning of object key string ({nope)"),
        ("", "unexpected end of JSON input (<empty>)"),
        ("7", 'json: cannot unmarshal number into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (37)'),
        ('{"kind":5}', 'json: cannot unmarshal number into Go struct field .kind of type string ({"kind":5})'),
    ],
)  # fmt: skip
def test_bodies_whose_kind_cannot_be_read(body: str, why: str) -> None:
    start = (
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: "
    )
    assert refused(body) == start + why


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('"metadata":"x"', "json: cannot unmarshal string into Go struct field ConfigMap.metadata of type v1.ObjectMeta"),
        ('"metadata":{"labels":{"a":1}}', "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"),
        ('"metadata":{"generation":1.5}', "json: cannot unmarshal number 1.5 into Go struct field ObjectMeta.metadata.generation of type int64"),
        ('"metadata":{"creationTimestamp":5}', "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string"),
        ('"metadata":{"creationTimestamp":"x"}', 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
        ('"metadata":{"ownerReferences":[5]}', "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.ownerReferences of type v1.OwnerReference"),
        ('"binaryData":{"a":"YWJj!"}', "illegal base64 data at input byte 4"),
        ('"binaryData":{"a":5}', "json: cannot unmarshal number into Go struct field ConfigMap.binaryData of type []uint8"),
        ('"data":[]', "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string"),
        ('"immutable":1,"data":7', "json: cannot unmarshal number into Go struct field ConfigMap.immutable of type bool"),
        # A value whose type reads its own JSON ends the decoding, earlier errors of the other kind or not.
        ('"data":7,"metadata":{"creationTimestamp":"x"}', 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
    ],
)  # fmt: skip
def test_values_of_the_wrong_type(body: str, why: str) -> None:
    assert refused("{" + body + "}") == f'ConfigMap in version "v1" cannot be handled as a ConfigMap: {why}'


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ('"ports":[{"containerPort":"80"}]', "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"),
        ('"ports":[{"containerPort":99999999999}]', "json: cannot unmarshal number 99999999999 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"),
        ('"imagePullPolicy":1', "json: cannot unmarshal number into Go struct field Container.spec.containers.imagePullPolicy of type v1.PullPolicy"),
        ('"livenessProbe":{"httpGet":5}', "json: cannot unmarshal number into Go struct field Probe.spec.containers.livenessProbe.ProbeHandler.httpGet of type v1.HTTPGetAction"),
        ('"livenessProbe":{"httpGet":{"port":1.5}}', "json: cannot unmarshal number 1.5 into Go struct field HTTPGetAction.spec.containers.livenessProbe.ProbeHandler.httpGet.port of type int32"),
        ('"resources":{"limits":{"cpu":"x"}}', "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
    ],
)  # fmt: skip
def test_values_of_the_wrong_type_deep_inside(field: str, why: str) -> None:
    body = '{"spec":{"containers":[{"name":"a",' + field + "}]}}"
    assert refused(body, POD) == f'Pod in version "v1" cannot be handled as a Pod: {why}'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"apiVersion":"v7","kind":"ConfigMap"}', 'ConfigMap in version "v7" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v7" in scheme "pkg/runtime/scheme.go:111"'),
        ('{"apiVersion":"v1","kind":"Secret"}', 'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion'),
        ('{"apiVersion":"a/b/c"}', 'the object provided is unrecognized (must be of type ConfigMap): unexpected GroupVersion string: a/b/c ({"apiVersion":"a/b/c"})'),
        ('{"apiVersion":"v1/"}', "ConfigMap in version \"\" cannot be handled as a ConfigMap: Object 'apiVersion' is missing in '{\"apiVersion\":\"v1/\"}'"),
    ],
)  # fmt: skip
def test_other_kinds_and_versions(body: str, message: str) -> None:
    assert refused(body) == message


def test_the_right_kind_in_another_version_of_the_url() -> None:
    body = '{"apiVersion":"apps/v1beta1","kind":"Deployment"}'
    assert refused(body, GVK("apps", "v1", "Deployment")) == (
        "the API version in the data (apps/v1beta1) does not match the expected API version (apps/v1)"
    )
    assert decoded(body, GVK("apps", "v1", "Deployment"), accepts=lambda gvk: True).gvk.version == "v1beta1"


_DOUBLED = '{"metadata":{"name":"a","nah":1},"data":{"a":"1","a":"2"},"data":{"b":"3"},"nope":1,"nope":2}'
_COMPLAINTS = (
    'unknown field "metadata.nah"',
    'duplicate field "data.a"',
    'duplicate field "data"',
    'unknown field "nope"',
)


def test_unknown_and_doubled_fields_are_warned_of_refused_or_ignored() -> None:
    warned = decoded(_DOUBLED, validation="Warn")
    assert warned.warnings == _COMPLAINTS
    assert warned.obj["data"] == {"a": "2", "b": "3"}  # Go decodes the second map into the first
    assert decoded(_DOUBLED, validation="Ignore") == warned._replace(warnings=())
    assert refused(_DOUBLED, validation="Strict").endswith("strict decoding error: " + ", ".join(_COMPLAINTS))


def test_fields_are_told_apart_by_case() -> None:
    assert decoded('{"Metadata":{"name":"x"}}').warnings == ('unknown field "Metadata"',)


def test_list_positions_are_in_the_paths_of_strict_errors() -> None:
    body = '{"spec":{"containers":[{"name":"a","ports":[{"containerPort":1},{"nah":2,"nah":3}]}]}}'
    assert decoded(body, POD).warnings == ('unknown field "spec.containers[0].ports[1].nah"',)


def test_schema_unions_are_not_checked_strictly() -> None:
    body = '{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"items":{"nah":1},"nope":2}}}]}}'
    assert decoded(body, CRD).warnings == ('unknown field "spec.versions[0].schema.openAPIV3Schema.nope"',)


def test_yaml() -> None:
    text = "metadata: {name: x}\ndata:\n  n: '1'\n  a: b\n  a: c\nfoo: 1\n"
    assert decoded(text, content_type=YAML).warnings == ('line 5: key "a" already set in map', 'unknown field "foo"')
    assert decoded(text, content_type=YAML).obj["data"] == {"a": "c", "false": "1"}
    assert refused("a: [", content_type=YAML) == (
        "the object provided is unrecognized (must be of type ConfigMap): "
        "yaml: line 1: did not find expected node content (613a205b)"
    )


def test_protobuf() -> None:
    body = {"metadata": {"name": "x", "creationTimestamp": "2024-01-01T00:00:00Z"}, "data": {"k": ""}}
    message = protobuf.encode(CONFIG_MAP, body)
    assert message is not None
    assert decode(message, PROTOBUF, CONFIG_MAP).obj == {"kind": "ConfigMap", "apiVersion": "v1"} | body


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty data (<empty>)"),
        (b"nope", "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] (6e6f7065)"),
        (b"k8s\0", "empty body (6b387300)"),
        (b"k8s\0\xff\xff", "unexpected EOF (6b387300ffff)"),
    ],
)
def test_bodies_that_are_no_protobuf(body: bytes, why: str) -> None:
    start = "the object provided is unrecognized (must be of type ConfigMap): "
    assert refused(body, content_type=PROTOBUF) == start + why


def test_text_that_is_no_quantity() -> None:
    quota = GVK("", "v1", "ResourceQuota")
    message = protobuf.encode(quota, {"spec": {"hard": {"pods": "1"}}})
    assert message is not None
    broken = message.replace(b"\x0a\x011", b"\x0a\x01x")
    assert "quantities must match the regular expression" in refused(broken, quota, PROTOBUF)


def test_a_number_sent_as_a_text_is_refused_as_go_refuses_it() -> None:
    deployment = GVK("apps", "v1", "Deployment")
    strategy = {"rollingUpdate": {"maxUnavailable": 1}}
    message = protobuf.encode(deployment, {"spec": {"strategy": strategy}})
    assert message is not None
    for field, wrong in (
        (b"\x08\x00\x10\x01\x1a\x00", b"\x0a\x00\x10\x01\x1a\x00"),
        (b"\x10\x01\x1a\x00", b"\x12\x00\x12\x00"),
    ):
        assert field in message
        assert "proto: wrong wireType = 2 for field" in refused(message.replace(field, wrong), deployment, PROTOBUF)


def test_deep_bodies_are_refused_and_no_crash() -> None:
    for body in ('{"a":' * 400 + "1" + "}" * 400, "[" * 100_000, '{"metadata":' * 5_000):
        assert refused(body)
    text = b"k8s\0" + protobuf.envelope(CRD.api_version, CRD.kind, deep_schema(2_000))[4:]
    assert refused(text, CRD, PROTOBUF)


def deep_schema(levels: int) -> bytes:
    """A definition's message whose schema is `not` of `not` of ... so often."""
    from ledger.scheme.protobuf_wire import sized

    schema = b""
    for _ in range(levels):
        schema = b"\xe2\x01" + sized(schema)  # 28: not
    for tag in (b"\x0a", b"\x22", b"\x3a", b"\x12"):  # openAPIV3Schema, schema, versions, spec
        schema = tag + sized(schema)
    return schema


def test_a_wrong_wire_type_inside_the_message() -> None:
    assert refused(b"k8s\0\x12\x02\x08\x05", content_type=PROTOBUF).endswith(
        "cannot be handled as a ConfigMap: proto: wrong wireType = 0 for field ObjectMeta"
    )


def test_unknown_media_types_are_415() -> None:
    with pytest.raises(StatusError, match="the body of the request was in an unknown format") as error:
        decoded("{}", content_type="text/plain")
    assert error.value.code == 415


def test_broken_text_becomes_replacement_characters() -> None:
    assert decoded('{"data":{"a":"\\ud800"}}').obj["data"] == {"a": "\ufffd"}


def test_opaque_numbers_stay_as_they_were_written() -> None:
    body = '{"spec":{"config":[{"opaque":{"driver":"d","parameters":{"z":1.10,"a":1e2}}}]}}'
    obj = decoded(body, GVK("resource.k8s.io", "v1", "DeviceClass")).obj
    assert b'{"z":1.10,"a":1e2}' in json_codec.dumps(obj)


# --- custom resources ------------------------------------------------------------------------------------------------
def widget(fields: str) -> str:
    return '{"apiVersion":"example.com/v1","kind":"Widget",' + fields + "}"


def test_custom_resources_must_name_their_kind() -> None:
    assert refused('{"apiVersion":"example.com/v1"}', WIDGET, custom=True).endswith(
        "(must be of type Widget): Object 'Kind' is missing in '{\"apiVersion\":\"example.com/v1\"}' "
        '({"apiVersion":"example.com/v1" ...)'
    )


def test_custom_resources_keep_numbers_as_go_does() -> None:
    body = widget('"a":1.0,"b":1e3,"c":1.10,"d":12345678901234567890,"e":1e21')
    assert json_codec.dumps(decoded(body, WIDGET, custom=True).obj).endswith(
        b'"a":1,"b":1000,"c":1.1,"d":12345678901234567000,"e":1e+21}'
    )


def test_metadata_of_custom_resources_goes_through_its_go_type() -> None:
    good = decoded(widget('"metadata":{"name":"a","nah":1,"creationTimestamp":null}'), WIDGET, custom=True)
    assert good.obj["metadata"] == {"name": "a"}
    assert good.warnings == ('unknown field "metadata.nah"',)
    assert refused(widget('"metadata":{"name":5}'), WIDGET, custom=True) == (
        'Widget in version "v1" cannot be handled as a Widget: '
        "json: cannot unmarshal number into Go struct field ObjectMeta.name of type string"
    )


def test_pruned_fields_of_custom_resources_are_strict_errors() -> None:
    body = widget('"spec":{"a":1,"a":2,"x":1}')

    def prune(obj: dict[str, Any]) -> list[str]:
        del obj["spec"]["x"]
        return ["spec.x"]

    warned = decoded(body, WIDGET, custom=True, prune=prune)
    assert warned.obj["spec"] == {"a": 2}
    assert warned.warnings == ('duplicate field "spec.a"', 'unknown field "spec.x"')
