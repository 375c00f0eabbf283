"""The servers that are measured: ours, and the real one where KUBE_APISERVER and ETCD name its binaries.

Both listen on loopback with TLS, tell clients apart by a token, decide with RBAC and write an audit log with the bodies
of changes; neither runs controllers. Everything lies below one scratch folder, so both write to the same disk.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

from ledger.auth.certificates import ensure_credentials

TOKEN = "bench-token"  # of a user whose rights RBAC has to find
ADMIN_TOKEN = "admin-token"  # of system:masters, who sets up
RIGHTS = {"apiGroups": [""], "resources": ["configmaps", "namespaces"], "verbs": ["*"]}
TICKS_S = os.sysconf("SC_CLK_TCK")
READY_S = 120
LEDGER = [sys.executable, "-c", "import sys; from ledger.cli.main import main; sys.exit(main())"]
REPOSITORY = Path(__file__).resolve().parents[2]
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: RequestResponse, verbs: [create, update, patch, delete, deletecollection]}
- {level: Metadata}
"""


class Server:
    """Running processes and how to reach them. A context manager; leaving it ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.tokens = folder / "tokens.csv"
        self.tokens.write_text(f'{TOKEN},bench,bench\n{ADMIN_TOKEN},admin,admin,"system:masters"\n')
        self.port = free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.ca = folder / "pki" / "ca.crt"
        self.begin()
        self.grant()

    def begin(self) -> None:
        """Starts it, on what an earlier start left where there is something; `ready_s` is how long that took."""
        self.output = (self.folder / "output.log").open("ab")
        began = time.perf_counter()
        self.start()
        self.wait_ready()
        self.ready_s = time.perf_counter() - began

    def grant(self) -> None:
        """Gives the user of the load its rights, by a role like anybody's."""
        rbac, role = "/apis/rbac.authorization.k8s.io/v1", {"metadata": {"name": "bench"}}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bench"}
        binding = role | {"roleRef": reference, "subjects": [{"kind": "User", "name": "bench"}]}
        for resource, body in (("clusterroles", role | {"rules": [RIGHTS]}), ("clusterrolebindings", binding)):
            status, answer = self.ask("POST", f"{rbac}/{resource}", json.dumps(body), ADMIN_TOKEN)
            assert status == 201, answer

    name = ""

    def start(self) -> None:
        raise AssertionError("each server starts in its own way")

    def spawn(self, *command: str) -> None:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=self.output, stderr=self.output)
        self.processes.append(process)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            for process in self.processes:
                if process.poll() is not None:
                    raise SystemExit(f"{self.name} ended: see {self.output.name}\n{self.last_words()}")
            try:
                if self.get("/readyz") == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass  # not listening yet
            time.sleep(0.01)
        raise SystemExit(f"{self.name} is not ready after {READY_S} s")

    def last_words(self) -> str:
        return Path(self.output.name).read_text(errors="replace")[-500:]

    def get(self, path: str) -> int:
        """The status of a GET."""
        return self.ask("GET", path)[0]

    def ask(self, method: str, path: str, body: str | None = None, token: str = TOKEN) -> tuple[int, bytes]:
        context = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def cpu_s(self) -> float:
        """Processor seconds of all its processes so far, in user and system mode."""
        return sum(sum(map(int, stat(process.pid)[11:13])) for process in self.processes) / TICKS_S

    def resident_mib(self) -> tuple[float, float]:
        """All resident pages of its processes, and those of them that belong to no file."""
        status = "".join(Path(f"/proc/{process.pid}/status").read_text() for process in self.processes)
        resident, own = (sum(map(int, re.findall(rf"{name}:\s*(\d+) kB", status))) for name in ("VmRSS", "RssAnon"))
        return resident / 1024, own / 1024

    def disk(self) -> list[tuple[str, int, int]]:
        """What takes room on disk: title, bytes, and of how many."""
        raise AssertionError("each server stores in its own way")

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
        self.output.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Ledger(Server):
    name = "ledger"
    more_flags: tuple[str, ...] = ()

    def start(self) -> None:
        self.data_dir = self.folder / "data"
        self.ca = self.data_dir / "pki" / "ca.crt"
        flags = [*f"--secure-port {self.port} --controllers none".split(), *self.more_flags]
        self.spawn(*LEDGER, "serve", "--data-dir", str(self.data_dir), "--token-auth-file", str(self.tokens), *flags)

    def disk(self) -> list[tuple[str, int, int]]:
        """The log with all that is derived from it."""
        asked = [*LEDGER, "replay", "info", "--data-dir", str(self.data_dir), "-o", "json"]
        info = json.loads(subprocess.run(asked, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout)
        return [("disk: ledger, an event", allocated(self.data_dir), info["events"])]


class Real(Server):
    """kube-apiserver and one etcd member, with the flags of a plain cluster."""

    name = "kube-apiserver"

    def start(self) -> None:
        own = ensure_credentials(self.folder / "pki")
        policy = self.folder / "audit-policy.yaml"
        policy.write_text(AUDIT_POLICY)
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self.spawn(
            os.environ["ETCD"], "--name=bench", f"--data-dir={self.folder / 'etcd'}", "--log-level=error",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=bench={peer}",
        )  # fmt: skip
        issuer = "https://kubernetes.default.svc"
        self.spawn(
            os.environ["KUBE_APISERVER"], f"--etcd-servers={client}", f"--secure-port={self.port}",
            "--bind-address=127.0.0.1", "--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none",
            f"--tls-cert-file={own.serving.certificate}", f"--tls-private-key-file={own.serving.key}",
            f"--client-ca-file={own.ca.certificate}", f"--token-auth-file={self.tokens}", "--authorization-mode=RBAC",
            f"--service-account-key-file={own.service_account_key}", f"--service-account-issuer={issuer}",
            f"--service-account-signing-key-file={own.service_account_key}", "--service-cluster-ip-range=10.0.0.0/24",
            f"--audit-policy-file={policy}", f"--audit-log-path={self.folder / 'audit.log'}",
        )  # fmt: skip

    def disk(self) -> list[tuple[str, int, int]]:
        """etcd's store with its write-ahead log, by revision; the audit log, by request."""
        _, listed = self.ask("GET", "/api/v1/namespaces?limit=1")
        revisions = int(json.loads(listed)["metadata"]["resourceVersion"])
        audit = self.folder / "audit.log"
        with audit.open("rb") as lines:
            requests = sum(1 for _ in lines)
        return [
            ("disk: etcd, a revision", allocated(self.folder / "etcd"), revisions),
            ("disk: the audit log, a request", audit.stat().st_size, requests),
        ]


def allocated(folder: Path) -> int:
    """Bytes of disk that the files below a folder take."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def real_is_there() -> bool:
    return all(os.access(os.environ.get(name, ""), os.X_OK) for name in ("KUBE_APISERVER", "ETCD"))


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on, which is the third of proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
