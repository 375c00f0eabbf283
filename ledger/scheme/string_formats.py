"""The formats that schemas of custom resources may ask of strings (strfmt in k8s.io/kube-openapi).

A format this table does not have is no constraint, as upstream ignores those it does not know.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date
from email.utils import parseaddr

from ledger.apimachinery.names import is_dns1123_label, is_dns1123_subdomain

Format = Callable[[str], bool]


def known_format(name: str, type_name: str) -> str:
    """The format as far as values of this type are held to it: "" where it means nothing (StripUnsupportedFormats)."""
    if type_name in ("", "string"):
        return name if name.replace("-", "") in FORMATS else ""
    allowed = {"integer": ("int32", "int64"), "number": ("float", "double")}.get(type_name, ())
    return name if name in allowed else ""


def conforms(name: str, text: str) -> bool:
    """Whether a string has a format; names are compared without dashes."""
    check = FORMATS.get(name.replace("-", ""))
    return check is None or check(text)


def _matches(pattern: str) -> Format:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    year, month, day = map(int, text.split("-"))
    try:
        date(year or 4, month, day)  # Go knows a year 0, which is a leap year
    except ValueError:
        return False
    return True


_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))")


def _is_date_time(text: str) -> bool:
    parts = text.lower().split("t")
    if len(parts) < 2 or not _is_date(parts[0]):
        return False
    found = _TIME.fullmatch(parts[1])
    return bool(found and found[1] <= "23" and found[2] <= "59" and found[3] <= "59")


_GO_DURATION = re.compile(r"[+-]?(?:0|(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_DURATION_PART = re.compile(r"\d+\s*([A-Za-zµ]+)")
_UNITS = frozenset(["ns", "us", "µs", "ms", "s", "m", "h", "hr", "d", "w", "wk"])
_OPEN_UNITS = ("nano", "micro", "milli", "sec", "min", "hour", "day", "week")  # "seconds" begins with "sec"


def _is_duration(text: str) -> bool:
    """time.ParseDuration, or else Scala's way ("3 days")."""
    if _GO_DURATION.fullmatch(text):
        return True
    units = [unit.lower() for unit in _DURATION_PART.findall(text)]
    return any(unit in _UNITS or unit.startswith(_OPEN_UNITS) for unit in units)


def _is_ip(version: int) -> Format:
    def check(text: str) -> bool:
        try:
            # Leading zeros are read as decimal (ParseIPSloppy).
            plain = re.sub(r"\b0+(?=\d)", "", text) if "." in text and ":" not in text else text
            address = ipaddress.ip_address(plain)
        except ValueError:
            return False
        if version == 4:
            return "." in text
        return address.version == 6 and "%" not in text

    return check


def _is_cidr(text: str) -> bool:
    if "/" not in text:
        return False
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return text.rpartition("/")[2].isdigit()


_LABEL = r"[^\W_](?:(?:[-]|[^\W_]){0,61}[^\W_])?"
_HOSTNAME = re.compile(rf"(?:[^\W_](?:-?[^\W_]{{0,62}})?|(?:{_LABEL}\.)+[^\W\d_]{{2,63}})")


def _is_hostname(text: str) -> bool:
    if not _HOSTNAME.fullmatch(text) or len(text.encode()) > 255:
        return False
    return all(len(part.encode()) <= 63 for part in text.split("."))


def _is_email(text: str) -> bool:
    _name, address = parseaddr(text)
    local, at, domain = address.rpartition("@")
    return bool(at and local and domain) and " " not in address and not domain.startswith(".")


def _is_uri(text: str) -> bool:
    """url.ParseRequestURI: an absolute URI or an absolute path."""
    if not text or any(ord(one) < 0x20 or one in " \x7f" for one in text):
        return False
    if text.startswith("/"):
        return True
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text) is not None and re.search(r"%(?![0-9a-fA-F]{2})", text) is None


def _is_isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"[0-9]{9}[0-9X]", digits):
        return False
    values = [10 if one == "X" else int(one) for one in digits]
    return sum((place + 1) * value for place, value in enumerate(values)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"[0-9]{13}", digits):
        return False
    return sum(int(one) * (3 if place % 2 else 1) for place, one in enumerate(digits)) % 10 == 0


_CARD = re.compile(
    r"(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})"
)


def _is_credit_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]+", "", text)
    if not _CARD.fullmatch(digits):
        return False
    doubled = [int(one) * (2 if place % 2 else 1) for place, one in enumerate(reversed(digits))]
    return sum(one - 9 if one > 9 else one for one in doubled) % 10 == 0


_HEX = "[0-9a-fA-F]"
_PERCENT = r"(?:[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])"


def _uuid(third: str = _HEX, fourth: str = _HEX) -> Format:
    return _matches(f"{_HEX}{{8}}-?{_HEX}{{4}}-?{third}{_HEX}{{3}}-?{fourth}{_HEX}{{3}}-?{_HEX}{{12}}")


FORMATS: Mapping[str, Format] = {
    "bsonobjectid": _matches(f"{_HEX}{{24}}"),
    "uri": _is_uri,
    "email": _is_email,
    "hostname": _is_hostname,
    "ipv4": _is_ip(4),
    "ipv6": _is_ip(6),
    "cidr": _is_cidr,
    "mac": _matches(f"(?:{_HEX}{{2}}([:-]){_HEX}{{2}}(?:\\1{_HEX}{{2}}){{4,6}}|(?:{_HEX}{{4}}\\.){{2,3}}{_HEX}{{4}})"),
    "uuid": _uuid(),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4", "[89abAB]"),
    "uuid5": _uuid("5", "[89abAB]"),
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "creditcard": _is_credit_card,
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _matches(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _matches(rf"rgb\(\s*{_PERCENT}\s*,\s*{_PERCENT}\s*,\s*{_PERCENT}\s*\)"),
    "byte": _matches(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"),
    "password": lambda _: True,
    "date": _is_date,
    "datetime": _is_date_time,
    "duration": _is_duration,
    "k8sshortname": lambda text: not is_dns1123_label(text),
    "k8slongname": lambda text: not is_dns1123_subdomain(text),
}
