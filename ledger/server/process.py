"""What every process of a server does alike: the one that is alone, the writer, and each worker."""

from __future__ import annotations

import gc
import os
import random
import resource
import sys
import time
from contextlib import suppress

import trio

from ledger.auth.certificates import Credentials, ensure_credentials
from ledger.auth.jwt import load_private_key
from ledger.log.resident import give_back_program
from ledger.server.ahead import MakeKey
from ledger.server.config import Config
from ledger.server.network import service_ip
from ledger.wire.config import WireConfig

_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # k8s.io/apimachinery/pkg/util/rand


class StartError(Exception):
    """The server cannot start; the message is one line for a person."""


def prepare() -> None:
    """What comes first in each of them."""
    _allow_many_files()
    # The writer thread gives the interpreter back after every row; it must not wait 5 ms to get it again.
    sys.setswitchinterval(0.0005)


def _allow_many_files() -> None:
    """As Go programs do at start: each connection is a file, and the usual soft limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # an infinite hard limit may be more than the kernel takes
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def settle() -> None:
    """Once all is loaded and made: what is there stays, so it need not be looked through for garbage."""
    gc.collect()
    gc.freeze()
    # Hardly anything a request makes is a cycle: look for garbage seldom, the more so among what stays.
    gc.set_threshold(5000, 20, 20)
    gc.enable()
    give_back_program()


def now_us() -> int:
    return time.time_ns() // 1000


class Uids:
    """Makes uids: random UUIDs (RFC 9562, version 4), with one call of the system for 256 of them."""

    __slots__ = ("_at", "_random")

    def __init__(self) -> None:
        self._random, self._at = "", 0

    def __call__(self) -> str:
        at = self._at
        if at == len(self._random):
            self._random, at = os.urandom(256 * 16).hex(), 0
        self._at = at + 32
        digits = self._random[at : at + 32]
        variant = "89ab"[int(digits[16], 16) & 3]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


new_uid = Uids()


def new_suffix() -> str:
    return "".join(random.choices(_SUFFIX_ALPHABET, k=5))


def credentials_of(config: Config, key_ahead: MakeKey | None = None) -> Credentials:
    names = [] if config.bind_address in ("0.0.0.0", "::") else [config.bind_address]
    directory = config.data_dir / "pki"
    try:
        address = service_ip(config.service_cluster_ip_range)
        found = ensure_credentials(directory, service_ip=address, names=names, key_ahead=key_ahead)
    except OSError as error:
        raise StartError(f"cannot write {directory}: {error.strerror}") from None
    except ValueError as error:
        raise StartError(str(error)) from None
    try:
        load_private_key(found.service_account_key.read_bytes())
    except ValueError:
        raise StartError(f"{found.service_account_key} holds no private key that can sign tokens") from None
    return found


def wire_config(config: Config, credentials: Credentials, drain: trio.Event) -> WireConfig:
    return WireConfig(
        bind=[f"{shown(config.bind_address)}:{config.secure_port}"],
        certificate_file=str(config.tls_cert_file or credentials.serving.certificate),
        key_file=str(config.tls_private_key_file or credentials.serving.key),
        client_ca_file=str(config.client_ca_file or credentials.ca.certificate),
        more_client_ca_files=(str(config.requestheader_client_ca_file or credentials.front_proxy_ca.certificate),),
        drain=drain,
        grace_s=config.shutdown_grace_s,
    )


def shown(address: str) -> str:
    """An address as URLs and sockets name it."""
    return f"[{address}]" if ":" in address else address
