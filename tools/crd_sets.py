#!/usr/bin/env python
"""Installs the definitions of well-known projects on a server, then creates every object their sources hold.

    tools/run python tools/crd_sets.py --server https://127.0.0.1:6443 --token T
        [--reference https://HOST:PORT --reference-token T] [gateway-api cert-manager ...]

The sources come as Go modules, at the versions below, through `go mod download`. With a reference kube-apiserver the answers
of both are compared, differences are printed, and the exit status is 1 if there are any; without one, what was refused is
printed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

TRIES_MAX = 200  # of a request while a definition is being established
_VOLATILE = re.compile(r"selfType\d+")


@dataclass(frozen=True, slots=True)
class CrdSet:
    """Where a project keeps its definitions, its examples, and examples of what must be refused."""

    module: str
    definitions: tuple[str, ...]
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()


SETS = {
    "gateway-api": CrdSet(
        "sigs.k8s.io/gateway-api@v1.3.0",
        ("config/crd/experimental",),
        ("examples/standard", "examples/experimental"),
        ("hack/invalid-examples",),
    ),
    "cert-manager": CrdSet("github.com/cert-manager/cert-manager@v1.18.2", ("deploy/crds",)),
    "prometheus-operator": CrdSet(
        "github.com/prometheus-operator/prometheus-operator@v0.84.0",
        ("example/prometheus-operator-crd",),
        ("example",),
    ),
    "kyverno": CrdSet(
        "github.com/kyverno/kyverno@v1.14.4",
        ("config/crds/kyverno", "config/crds/policies.kyverno.io", "config/crds/policyreport", "config/crds/reports"),
        ("test/best_practices", "test/policy"),
    ),
    "crossplane": CrdSet("github.com/crossplane/crossplane/v2@v2.0.2", ("cluster/crds",)),
    "cluster-api": CrdSet(
        "sigs.k8s.io/cluster-api@v1.10.4",
        ("config/crd/bases", "bootstrap/kubeadm/config/crd/bases", "controlplane/kubeadm/config/crd/bases"),
    ),
}


def sources(module: str) -> Path | None:
    """The folder of a module's sources; None when it, or Go, cannot be had."""
    try:
        done = subprocess.run(
            ["go", "mod", "download", "-json", module],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    folder = json.loads(done.stdout).get("Dir") if done.returncode == 0 else None
    return Path(folder) if folder else None


class Server:
    """One connection with a token."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        assert parts.hostname
        self.connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=60, context=context)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "User-Agent": "sets/1"}

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        self.connection.request(method, path, None if body is None else json.dumps(body, default=str), self.headers)
        response = self.connection.getresponse()
        answer = response.read()
        is_json = response.getheader("Content-Type", "").startswith("application/json")
        return response.status, json.loads(answer) if is_json else {"message": answer.decode(errors="replace")}


def documents(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Every object in the YAML files below a folder; lists are taken apart, templates and fragments left out."""
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.yaml"))
    for file in files:
        try:
            found = list(yaml.load_all(file.read_text(errors="replace"), yaml.CSafeLoader))
        except (yaml.YAMLError, ValueError):
            continue
        for one in found:
            if (
                isinstance(one, dict)
                and isinstance(one.get("items"), list)
                and str(one.get("kind", "")).endswith("List")
            ):
                yield from ((file, item) for item in one["items"] if isinstance(item, dict))
            elif isinstance(one, dict) and one.get("kind") and isinstance(one.get("apiVersion"), str):
                yield file, one


def definitions(given: CrdSet, folder: Path) -> list[Any]:
    found = []
    for place in given.definitions:
        for _, one in documents(folder / place):
            if one["kind"] == "CustomResourceDefinition":
                one["spec"].pop("conversion", None)  # nobody answers the webhooks it names
                one["metadata"].pop("labels", None)  # a chart's, with templates in them
                found.append(one)
    return found


def install(server: Server, crds: list[Any]) -> dict[str, str]:
    """What was refused, by name, once all others are established."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    refused = {}
    for crd in crds:
        status, answer = server.ask("POST", path, crd)
        if status not in (201, 409):
            refused[crd["metadata"]["name"]] = f"{status} {answer.get('message')}"
    for crd in crds:
        name = crd["metadata"]["name"]
        for _ in range(TRIES_MAX if name not in refused else 0):
            _, answer = server.ask("GET", f"{path}/{name}")
            conditions = (answer.get("status") or {}).get("conditions") or ()
            if any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
                break
        else:
            refused.setdefault(name, "is not established")
    return refused


@dataclass(frozen=True, slots=True)
class Kinds:
    """Where objects of the definitions' kinds are created."""

    paths: dict[tuple[str, str], tuple[str, bool]]  # by apiVersion and kind: plural, whether namespaced

    @staticmethod
    def of(crds: list[Any]) -> Kinds:
        return Kinds({
            (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]): (
                crd["spec"]["names"]["plural"], crd["spec"]["scope"] == "Namespaced"
            )
            for crd in crds for version in crd["spec"]["versions"] if version["served"]
        })  # fmt: skip

    def path(self, obj: Any) -> str | None:
        found = self.paths.get((obj["apiVersion"], obj["kind"]))
        if found is None:
            return None
        namespace = (obj.get("metadata") or {}).get("namespace") or "default"
        return f"/apis/{obj['apiVersion']}/{f'namespaces/{namespace}/' if found[1] else ''}{found[0]}"


