"""Makes ledger/controllers/data/bootstrap.json: the objects a fresh API server holds before anybody wrote to it.

    tools/run python tools/generate/bootstrap.py --facts DIR

DIR is a recorded dump of a real kube-apiserver (tools/generate/record_facts.py); its default-objects.json.gz is read. What
depends on the server (times, addresses, ports, certificates) becomes a {placeholder} that the server fills in.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parents[2] / "ledger/controllers/data/bootstrap.json"
# Computed, renewed for ever, or made from what is served (ledger/controllers/apiservices.py): not content.
LEFT_OUT = {"v1/componentstatuses", "coordination.k8s.io/v1/leases", "apiregistration.k8s.io/v1/apiservices"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
# The order in which a server needs them: namespaces before what lives there.
FIRST = ["v1/namespaces", "rbac.authorization.k8s.io/v1/clusterroles", "rbac.authorization.k8s.io/v1/roles"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=Path, required=True)
    facts = parser.parse_args().facts
    recorded = json.loads(gzip.decompress((facts / "default-objects.json.gz").read_bytes()))
    addresses = recorded["v1/endpoints"]["items"][0]["subsets"][0]
    service = recorded["v1/services"]["items"][0]["spec"]["clusterIP"]
    cidr = recorded["networking.k8s.io/v1/servicecidrs"]["items"][0]["spec"]["cidrs"][0]
    known = {addresses["addresses"][0]["ip"]: "{advertise_ip}", service: "{service_ip}", cidr: "{service_cidr}"}
    ports = {addresses["ports"][0]["port"]: "{port}"}
    objects = {}
    for resource in [*FIRST, *sorted(set(recorded) - set(FIRST) - LEFT_OUT)]:
        items = [generic(item, known, ports) for item in recorded[resource]["items"]]
        for item in items:
            item["metadata"].pop("uid")
            item["metadata"].pop("resourceVersion")
        objects[resource] = items
    authentication = next(
        one for one in objects["v1/configmaps"] if one["metadata"]["name"] == "extension-apiserver-authentication"
    )
    authentication["data"]["client-ca-file"] = "{client_ca}"
    authentication["data"]["requestheader-client-ca-file"] = "{requestheader_ca}"
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(objects, separators=(",", ":")) + "\n")
    print(f"{OUT}: {sum(map(len, objects.values()))} objects, {OUT.stat().st_size} bytes")


def generic(value: Any, known: dict[str, str], ports: dict[int, str]) -> Any:
    """The value with everything that differs between servers replaced by a placeholder."""
    if isinstance(value, dict):
        return {
            name: ports[one] if name in ("port", "targetPort") and one in ports else generic(one, known, ports)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [generic(one, known, ports) for one in value]
    if isinstance(value, str):
        if TIME.fullmatch(value):
            return "{time}"
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return "{date}"
        return known.get(value, value)
    return value


if __name__ == "__main__":
    main()
