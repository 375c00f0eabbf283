"""The real kubectl against a kubelet, a pod and an extension server that the test plays."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.outside.kubelet import Kubelet
from tests.outside.servers import Asked, Line, Server, own_address, server_context
from tests.served import Served
from tests.wire.wire_server import Certificates

ADDRESS = own_address()
pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl on PATH to test with"),
]
PATIENCE_S = 30
SPDY_ONLY = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}
PAGE = b'<html><head><link href="/style.css"></head><body>the UI</body></html>'


@dataclass
class World:
    served: Served
    kubelet: Kubelet
    home: Path

    def command(self, line: str) -> list[str]:
        return ["kubectl", "--kubeconfig", str(self.served.kubeconfig), *line.split()]

    def kubectl(self, line: str, given: bytes = b"", env: dict[str, str] | None = None) -> tuple[int, bytes, bytes]:
        """(exit status, stdout, stderr)"""
        environment = {**os.environ, "HOME": str(self.home), **(env or {})}
        done = subprocess.run(
            self.command(line), input=given, capture_output=True, timeout=PATIENCE_S, env=environment, check=False
        )
        return done.returncode, done.stdout, done.stderr


def ui(line: Line, asked: Asked) -> None:
    line.answer(200, PAGE if asked.target == "/" else asked.target.encode(), "Content-Type: text/html")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("kubectl")
    kubelet = Kubelet()
    context = server_context(Certificates(folder))
    with (
        Server(kubelet, "127.0.0.1", context) as node,
        Server(ui, ADDRESS or "127.0.0.1") as web,
        Served(folder / "data", "--controllers", "none") as served,
    ):
        populate(served, node.port, web.port)
        yield World(served, kubelet, folder)


def populate(served: Served, kubelet: int, web: int) -> None:
    served.ask("POST /api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    for name, features in (("old", []), ("modern", ["ExtendWebSocketsToKubelet"])):
        status: dict[str, Any] = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}], "declaredFeatures": features,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet}},
        }  # fmt: skip
        served.ask("POST /api/v1/nodes", {"metadata": {"name": name}})
        assert served.ask(f"PUT /api/v1/nodes/{name}/status", {"metadata": {"name": name}, "status": status})[0] == 200
        body = {"metadata": {"name": name}, "spec": {"nodeName": name, "containers": [{"name": "c", "image": "i"}]}}
        assert served.ask("POST /api/v1/namespaces/default/pods", body)[0] == 201
        address = ADDRESS or "127.0.0.1"
        ready = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        place = f"/api/v1/namespaces/default/pods/{name}/status"
        assert served.ask(f"PUT {place}", {"metadata": {"name": name}, "status": ready})[0] == 200
    ports = [{"name": "http", "port": 80}]
    served.ask("POST /api/v1/namespaces/default/services", {"metadata": {"name": "ui"}, "spec": {"ports": ports}})
    if ADDRESS:
        target = {"kind": "Pod", "name": "old", "namespace": "default"}
        body = {
            "metadata": {"name": "ui-1", "labels": {"kubernetes.io/service-name": "ui"}}, "addressType": "IPv4",
            "ports": [{"name": "http", "port": web}], "endpoints": [{"addresses": [ADDRESS], "targetRef": target}],
        }  # fmt: skip
        assert served.ask("POST /apis/discovery.k8s.io/v1/namespaces/default/endpointslices", body)[0] == 201


WAYS = [
    ("old", None),
    ("modern", None),
    ("old", SPDY_ONLY),
]  # translated to SPDY; WebSocket all the way; SPDY all the way


def test_logs(world: World) -> None:
    assert world.kubectl("logs old") == (0, b"a line of the log\n", b"")


@pytest.mark.parametrize("pod, env", WAYS)
def test_exec_carries_what_it_is_given(world: World, pod: str, env: dict[str, str] | None) -> None:
    given = os.urandom(300_000)
    status, said, errors = world.kubectl(f"exec -i {pod} -- cat", given, env)
    assert (status, errors) == (0, b"") and said == given
    way = world.kubelet.asked[-1].headers["upgrade"]
    assert way == ("websocket" if pod == "modern" else "SPDY/3.1")


@pytest.mark.parametrize("pod, env", WAYS)
def test_exec_tells_how_the_command_ended(world: World, pod: str, env: dict[str, str] | None) -> None:
    status, _, errors = world.kubectl(f"exec {pod} -- fail", env=env)
    assert status == 3 and errors.startswith(b"it does not work\ncommand terminated with exit code 3")


@pytest.mark.parametrize("pod, env", WAYS)
def test_cp(world: World, pod: str, env: dict[str, str] | None, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content" * 10_000)
    world.kubelet.received.clear()
    status, _, errors = world.kubectl(f"cp {tmp_path / 'file'} {pod}:/tmp/file", env=env)
    assert status == 0, errors
    with tarfile.open(fileobj=io.BytesIO(bytes(world.kubelet.received))) as archive:
        content = archive.extractfile(archive.getmembers()[0])
        assert content is not None and content.read() == b"content" * 10_000


@pytest.mark.parametrize("pod, env", WAYS[::2])
def test_port_forward(world: World, pod: str, env: dict[str, str] | None) -> None:
    environment = {**os.environ, "HOME": str(world.home), **(env or {})}
    command = world.command(f"port-forward {pod} :80")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline().decode()
            found = re.search(r"127\.0\.0\.1:(\d+) -> 80", first)
            assert found, first
            for given in (b"hello", b"x" * 200_000):
                with socket.create_connection(("127.0.0.1", int(found[1])), timeout=PATIENCE_S) as line:
                    line.sendall(given)
                    line.shutdown(socket.SHUT_WR)
                    received = b""
                    while more := line.recv(65536):
                        received += more
                    assert received == given.upper()
        finally:
            process.kill()


@pytest.mark.skipif(not ADDRESS, reason="only loopback addresses here, to which no proxy of Kubernetes connects")
def test_the_ui_behind_kubectl_proxy(world: World) -> None:
    import urllib.request

    command = world.command("proxy --port 0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "HOME": str(world.home)}) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline().decode()
            base = f"http://{first.split()[-1]}/api/v1/namespaces/default/services/http:ui:/proxy"
            place = base.replace("http:ui:", "ui:http")
            with urllib.request.urlopen(f"{place}/", timeout=PATIENCE_S) as response:
                page = response.read().decode()
            assert f'href="{place[place.index("/api") :]}/style.css"' in page and "the UI" in page
            with urllib.request.urlopen(f"{place}/style.css?v=1", timeout=PATIENCE_S) as response:
                assert response.read() == b"/style.css?v=1"
        finally:
            process.kill()
    path = "/api/v1/namespaces/default/services/ui:80/proxy/raw"
    assert world.kubectl(f"get --raw {path}")[:2] == (0, b"/raw")
