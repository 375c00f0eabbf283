"""What rules may cost: the numbers that cel.Compile of k8s.io/apiextensions-apiserver v0.37.2 gives for the same schema."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.apimachinery.resource import Schema
from ledger.scheme.cel import Environment
from ledger.scheme.cel.cost.estimate import estimate
from ledger.scheme.cel.cost.sizes import shape_of
from ledger.scheme.cel.schemas import declared
from ledger.scheme.cel_rules import definition_errors

TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}


def text(most: int) -> Schema:
    return {"type": "string", "maxLength": most}


def items(schema: Schema, most: int | None = None, **more: Any) -> Schema:
    return {"type": "array", "items": schema} | ({} if most is None else {"maxItems": most}) | more


def values(schema: Schema, most: int | None = None) -> Schema:
    return {"type": "object", "additionalProperties": schema} | ({} if most is None else {"maxProperties": most})


def fields(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


SCHEMA = fields(
    s=TEXT,
    s10=text(10),
    e={"type": "string", "enum": ["a", "bbb"]},
    i=INTEGER,
    b={"type": "boolean"},
    n={"type": "number"},
    d={"type": "string", "format": "date-time"},
    du={"type": "string", "format": "duration"},
    by={"type": "string", "format": "byte"},
    ios={"x-kubernetes-int-or-string": True},
    l=items(TEXT),
    l5=items(text(7), 5),
    li=items(INTEGER, 9),
    ll=items(items(TEXT)),
    m=values(TEXT),
    m3=values(text(4), 3),
    o=fields(a=TEXT, b=INTEGER),
    lo=items(fields("k", k=TEXT, v=INTEGER), 11),
    lm=items(fields("k", k=text(3)), 4, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}),
    lset=items(text(3), 4, **{"x-kubernetes-list-type": "set"}),
)


def cost(rule: str, schema: Schema) -> int:
    own, shape = declared(schema, False, "selfType"), shape_of(schema, False)
    assert own is not None and shape is not None
    return estimate(*Environment({"self": own, "oldSelf": own}).checked(rule), shape).most


@pytest.mark.parametrize("rule, most", [
    ("self.i > 1", 3),
    ("self.i == self.i", 4),
    ("self.s == 'abc'", 3),
    ("self.s10 == self.s", 8),
    ("self.e == self.s", 5),
    ("self.s.startsWith('ab')", 3),
    ("self.s10.endsWith(self.s10)", 8),
    ("self.s.contains('xyz')", 314_575),
    ("self.s10.contains(self.s10)", 20),
    ("self.s.matches('^[a-z]+$')", 629_148),
    ("self.s10.matches(self.s10)", 54),
    ("has(self.s)", 1),
    ("has(self.o.a) && self.o.a == 'x'", 6),
    ("!has(self.s) || self.s != ''", 4),
    ("self.b ? self.i > 1 : self.n < 2.0", 5),
    ("self.l.all(x, x == 'a')", 5_242_878),
    ("self.l5.all(x, x == 'a')", 28),
    ("self.l5.exists(x, x.startsWith('a'))", 33),
    ("self.l5.exists_one(x, x == 'a')", 24),
    ("self.l5.map(x, x + 'b').size() > 1", 95),
    ("self.l5.filter(x, x != 'a').size() > 1", 90),
    ("self.l5.map(x, x != '', x + 'c').all(y, y.contains('z'))", 119),
    ("self.ll.all(x, x.all(y, y == 'z'))", 5_497_552_896_003),
    ("self.l.all(x, self.l.exists(y, x == y))", 345_882_608_640_773_328),
    ("self.l5.all(x, self.l5.exists(y, x == y))", 258),
    ("self.lo.all(x, x.k == 'a' && x.v > 1)", 102),
    ("self.lo.all(x, self.lo.filter(y, y.k == x.k).size() == 1)", 38_065_591),
    ("self.lo.map(x, x.k).all(k, k.size() > 3)", 234),
    ("self.m.all(k, k.startsWith('a'))", 1_966_078),
    ("self.m3.all(k, self.m3[k] == 'a')", 27),
    ("self.m3.exists(k, k == 'a')", 18),
    ("self.l5[0] == 'a'", 4),
    ("self.m3['x'] == 'y'", 4),
    ("'x' in self.l5", 7),
    ("'x' in self.m3", 3),
    ("self.s10 in self.l", 1_048_579),
    ("self.li.sum() > 3", 12),
    ("self.li.max() > 3 && self.li.isSorted()", 23),
    ("self.l5.isSorted()", 22),
    ("self.l5.indexOf('a') > 1", 23),
    ("self.s.indexOf('a') > 1", 314_576),
    ("self.s.lowerAscii() == 'a'", 314_576),
    ("self.s10.replace('a','bb') == 'x'", 11),
    ("self.s10.replace('a','bb').contains('x')", 18),
    ("self.s10.split(',').size() > 1", 12),
    ("self.s10.split(',').all(x, x == 'a')", 171),
    ("self.s.split(',').all(x, x == 'a')", 13_212_053),
    ("self.l5.join(',') == 'a'", 18),
    ("self.s10.find('[a-z]') == 'x'", 13),
    ("self.s10.findAll('[a-z]').size() == 1", 14),
    ("self.s10.substring(1) == 'x'", 7),
    ("self.s10.trim() == 'x'", 7),
    ("url(self.s10).getHost() == 'x'", 8),
    ("isURL(self.s)", 3),
    ("quantity(self.s10).isGreaterThan(quantity('1'))", 8),
    ("isQuantity(self.s)", 314_575),
    ("isIP(self.s10) && ip(self.s10).family() == 4", 14),
    ("cidr(self.s10).containsIP('1.2.3.4')", 11),
    ("cidr(self.s10).containsCIDR('1.2.3.4/8')", 14),
    ("ip.isCanonical(self.s10)", 10),
    ("sets.contains(self.l5, ['a','b'])", 23),
    ("sets.equivalent(self.l5, self.l5)", 55),
    ("self.l5 == ['a']", 13),
    ("self.l5 + ['z'] == self.l5", 16),
    ("(self.l5 + ['z']).all(x, x == 'q')", 38),
    ("self.o == self.o", 4),
    ("self.lset == self.lset", 5),
    ("self.lm.all(x, x.k == 'q')", 27),
    ("[1,2,3].all(x, x > self.i)", 32),
    ("['a','bb'].exists(x, x == self.s)", 25),
    ("{'a': 1, 'b': 2}['a'] == 1", 32),
    ("{'a': self.s}.all(k, k == 'z')", 37),
    ("size(self.s) > 3", 4),
    ("self.s.size() > 3 && size(self.l) < 4", 8),
    ("string(self.i) == 'x'", 4),
    ("int(self.n) == 1", 4),
    ("self.d > timestamp('2020-01-01T00:00:00Z')", 4),
    ("self.d.getFullYear() > 2000", 4),
    ("self.du > duration('1h')", 4),
    ("self.by == b'abc'", 3),
    ("type(self.ios) == string ? self.ios.contains('%') : self.ios > 1", 314_579),
    ("dyn(self.s) == 'x'", 4),
    ("self.?s.orValue('x') == 'y'", 4),
    ("self.?o.?a.hasValue()", 4),
    ("self.?s.optMap(x, x == 'a').orValue(true)", 20),
    ("oldSelf.s == self.s", 314_577),
    ("self.l5.all(i, x, x == 'a' && i < 3)", 38),
    ("self.m3.all(k, v, v == 'a')", 18),
    ("self.l5.transformList(i, x, x + 'a').size() == 1", 95),
    ("self.m3.transformMap(k, v, v + 'a').size() == 1", 53),
    ("self.m3.transformList(k, v, k + v).all(x, x.contains('q'))", 74),
    ("self.l5.distinct().size() == 1", 65),
    ("self.l5.sort() == self.l5", 69),
    ("self.lo.sortBy(x, x.k).size() == 1", 447),
    ("lists.range(5).all(x, x > self.i)", 52),
    ("self.l5.slice(0,2).all(x, x == 'a')", 24),
    ("self.l5.reverse() == self.l5", 21),
    ("self.ll.flatten().all(x, x == 'a')", 5_242_889),
    ("'%s'.format([self.s10]).contains('x')", 1_844_674_407_370_955_277),
    ("semver(self.s10).major() > 1", 8),
    ("format.named('dns1123Label').value().validate(self.s10).hasValue()", 133),
    ("self.s10 + self.s10 == 'x'", 13),
    ("self.s10 < self.s", 8),
    ("self.l5.all(x, self.m3.exists(k, k == x))", 123),
    ("self.lo.exists(x, x.v > 3) || self.l.exists(x, x == 'q')", 6_291_533),
    ("self.i + self.i * 2 - 3 / 1 % 2 > 0", 10),
    ("-self.i < 0 && !(self.b)", 7),
    ("self.ll[0].all(x, x == 'a')", 5_242_879),
    ("self.ll.all(x, x.size() < 3)", 6_291_453),
    ("self.lo.map(x, {'a': x.k}).all(y, y['a'] == 'q')", 564),
    ("self.l5.map(x, [x]).all(y, y.all(z, z == 'q'))", 154),
    ("(self.b ? self.l5 : ['zzz']).all(x, x == 'q')", 33),
    ("cidr(self.s10).ip().family() == 4", 9),
    ("cidr(self.s10).masked() == cidr(self.s10)", 14),
    ("ip(self.s10) == ip(self.s10)", 13),
    ("quantity(self.s10) == quantity(self.s10)", 13),
    ("url(self.s10) == url(self.s)", 629_154),
    ("semver(self.s10) == semver(self.s10)", 13),
    ("self.lset + ['x'] == self.lset", 16),
    ("true", 0),
    ("self.o.a.matches('x') == self.o.a.matches('y')", 629_153),
    ("self.e.contains(self.s10)", 8),
])  # fmt: skip
def test_a_rule_costs_at_most(rule: str, most: int) -> None:
    assert cost(rule, SCHEMA) == most


@pytest.mark.parametrize("schema, rule, most, occurrences", [
    (text(5), "self == 'x'", 2, 1_048_576),
    (TEXT, "self.split(',').all(x, x == 'a')", 16_357_778, 1_048_576),
    (items(TEXT), "self.all(x, x == 'a')", 5_242_877, 1_048_576),
    (items(TEXT), "self.map(x, x + 'a').map(y, y + 'b').all(z, z == 'q')", 439_837_366_674, 1_048_576),
    (values(INTEGER), "self.all(k, self[k] > 1)", 3_145_725, 1_048_576),
    (INTEGER, "self > 1", 2, 1_572_864),
])  # fmt: skip
def test_a_value_that_is_no_object_has_a_cost_as_well(schema: Schema, rule: str, most: int, occurrences: int) -> None:
    assert cost(rule, schema) == most
    shape = shape_of(schema, False)
    assert shape is not None and shape.occurrences == occurrences


RULES = "x-kubernetes-validations"
ADVICE = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength"
    " where arrays, maps, and strings are declared)"
)


def ruled(schema: Schema, *rules: str) -> Schema:
    return schema | {RULES: [{"rule": rule} for rule in rules]}


def told(schema: Schema, any_cost: bool = False) -> list[str]:
    return [f"{one.field}: {one.detail}" for one in definition_errors(schema, "s", any_cost=any_cost)]


def test_a_rule_that_may_cost_too_much_is_refused_with_how_much_too_much() -> None:
    each = ruled(text(100), "self.contains(self)")
    at = "s.properties[l].items.x-kubernetes-validations[0].rule: estimated rule cost exceeds budget by factor of"
    assert told(fields(l=items(each, 1000))) == []
    assert told(fields(l=items(each, 10_000))) == [f"{at} 1.6x {ADVICE}"]
    assert told(fields(l=items(each, 10_000)), any_cost=True) == []
    assert told(fields(l=items(each)))[0] == f"{at} more than 100x {ADVICE}"


def test_rules_may_cost_too_much_together() -> None:
    each = ruled(text(100), "self.contains(self)")
    found = told(fields(**{f"l{n}": items(each, 6_000) for n in range(12)}))
    assert found[-1] == (
        "s: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of "
        f"1.153440x {ADVICE}"
    )
    why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
    assert len(found) == 5 and all(one.endswith(why) for one in found[:4])
