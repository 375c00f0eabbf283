"""Redaction at import: what of a secret is stored, and what may be told of it all the same."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import orjson
import pytest

from ledger.cli.replay import main
from ledger.replay.importer.redact import LAST_APPLIED, Redaction
from tests.replay.recording import STATUS, Recording, obj

HIDDEN = b64encode(b"hunter2").decode()


def secret(rv: int, value: str = HIDDEN, **meta: Any) -> dict[str, Any]:
    return obj("secrets", "s", rv, data={"password": value, "user": b64encode(b"root").decode()}, meta=meta)


def redacted(record: dict[str, Any]) -> dict[str, Any]:
    return Redaction(b"key").record(record)


@pytest.mark.parametrize(
    "part, value",
    [
        ("responseObject", secret(5)),
        ("responseObject", {"kind": "SecretList", "items": [secret(5)]}),
        ("responseObject", {"kind": "Table", "rows": [{"cells": ["s"], "object": secret(5)}]}),
        ("requestObject", {"stringData": {"password": "hunter2"}}),
        ("requestObject", {"data": {"password": HIDDEN, "old": None}}),
        ("requestObject", [{"op": "replace", "path": "/data/password", "value": HIDDEN}]),
        ("requestObject", [{"op": "test", "path": "/stringData", "value": {"password": "hunter2"}}]),
        ("requestObject", [{"op": "add", "path": "", "value": secret(5)}]),
        ("responseObject", secret(5, annotations={LAST_APPLIED: orjson.dumps(secret(1)).decode()})),
        ("responseObject", secret(5, annotations={LAST_APPLIED: "not JSON, hunter2"})),
        ("annotations", {"patch.webhook.admission.k8s.io/round_0_index_0": f'[{{"value":"{HIDDEN}"}}]'}),
    ],
)
def test_no_form_of_a_secret_keeps_its_value(part: str, value: Any) -> None:
    record = Recording().add("patch", "secrets", "s", **{"annotations": {}}) | {part: value}
    kept = orjson.dumps(redacted(record))
    assert b"hunter2" not in kept and HIDDEN.encode() not in kept


def test_a_deletion_by_patch_stays_one() -> None:
    record = Recording().add("patch", "secrets", "s", request={"data": {"password": None}})
    assert redacted(record)["requestObject"] == {"data": {"password": None}}


def test_equal_values_have_equal_digests_in_data_and_stringData_of_one_import() -> None:
    record = Recording().add("update", "secrets", "s", request={"stringData": {"p": "hunter2"}}, answer=secret(5))
    kept = redacted(record)
    digest = kept["requestObject"]["stringData"]["p"]
    assert b64decode(kept["responseObject"]["data"]["password"]).decode() == digest
    assert digest.startswith("hmac:") and digest != Redaction(b"other").digest("hunter2")


def test_tokens_are_redacted_and_everything_else_is_the_same_object() -> None:
    log = Recording()
    token = log.add("create", "serviceaccounts", "sa", subresource="token", answer={"status": {"token": "eyJ"}})
    assert redacted(token)["responseObject"]["status"]["token"].startswith("hmac:")
    plain = log.create(obj("configmaps", "c", 6, data={"password": "hunter2"}))
    assert redacted(plain) is plain
    failed = log.add("get", "secrets", "s", answer=STATUS)
    assert redacted(failed) is failed


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_an_import_redacts_log_and_snapshot_unless_told_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Recording()
    log.update(secret(20, b64encode(b"changed").decode()))
    (tmp_path / "base.json").write_bytes(orjson.dumps({"kind": "List", "items": [secret(10)]}))
    files = [log.write(tmp_path / "audit.jsonl"), "--base", str(tmp_path / "base.json")]
    for flags, shown in ((["--redact", "none"], True), ([], False)):
        there = ["--data-dir", str(tmp_path / f"ledger{shown}")]
        printed = asked(capsys, "import", *files, *flags, *there)
        assert ("secrets are stored as digests in 1 requests" in printed) is not shown
        for moment in ("10", "20"):
            data = orjson.loads(asked(capsys, "get", "secret/s", "--at", moment, "-o", "json", *there))["data"]
            assert (b64decode(data["password"]) in (b"hunter2", b"changed")) is shown
        history = asked(capsys, "history", "secret/s", "--path", "data.password", "-o", "name", *there)
        assert len(history.splitlines()) == 3, "that the value changed can still be told"
        assert (b64encode(b"changed").decode() in asked(capsys, "export", *there)) is shown


def test_a_log_with_gaps_is_kept_unless_it_must_have_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    path = Path(log.write(tmp_path / "audit.jsonl"))
    assert main(["import", str(path), "--on-gap", "stop", "--data-dir", str(tmp_path / "whole")]) == 0
    log.add("patch", "configmaps", "a", level="Metadata")
    log.write(path)
    assert main(["import", str(path), "--on-gap", "stop", "--data-dir", str(tmp_path / "stopped")]) == 3
    assert capsys.readouterr().err == (
        "error: the log has a gap: 1 writes without a body. Nothing is imported (--on-gap stop).\n"
    )
    assert list((tmp_path / "stopped").iterdir()) == []
    assert main(["import", str(path), "--data-dir", str(tmp_path / "kept")]) == 0


def test_api_servers_are_named_with_their_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for name in ("a", "b"):
        log = Recording()
        log.create(obj("configmaps", name, 5 if name == "a" else 6))
        log.records[0]["auditID"] = name * 8
        files.append(log.write(tmp_path / f"{name}.jsonl"))
    named = ["--apiserver", f"cp-0={files[0]}", "--apiserver", f"cp-1={files[1]}"]
    there = ["--data-dir", str(tmp_path / "ledger")]
    assert "2 apiservers" in asked(capsys, "import", *named, *there)
    imported = orjson.loads(asked(capsys, "info", "-o", "json", *there))["imported"]
    assert imported["apiservers"] == {"cp-0": [files[0]], "cp-1": [files[1]]}


@pytest.mark.parametrize(
    "words, message",
    [([], "import what? Give audit logs"), (["--apiserver", "x"], "argument --apiserver: 'x' is not NAME=FILE")],
)
def test_an_import_of_nothing_is_refused(tmp_path: Path, capsys: Any, words: list[str], message: str) -> None:
    try:
        code = main(["import", *words, "--data-dir", str(tmp_path / "ledger")])
    except SystemExit as exit:
        code = int(exit.code or 0)
    assert code == 2 and message in capsys.readouterr().err
