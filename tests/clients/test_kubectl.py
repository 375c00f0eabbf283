"""A session with the real kubectl, told line by line; then the same questions to the past.

The steps run in the order of the tables, on one server with its controllers. An answer is a regular expression that is
searched in what kubectl prints (stdout and stderr together); a step that begins with "!" has to fail.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from tests.served import Served

pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl on PATH to test with"),
]
PATIENCE_S = 30

APP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop, labels: {app: web}}
data: {colour: blue, size: "2"}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
RED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop, labels: {app: web}}
data: {colour: red}
"""
BLANK = """
apiVersion: v1
kind: ConfigMap
metadata: {name: blank}
"""
TYPO = RED.replace("data", "dta").replace("settings", "typo")
APPLIED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: applied, namespace: shop}
data: {owner: me}
"""


YOURS = APPLIED.replace("me}", "you}")
SIDE = json.dumps({"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side"}]}}}})


class Session:
    """kubectl, a server to point it at, and the moments remembered on the way."""

    def __init__(self, server: Served, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.revisions: dict[str, int] = {}

    def run(self, line: str, given: str | None = None, at: int | None = None) -> tuple[int, str]:
        """The exit status and all that kubectl printed."""
        where = ["--server", f"{self.server.url}/at/{at}"] if at is not None else []
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(self.server.kubeconfig), *where, *shlex.split(line)],
            check=False,
            input=given,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder), "KUBECACHEDIR": str(self.folder / "cache"), "TZ": "UTC"},
            timeout=PATIENCE_S,
        )
        return done.returncode, done.stdout

    def check(self, line: str, answer: str, given: str | None = None, at: int | None = None) -> None:
        status, printed = self.run(line.removeprefix("! "), given, at)
        assert (status != 0) == line.startswith("! "), printed
        assert re.search(answer, printed, re.MULTILINE), printed

    def remember(self, name: str) -> None:
        _, listed = self.server.ask("GET /api/v1/configmaps?limit=1")
        self.revisions[name] = int(listed["metadata"]["resourceVersion"])


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("session")
    tokens = folder / "tokens.csv"
    tokens.write_text('alices-token,alice,1,"developers"\n')
    with Served(folder / "data", "--durability", "relaxed", "--token-auth-file", str(tokens)) as server:
        session = Session(server, folder)
        session.remember("start")
        yield session


@pytest.mark.parametrize("line, answer", [
    ("version",                                         r"^Server Version: v1\.\d+\.\d+"),
    ("get namespaces",                                  r"^default +Active +\d+s?"),
    ("get --raw /readyz",                               r"^ok$"),
    ("api-resources --api-group=apps",                  r"^deployments +deploy +apps/v1 +true +Deployment$"),
    ("api-resources --namespaced=false -o name",        r"^namespaces$"),
    ("api-versions",                                    r"^rbac.authorization.k8s.io/v1$"),
    ("explain deployment.spec.replicas",                r"^FIELD: replicas <integer>$"),
    ("explain pods --recursive",                        r"^ +containers\t<\[\]Container> -required-$"),
    ("! explain pods.spec.nonsense",                    r'field "nonsense" does not exist'),
    ("auth can-i delete nodes",                         r"^yes$"),
    ("auth whoami",                                     r"^Username +kubernetes-admin$"),
    ("get componentstatuses",                           r"^etcd-0 +Healthy +ok"),
    ("cluster-info",                                    r"control plane.* is running at .*https://127.0.0.1:\d+"),
    ("! get nonsense",                                  r'the server doesn\'t have a resource type "nonsense"'),
    ("! get pods web",                                  r'^Error from server \(NotFound\): pods "web" not found$'),
])  # fmt: skip
def test_looking_around(session: Session, line: str, answer: str) -> None:
    session.check(line, answer)


@pytest.mark.parametrize("line, answer, given", [
    ("create namespace shop",                           r"^namespace/shop created$", None),
    ("! create namespace shop",                         r'^Error from server \(AlreadyExists\): namespaces "shop"', None),
    ("wait -n shop --for=create serviceaccount/default --timeout=10s", r"^serviceaccount/default condition met$", None),
    ("create -f - --dry-run=server",                    r"^configmap/settings created \(server dry run\)$", RED),
    ("! get -n shop configmap settings",                r'configmaps "settings" not found', None),
    ("create deployment web -n shop --image=nginx:1.27 --replicas=2", r"^deployment.apps/web created$", None),
    ("get -n shop deployment web",                      r"^web +0/2 +0 +0 +\d+s?$", None),
    ("apply -f -",                                      r"^configmap/settings created\nservice/web created$", APP),
    ("apply -f -",                                      r"^configmap/settings unchanged\nservice/web unchanged$", APP),
    ("diff -f -",                                       r"^$", APP),
    ("! diff -f -",                                     r"^-  colour: blue\n(-.*\n)*\+  colour: red$", RED),
    ("apply -f -",                                      r"^configmap/settings configured$", RED),
    ("get -n shop configmap settings -o jsonpath={.data}", r'^{"colour":"red"}$', None),
    ("apply --server-side -f -",                        r"^configmap/applied serverside-applied$", APPLIED),
    ("! apply --server-side --field-manager=you -f -",  r'conflict with "kubectl": .data.owner', YOURS),
    ("apply --server-side --field-manager=you --force-conflicts -f -", "serverside-applied", YOURS),
    ("create -f -",                                     r"configmap/blank created", BLANK),
    ("! create -f -",                                   r'unknown field "dta"', TYPO),
    ("get -n shop service web -o jsonpath={.spec.clusterIP}", r"^10\.0\.0\.\d+$", None),
    ("create -n shop secret generic pass --from-literal=word=x", r"^secret/pass created$", None),
    ("create -n shop token default",                    r"^ey[\w-]+\.[\w-]+\.[\w-]+$", None),
    ("expose -n shop deployment web --name=web2 --port=80", r"^service/web2 exposed$", None),
    ("create -n shop cronjob tick --image=busybox --schedule='*/5 * * * *'", r"^cronjob.batch/tick created$", None),
    ("autoscale -n shop deployment web --max=5",        r"^horizontalpodautoscaler.autoscaling/web autoscaled$", None),
    ("create role reader -n shop --verb=get,list,watch --resource=pods,configmaps", r"^role.*/reader created$", None),
    ("create rolebinding alice -n shop --role=reader --user=alice", r"^rolebinding.*/alice created$", None),
])  # fmt: skip
def test_creating(session: Session, line: str, answer: str, given: str | None) -> None:
    session.check(line, answer, given)


@pytest.mark.parametrize("line, answer", [
    ("patch -n shop deployment web -p '{\"spec\":{\"replicas\":3}}'",                  r"^deployment.apps/web patched$"),
    ("patch -n shop deployment web -p '{\"spec\":{\"replicas\":3}}'",                  r"patched \(no change\)$"),
    ("patch -n shop deployment web --type=merge -p '{\"spec\":{\"replicas\":4}}'",     r"^deployment.apps/web patched$"),
    ("patch -n shop deployment web --type=json -p '[{\"op\":\"test\",\"path\":\"/spec/replicas\",\"value\":4}]'",
                                                        r"patched \(no change\)$"),
    (f"patch -n shop deployment web -p '{SIDE}'",
                                                        r"patched$"),
    ("get -n shop deployment web -o jsonpath={.spec.template.spec.containers[*].name}", r"^side nginx$"),
    ("scale -n shop deployment web --replicas=6",       r"^deployment.apps/web scaled$"),
    ("! scale -n shop deployment web --current-replicas=1 --replicas=9", r"Expected replicas to be 1, was 6"),
    ("set image -n shop deployment/web nginx=nginx:1.28", r"^deployment.apps/web image updated$"),
    ("label -n shop deployment web tier=front",         r"^deployment.apps/web labeled$"),
    ("! label -n shop deployment web tier=back",        r"'tier' already has a value \(front\)"),
    ("label -n shop deployment web tier-",              r"^deployment.apps/web unlabeled$"),
    ("annotate -n shop deployment web note=checked",    r"^deployment.apps/web annotated$"),
    ("get deployments -A -l app=web -o name",           r"^deployment.apps/web$"),
    ("get -n shop configmaps --field-selector=metadata.name=settings -o name", r"^configmap/settings$"),
    ("get -n shop deployment web -o jsonpath={.spec.replicas}/{.metadata.generation}", r"^6/7$"),
    ("wait -n shop --for=jsonpath={.spec.replicas}=6 deployment/web --timeout=5s", r"^deployment.apps/web condition met$"),
    ("! wait -n shop --for=condition=Available deployment/web --timeout=100ms", r"timed out waiting for the condition"),
    ("describe -n shop deployment web",                 r"^Replicas: +6 desired \|"),
    ("describe -n shop service web",                    r"^IP: +10\.0\.0\.\d+$"),
    ("rollout history -n shop deployment web",          r"^deployment.apps/web"),
    ("get -n shop all",                                 r"^horizontalpodautoscaler.autoscaling/web "),
    ("get -n shop deploy,cm,svc -o name",               r"^deployment.apps/web\nconfigmap/.*\n(.*\n)*service/web$"),
])  # fmt: skip
def test_changing(session: Session, line: str, answer: str) -> None:
    session.check(line, answer)


@pytest.mark.parametrize("line, answer", [
    ("run -n shop job --image=busybox --restart=Never", r"^pod/job created$"),
    ("get -n shop pods",                                r"^job +0/1 +Pending +0 +\d+s?$"),
    ("get -n shop pods -o wide",                        r"^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE"),
    ("logs -n shop job",                                r"^$"),
    ("! logs -n shop job -c other",                     r"container other is not valid for pod job"),
    ("describe -n shop pod job",                        r"^Service Account: +default$"),
    ("! exec -n shop job -- true",                      r"pod job does not have a host assigned"),
    ("run -n shop lost --image=busybox --overrides='{\"spec\":{\"nodeName\":\"gone\"}}'", r"^pod/lost created$"),
    ("! logs -n shop lost",                             r'nodes "gone" not found'),
    ("delete -n shop pod lost --force",                 r'^pod "lost" force deleted'),
    ("delete -n shop pod job --wait=false",             r'^pod "job" deleted'),
])  # fmt: skip
def test_pods_that_no_node_runs(session: Session, line: str, answer: str) -> None:
    session.check(line, answer)


@pytest.mark.parametrize("line, answer", [
    ("auth can-i list pods -n shop --as alice",         r"^yes$"),
    ("! auth can-i create pods -n shop --as alice",     r"^no$"),
    ("get configmaps -n shop --as alice",               r"^settings +1 "),
    ("! get secrets -n shop --as alice",                r'User "alice" cannot list resource "secrets"'),
    ("auth whoami --as alice --as-group=developers",    r"^Groups +\[developers system:authenticated\]$"),
    ("auth can-i --list -n shop --as alice",            r"^configmaps +\[\] +\[\] +\[get list watch\]$"),
])  # fmt: skip
def test_being_somebody_else(session: Session, line: str, answer: str) -> None:
    session.check(line, answer)


@pytest.mark.parametrize("token, line, answer", [
    ("alices-token",    "get configmaps -n shop",       r"^settings +1 "),
    ("alices-token",    "! get nodes",                  r'User "alice" cannot list resource "nodes"'),
    ("alices-token",    "! get pods -n shop --as bob",  r'User "alice" cannot impersonate'),
    ("nobodys-token",   "! get configmaps -n shop",     r"You must be logged in to the server \(Unauthorized\)"),
])  # fmt: skip
def test_tokens(session: Session, token: str, line: str, answer: str) -> None:
    bare = f"--kubeconfig /dev/null --server {session.server.url} --certificate-authority {session.server.ca}"
    failing = "! " if line.startswith("! ") else ""
    session.check(f"{failing}{line.removeprefix('! ')} {bare} --token {token}", answer)


def test_get_watch_prints_changes_as_they_come(session: Session) -> None:
    command = ["kubectl", "--kubeconfig", str(session.server.kubeconfig), "-n", "shop"]
    command += ["get", "configmaps", "--watch", "--output-watch-events"]
    watching = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, cwd=session.folder)
    ended = Timer(PATIENCE_S, watching.kill)
    ended.start()
    try:
        assert watching.stdout is not None
        printed = [watching.stdout.readline().split()[:2]]  # the list is there; what comes after it will be seen
        session.check("create -n shop configmap seen", "created")
        session.check("label -n shop configmap seen a=b", "labeled")
        session.check("delete -n shop configmap seen", "deleted")
        while printed[-1] not in ([], ["DELETED", "seen"]):
            printed.append(watching.stdout.readline().split()[:2])
    finally:
        ended.cancel()
        watching.kill()
        watching.wait()
    assert printed[-3:] == [[kind, "seen"] for kind in ("ADDED", "MODIFIED", "DELETED")]


PAST = [
    ("get namespace shop",                              r"^shop +Active"),
    ("get -n shop deployment web",                      r"^web +0/6 "),
    ("get -n shop deploy,cm,svc -o name",               r"^configmap/settings$"),
    ("get -n shop configmap settings -o jsonpath={.data.colour}", r"^red$"),
    ("get deployments -A -l app=web -o name",           r"^deployment.apps/web$"),
    ("describe -n shop deployment web",                 r"^Replicas: +6 desired \|"),
    ("get -n shop secrets -o name",                     r"^secret/pass$"),
    ("api-resources --api-group=apps -o name",          r"^deployments.apps$"),
    ("explain deployment.spec.replicas",                r"^FIELD: replicas <integer>$"),
    ("get -n shop all",                                 r"^horizontalpodautoscaler.autoscaling/web "),
]  # fmt: skip


@pytest.mark.parametrize("line, answer", [
    ("delete -n shop deployment web",                   r'^deployment.apps "web" deleted'),
    ("delete -n shop configmap -l app=web",             r'^configmap "settings" deleted'),
    ("delete -n shop service --all",                    r'^service "web" deleted'),
    ("! get -n shop deployment web",                    r'deployments.apps "web" not found'),
    ("delete namespace shop --timeout=20s",             r'^namespace "shop" deleted'),
    ("! get namespace shop",                            r'namespaces "shop" not found'),
    ("get -n shop configmaps,secrets,serviceaccounts",  r"^No resources found in shop namespace\.$"),
])  # fmt: skip
def test_deleting(session: Session, line: str, answer: str) -> None:
    if "before" not in session.revisions:
        session.remember("before")
    session.check(line, answer)


@pytest.mark.parametrize("line, answer", PAST)
def test_what_was_deleted_is_back_in_the_past(session: Session, line: str, answer: str) -> None:
    session.check(line, answer, at=session.revisions["before"])


@pytest.mark.parametrize("line, answer", [
    ("! create namespace other",                        r"(?i)read.?only|not allowed|past"),
    ("! delete -n shop configmap settings",             r"(?i)read.?only|not allowed|past"),
    ("! patch -n shop configmap settings -p '{}'",      r"(?i)read.?only|not allowed|past"),
])  # fmt: skip
def test_the_past_refuses_changes(session: Session, line: str, answer: str) -> None:
    session.check(line, answer, at=session.revisions["before"])


def test_the_first_moment_has_none_of_it(session: Session) -> None:
    session.check("! get namespace shop", r'namespaces "shop" not found', at=session.revisions["start"])
    session.check("get -n shop configmaps", "No resources found in shop namespace", at=session.revisions["start"])
