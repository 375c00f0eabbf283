"""`ledger replay` as a user meets it: answers on stdout, notes on stderr, exit status, error texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from ledger.cli.replay import main
from tests.replay.recording import STATUS, Recording, obj

FORBIDDEN = {**STATUS, "status": "Failure", "reason": "Forbidden", "code": 403}


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """Columns of a table, split where two spaces or more stand."""
        return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config map's story: made, changed twice, a dry run, a refusal, deleted, made again."""
    directory = tmp_path_factory.mktemp("ledger")
    log = Recording()
    log.create(obj("configmaps", "conf", 10, data={"PORT": "5432", "HOST": "db"}), user="admin")
    log.create(obj("pods", "p", 12, spec={"containers": []}), user="system:serviceaccount:kube-system:job-controller")
    log.patch(obj("configmaps", "conf", 12, data={"PORT": "6432", "HOST": "db"}), {}, query="dryRun=All")
    log.patch(obj("configmaps", "conf", 20, data={"PORT": "5433", "HOST": "db"}), {"data": {"PORT": "5433"}})
    refused = {"responseStatus": {"metadata": {}, "code": 403, "reason": "Forbidden", "message": "dave may not"}}
    log.add("patch", "configmaps", "conf", user="dave", answer=FORBIDDEN, code=403, **refused)
    changed = obj("configmaps", "conf", 30, data={"PORT": "5433", "HOST": "db"}, meta={"labels": {"by": "bob"}})
    log.patch(changed, {"metadata": {"labels": {"by": "bob"}}}, user="bob")
    log.add("delete", "configmaps", "conf", user="bob", answer=STATUS)
    log.create(obj("configmaps", "conf", 40, data={"PORT": "1"}), user="carol")
    log.add("list", "configmaps", user="carol")
    log.create(obj("secrets", "s", 50, "other"), user="admin")
    audit = log.write(directory / "audit.jsonl")
    assert main(["import", audit, "--data-dir", str(directory / "ledger"), "-q"]) == 0
    return directory / "ledger"


