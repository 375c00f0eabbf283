"""A key that another process makes: it comes whole, or this process makes one itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ledger.auth.certificates import ensure_credentials

MAKES = """
import sys
from pathlib import Path
from ledger.server.ahead import service_account_key_ahead
def fails(): raise KeyboardInterrupt
made = service_account_key_ahead(Path(sys.argv[1]), fails if sys.argv[2] == "fails" else None)
sys.stdout.write("none" if made is None else made().decode() or "empty")
"""


def key_made_ahead(data_dir: Path, how: str) -> str:
    """In a process without threads, as at the start of a server."""
    run = subprocess.run([sys.executable, "-c", MAKES, str(data_dir), how], capture_output=True, text=True, check=True)
    return run.stdout


def test_a_new_server_s_key_comes_from_a_process_of_its_own(tmp_path: Path) -> None:
    pem = key_made_ahead(tmp_path, "works").encode()
    assert load_pem_private_key(pem, None)
    assert not list(tmp_path.iterdir()), "the directory may be somebody else's"
    made = ensure_credentials(tmp_path / "pki", key_ahead=lambda: pem)
    assert made.service_account_key.read_bytes() == pem
    assert key_made_ahead(tmp_path, "works") == "none"


def test_a_failure_there_is_made_up_for_here(tmp_path: Path) -> None:
    assert key_made_ahead(tmp_path, "fails") == "empty"
    made = ensure_credentials(tmp_path / "pki", key_ahead=lambda: b"")
    assert load_pem_private_key(made.service_account_key.read_bytes(), None)
    assert os.stat(made.service_account_key).st_mode & 0o077 == 0
