"""CEL as kube-apiserver speaks it: what compiles, what it gives, and the words where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.apimachinery.http import RequestInfo, User
from ledger.scheme.cel import BOOL, DYN, STRING, CelError, Environment, escaped
from ledger.scheme.cel import types as t
from ledger.scheme.cel.admission import Scope
from ledger.scheme.cel.library.authorizer import Authorizer
from ledger.scheme.cel.values import Duration

VARIABLES = {
    "self": DYN,
    "n": t.INT,
    "s": STRING,
    "l": t.list_of(t.INT),
    "request": t.message("kubernetes.AdmissionRequest", {"name": STRING, "namespace": STRING, "dryRun": BOOL}),
}
VALUES: dict[str, Any] = {
    "self": {"a": 1, "items": [{"x": 1}, {"x": 2}], "m": {"k": "v"}, "nothing": None, "half": 0.5},
    "n": 5,
    "s": "abc",
    "l": [3, 1, 2],
    "request": {"name": "x", "namespace": "y"},
}
ENVIRONMENT = Environment(VARIABLES)


@pytest.mark.parametrize("expression, value", [
    ("n + 3 * 2 == 11 && !(n < 5)",                              True),
    ("-7 / 2 == -3 && -7 % 2 == -1",                             True),
    ("1 < 1.5 && 2u > 1",                                        True),
    ("self.half * 2.0",                                          1.0),
    ("self.a == 1.0",                                            True),
    ("self.nope == 1 || true",                                   True),
    ("false && self.nope == 1",                                  False),
    ("has(self.m.k) && !has(self.m.z) && !has(self.nothing.x)",  True),
    ("self.m['k'] in ['v', 'w'] && 'k' in self.m",               True),
    ("self.items.map(i, i.x)",                                   [1, 2]),
    ("self.items.filter(i, i.x > 1).size()",                     1),
    ("l.exists(x, 1 / (x - 1) > 0)",                             True),
    ("l.exists_one(x, x > 2)",                                   True),
    ("l.transformList(i, v, i * 10 + v)",                        [3, 11, 22]),
    ("self.m.transformMap(k, v, v + '!')",                       {"k": "v!"}),
    ("self.m.transformMapEntry(k, v, {v: k})",                   {"v": "k"}),
    ("l.sort() == [1, 2, 3] && l.sortBy(x, -x) == [3, 2, 1]",    True),
    ("[l.sum(), l.min(), l.max(), l.indexOf(2)]",                [6, 1, 3, 2]),
    ("[[1], [2, 3]].flatten() + lists.range(2)",                 [1, 2, 3, 0, 1]),
    ("self.?m.?k.orValue('')",                                   "v"),
    ("self.?z.?k.orValue('none')",                               "none"),
    ("self.items[?7].hasValue()",                                False),
    ("optional.of(n).optMap(x, x + 1).value()",                  6),
    ("{?'a': self.?zz, 'b': self.a}",                            {"b": 1}),
    ("s.upperAscii() + s.substring(1, 2) + s.charAt(0)",         "ABCba"),
    ("'a,b,c'.split(',', 2)",                                    ["a", "b,c"]),
    ("'%s is %d, %.2f, %x'.format([s, n, 1.5, 255])",            "abc is 5, 1.50, ff"),
    ("'abc123'.find('[0-9]+') + 'a1b2'.findAll('[0-9]').join()", "12312"),
    ("string(1.5) + string(1000000.0) + string(true)",           "1.51e+06true"),
    ("duration('90m') - duration('1h')",                         Duration(30 * 60 * 10**9)),
    ("string(duration('1.5s'))",                                 "1.5s"),
    ("timestamp('2024-02-29T23:00:00Z').getDate('+02:00')",      1),
    ("quantity('1.5Gi').add(quantity('512Mi')).compareTo(quantity('2Gi'))", 0),
    ("cidr('10.0.0.0/8').containsIP('10.1.2.3')",                True),
    ("cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",           True),
    ("ip('::1').isLoopback() && ip('10.0.0.1').family() == 4",   True),
    ("url('https://a.b:80/x?y=1').getPort()",                    "80"),
    ("semver('1.2.3-rc.1').isLessThan(semver('1.2.3'))",         True),
    ("semver('v1.2', true).minor()",                             2),
    ("format.dns1123Label().validate('abc').hasValue()",         False),
    ("sets.contains([1, 2], [2]) && sets.equivalent([1, 2], [2, 1])", True),
    ("type(n) == int && type(s) == string",                      True),
    ("b'a\\xff' == b'a\\377'",                                   True),
    ("r'\\d' + '\\u00e9' + \"\"\"x\ny\"\"\"",                    "\\déx\ny"),
    ("request.namespace",                                        "y"),
])  # fmt: skip
def test_values(expression: str, value: Any) -> None:
    assert ENVIRONMENT.compile(expression).evaluate(VALUES) == value


@pytest.mark.parametrize("expression, at, message", [
    ("foo == 1",                1,  "undeclared reference to 'foo' (in container '')"),
    ("s.nope()",                7,  "undeclared reference to 'nope' (in container '')"),
    ("n + s",                   3,  "found no matching overload for '_+_' applied to '(int, string)'"),
    ("s.contains(1)",           11, "found no matching overload for 'contains' applied to 'string.(int)'"),
    ("request.statuss",         8,  "undefined field 'statuss'"),
    ("s.x",                     2,  "type 'string' does not support field selection"),
    ("[1, 'a']",                5,  "expected type 'int' but found 'string'"),
    ("[self.a, 1]",             10, "expected type 'dyn' but found 'int'"),
    ("l.all(x, x)",             10, "expected type 'bool' but found 'int'"),
    ("l.filter(x, s)",          9,  "found no matching overload for '_?_:_' applied to '(string, list(int), list(int))'"),
    ("n.map(x, x)",             1,  "expression of type 'int' cannot be range of a comprehension"
                                    " (must be list, map, or dynamic)"),
    ("duration('xx')",          10, "invalid duration argument"),
    ("s.matches('(')",          11, "invalid matches argument"),
    ("for",                     1,  "reserved identifier: for"),
    ("has(n)",                  5,  "invalid argument to has() macro"),
    ("99999999999999999999",    1,  "invalid int literal"),
    ("n n",                     3,  "Syntax error: extraneous input 'n' expecting <EOF>"),
    ("n n n",                   3,  "Syntax error: mismatched input 'n' expecting <EOF>"),
    ("(n",                      3,  "Syntax error: missing ')' at '<EOF>'"),
    ("[n",                      3,  "Syntax error: mismatched input '<EOF>' expecting {']', ','}"),
    ("s.",                      3,  "Syntax error: no viable alternative at input '.'"),
])  # fmt: skip
def test_what_does_not_compile_and_where(expression: str, at: int, message: str) -> None:
    with pytest.raises(CelError) as refused:
        ENVIRONMENT.compile(expression)
    assert str(refused.value) == f"ERROR: <input>:1:{at}: {message}\n | {expression}\n | {'.' * (at - 1)}^"


def test_every_finding_is_told_in_the_order_of_the_text() -> None:
    with pytest.raises(CelError) as refused:
        ENVIRONMENT.compile("s == 1 ||\n n == 's'")
    assert [line for line in str(refused.value).splitlines() if line.startswith("ERROR")] == [
        "ERROR: <input>:1:3: found no matching overload for '_==_' applied to '(string, int)'",
        "ERROR: <input>:2:4: found no matching overload for '_==_' applied to '(int, string)'",
    ]


@pytest.mark.parametrize("expression, message", [
    ("self.nope.x",                     "no such key: nope"),
    ("int(self.m.k)",                   "type conversion error from 'string' to 'int'"),
    ("self.items[5]",                   "index out of bounds: 5"),
    ("1 / (n - 5)",                     "division by zero"),
    ("n % (n - 5)",                     "modulus by zero"),
    ("9223372036854775807 + n",         "integer overflow"),
    ("size(self.a)",                    "no such overload"),
    ("self.a.startsWith('x')",          "no such overload"),
    ("optional.none().value()",         "optional.none() dereference"),
    ("s.substring(7)",                  "index out of range: 7"),
    ("l.all(x, 1 / (x - 1) >= 0)",      "division by zero"),
])  # fmt: skip
def test_what_cannot_be_evaluated(expression: str, message: str) -> None:
    with pytest.raises(CelError) as failed:
        ENVIRONMENT.compile(expression).evaluate(VALUES)
    assert str(failed.value) == message


def test_no_expression_runs_for_long() -> None:
    numbers = {**VALUES, "l": list(range(1000))}
    with pytest.raises(CelError, match="actual cost limit exceeded"):
        ENVIRONMENT.compile("l.all(a, l.all(b, l.all(c, a + b + c >= 0)))").evaluate(numbers)


def test_nesting_has_an_end() -> None:
    with pytest.raises(CelError, match="recursion limit exceeded"):
        ENVIRONMENT.compile("(" * 1000 + "1" + ")" * 1000)


@pytest.mark.parametrize("name, written", [
    ("plain", "plain"), ("a.b-c/d", "a__dot__b__dash__c__slash__d"), ("a__b", "a__underscores__b"), ("for", "__for__"),
])  # fmt: skip
def test_names_of_properties_as_expressions_write_them(name: str, written: str) -> None:
    assert escaped(name) == written


@pytest.mark.parametrize("expression, result, error", [
    ("object.a == 1",                          "bool",               ""),
    ("object.a",                               "bool",               "must evaluate to bool but got dyn"),
    ("1",                                      "annotation",         "must evaluate to one of [string null_type] but got int"),
    ("Object{spec: Object.spec{replicas: 1}}", "ApplyConfiguration", ""),
    ("[JSONPatch{op: 'remove', path: '/a'}]",  "JSONPatch",          ""),
    ("[1]",                                    "JSONPatch",          "must evaluate to list(JSONPatch) but got list(int)"),
    ("variables.n > 'a'",                      "bool",               "compilation failed: ERROR: <input>:1:13: found no"
                                                                     " matching overload for '_>_' applied to '(int, string)'"
                                                                     "\n | variables.n > 'a'\n | ............^"),
])  # fmt: skip
def test_what_admission_asks_of_expressions(expression: str, result: str, error: str) -> None:
    scope = Scope()
    scope.name("n", "1 + 1")
    assert scope.error(expression, result) == error


def test_expressions_ask_the_authorizer() -> None:
    asked: list[tuple[str, RequestInfo]] = []

    def ask(user: User, info: RequestInfo) -> tuple[bool, str]:
        asked.append((user.name, info))
        return True, "because"

    program = Scope().compile(
        "authorizer.serviceAccount('ns', 'sa').group('apps').resource('deployments').subresource('scale')"
        ".namespace('a').name('b').check('update').reason() == 'because'",
        "bool",
    )
    assert program.evaluate({"authorizer": Authorizer(ask, User("me"))}) is True
    ((name, info),) = asked
    assert name == "system:serviceaccount:ns:sa"
    assert (info.verb, info.group, info.resource, info.subresource) == ("update", "apps", "deployments", "scale")
    assert (info.namespace, info.name) == ("a", "b")
