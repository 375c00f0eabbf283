"""Makes ledger/scheme/data/declarative.json: the validation rules Kubernetes declares on its Go types.

    tools/run python tools/generate/declarative.py ~/go/pkg/mod/k8s.io/kubernetes@v1.37.2 ~/go/pkg/mod/k8s.io/api@v0.37.2

Upstream writes them as `+k8s:` tags on the types and generates zz_generated.validations.go from those. The generated
code is regular, and says in which order rules run and which of them end a field's checks, so that is what is read here.
Rules at the alpha stage are never shown to clients: they are kept only where they end the checks of a field.

    {"kinds": {"apps/v1/Deployment": "apps.v1.Deployment"},
     "types": {TYPE: {"rules": [RULE...], "fields": [[json name, [RULE...]], ...]}}}

A RULE is {"is": function of k8s.io/apimachinery/pkg/api/validate, or a TYPE whose rules apply, ...its arguments,
"silent": ends the checks without an error, "stops": ends the checks with one, "shadow": alpha}.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Rule = dict[str, Any]
OUTPUT = Path(__file__).parents[2] / "ledger/scheme/data/declarative.json"
GROUPS = {"core": "", "rbac": "rbac.authorization.k8s.io", "flowcontrol": "flowcontrol.apiserver.k8s.io"}
GROUPS |= {name: f"{name}.k8s.io" for name in ("admissionregistration", "certificates", "coordination", "discovery")}
GROUPS |= {name: f"{name}.k8s.io" for name in ("events", "networking", "node", "resource", "scheduling", "storage")}
GROUPS |= {"storagemigration": "storagemigration.k8s.io", "apiserverinternal": "internal.apiserver.k8s.io"}
VERSIONS = ("v1", "v2", "v1beta1", "v1beta2", "v1alpha1", "v1alpha2", "v1alpha3")

_CONSTANT = re.compile(r'\n(?:const )?\s*(\w+)\s*(?:[\w.]+\s*)?= (?:[\w.]+\()?"([^"]*)"')
_ALIAS = re.compile(r"\n\s*(\w+)\s*(?:\w+\s*)?= (?:\w+\()?\w+\.(\w+)\)?")


def main(kubernetes: Path, api: Path) -> None:
    types: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    core = (api / "core/v1/types.go").read_text()
    for source in sorted(kubernetes.glob("pkg/apis/*/*/zz_generated.validations.go")):
        group, version = source.parts[-3:-1]
        if version not in VERSIONS or not (api / group / version / "types.go").exists():
            continue
        if group not in GROUPS and group not in ("apps", "batch", "autoscaling", "policy"):
            continue
        types_go = (api / group / version / "types.go").read_text()
        package = _Package(source.read_text(), f"{group}.{version}", types_go, core)
        types |= dict(package.types())
        name = GROUPS.get(group, group)
        for kind in package.kinds():
            kinds[f"{name}/{version}/{kind}" if name else f"{version}/{kind}"] = f"{group}.{version}.{kind}"
    types = _with_effect(types)
    kinds = {kind: name for kind, name in kinds.items() if name in types}
    types = _reachable(types, kinds.values())
    lines = [f"  {json.dumps(name)}: {json.dumps(types[name])}" for name in sorted(types)]
    text = '{"kinds": ' + json.dumps(kinds, indent=1) + ',\n "types": {\n' + ",\n".join(lines) + "\n}}\n"
    OUTPUT.write_text(text)
    print(f"{len(kinds)} kinds, {len(types)} types, {len(text)} bytes")


def _json_names(source: str) -> dict[str, str]:
    """ "Struct.Field" -> its JSON name."""
    names, struct = {}, ""
    for line in source.splitlines():
        if match := re.match(r"type (\w+) struct", line):
            struct = match[1]
        elif match := re.match(r'\t(\w+)\s+[^`]*`.*?json:"([\w.-]*)', line):
            names[f"{struct}.{match[1]}"] = match[2]
    return names


class _Package:
    """One zz_generated.validations.go."""

    def __init__(self, text: str, name: str, source: str, core: str) -> None:
        self.text, self.name, self.json_names = text, name, _json_names(source)
        self.constants = dict(_CONSTANT.findall(core)) | dict(_CONSTANT.findall(source))
        self.constants |= {name: self.constants.get(other, "") for name, other in _ALIAS.findall(source)}
        imports = re.findall(r'(\w+) "k8s\.io/(?:api|kubernetes/pkg/apis)/(\w+)/(\w+)"', text)
        self.packages = {alias: f"{group}.{version}" for alias, group, version in imports}
        self.unions = dict(re.findall(r"var (\w+) = validate\.NewUnionMembership\((.*?)\)\n", text, re.S))
        self.symbols = dict(re.findall(r"(\w+)\s*= sets\.New\((.*?)\)\n", text, re.S))

    def kinds(self) -> list[str]:
        return re.findall(r"\n\t// type (\w+)\n", self.text)

    def types(self) -> Iterator[tuple[str, Any]]:
        for name, body in re.findall(
            r"\nfunc Validate_(\w+)\(.*?\(errs field\.ErrorList\) \{\n(.*?)\n\}", self.text, re.S
        ):
            fields, rest = [], body
            for block in re.findall(r"\n\t\{ // field .*?\n\t\}", body, re.S):
                rest = rest.replace(block, "")
                child = re.search(r"fn\((?:safe\.Value\()?fldPath(?:\.Child\(\"([^\"]+)\"\))?, ", block)
                assert child, block
                inner = block[block.index("fn := func(") : block.index("oldVal := safe.Field")]
                fields.append([child[1] or "", self.rules(inner, name)])
            yield f"{self.name}.{name}", {"rules": self.rules(rest, name), "fields": fields}

    def rules(self, text: str, struct: str) -> list[Rule]:
        """The rules in a piece of a function's body, in order."""
        found: list[Rule] = []
        at = 0
        pattern = re.compile(r"func\(\) \{ // cohort|if e := |errs = append\(errs, (?=[\w.]*Validate)")
        while match := pattern.search(text, at):
            if match[0].startswith("func"):
                end = _closing(text, text.index("{", match.start()))
                found.append({"is": "Group", "rules": self.rules(text[match.end() : end], struct)})
                at = end
                continue
            start = match.end()
            end = _expression_end(text, start)
            rule = self.call(text[start:end], struct)
            at = end
            if match[0].startswith("if"):
                close = _closing(text, text.index("{", end))
                body = text[end:close]
                if "errs = append" not in body:
                    rule["silent"] = True
                elif "earlyReturn = true" in body:
                    rule["stops"] = True
                at = close
            found.append(rule)
        return found

    def call(self, text: str, struct: str) -> Rule:
        """`validate.MaxItems(ctx, op, fldPath, obj, oldObj, 32).MarkBeta()` as a rule."""
        name, arguments, marks = _call(text)
        rule: Rule = {"is": name.removeprefix("validate.")}
        if "Validate_" in name:
            package, _, function = name.rpartition(".")
            known = self.packages.get(package, "" if package else self.name)
            rule["is"] = f"{known}.{function.removeprefix('Validate_')}"
        if "MarkAlpha" in marks:
            rule["shadow"] = True
        rule |= self.arguments(rule["is"], arguments[5:], struct)
        return rule

    def arguments(self, name: str, arguments: list[str], struct: str) -> Rule:
        match name:
            case "MaxItems" | "MaxLength" | "MaxBytes" | "Minimum" | "Maximum":
                return {"limit": int(arguments[0])}
            case "Enum":
                return {"values": self.enum(arguments[0])}
            case "UpdatePointer" | "UpdateValueByCompare" | "UpdateStruct":
                return {"constraints": [one.removeprefix("validate.") for one in arguments]}
            case "ValSliceUpdate":
                return {"constraints": [one.removeprefix("validate.") for one in arguments[1:]]} | self.match(
                    arguments[0]
                )
            case "ValSliceUnique":
                return self.match(arguments[0])
            case "EachValSliceVal":
                return self.match(arguments[0]) | {
                    "ratchets": arguments[1] != "nil",
                    "each": self.function(arguments[2], struct),
                }
            case "EachMapVal":
                return {"each": self.function(arguments[1], struct)}
            case "EachMapKey":
                return {"each": self.function(arguments[0], struct)}
            case "Subfield":
                return {"field": json.loads(arguments[0]), "each": self.function(arguments[3], struct)}
            case "IfOption":
                return {
                    "option": json.loads(arguments[0]),
                    "when": arguments[1] == "true",
                    "each": self.function(arguments[2], struct),
                }
            case "Union" | "ZeroOrOneOfUnion":
                quoted = re.findall(r'NewUnionMember\(("(?:[^"\\]|\\.)*")\)', self.unions[arguments[0]])
                members = [json.loads(one) for one in quoted]
                item = [re.search(r'\.(\w+) == "(\w+)"', one) for one in arguments[1:]]
                if all(item):
                    return {"members": members, "key": _lower(item[0][1]), "items": [one[2] for one in item]}
                return {"members": members}
            case "Discriminated":
                return self.discriminated(arguments, struct)
            case "DependentRequired" | "DependentForbidden":
                names = [json.loads(one) for one in arguments if one.startswith('"')]
                return {"names": names}
        return {"arguments": arguments} if arguments else {}

    def enum(self, symbol: str) -> list[str]:
        """The values of a set of constants, in sorted order."""
        constants = [one.strip().rpartition(".")[2] for one in self.symbols[symbol].split(",") if one.strip()]
        return sorted(self.constants[one] for one in constants)

    def match(self, text: str) -> Rule:
        """Which fields identify an item; an empty list: the item itself."""
        if text == "nil":
            return {}
        if text in ("validate.DirectEqual", "validate.SemanticDeepEqual"):
            return {"keys": []}
        names = dict.fromkeys(re.findall(r"\ba\.(\w+) == b\.", text)) | dict.fromkeys(
            re.findall(r"\*a\.(\w+) == \*b", text)
        )
        struct = re.search(r"func\(a \*(?:\w+\.)?(\w+)", text)
        assert names and struct, text
        return {"keys": [self.json_name(struct[1], name) for name in names]}

    def json_name(self, struct: str, field: str) -> str:
        return self.json_names.get(f"{struct}.{field}") or _lower(field)

    def function(self, text: str, struct: str) -> list[Rule]:
        """What a function argument applies: a function's name, or a literal with calls in it."""
        if not text.startswith("func("):
            return [self.call(f"{text}(ctx, op, fldPath, obj, oldObj)", struct)]
        body = text[text.index("{") + 1 :]
        if "if e := " in body or "errs = append" in body:
            return self.nested(body, struct)
        return [self.call(body[body.index("return ") + 7 :].strip().removesuffix("}").strip(), struct)]

    def nested(self, body: str, struct: str) -> list[Rule]:
        plain = re.sub(
            r"errs = append\(errs, (validate\.\w+\(.*?\)(?:\.Mark\w+\(\))*)\.\.\.\)",
            r"if e := \1; len(e) != 0 {\nerrs = append(errs, e...)\n}",
            body,
        )
        return self.rules(plain, struct)

    def discriminated(self, arguments: list[str], struct: str) -> Rule:
        by = re.search(r"return obj\.(\w+)", arguments[2])
        assert by, arguments[2]
        cases = {}
        for value, body in re.findall(r'Value: "([^"]*)",\s*Validation: (func\(.*?\n\t\t\t\t\}),', arguments[5], re.S):
            cases[value] = self.function(body, struct)
        otherwise = [] if arguments[4] == "nil" else self.function(arguments[4], struct)
        return {
            "field": json.loads(arguments[0]),
            "by": self.json_name(struct, by[1]),
            "cases": cases,
            "otherwise": otherwise,
        }


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _closing(text: str, at: int) -> int:
    """Where the bracket at `at` closes."""
    depth = 0
    for position in range(at, len(text)):
        depth += (text[position] in "([{") - (text[position] in ")]}")
        if not depth:
            return position
    raise ValueError(text[at : at + 80])


