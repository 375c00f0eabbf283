"""Who a request speaks for: certificate, token, or nobody."""

from __future__ import annotations

import ipaddress
import shutil
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from ledger.apimachinery.http import Request, User
from ledger.auth.api import Authenticated, Unauthenticated
from ledger.auth.authenticators import request_authenticator, token_authenticator
from ledger.auth.certificates import Credentials, ensure_credentials
from ledger.auth.jwt import load_private_key
from ledger.auth.kubeconfig import kubeconfig
from ledger.auth.tokenfile import BadTokenFile, parse_token_file, token_file_authenticator
from tests.pipeline.requests import request_for

USERS = parse_token_file(['admin-token,admin,admin-uid,"system:masters,ops"', "bob-token,bob,bob-uid"], "tokens.csv")
TOKENS = [token_file_authenticator(USERS, ("here",))]


def asked(authorization: str = "", certificate: bytes | None = None) -> Request:
    headers = {"authorization": authorization} if authorization else {}
    request = request_for("GET /api", **headers)
    request.peer_certificate = certificate
    return request


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return ensure_credentials(tmp_path_factory.mktemp("pki"), names=["ledger.example", "192.0.2.1"])


def der(path: Path) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("authorization, who", [
    ("Bearer admin-token",          ("admin", ("system:masters", "ops", "system:authenticated"))),
    ("bearer bob-token",            ("bob", ("system:authenticated",))),
    ("  Bearer bob-token  ",        ("bob", ("system:authenticated",))),
    ("",                            ("system:anonymous", ("system:unauthenticated",))),
    ("Bearer ",                     ("system:anonymous", ("system:unauthenticated",))),
    ("Bearer  bob-token",           ("system:anonymous", ("system:unauthenticated",))),
    ("Basic YWRtaW46YWRtaW4=",      ("system:anonymous", ("system:unauthenticated",))),
    ("admin-token",                 ("system:anonymous", ("system:unauthenticated",))),
    ("Bearer nonsense",             None),
    ("Bearer a b",                  None),
])  # fmt: skip
def test_who_a_header_speaks_for(authorization: str, who: tuple[str, tuple[str, ...]] | None) -> None:
    authenticate = request_authenticator(TOKENS, audiences=("here",))
    if who is None:
        with pytest.raises(Unauthenticated, match="invalid bearer token"):
            authenticate(asked(authorization))
    else:
        found = authenticate(asked(authorization))
        assert found is not None and (found.user.name, found.user.groups) == who


def test_an_extra_space_before_the_token_is_warned_of() -> None:
    request = asked("Bearer  bob-token")
    request_authenticator(TOKENS)(request)
    assert request.warnings == [
        "the provided Authorization header contains extra space before the bearer token, and is ignored"
    ]


def test_nobody_is_let_in_when_anonymous_is_off() -> None:
    assert request_authenticator(TOKENS, anonymous=False)(asked()) is None


def test_a_certificate_names_user_and_groups_and_goes_before_a_token(credentials: Credentials) -> None:
    found = request_authenticator(TOKENS)(asked("Bearer nonsense", der(credentials.admin.certificate)))
    assert found is not None
    assert (found.user.name, found.user.groups) == ("kubernetes-admin", ("system:masters", "system:authenticated"))
    assert found.user.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")


def test_a_certificate_of_a_stranger_is_401_unless_a_token_is_good() -> None:
    request = asked()
    request.peer_certificate_error = "x509: certificate signed by unknown authority"
    with pytest.raises(Unauthenticated, match="unknown authority"):
        request_authenticator(TOKENS)(request)
    request = asked("Bearer bob-token")
    request.peer_certificate_error = "x509: certificate signed by unknown authority"
    assert request_authenticator(TOKENS, audiences=("here",))(request) is not None


def test_several_refusals_are_all_told() -> None:
    def refusing(why: str) -> Authenticated | None:
        raise Unauthenticated(why)

    authenticate = token_authenticator([lambda t, a: refusing("no"), lambda t, a: None, lambda t, a: refusing("never")])
    with pytest.raises(Unauthenticated) as refused:
        authenticate("x", ())
    assert str(refused.value) == "[no, never]"


