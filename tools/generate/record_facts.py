#!/usr/bin/env python3
"""Asks a kube-apiserver for the facts that scheme.py makes ledger/scheme/data/ from.

    tools/generate/record_facts.py --server https://127.0.0.1:6443 --token TOKEN [--ca FILE] --out DIR [--api-all]

Run it twice, against a server with default flags and, with --api-all, against one started with
--runtime-config=api/all=true: the second run's files have -api-all in their names. Nothing is written to the server.
Recorded: /version; discovery, plain and aggregated; OpenAPI v2 and v3; the columns of every resource's Table.
"""

from __future__ import annotations

import argparse
import gzip
import json
import ssl
import urllib.request
from pathlib import Path
from typing import Any

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--ca", help="the server's CA; without it certificates are not checked")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--api-all", action="store_true", help="the server serves every API version")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    server = Server(options.server, options.token, options.ca)
    suffix = "-api-all" if options.api_all else ""
    discovery = plain_discovery(server)
    for name, value in {
        f"version{suffix}.json": server.get("/version"),
        f"discovery-plain{suffix}.json.gz": discovery,
        f"discovery-aggregated-api{suffix}.json": server.get("/api", AGGREGATED),
        f"discovery-aggregated-apis{suffix}.json": server.get("/apis", AGGREGATED),
        f"openapi-v2{suffix}.json.gz": server.get("/openapi/v2"),
        f"openapi-v3{suffix}.json.gz": openapi_v3(server),
        f"table-columns{suffix}.json": table_columns(server, discovery),
    }.items():
        text = json.dumps(value, indent=None if name.endswith(".gz") else 1).encode()
        (options.out / name).write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)
        print(options.out / name)


class Server:
    """Reads JSON from the server."""

    def __init__(self, url: str, token: str, ca: str | None) -> None:
        self.url, self.token = url.rstrip("/"), token
        self.context = ssl.create_default_context(cafile=ca)
        if not ca:
            self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE

    def get(self, path: str, accept: str = "application/json") -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept}
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, context=self.context, timeout=60) as response:
            return json.load(response)


def plain_discovery(server: Server) -> dict[str, Any]:
    """Group-version -> its APIResourceList, in the order of /apis."""
    found = {"v1": server.get("/api/v1")}
    for group in server.get("/apis")["groups"]:
        for version in group["versions"]:
            found[version["groupVersion"]] = server.get(f"/apis/{version['groupVersion']}")
    return found


def openapi_v3(server: Server) -> dict[str, Any]:
    index = server.get("/openapi/v3")
    documents = {name: server.get(one["serverRelativeURL"]) for name, one in index["paths"].items()}
    return {"index": index, "documents": documents}


def table_columns(server: Server, discovery: dict[str, Any]) -> dict[str, Any]:
    """ "apps/v1/deployments" -> the columnDefinitions of its Table, for every resource that can be listed."""
    found = {}
    for group_version, resources in discovery.items():
        prefix = "/apis/" if "/" in group_version else "/api/"
        for resource in resources["resources"]:
            if "list" in resource["verbs"]:
                table = server.get(f"{prefix}{group_version}/{resource['name']}?limit=1", TABLE)
                found[f"{group_version}/{resource['name']}"] = table["columnDefinitions"]
    return dict(sorted(found.items()))


if __name__ == "__main__":
    main()