@pytest.fixture
def ask(ledger: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def asked(command: str, *words: str) -> Answer:
        capsys.readouterr()
        try:
            code = main([*command.split(), *words, "--data-dir", str(ledger)])
        except SystemExit as exit:
            code = int(exit.code or 0)
        taken = capsys.readouterr()
        return Answer(code, taken.out, taken.err)

    return asked


def test_alone_it_prints_the_questions_it_can_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    for word in ("log", "info", "get", "diff", "history", "show", "verify", "rebuild", "import", "export"):
        assert f"ledger replay {word}" in printed
    assert "blame" not in printed, "only what is built is offered"


def test_log_shows_intents_newest_first_and_counts_what_it_hides(ask: Any) -> None:
    answer = ask("log -n shop")
    assert [row[:6] for row in answer.rows] == [
        ["REV", "TIME (UTC)", "WHO", "DID", "WHAT", "CHANGE"],
        ["40", "21:16:07.010", "carol", "create", "configmaps/conf", "created"],
        ["35", "21:16:06.010", "bob", "delete", "configmaps/conf", "deleted ~"],
        ["30", "21:16:05.010", "bob", "patch", "configmaps/conf", '+ labels.by "bob"'],
        ["-", "21:16:04.010", "dave", "patch", "configmaps/conf", "403 Forbidden"],
        ["20", "21:16:03.010", "alice", "patch", "configmaps/conf", "PORT 5432 -> 5433"],
        ["-", "21:16:02.010", "alice", "patch", "configmaps/conf", "dry-run: PORT 5432 -> 6432"],
        ["10", "21:16:00.010", "admin", "create", "configmaps/conf", "created"],
    ]
    assert answer.err == "5 intents, 1 refused, 1 dry-run.  Hidden: 1 reaction, 1 read (--class all)\n"
    assert answer.code == 0


@pytest.mark.parametrize(
    "flags, revisions",
    [
        ("--user bob", ["35", "30"]),
        ("--user bob --reverse", ["30", "35"]),
        ("--verb delete", ["35"]),
        ("--from 20 --to 35", ["35", "30", "-"]),
        ("--from 21:16:04.5 --to 21:16:05.5", ["30"]),
        ("-n other", ["50"]),
        ("secrets", ["50"]),
        ("cm/conf --class intent", ["40", "35", "30", "20", "10"]),
        ("--class reaction", ["12"]),
        ("--class read", ["-"]),
        ("--grep carol", ["40"]),
        ("--limit 2", ["50", "40"]),
        ("-l by=bob", ["35", "30"]),
    ],
)
def test_log_is_narrowed(ask: Any, flags: str, revisions: list[str]) -> None:
    assert [row[0] for row in ask("log", *flags.split()).rows[1:]] == revisions


@pytest.mark.parametrize(
    "expression, revisions",
    [
        ('user == "alice" && code < 300', ["20", "-"]),
        ("code == 403 && reason == 'Forbidden'", ["-"]),
        ("resource == 'secrets' || name.startsWith('p')", ["50"]),
        ("ns == 'other'", ["50"]),
        ("'system:authenticated' in groups && verb == 'delete'", ["35"]),
        ("revision > 20 && revision <= 35", ["35", "30"]),
        ("time > timestamp('2025-11-22T21:16:06Z') && time < timestamp('2025-11-22T21:16:07.5Z')", ["40", "35"]),
        ("object.data.PORT == '5433' && oldObject.data.PORT == '5432'", ["20"]),
        ("class == 'dry-run' && dry_run", ["-"]),
        ("confidence != 'known'", ["35"]),
        ("object.?metadata.labels.by.orValue('') == 'bob'", ["30"]),
    ],
)
def test_log_is_narrowed_by_an_expression(ask: Any, expression: str, revisions: list[str]) -> None:
    assert [row[0] for row in ask("log", "--where", expression).rows[1:]] == revisions


def test_an_expression_that_cannot_be_asked_of_a_request_counts_as_false_and_is_told(ask: Any) -> None:
    answer = ask("log -n shop --where", "object.data.PORT == '1'")
    assert [row[0] for row in answer.rows[1:]] == ["40"]
    assert answer.err.endswith("--where counts as false for 2 requests it could not be asked of: no such key: data\n")


@pytest.mark.parametrize(
    "expression, message",
    [
        ('usr == "alice"', "--where does not compile: line 1, column 1: undeclared reference to 'usr'"),
        (
            "user == 1",
            "--where does not compile: line 1, column 6: "
            "found no matching overload for '_==_' applied to '(string, int)'",
        ),
        ("user ==", "--where does not compile: line 1, column 8: Syntax error: mismatched input '<EOF>'"),
        (
            "namespace == 'other'",
            "--where does not compile: line 1, column 1: reserved identifier: namespace. The namespace is ns",
        ),
        ("code", "--where gives int, neither true nor false: code"),
    ],
)
def test_an_expression_that_is_wrong_is_2_and_one_line(ask: Any, expression: str, message: str) -> None:
    answer = ask("log --where", expression)
    assert (answer.code, answer.out, answer.err) == (2, "", f"error: {message}\n")


def test_a_cut_list_says_of_how_many(ask: Any) -> None:
    assert ask("log --limit 2").err.endswith("2 of 8, --all for the rest\n")


def test_a_pipe_is_never_cut_and_a_width_cuts(ask: Any) -> None:
    assert len(ask("log -n shop").rows[1][-1]) == 36
    narrow = ask("log -n shop --width 80").out.splitlines()
    assert max(map(len, narrow)) <= 80
    assert len(narrow[1].split()[-1]) == 8


def test_ascii_escapes_as_json_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5, data={"greeting": "gr\u00fc\u00df \U0001f600", "poem": "\u00e4\nb\n"}))
    there = ["--data-dir", str(tmp_path / "ledger"), "-q"]
    assert main(["import", log.write(tmp_path / "audit.jsonl"), *there]) == 0
    for output, read in (("json", json.loads), ("jsonl", json.loads), ("yaml", yaml.safe_load)):
        capsys.readouterr()
        assert main(["get", "cm/a", "-n", "shop", "-o", output, "--ascii", *there]) == 0
        printed = capsys.readouterr().out
        assert printed.isascii()
        assert read(printed)["data"] == {"greeting": "gr\u00fc\u00df \U0001f600", "poem": "\u00e4\nb\n"}
    assert main(["history", "cm/a", "--path", "data.greeting", "--ascii", *there]) == 0
    assert r'"gr\u00fc\u00df \ud83d\ude00"' in capsys.readouterr().out