@pytest.mark.parametrize("wanted, common", [((), ()), (("here", "there"), ("here",)), (("there",), None)])
def test_a_file_s_token_is_for_this_server_only(wanted: tuple[str, ...], common: tuple[str, ...] | None) -> None:
    found = TOKENS[0]("bob-token", wanted)
    assert (found.audiences if found else None) == common


@pytest.mark.parametrize("line, why", [
    ("just-a-token",       "token file 'tokens.csv', line 2: must have at least 3 columns (token, user name, user uid), found 1"),
    ('a,b,"c',             "token file 'tokens.csv', line 2: unexpected end of data"),
])  # fmt: skip
def test_a_bad_line_is_named(line: str, why: str) -> None:
    with pytest.raises(BadTokenFile) as refused:
        parse_token_file(["ok,ok,ok", line], "tokens.csv")
    assert str(refused.value) == why


def test_of_a_token_that_recurs_the_last_line_counts_and_empty_ones_none() -> None:
    assert parse_token_file(["", ",x,y", "t,a,1", "t,b,2,"], "f") == {"t": User("b", "2")}


class TestCertificates:
    def test_the_serving_certificate_names_all_that_clients_may_call_the_server(self, credentials: Credentials) -> None:
        certificate = x509.load_pem_x509_certificate(credentials.serving.certificate.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns, addresses = names.get_values_for_type(x509.DNSName), names.get_values_for_type(x509.IPAddress)
        assert {"localhost", "kubernetes", "kubernetes.default.svc", "ledger.example"} <= set(dns)
        assert {ipaddress.ip_address(one) for one in ("127.0.0.1", "::1", "10.0.0.1", "192.0.2.1")} <= set(addresses)

    def test_every_file_is_private(self, credentials: Credentials) -> None:
        files = list(credentials.ca.key.parent.iterdir())
        assert len(files) == 11
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}

    def test_what_is_good_is_kept_and_what_is_not_is_made_again(self, tmp_path: Path) -> None:
        def bytes_of(made: Credentials) -> list[bytes]:
            return [
                path.read_bytes() for path in (made.ca.certificate, made.serving.certificate, made.admin.certificate)
            ]

        first = bytes_of(ensure_credentials(tmp_path))
        assert bytes_of(ensure_credentials(tmp_path)) == first
        renamed = bytes_of(ensure_credentials(tmp_path, names=["other.example"]))
        assert [old == new for old, new in zip(first, renamed, strict=True)] == [True, False, True]
        late = bytes_of(ensure_credentials(tmp_path, now=datetime.now(UTC) + timedelta(days=340)))
        assert [old == new for old, new in zip(renamed, late, strict=True)] == [True, False, False]

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
    def test_openssl_believes_them(self, credentials: Credentials) -> None:
        for pair, purpose in ((credentials.serving, "sslserver"), (credentials.admin, "sslclient")):
            command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile"]
            subprocess.run([*command, str(credentials.ca.certificate), str(pair.certificate)], check=True)

    def test_a_file_that_is_no_certificate_is_named(self, tmp_path: Path) -> None:
        made = ensure_credentials(tmp_path)
        made.admin.certificate.write_text("nonsense")
        with pytest.raises(ValueError, match=r"admin\.crt"):
            ensure_credentials(tmp_path)

    def test_the_service_account_key_signs(self, credentials: Credentials) -> None:
        assert load_private_key(credentials.service_account_key.read_bytes()).key_size == 2048


def test_a_kubeconfig_holds_all_that_kubectl_needs(credentials: Credentials) -> None:
    admin = credentials.admin
    text = kubeconfig(
        "https://127.0.0.1:6443/at/890",
        credentials.ca.certificate.read_bytes(),
        certificate_pem=admin.certificate.read_bytes(),
        key_pem=admin.key.read_bytes(),
    )
    document = yaml.safe_load(text)
    assert document["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443/at/890"
    assert sorted(document["users"][0]["user"]) == ["client-certificate-data", "client-key-data"]
    assert document["current-context"] == document["contexts"][0]["name"]
