"""Quantities such as ``4``, ``500m`` or ``2Gi``, as far as CPUs need them.

Source: ``k8s.io/apimachinery/pkg/api/resource``.
"""
from __future__ import annotations

import math
import re
from fractions import Fraction

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([a-zA-Z]*))")


def milli_value(quantity: str | int | float) -> int:
    """The quantity in thousandths, rounded up; a malformed one counts as nothing.

    >>> milli_value("500m"), milli_value("4"), milli_value("1e3")
    (500, 4000, 1000000)
    """
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None:
        return 0
    number, exponent, suffix = match.groups()
    value = Fraction(number)
    if exponent:
        value *= Fraction(10) ** int(exponent[1:])
    elif suffix in _BINARY:
        value *= 2 ** _BINARY[suffix]
    elif suffix in _DECIMAL:
        value *= Fraction(10) ** _DECIMAL[suffix]
    else:
        return 0
    return math.ceil(value * 1000)