@pytest.mark.parametrize(
    "command, told",
    [
        (
            "log cm/conf -n shop --from 10 --to 30 --user alice --class all",
            [
                ["from", "rv 10, 2025-11-22T21:16:00.010Z, 1 requests"],
                ["to", "rv 30, 2025-11-22T21:16:05.010Z, 6 requests"],
                ["object", "configmaps/shop/conf"],
                ["class", "intent,reaction,status,heartbeat,event,read,refused,dry-run,review,import"],
                ["namespace", "shop"],
                ["user", "alice"],
                ["index", "requests of one object"],
            ],
        ),
        ("info", [["index", "every request, every change"]]),
        (
            "get deploy --at 20",
            [
                ["at", "rv 20, 2025-11-22T21:16:03.010Z, 4 requests"],
                ["object", "deployments.apps"],
                ["index", "the state of the moment"],
            ],
        ),
    ],
)
def test_explain_tells_how_the_question_is_understood_and_stops(ask: Any, command: str, told: list[list[str]]) -> None:
    answer = ask(command, "--explain")
    assert answer.code == 0
    assert [line.split(maxsplit=1) for line in answer.out.splitlines()[1:]] == told


@pytest.mark.parametrize("command", ["log", "get cm", "diff 10 20", "history cm/conf", "show rv:20", "info"])
def test_explain_is_a_document_too(ask: Any, command: str) -> None:
    answer = ask(f"{command} --explain -o json").json
    assert (answer["kind"], answer["query"]["command"][0]) == ("QueryPlan", command.split()[0])


def test_v_tells_how_long_it_took(ask: Any) -> None:
    assert ask("info -v").err.startswith("took 0.")


def test_colour_only_repeats_what_marks_say(ask: Any) -> None:
    plain, coloured = ask("diff 10 30 -n shop"), ask("diff 10 30 -n shop --color always")
    assert "\033" not in plain.out
    assert "\033[33m~ configmaps/conf\033[0m" in coloured.out
    assert "\033[1m403 Forbidden\033[0m" in ask("log -n shop --color always").out
    assert json.loads(ask("log -n shop -o json").out)["kind"] == "RequestLog"


def test_get_shows_the_objects_of_a_moment(ask: Any) -> None:
    answer = ask("get cm/conf -n shop -o yaml --at 20")
    assert yaml.safe_load(answer.out)["data"] == {"PORT": "5433", "HOST": "db"}
    assert answer.err == 'at rv 20, 2025-11-22T21:16:03.010Z (from "20")\n'
    assert ask("get cm -n shop -o name --at 20").out == "configmaps/conf\n"
    assert ask("get cm,secrets -o name").out == "configmaps/conf\nsecrets/s\n"
    assert ask("get cm -n shop --at 35").err.endswith("no configmaps at rv 35\n")


def test_get_json_of_several_is_a_list_as_kubectls(ask: Any) -> None:
    answer = ask("get cm -n shop -o json --at end").json
    assert (answer["kind"], [item["metadata"]["name"] for item in answer["items"]]) == ("List", ["conf"])


def test_get_deleted_shows_what_was_gone(ask: Any) -> None:
    rows = ask("get cm -n shop --deleted --at 35").rows
    assert rows[1][0] == "conf"
    assert rows[1][-1] == "~deleted rv 35"