def objects(folder: Path, places: tuple[str, ...], kinds: Kinds) -> Iterator[tuple[str, str, Any]]:
    """Where each comes from, where it is created, and itself: those of the definitions' kinds, each once."""
    seen = set()
    for place in places or (".",):
        for file, obj in documents(folder / place):
            if (path := kinds.path(obj)) is None:
                continue
            if "namespaces/" in path:  # all in one namespace, which is there
                path = re.sub(r"namespaces/[^/]+", "namespaces/default", path)
                (obj.get("metadata") or {}).pop("namespace", None)
            text = json.dumps(obj, sort_keys=True, default=str)
            if text not in seen:
                seen.add(text)
                yield str(file.relative_to(folder)), path, obj


def create(server: Server, path: str, obj: Any) -> tuple[int, str]:
    """Status and message of an attempt that leaves nothing behind."""
    status, answer = server.ask("POST", f"{path}?dryRun=All&fieldValidation=Strict", obj)
    return status, _VOLATILE.sub("selfType", answer.get("message", "")) if status >= 300 else ""


def alike(one: tuple[int, str], other: tuple[int, str]) -> bool:
    """Findings may come in any order: kube-apiserver's does for custom resources."""
    return one[0] == other[0] and sorted(re.split(r", |: \[|\]$", one[1])) == sorted(re.split(r", |: \[|\]$", other[1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--server", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--reference")
    parser.add_argument("--reference-token", default="")
    parser.add_argument("sets", nargs="*", help=f"of {', '.join(SETS)}; all where none is named")
    given = parser.parse_args()
    servers = [Server(given.server, given.token)]
    if given.reference:
        servers.append(Server(given.reference, given.reference_token))
    return max(play(name, servers) for name in given.sets or SETS)


def play(name: str, servers: list[Server]) -> int:
    folder = sources(SETS[name].module)
    if folder is None:
        print(f"{name}: {SETS[name].module} cannot be had")
        return 0
    crds = definitions(SETS[name], folder)
    refused = [install(server, crds) for server in servers]
    kinds, wrong, count, taken = Kinds.of(crds), 0, 0, 0
    for crd, why in refused[0].items():
        print(f"  {crd}: {why[:1200]}")
    for source, path, obj in objects(folder, (), kinds):
        answers = [create(server, path, obj) for server in servers]
        count, taken = count + 1, taken + (answers[0][0] == 201)
        if len(answers) == 2 and not alike(*answers):
            wrong += 1
            print(f"  {source}: {obj['kind']}")
            for arrow, (status, message) in zip(("  ", "->"), reversed(answers), strict=True):
                print(f"      {arrow} {status} {message[:600]!r}")
    differ = sum(refused[0] != other for other in refused[1:])
    compared = f", {wrong} answered differently" if len(servers) == 2 else ""
    print(
        f"{name}: {len(crds) - len(refused[0])} of {len(crds)} definitions, {taken} of {count} objects taken{compared}"
    )
    return int(bool(refused[0] or wrong or differ))


if __name__ == "__main__":
    sys.exit(main())
