"""Damaged bodies, header blocks, patches, paths and selectors, fed to what decodes them; damaged TLS to the handshake.

What must hold for every input: it is decoded, or refused by the error made for that (a Status of 4xx), and nothing else
is raised.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cbor2
import trio
from h2.exceptions import ProtocolError
from hpack.exceptions import OversizedHeaderListError
from OpenSSL import SSL

from ledger.apimachinery import yaml_text
from ledger.apimachinery.negotiation import CBOR, JSON, PROTOBUF, YAML
from ledger.apimachinery.resource import GVK, GroupResource
from ledger.apimachinery.selectors import parse_field_selector, parse_label_selector
from ledger.apimachinery.status import StatusError
from ledger.pipeline.requestinfo import UnknownRequest, request_info, split_moment
from ledger.registry.patching import check_patch, patcher
from ledger.scheme import protobuf
from ledger.scheme.builtin import builtin_definitions
from ledger.scheme.codec import decode
from ledger.wire.config import WireConfig
from ledger.wire.http2_headers import HeaderDecoder
from ledger.wire.http2_syntax import BadStreamRequest, HeadReader, MalformedStream
from ledger.wire.stream import Disconnected
from ledger.wire.tls import TlsStream, tls_context
from tests.wire.hostile.conversations import header_blocks, mutated
from tests.wire.hostile.loops import Finding
from tests.wire.wire_server import Certificates

POD = GVK("", "v1", "Pod")
CONFIG_MAP = GVK("", "v1", "ConfigMap")
OBJECTS: list[tuple[GVK, dict[str, Any]]] = [
    (CONFIG_MAP, {"metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"k": "v"}, "binaryData": {"b": "AAE="}}),
    (POD, {
        "metadata": {"name": "p", "creationTimestamp": "2026-11-22T21:17:06Z", "finalizers": ["a/b"]},
        "spec": {
            "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}],
                            "resources": {"limits": {"cpu": "100m", "memory": "1Gi"}},
                            "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5}}],
            "volumes": [{"name": "v", "emptyDir": {}}], "hostNetwork": True,
        },
    }),
    (GVK("apps", "v1", "Deployment"), {
        "metadata": {"name": "d"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}},
                 "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
                 "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
    }),
]  # fmt: skip
TEXT_WORDS = [
    b"null", b"true", b"1e400", b"-0", b"9223372036854775808", b"0x1F", b".inf", b"~", b"!!binary ", b"&a ", b"*a", b"<<: *a\n",
    b"\n", b"\t", b"  ", b"---\n", b"{", b"}", b"[" * 200, b'"', b"'", b'"\\ud800"', b'"\\u0000"', b"\xff", b"\xef\xbb\xbf",
    b":", b",", b'"metadata":', b'"kind":"Secret",', b'"apiVersion":"v2",',
    b"%YAML 9\n", b"- ", b"? ", b"|2\n", b"\x00", b"\xf0\x9f\x98\x80",
]  # fmt: skip
BINARY_WORDS = [
    b"\xff" * 9, b"\x00", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", b"\x0a\xff\x01", b"\x9f", b"\xbf", b"\xff",
    b"\xd9\xd9\xf7", b"\xc2\x41\x01", b"\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00", b"\xf9\x7e\x00",
    b"\x5f\x41a\xff", b"\x7f", b"\x1b" + b"\xff" * 8,
    b"\xd8\x1c", b"\xd8\x1d\x00", b"k8s\x00", b"\x81" * 300,
]  # fmt: skip
PATCHES = [
    b'[{"op":"replace","path":"/data/k","value":1},{"op":"test","path":"/metadata/name","value":"a"}]',
    b'[{"op":"copy","from":"/data","path":"/x~1y"},{"op":"move","from":"/data/k","path":"/l/-"},{"op":"remove","path":"/a/0"}]',
    b'{"data":{"k":null,"n":{"a":[1,null]}},"metadata":{"labels":{"a":"b"}}}',
    b'{"spec":{"containers":[{"name":"c","$patch":"delete"}],"$setElementOrder/containers":[{"name":"c"}]}}',
    b'{"spec":{"$retainKeys":["a"],"volumes":[{"$patch":"replace"},{"name":"v"}],"$deleteFromPrimitiveList/finalizers":["a/b"]}}',
]  # fmt: skip
PATCH_TYPES = [f"application/{name}+json" for name in ("json-patch", "merge-patch", "strategic-merge-patch")]
QUERIES = [
    b"/api/v1/namespaces/default/pods/a/log", b"/apis/apps/v1/namespaces/x/deployments?fieldSelector=metadata.name%3Da",
    b"/at/2026-11-22T21:17:06Z/api/v1/pods", b"/api/v1/watch/namespaces/a/pods", b"/at/rv:12/apis", b"/at/-5m/version",
]  # fmt: skip
SELECTORS = [
    b"a=b,c!=d",
    b"x in (a,b),y notin (c),!z",
    b"k8s.io/a > 5",
    b"metadata.name=a,status.phase!=\\,Running",
    b"",
]
SELECTOR_WORDS = [
    b",",
    b"=",
    b"==",
    b"!",
    b"(",
    b")",
    b" in ",
    b"notin",
    b">",
    b"\\",
    b"/",
    b" ",
    b"%2f",
    b"%",
    b"..",
    b"//",
    b"\xff",
    b"\xe9",
]


async def body(rng: random.Random) -> None:
    gvk, content_type, text = rng.choice(bodies())
    damaged = mutated(rng, [text], TEXT_WORDS if content_type in (JSON, YAML) else BINARY_WORDS, 0)
    expected = gvk if rng.random() < 0.9 else CONFIG_MAP
    validation = rng.choice(("", "Ignore", "Warn", "Strict"))
    custom = content_type != PROTOBUF and (content_type == CBOR or rng.random() < 0.2)
    types = (JSON, YAML, CBOR) if custom else (JSON, YAML, PROTOBUF)
    decide(lambda: decode(damaged, content_type, expected, validation=validation, custom=custom, accepted_types=types))


@cache
def bodies() -> list[tuple[GVK, str, bytes]]:
    made = []
    for gvk, fields in OBJECTS:
        obj = {"apiVersion": gvk.api_version, "kind": gvk.kind, **fields}
        decoded = decode(json.dumps(obj).encode(), JSON, gvk).obj
        made += [(gvk, JSON, json.dumps(obj).encode()), (gvk, YAML, yaml_text.dumps(obj))]
        made += [(gvk, CBOR, cbor2.dumps(obj)), (gvk, PROTOBUF, protobuf.encode(gvk, decoded) or b"")]
    return made


async def patch(rng: random.Random) -> None:
    damaged = mutated(rng, PATCHES, TEXT_WORDS, 0)
    gvk, obj = rng.choice(OBJECTS)
    definition = builtin_definitions()[GroupResource(gvk.group, gvk.kind.lower() + "s")]
    schema = definition.versions[gvk.version].schema

    def apply() -> None:
        check_patch(damaged)
        patcher(rng.choice(PATCH_TYPES), damaged, schema, rng.random() < 0.5)[0](obj)

    decide(apply, 500)  # the evanphx library fails with a 500 in some cases, and so do we


async def query(rng: random.Random) -> None:
    path, _, text = mutated(rng, QUERIES, SELECTOR_WORDS, 0).decode("latin-1").partition("?")
    with contextlib.suppress(UnknownRequest):
        decide(lambda: request_info("GET", split_moment("/" + path)[1], text))
    selector = mutated(rng, SELECTORS, SELECTOR_WORDS, 0).decode("latin-1")
    with contextlib.suppress(ValueError):
        decide(lambda: parse_label_selector(selector).matches({"a": "b", "k8s.io/a": "7"}))
    with contextlib.suppress(ValueError):
        decide(lambda: parse_field_selector(selector))


async def header_block(rng: random.Random) -> None:
    decoder, reader = HeaderDecoder(max_header_list_size=16_384), HeadReader()
    with contextlib.suppress(ProtocolError, OversizedHeaderListError):
        for block in header_blocks(rng):
            fields = decoder.decode(block, raw=True)
            with contextlib.suppress(MalformedStream, BadStreamRequest):
                reader.read(fields)  # type: ignore[arg-type]


async def tls(rng: random.Random) -> None:
    """The first flight of a client, damaged, then noise: the handshake ends, and with nothing but Disconnected."""
    context, hellos = tls_server()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.sendall(mutated(rng, hellos, BINARY_WORDS, 0) + rng.randbytes(rng.choice((0, 5, 300))))
        theirs.shutdown(socket.SHUT_WR)
        stream = TlsStream(ours, context, 1.0, 1.0)
        try:
            with trio.fail_after(10):
                await stream.handshake()
                await stream.receive()
        except Disconnected:
            return
        except trio.TooSlowError:
            raise Finding("the handshake does not end") from None
        finally:
            stream.close()


@cache
def tls_server() -> tuple[SSL.Context, list[bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates(Path(folder))
        context = tls_context(WireConfig(**certificates.config()))  # type: ignore[arg-type]
    hellos = []
    for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.maximum_version = newest
        client.set_alpn_protocols(["h2", "http/1.1"])
        outgoing = ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
        hellos.append(outgoing.read())
    return context, hellos


def decide(action: Callable[[], object], server_error: int = 0) -> None:
    """Runs it. Raises Finding unless it is done or refused as a client's mistake."""
    try:
        action()
    except StatusError as refused:
        if refused.code >= 500 and refused.code != server_error:
            raise Finding(f"a Status of {refused.code}: {refused.message}") from refused
    except (UnknownRequest, ValueError):
        raise
    except Exception as error:
        raise Finding(f"raises {error!r}") from error
