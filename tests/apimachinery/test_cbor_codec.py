"""CBOR in Kubernetes' dialect."""

from __future__ import annotations

import pytest

from ledger.apimachinery import cbor_codec


def test_text_is_written_as_byte_strings_with_sorted_keys() -> None:
    assert cbor_codec.dumps({"bb": 1, "a": "x"}) == bytes.fromhex("d9d9f7 a2 4161 4178 426262 01".replace(" ", ""))


def test_values_survive() -> None:
    value = {"a": [1, -2, 1.5, True, None, "é"], "b": {}}
    assert cbor_codec.loads(cbor_codec.dumps(value)) == value


def test_bytes_meant_as_base64_become_that_text() -> None:
    assert cbor_codec.loads(bytes.fromhex("d642 0001".replace(" ", ""))) == "AAE="


@pytest.mark.parametrize("data", [b"", b"\xa1\x01\x02", b"\xf7", b"\x00\x00", b"\x1b" + b"\xff" * 8, b"\x42\xff\xff"])
def test_what_json_cannot_hold_is_refused(data: bytes) -> None:
    with pytest.raises(cbor_codec.CborError):
        cbor_codec.loads(data)


def test_deep_input_is_an_error_and_no_crash() -> None:
    with pytest.raises(cbor_codec.CborError):
        cbor_codec.loads(b"\x81" * 100_000)