@pytest.mark.parametrize(
    "command, message",
    [
        ("get cm/conf -n shop --at 5", 'configmaps "conf" did not exist yet at rv 5; created at rv 10 (21:16:00Z).'),
        ("get cm/conf -n shop --at 35", 'configmaps "conf" was gone at rv 35; deleted at rv 35 (21:16:06Z).'),
        ("get cm/cnf -n shop", 'no configmaps "cnf" in shop between rv 1 and 50. Near names: conf.'),
        (
            "history cm/conf -n shop --path data.PROT",
            "field data.PROT never existed on configmaps/conf. Fields seen: HOST, PORT.",
        ),
        ("show deadbeef", 'no request in the log begins with "deadbeef".'),
    ],
)
def test_nothing_found_is_1_and_says_why(ask: Any, command: str, message: str) -> None:
    answer = ask(command)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.splitlines()[-1] == f"error: {message}"


@pytest.mark.parametrize(
    "command, message",
    [
        ("get widget", 'there is no type "widget" at that moment.'),
        ("get cm/", '"cm/" names no object: write TYPE/NAME, such as cm/orders-config'),
        ("log --class intents", "'intents' is not a class: give intent, reaction"),
        ("log --from yesterday", '"yesterday" is not a moment.'),
        ("log --from 40 --to 20", "--from (rv 40) is after --to (rv 20). Swap them."),
        ("diff 40 20", "A (rv 40) is after B (rv 20). Swap them, or say --reverse."),
        ("history cm", "history is of one object: write TYPE/NAME, such as cm/orders-config"),
        ("history cm/conf --path a[", "'a[' is not a path"),
        ("log -l a=(", '"a=(" is not a label selector'),
        ("log --grep (", "missing )"),
        ("log --colour", "unrecognized arguments: --colour"),
        ("blame cm/conf", "there is no question 'blame'. Questions: import, export, info, log,"),
        ("get cm -o xml", "invalid choice: 'xml'"),
    ],
)
def test_a_wrong_command_line_is_2_and_one_line(ask: Any, command: str, message: str) -> None:
    answer = ask(command)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ") and answer.err.count("\n") == 1
    assert message in answer.err


