"""The servers that are measured: ours, and the real one where KUBE_APISERVER and ETCD name its binaries.

Both listen on loopback with TLS, tell clients apart by a token, decide with RBAC and write an audit log with the bodies
of changes; neither runs controllers. Everything lies below one scratch folder, so both write to the same disk.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

from ledger.auth.certificates import ensure_credentials

TOKEN = "bench-token"
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
        self.tokens.write_text(f'{TOKEN},bench,bench,"system:masters"\n')
        self.port = free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.ca = folder / "pki" / "ca.crt"
        self.output = (folder / "output.log").open("wb")
        began = time.perf_counter()
        self.start()
        self.wait_ready()
        self.ready_s = time.perf_counter() - began

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

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        context = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=60)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def cpu_s(self) -> float:
        """Processor seconds of all its processes so far, in user and system mode."""
        return sum(sum(map(int, stat(process.pid)[11:13])) for process in self.processes) / TICKS_S

    def resident_mib(self) -> float:
        pages = sum(int(stat(process.pid)[21]) for process in self.processes)
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.output.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Ledger(Server):
    name = "ledger"

    def start(self) -> None:
        self.data_dir = self.folder / "data"
        self.ca = self.data_dir / "pki" / "ca.crt"
        flags = f"--secure-port {self.port} --controllers none".split()
        self.spawn(*LEDGER, "serve", "--data-dir", str(self.data_dir), "--token-auth-file", str(self.tokens), *flags)


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


def real_is_there() -> bool:
    return all(os.access(os.environ.get(name, ""), os.X_OK) for name in ("KUBE_APISERVER", "ETCD"))


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on, which is the third of proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
