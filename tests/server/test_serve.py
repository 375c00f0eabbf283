"""`ledger serve` as a process: its flags, what it leaves on disk, how it ends, and how it fails.

Every failure is one line on stderr, an exit status that is not 0, and a data directory as it was before.
"""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.auth.certificates import ensure_credentials
from ledger.cli.main import main
from tests.served import LEDGER, REPOSITORY, Served

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
RELAXED = ("--durability", "relaxed", "--controllers", "none")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("running") / "data", *RELAXED) as server:
        yield server


def refused(capsys: pytest.CaptureFixture[str], data_dir: Path, *flags: str) -> tuple[int, str]:
    """The exit status and the line of a server that does not start."""
    status = 2
    with contextlib.suppress(SystemExit):  # argparse's way out
        status = main(["serve", "--data-dir", str(data_dir), "--secure-port", "0", *flags])
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1, printed.err
    return status, printed.err.removeprefix("error: ").rstrip("\n")


def configmap(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


@pytest.mark.parametrize("flags, line", [
    ("--nonsense",                           r"unrecognized arguments: --nonsense"),
    ("surplus",                              r"unrecognized arguments: surplus"),
    ("--secure-port=http",                   r"argument --secure-port: 'http' is not a port \(0 to 65535; 0: any free one\)"),
    ("--secure-port=70000",                  r"argument --secure-port: '70000' is not a port"),
    ("--bind-address=example",               r"argument --bind-address: 'example' is not an IP address"),
    ("--bind-address=192.0.2.1",             r"cannot listen on 192\.0\.2\.1:0: Cannot assign requested address"),
    ("--tls-cert-file={pki}/apiserver.crt",  r"--tls-cert-file and --tls-private-key-file go together"),
    ("--tls-cert-file=/none --tls-private-key-file=/none", r"argument --tls-cert-file: cannot read /none: No such file"),
    ("--tls-cert-file={pki}/apiserver.crt --tls-private-key-file={pki}/admin.key", r"{pki}/admin.key is not the PEM key of"),
    ("--tls-cert-file={garbage} --tls-private-key-file={garbage}", r"{garbage} is not a PEM certificate"),
    ("--client-ca-file={garbage}",           r"{garbage} holds no PEM certificates"),
    ("--client-ca-file=/",                   r"argument --client-ca-file: cannot read /: Is a directory"),
    ("--token-auth-file=/none",              r"argument --token-auth-file: cannot read /none: No such file or directory"),
    ("--token-auth-file={garbage}",          r"token file '{garbage}', line 1: must have at least 3 columns"),
    ("--authorization-mode=Node",            r"argument --authorization-mode: invalid choice: 'Node'"),
    ("--anonymous-auth=perhaps",             r"argument --anonymous-auth: 'perhaps' is neither true nor false"),
    ("--runtime-config=apps/v9=true",        r"argument --runtime-config: .*apps/v9"),
    ("--service-cluster-ip-range=10.0.0.1/8", r"argument --service-cluster-ip-range: '10.0.0.1/8' is not a CIDR"),
    ("--service-cluster-ip-range=10.0.0.1/32", r"argument --service-cluster-ip-range: '10.0.0.1/32' is too small"),
    ("--service-node-port-range=9-1",        r"argument --service-node-port-range: '9-1' is not a range of ports"),
    ("--max-requests-inflight=-1",           r"argument --max-requests-inflight: '-1' is not a number"),
    ("--workers=many",                       r"argument --workers: 'many' is not a number of processes"),
    ("--workers=2 --read-only",              r"--workers and --read-only do not go together"),
    ("--request-timeout=soon",               r"argument --request-timeout: 'soon' is not a duration"),
    ("--cors-allowed-origins=(",             r"argument --cors-allowed-origins: '\(' is not a regular expression"),
    ("--disable-admission-plugins=Nonsense", r"--disable-admission-plugins: there is no 'Nonsense'"),
    ("--controllers=nonsense",               r"--controllers: there is no 'nonsense'"),
    ("--durability=some",                    r"argument --durability: invalid choice: 'some'"),
    ("--kubeconfig=/proc/none/config",       r"/proc/none.*: No such file or directory"),
    ("--read-only",                          r"{data}/ledger.mdb: there is no log here"),
])  # fmt: skip
def test_a_wrong_flag_is_one_line(
    running: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str, line: str
) -> None:
    places = {"{pki}": running.data_dir / "pki", "{garbage}": tmp_path / "garbage", "{data}": tmp_path / "data"}
    places["{garbage}"].write_text("garbage\n")
    for place, path in places.items():
        flags, line = flags.replace(place, str(path)), line.replace(place, re.escape(str(path)))
    status, told = refused(capsys, tmp_path / "data", *flags.split())
    assert re.match(line, told), told
    if status == 2 or "--read-only" in flags:
        assert not (tmp_path / "data").exists()


def test_a_busy_port_is_named_and_the_exit_status_is_not_0(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [*LEDGER, "serve", "--data-dir", str(tmp_path / "data"), f"--secure-port={port}"]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=20, check=False)
    line = f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_a_data_directory_in_use_is_left_alone(running: Served, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(running.data_dir / "pki")
    assert refused(capsys, running.data_dir) == (1, f"{running.data_dir} is in use by another process")
    assert contents(running.data_dir / "pki") == before
    assert running.url in running.kubeconfig.read_text()
    assert running.ask("GET /readyz") == (200, "ok")


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("damaged, line", [
    ("",           r"{data}: File exists"),
    ("ledger.mdb", r"{data}/ledger.mdb (cannot be opened|is damaged)"),
    ("pki",        r"cannot write {data}/pki: File exists"),
    ("pki/ca.crt", r"{data}/pki/ca.crt"),
    ("pki/sa.key", r"{data}/pki/sa.key holds no private key that can sign tokens"),
])  # fmt: skip
def test_garbage_in_its_place_is_named_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damaged: str, line: str
) -> None:
    data = tmp_path / "data"
    if damaged.startswith("pki/"):
        ensure_credentials(data / "pki")
    garbage = data / damaged
    garbage.parent.mkdir(exist_ok=True)
    garbage.write_bytes(b"garbage\n" * 1000)
    status, told = refused(capsys, data)
    assert status == 1
    assert re.match(line.replace("{data}", re.escape(str(data))), told), told
    assert garbage.read_bytes() == b"garbage\n" * 1000


def test_a_place_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    status, told = refused(capsys, Path("/proc/none/data"))
    assert status == 1
    assert re.match(r"/proc/none.*: No such file or directory", told), told


def test_what_it_writes_is_for_its_owner_alone(running: Served) -> None:
    modes = {path: path.stat().st_mode & 0o777 for path in running.data_dir.rglob("*")}
    assert {path.name: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
    assert {"ca.key", "apiserver.key", "admin.key", "sa.key"} <= {path.name for path in modes}


def test_the_greeting_can_be_pasted(running: Served) -> None:
    assert running.greeting[0] == f"ledger serves {running.url} (data in {running.data_dir})\n"
    assert running.greeting[1] == f"admin kubeconfig: {running.kubeconfig}\n"
    assert running.greeting[2] == f"  kubectl --kubeconfig {running.kubeconfig} get namespaces\n"


def test_the_kubeconfig_goes_where_it_is_wanted_and_replaces_a_public_one(tmp_path: Path) -> None:
    wanted = tmp_path / "new" / "config"
    wanted.parent.mkdir()
    wanted.write_text("public")
    wanted.chmod(0o644)
    with Served(tmp_path / "data", *RELAXED, "--kubeconfig", str(wanted)) as server:
        assert server.url in wanted.read_text()
        assert wanted.stat().st_mode & 0o777 == 0o600
        assert not (tmp_path / "data" / "admin.kubeconfig").exists()


def test_it_ends_in_order_and_a_restart_keeps_all(tmp_path: Path) -> None:
    with Served(tmp_path / "data", *RELAXED) as server:
        status, made = server.ask(f"POST {CONFIGMAPS}", configmap("kept"))
        assert status == 201
        watch = server.connect()
        watch.request("GET", f"{CONFIGMAPS}?watch=true&resourceVersion={made['metadata']['resourceVersion']}")
        events = watch.getresponse()
        kubeconfig = server.kubeconfig.read_text().replace(server.url, "URL")
        assert server.stop(signal.SIGTERM) == (0, "")
        assert events.read() == b""  # ended cleanly: a chunked body cut short would raise
    with Served(tmp_path / "data", *RELAXED) as server:
        assert server.ask(f"GET {CONFIGMAPS}/kept") == (200, made)
        assert server.kubeconfig.read_text().replace(server.url, "URL") == kubeconfig
        assert server.stop(signal.SIGINT) == (0, "")


def test_read_only_serves_and_changes_nothing(tmp_path: Path) -> None:
    with Served(tmp_path / "data", *RELAXED) as server:
        _, made = server.ask(f"POST {CONFIGMAPS}", configmap("kept"))
        server.stop()
    log = (tmp_path / "data" / "ledger.mdb").read_bytes()
    with Served(tmp_path / "data", "--read-only") as server:
        assert server.greeting[0].endswith(", read-only)\n")
        assert server.ask(f"GET {CONFIGMAPS}/kept") == (200, made)
        status, refusal = server.ask(f"POST {CONFIGMAPS}", configmap("more"))
        assert (status, refusal["reason"]) == (405, "MethodNotAllowed")
        assert server.stop() == (0, "")
    assert (tmp_path / "data" / "ledger.mdb").read_bytes() == log


def groups(server: Served) -> set[str]:
    _, listed = server.ask("GET /apis")
    return {version["groupVersion"] for group in listed["groups"] for version in group["versions"]}


def test_runtime_config_switches_versions(tmp_path: Path, running: Served) -> None:
    assert not {"extensions/v1beta1", "batch/v2alpha1"} & groups(running)
    flag = "--runtime-config=extensions/v1beta1=true,batch/v2alpha1=true,autoscaling/v2=false"
    with Served(tmp_path / "data", *RELAXED, flag) as server:
        assert {"extensions/v1beta1", "batch/v2alpha1", "autoscaling/v1"} <= groups(server)
        assert "autoscaling/v2" not in groups(server)


@pytest.mark.parametrize("line, admin, status", [
    ("GET /readyz",       False, 200),
    ("GET /api/v1/nodes", False, 403),
    ("GET /api/v1/nodes", True,  200),
])  # fmt: skip
def test_who_may_ask(running: Served, line: str, admin: bool, status: int) -> None:
    assert running.ask(line, admin=admin)[0] == status


def test_anonymous_auth_and_authorization_mode(tmp_path: Path) -> None:
    with Served(tmp_path / "closed", *RELAXED, "--anonymous-auth=false") as server:
        assert server.ask("GET /readyz", admin=False)[0] == 401
    with Served(tmp_path / "open", *RELAXED, "--authorization-mode=AlwaysAllow") as server:
        assert server.ask("GET /api/v1/nodes", admin=False)[0] == 200


def test_given_certificates_are_shown_and_trusted(tmp_path: Path) -> None:
    own = ensure_credentials(tmp_path / "own")
    flags = ["--tls-cert-file", str(own.serving.certificate), "--tls-private-key-file", str(own.serving.key)]
    flags += ["--client-ca-file", str(own.ca.certificate)]
    with Served(tmp_path / "data", *RELAXED, *flags) as server:
        server.ca = own.ca.certificate
        assert server.ask("GET /readyz", admin=False) == (200, "ok")
        server.data_dir = tmp_path / "own-as-data"
        server.data_dir.mkdir()
        (server.data_dir / "pki").symlink_to(tmp_path / "own")
        assert server.ask("GET /api/v1/nodes")[0] == 200
