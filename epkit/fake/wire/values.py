"""Values that are one string or number in JSON and have rules of their own: quantities, times, IntOrString.

A function takes the decoded JSON value and returns it in the form in which the API server gives it back. It raises
ValueError with the text of the Go decoder where the value is wrong, TypeError where its JSON type is.
"""
from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal
from functools import lru_cache
from typing import Any

from epkit.fake.wire.gotext import go_quote

INT32 = (-(2**31), 2**31 - 1)
INT64 = (-(2**63), 2**63 - 1)

_QUANTITY = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SUFFIXES = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_NANO = Decimal("1e-9")
_MALFORMED = r"quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def quantity(value: Any) -> str:
    """A resource quantity in canonical form, as ``resource.Quantity`` writes it.

    >>> [quantity(value) for value in ("1000m", "0.5", "1.5Gi", 2, "1e3")]
    ['1', '500m', '1536Mi', '2', '1e3']
    """
    if type(value) is str:
        return _canonical(value.strip())
    if type(value) is int:
        return _canonical(str(value))
    if type(value) is float:
        return _canonical(str(getattr(value, "text", value)))
    raise TypeError


@lru_cache(4096)
def _canonical(text: str) -> str:
    if text == "0":
        return text
    sign, whole, part, suffix = _split_quantity(text)
    binary = suffix in _BINARY
    if _reused(text, whole.lstrip("0"), part, suffix):
        return text
    amount = Decimal(f"{whole or '0'}.{part or '0'}")
    if binary:
        amount *= 1024 ** (_BINARY.index(suffix) + 1)
    else:
        amount = amount.scaleb(_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:]))
    if amount != amount.quantize(_NANO):
        amount = amount.quantize(_NANO, ROUND_UP)
    minus = "-" if sign == "-" and amount else ""
    if binary and amount >= 1024 and amount == int(amount):
        return minus + _binary(int(amount))
    return minus + _scaled(amount, exponent=not binary and suffix not in _DECIMAL)


def _split_quantity(text: str) -> tuple[str, str, str, str]:
    match = _QUANTITY.fullmatch(text)
    if not match or not text:
        raise ValueError(_MALFORMED)
    sign, whole, part, suffix = match.groups()
    if suffix not in _BINARY and suffix not in _DECIMAL and not re.fullmatch(r"[eE][-+]?[0-9]+", suffix):
        raise ValueError("unable to parse quantity's suffix")
    return sign, whole, part or "", suffix


def _reused(text: str, whole: str, part: str, suffix: str) -> bool:
    """Does ParseQuantity keep the text as it stands, because it takes it for canonical?"""
    digits = (whole or "0") + part
    if suffix in _BINARY:
        exponent = 10 * (_BINARY.index(suffix) + 1)
        return not part and 15 - len(whole or "0") - int(exponent * 3 / 10) - 1 >= 0 and int(digits) % 8 != 0
    scale = (_DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])) - len(part)
    return len(digits) <= 18 and scale >= -9 and scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


def _binary(amount: int) -> str:
    suffix = ""
    for candidate in _BINARY:
        if amount == 0 or amount % 1024:
            break
        amount //= 1024
        suffix = candidate
    return f"{amount}{suffix}"


def _scaled(amount: Decimal, exponent: bool) -> str:
    """The number with the largest power of a thousand that leaves it whole."""
    if not amount:
        return "0"
    power = 18
    while power > -9 and amount.scaleb(-power) != int(amount.scaleb(-power)):
        power -= 3
    whole = int(amount.scaleb(-power))
    if exponent:
        return f"{whole}e{power}" if power else str(whole)
    return f"{whole}{_SUFFIXES[power]}"


def int_or_string(value: Any) -> int | str:
    """``intstr.IntOrString``: a string, or a number that fits 32 bits."""
    if type(value) is str or (type(value) is int and INT32[0] <= value <= INT32[1]):
        return value
    raise TypeError


def time(value: Any) -> str:
    """``metav1.Time``: RFC 3339, given back in UTC and whole seconds.

    >>> time("2026-01-02T03:04:05.6+01:00")
    '2026-01-02T02:04:05Z'
    """
    if type(value) is not str:
        raise TypeError
    return _time(value, False)


def micro_time(value: Any) -> str:
    """``metav1.MicroTime``: RFC 3339 with six decimals, given back in UTC.

    >>> micro_time("2026-01-02T03:04:05.600000Z")
    '2026-01-02T03:04:05.600000Z'
    """
    if type(value) is not str:
        raise TypeError
    return _time(value, True)


_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
_LAYOUT = "2006-01-02T15:04:05{}Z07:00"


@lru_cache(1024)
def _time(text: str, micro: bool) -> str:
    match = _TIME.fullmatch(text)
    if not match or (micro and len(match[7] or "") != 6):
        raise ValueError(_time_fault(text, micro))
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise ValueError(_range_fault(text, month, hour, minute, second)) from None
    if match[8]:
        shift = timedelta(hours=int(match[9]), minutes=int(match[10]))
        moment += -shift if match[8] == "+" else shift
    if not micro:
        return f"{moment:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0")
    return f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f".{match[7]}Z"


def _time_fault(text: str, micro: bool) -> str:
    """The text of Go's ``time.ParseError``: the first element of the layout that does not match."""
    layout = _LAYOUT.format(".000000" if micro else "")
    at = 0
    for element, pattern in (("2006", r"\d{4}"), ("-", "-"), ("01", r"\d\d"), ("-", "-"), ("02", r"\d\d"), ("T", "T"),
                             ("15", r"\d\d?"), (":", ":"), ("04", r"\d\d"), (":", ":"), ("05", r"\d\d"),
                             *(((".000000", r"[.,]\d{6}"),) if micro else (("", r"([.,]\d+)?"),)),
                             ("Z07:00", r"Z|[+-]\d\d:\d\d")):
        match = re.compile(pattern, re.ASCII).match(text, at)
        if not match:
            return f'parsing time {go_quote(text)} as "{layout}": cannot parse {go_quote(text[at:])} as "{element}"'
        at = match.end()
    return f"parsing time {go_quote(text)}: extra text: {go_quote(text[at:])}"


def _range_fault(text: str, month: int, hour: int, minute: int, second: int) -> str:
    what = "day"
    for name, wrong in (("month", not 1 <= month <= 12), ("hour", hour > 23), ("minute", minute > 59),
                        ("second", second > 59)):
        if wrong:
            what = name
            break
    return f"parsing time {go_quote(text)}: {what} out of range"


def base64_bytes(value: Any) -> str:
    """``[]byte``: standard base64, checked and given back without the line breaks that Go allows in it."""
    if type(value) is not str:
        raise TypeError
    plain = value.replace("\n", "").replace("\r", "")
    try:
        base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"illegal base64 data at input byte {_base64_fault(plain)}") from None
    return plain


def _base64_fault(text: str) -> int:
    for at, char in enumerate(text):
        if not (char.isascii() and (char.isalnum() or char in "+/")):
            # Padding is only right at the end of the last group of four.
            if char == "=" and at % 4 >= 2 and text[at:] in ("=", "=="):
                if at + len(text[at:]) == (at // 4 + 1) * 4:
                    continue
                return len(text)
            return at
    return len(text) - len(text) % 4 if len(text) % 4 else len(text)
