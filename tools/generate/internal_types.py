"""Makes ledger/scheme/data/internal_types.json: how kube-apiserver's internal types print as JSON.

    tools/run python tools/generate/internal_types.py ~/go/pkg/mod/k8s.io/kubernetes@v1.37.2 ~/go/pkg/mod/k8s.io/api@v0.37.2

Internal types have no JSON names, so error texts that contain a whole value show Go's: {"Key":"a","Effect":"NoSchedule"}.
For each type its fields in Go's order: [Go name, JSON name in the API, shape]. A shape is the zero value of a scalar, or
"null" (pointer, list or map of scalars, types that print as in the API), or a type ("core.Volume" a struct, "*core.Volume"
a pointer, "[]core.Volume" a list, "map:core.Volume" a map).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

OUTPUT = Path(__file__).parents[2] / "ledger/scheme/data/internal_types.json"
# Types whose values appear in messages, with what they consist of.
ROOTS = {
    "core": (
        *(
            "PodSpec",
            "PersistentVolumeClaim",
            "PersistentVolumeClaimSpec",
            "PersistentVolumeSource",
            "EphemeralContainer",
            "Taint",
            "Toleration",
        ),
        *(
            "NodeSelectorTerm",
            "VolumeNodeAffinity",
            "PodResourceClaim",
            "SecurityContext",
            "SeccompProfile",
            "ServicePort",
        ),
        *(
            "ScopeSelector",
            "NodeConfigSource",
            "NodeAddress",
            "LocalObjectReference",
            "PodIP",
            "HostIP",
            "ObjectReference",
        ),
        *(
            "ContainerResizePolicy",
            "EventSource",
            "PodTemplateSpec",
            "ResourceRequirements",
            "TypedLocalObjectReference",
        ),
    ),
    "apps": (
        *("DeploymentStrategy", "DaemonSetUpdateStrategy", "StatefulSetUpdateStrategy"),
        "RollingUpdateStatefulSetStrategy",
    ),
    "policy": ("PodDisruptionBudgetSpec",),
    "certificates": ("CertificateSigningRequestCondition",),
    "batch": ("PodFailurePolicy", "PodFailurePolicyRule", "SuccessPolicyRule", "SuccessPolicy"),
    "networking": ("IngressBackend", "IngressServiceBackend", "ServiceBackendPort", "IngressClassParametersReference"),
    "rbac": ("PolicyRule", "RoleRef"),
    "storage": ("CSINodeDriver", "VolumeAttachmentSpec", "TokenRequest", "CSINodeSpec"),
    "storagemigration": ("StorageVersionMigrationSpec",),
    "discovery": ("EndpointPort",),
    "autoscaling": ("MetricTarget",),
    "flowcontrol": ("PolicyRulesWithSubjects", "Subject", "PriorityLevelConfigurationSpec", "FlowSchemaSpec"),
    "node": ("Overhead", "Scheduling"),
    "resource": (
        *("DeviceClaim", "DeviceRequest", "DeviceSubRequest", "DeviceTaint", "ResourceClaimConsumerReference"),
        "ResourceClaimTemplateSpec",
    ),
}
SCALARS = {"string": "", "bool": False, "float64": 0}
SCALARS |= dict.fromkeys(("int", "int32", "int64", "uint16", "int16", "uint32", "uint64", "byte"), 0)
GO_STRUCTS = {"resource.Quantity": "0", "intstr.IntOrString": 0, "types.UID": "", "metav1.Duration": "0s"}


def main(kubernetes: Path, api: Path) -> None:
    structs: dict[str, str] = {}
    scalars: dict[str, str] = {}
    names: dict[str, str] = {}
    for package in ROOTS:
        source = _without_comments((kubernetes / f"pkg/apis/{package}/types.go").read_text())
        structs |= {
            f"{package}.{n}": body for n, body in re.findall(r"\ntype (\w+) struct \{\n(.*?)\n\}", source, re.S)
        }
        scalars |= {
            f"{package}.{n}": of
            for n, of in re.findall(r"\ntype (\w+)\s+(\[\]\w+|map\[\w+\][\w.]+|[a-z]\w*)\n", source)
        }
        version = "v2" if package == "autoscaling" else "v1"
        for name, body in re.findall(
            r"\ntype (\w+) struct \{\n(.*?)\n\}", (api / package / version / "types.go").read_text(), re.S
        ):
            for field, key in re.findall(r'\n?\t(\w+)\s+[^`\n]*`.*?json:"([\w.-]+)', body):
                names[f"{package}.{name}.{field}"] = key
    found: dict[str, list[list[object]]] = {}
    todo = [f"{package}.{name}" for package, roots in ROOTS.items() for name in roots]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found[name] = _fields(name, structs, scalars, names)
        todo += [
            one for _, _, shape in found[name] if isinstance(shape, str) for one in re.findall(r"[a-z]+\.\w+", shape)
        ]
    lines = [f"  {json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found)]
    OUTPUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(found)} types, {OUTPUT.stat().st_size} bytes")


def _without_comments(source: str) -> str:
    return re.sub(r"\n\s*(//[^\n]*)?(?=\n)", "", re.sub(r"[ \t]+//[^\n]*", "", source))


def _fields(name: str, structs: dict[str, str], scalars: dict[str, str], names: dict[str, str]) -> list[list[object]]:
    package, struct = name.split(".")
    fields: list[list[object]] = []
    for line in structs[name].splitlines():
        words = line.split("`")[0].split(None, 1)
        if not words:
            continue
        if len(words) == 1:  # embedded: its fields are ours
            embedded = words[0].lstrip("*")
            if "." not in embedded:
                fields += _fields(f"{package}.{embedded}", structs, scalars, names)
            elif embedded == "metav1.ObjectMeta":
                fields.append(["", "metadata", "meta"])
            elif embedded in structs:
                fields += _fields(embedded, structs, scalars, names)
            continue
        for one in words[0].rstrip(",").split(","):
            key = names.get(f"{package}.{struct}.{one}") or one[:1].lower() + one[1:]
            fields.append([one, key, _shape(words[1].strip(), package, structs, scalars)])
    return fields


def _shape(of: str, package: str, structs: dict[str, str], scalars: dict[str, str]) -> object:
    prefix = re.match(r"\*|\[\]|map\[[\w.]+\]", of)
    bare = of[prefix.end() :] if prefix else of
    named = bare if "." in bare else f"{package}.{bare}"
    if named in structs:
        kind = {"*": "*", "[": "[]", "m": "map:"}[prefix[0][0]] if prefix else ""
        return kind + named
    if prefix:
        return "null"
    if named in scalars:
        return _shape(scalars[named], named.split(".")[0], structs, scalars)
    if bare in GO_STRUCTS:
        return GO_STRUCTS[bare]
    return SCALARS.get(bare, "null")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
