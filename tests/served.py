"""`ledger serve` as its users start it: a process of its own, a real socket, a data directory.

LEDGER_TEST_FLAGS="--workers 2" starts all of them with these flags as well.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LEDGER = [sys.executable, "-c", "import sys; from ledger.cli.main import main; sys.exit(main())"]
REPOSITORY = Path(__file__).resolve().parents[1]
STOP_S = 20


class Served:
    """A running server; leaving the `with` ends it. Raises AssertionError with its stderr when it does not start."""

    def __init__(self, data_dir: Path, *flags: str, env: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        more = [] if "--read-only" in flags else os.environ.get("LEDGER_TEST_FLAGS", "").split()
        command = [*LEDGER, "serve", "--data-dir", str(data_dir), "--secure-port", "0", *more, *flags]
        self.process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        self.greeting = [self.process.stdout.readline() for _ in range(3)]
        assert self.greeting[2], f"exit status {self.process.wait()}: {self.process.stderr.read()}"
        self.url = self.greeting[0].split()[2]
        self.kubeconfig = Path(self.greeting[1].split()[-1])
        self.ca = data_dir / "pki" / "ca.crt"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def connect(self, *, admin: bool = True) -> http.client.HTTPSConnection:
        """A connection of the admin's, or of nobody's."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if admin:
            context.load_cert_chain(self.data_dir / "pki" / "admin.crt", self.data_dir / "pki" / "admin.key")
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=STOP_S)

    def ask(self, line: str, body: Any = None, *, admin: bool = True, **headers: str) -> tuple[int, Any]:
        """One request, "GET /api"; the status and the JSON answered (or the text). Headers: content_type="..."."""
        method, path = line.split()
        connection = self.connect(admin=admin)
        named = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, None if body is None else json.dumps(body), named)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        is_json = (response.getheader("Content-Type") or "").startswith("application/json")
        return response.status, json.loads(answer) if is_json else answer.decode()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Ends it; the exit status and what it wrote to stderr."""
        self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=STOP_S)
        return self.process.returncode, errors

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