def test_no_ledger_is_3(ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.delenv("LEDGER_DATA_DIR", raising=False)
    assert main(["log"]) == 3
    assert capsys.readouterr().err == "error: which ledger? Give --data-dir DIR, or set LEDGER_DATA_DIR.\n"
    assert main(["log", "--data-dir", str(tmp_path / "none")]) == 3
    assert "there is no log here" in capsys.readouterr().err


def test_diff_differs_with_1_and_names_the_request_of_each_field(ask: Any) -> None:
    answer = ask("diff 10 30 -n shop")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert lines[0].split()[:3] == ["---", "rv", "10"]
    assert [line.split()[0:2] for line in lines[2:]] == [
        ["asked", "for"],
        ["~", "configmaps/conf"],
        ["metadata.labels.by", "+"],
        ["data.PORT", '"5432"'],
        ["reactions"],
        ["+", "pods/p"],
    ]
    assert '"5432" -> "5433"' in lines[5] and "alice  20" in lines[5]
    assert ask("diff 10 30 -n shop --exit-zero").code == 0
    assert ask("diff 40 40").code == 0
    assert ask("diff 30 10 --reverse -n shop --name-only").out == "configmaps/conf\npods/p\n"


def test_history_of_a_field_tells_its_values_and_who_was_refused(ask: Any) -> None:
    answer = ask("history cm/conf -n shop --path data.PORT")
    assert [row[:5] for row in answer.rows[1:]] == [
        ["10", "21:16:00.010", '"5432"', "admin", "create"],
        ["20", "21:16:03.010", '"5433"', "alice", "patch"],
        ["35", "21:16:06.010", "-", "bob", "delete"],
        ["40", "21:16:07.010", '"1"', "carol", "create"],
    ]
    assert answer.err == '4 values in 5 revisions.  Refused: dave 403.  Dry-run: alice "6432".\n'


def test_history_tells_lives(ask: Any) -> None:
    assert [row[2] for row in ask("history cm/conf").rows[1:]] == [
        "created",
        "PORT 5432 -> 5433",
        '+ labels.by "bob"',
        "deleted",
        "created again (life 2)",
    ]


def test_history_as_json_keeps_the_contract(ask: Any) -> None:
    answer = ask("history cm/conf -n shop --path data.PORT -o json").json
    assert (answer["kind"], answer["source"]["head"]["revision"]) == ("FieldHistory", "50")
    second, gone = answer["items"][1], answer["items"][2]
    assert second["object"] == {"gvr": "v1/configmaps", "namespace": "shop", "name": "conf", "uid": "uid-conf"}
    assert (second["path"], second["value"], second["previous"]) == (["data", "PORT"], "5433", "5432")
    assert (second["confidence"], second["evidence"], second["change"]["revision"]) == ("known", "responseObject", "20")
    assert second["change"]["received"] == "2025-11-22T21:16:03.000000Z"
    assert gone["exists"] is False and "value" not in gone and gone["confidence"] == "inferred"
    assert answer["summary"]["total"] == 4


def test_jsonl_is_a_line_an_item_then_the_summary(ask: Any) -> None:
    lines = [json.loads(line) for line in ask("log -n shop -o jsonl").out.splitlines()]
    assert len(lines) == 8
    assert lines[-1]["summary"] == {
        "items": 7,
        "total": 7,
        "classes": {"intent": 5, "refused": 1, "dry-run": 1},
        "hidden": {"noise": 0, "classes": {"reaction": 1, "read": 1}},
    }
    assert lines[0]["objects"][0]["object"]["name"] == "conf"


def test_tsv_is_the_table_without_padding(ask: Any) -> None:
    lines = ask("history cm/conf --path data.PORT -o tsv --no-headers").out.splitlines()
    assert lines[0].split("\t")[:4] == ["10", "2025-11-22T21:16:00.010000Z", '"5432"', "admin"]


def test_show_tells_user_rule_request_and_effect(ask: Any) -> None:
    identity = ask("log --user alice --class intent -o name").out.strip()
    answer = ask(f"show {identity[:8]}")
    assert f"request   {identity}    intent" in answer.out
    assert '~ data.PORT  "5432" -> "5433"' in answer.out
    assert ask("show rv:20").out == answer.out
    assert ask(f"show {identity} --raw").json["requestObject"] == {"data": {"PORT": "5433"}}
    assert ask("show rv:21").code == 1


def test_info_and_quality(ask: Any) -> None:
    assert "changes   inferred 1, known 6" in ask("info").out
    quality = ask("info --quality")
    assert quality.rows[1] == [
        "35",
        "21:16:06.010",
        "shop/configmaps/conf",
        "inferred",
        "deleted; the revision is placed by time",
    ]
    assert ask("info -o json").json["imported"]["records"] == 10


def test_info_tells_what_cannot_be_known_at_a_moment(ask: Any) -> None:
    assert ask("info --unknowable --at 30").out == ""
    answer = ask("info --unknowable --at 33")
    assert answer.rows[1][:3] == ["shop/configmaps/conf", "31", "existence, *"]
    assert answer.rows[1][3].startswith("changed between rv 31 and 39")
    (gap,) = ask("info --unknowable --at 33 -o json").json["objects"]
    assert (gap["object"]["name"], gap["fields"], gap["since"]) == ("conf", ["existence", "*"], "31")
    assert ask("info --unknowable --at 33 --strict").code == 4
    assert ask("info --unknowable --at 30 --strict").code == 0


def test_strict_refuses_answers_that_rest_on_guesses(ask: Any) -> None:
    assert ask("history cm/conf --strict").code == 4
    assert ask("history cm/conf --strict --at 30").code == 0
    for question in ("log", "log --stat", "diff 30 35", "get cm -n shop --at 35 --deleted", "show rv:35", "info"):
        assert ask(f"{question} --strict").code == 4, question
    assert ask("log --stat --to 30 --strict").code == 0


def test_verify_and_export(ask: Any, tmp_path: Path) -> None:
    assert ask("verify").out.startswith("chain     11 events, unbroken, head ")
    assert len(ask("export").out.splitlines()) == 10
    assert ask("export", "-O", str(tmp_path / "out.jsonl")).err == f"10 records written to {tmp_path / 'out.jsonl'}\n"


def test_verify_compares_a_snapshot_with_its_moment(ask: Any, tmp_path: Path) -> None:
    conf = obj("configmaps", "conf", 20, data={"PORT": "5433", "HOST": "db"})
    listing = {"apiVersion": "v1", "kind": "ConfigMap", "items": [conf]}
    snapshot = tmp_path / "s.json"

    def compared(**more: Any) -> Answer:
        snapshot.write_text(json.dumps({"resourceVersion": "20", "resources": {"core/v1/configmaps": listing, **more}}))
        return ask("verify --against", str(snapshot))

    same = compared()
    assert (same.code, same.out.splitlines()[2]) == (
        0,
        f"snapshot  {snapshot} at rv 20: same 1 objects, same fields",
    )
    conf["data"] = {"PORT": "1", "HOST": "db"}
    pod = obj("pods", "q", 12)
    differs = compared(**{"core/v1/pods": {"apiVersion": "v1", "kind": "Pod", "items": [pod]}})
    assert differs.code == 1
    assert [line.split() for line in differs.out.splitlines()[3:]] == [
        ["~", "configmaps/shop/conf", "data.PORT"],
        ["-", "pods/shop/q"],
        ["+", "pods/shop/p"],
    ]
    assert ask("verify -o json --exit-zero --against", str(snapshot)).json["snapshot"]["extra"] == ["pods/shop/p"]


def test_a_snapshot_of_another_log_is_a_wrong_command_line(ask: Any, tmp_path: Path) -> None:
    snapshot = tmp_path / "s.json"
    snapshot.write_text(json.dumps({"resourceVersion": "99", "resources": {}}))
    answer = ask("verify --against", str(snapshot))
    assert (answer.code, answer.err) == (2, "error: the snapshot is of revision 99; the log has 1 to 50.\n")


def test_rebuild_folds_again(ledger: Path, ask: Any) -> None:
    assert ask("rebuild").out.startswith("rebuilt   11 events folded up to rv 50")
    assert ask("verify").code == 0


def test_import_says_what_it_could_not_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    path = Path(log.write(tmp_path / "audit.jsonl"))
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    assert main(["import", str(path), "--data-dir", str(tmp_path / "ledger")]) == 0
    printed = capsys.readouterr().out
    assert "malformed 1 lines could not be used" in printed
    assert f"{path}:1: not JSON: " in printed


@pytest.mark.parametrize(
    "words, code, message",
    [
        (["none.jsonl"], 3, "none.jsonl: No such file or directory"),
        (["empty.jsonl"], 3, "empty.jsonl: no audit events in here; is it an audit log?"),
        (["audit.jsonl", "--base", "empty.jsonl"], 3, "empty.jsonl: not JSON"),
        (
            ["audit.jsonl", "--base", "odd.json"],
            3,
            "odd.json: neither a snapshot (with resources) nor a List (with items)",
        ),
    ],
)
def test_what_cannot_be_imported_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    log.write(tmp_path / "audit.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "odd.json").write_text("[]")
    paths = [word if word.startswith("--") else str(tmp_path / word) for word in words]
    assert main(["import", *paths, "--data-dir", str(tmp_path / "ledger")]) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "ledger").exists()


def test_an_import_needs_a_directory_of_its_own(ledger: Path, tmp_path: Path, capsys: Any) -> None:
    log = Recording()
    log.create(obj("configmaps", "a", 5))
    assert main(["import", log.write(tmp_path / "audit.jsonl"), "--data-dir", str(ledger)]) == 3
    assert "already holds a ledger" in capsys.readouterr().err