def _expression_end(text: str, at: int) -> int:
    """The end of a call with its chained marks."""
    at = _closing(text, text.index("(", at)) + 1
    while mark := re.match(r"\.Mark\w+\(\)", text[at:]):
        at += mark.end()
    return at


def _call(text: str) -> tuple[str, list[str], str]:
    start = text.index("(")
    end = _closing(text, start)
    arguments, depth, last = [], 0, start + 1
    for position in range(start + 1, end):
        depth += (text[position] in "([{") - (text[position] in ")]}")
        if text[position] == "," and not depth:
            arguments.append(text[last:position].strip())
            last = position + 1
    tail = text[last:end].strip()
    return text[:start].strip(), [*arguments, tail] if tail else arguments, text[end:]


def _with_effect(types: dict[str, Any]) -> dict[str, Any]:
    """Without rules that neither report nor end anything, until nothing more falls away."""
    while True:
        before = json.dumps(types)
        for one in types.values():
            one["rules"] = _effective(one["rules"], types)
            one["fields"] = [
                [name, rules] for name, rules in ((n, _effective(r, types)) for n, r in one["fields"]) if rules
            ]
        types = {name: one for name, one in types.items() if one["rules"] or one["fields"]}
        if json.dumps(types) == before:
            return types


def _effective(rules: list[Rule], types: dict[str, Any]) -> list[Rule]:
    kept = []
    for rule in rules:
        inner = [key for key in ("each", "rules") if key in rule]
        for key in inner:
            rule[key] = _effective(rule[key], types)
        named = "." in rule["is"]
        if named and rule["is"] not in types:
            continue
        if inner and not any(rule[key] for key in inner):
            continue
        if rule.get("shadow") and not (rule.get("silent") or rule.get("stops")):
            continue
        kept.append(rule)
    while kept and kept[-1].get("shadow"):
        kept.pop()  # nothing left to end
    if kept and all(one.get("silent") for one in kept):
        return []
    return kept


def _reachable(types: dict[str, Any], roots: Any) -> dict[str, Any]:
    seen: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [found for found in re.findall(r'"is": "([^"]+)"', json.dumps(types[name])) if found in types]
    return {name: one for name, one in types.items() if name in seen}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
