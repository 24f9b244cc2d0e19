"""Resource quantities such as ``100m``, ``32Gi`` or ``1e3``: read, added, and printed as Kubernetes prints them.

Source: ``k8s.io/apimachinery/pkg/api/resource/quantity.go``.
"""
from __future__ import annotations

import re
from fractions import Fraction

_FORM = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+))([eE][-+]?\d+|[numkMGTPE]|[KMGTPE]i)?")
_BINARY = {suffix: 1024**power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def parse(text: str) -> Fraction:
    """The number that a quantity stands for.

    >>> parse("100m"), parse("1Ki")
    (Fraction(1, 10), Fraction(1024, 1))
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, suffix = Fraction(match[1]), match[2] or ""
    if suffix in _BINARY:
        return number * _BINARY[suffix]
    if suffix in _DECIMAL:
        return number * Fraction(10) ** _DECIMAL[suffix]
    return number * Fraction(10) ** int(suffix[1:])


def is_binary(text: str) -> bool:
    return text.endswith("i")


def text(value: Fraction, binary: bool = False) -> str:
    """The canonical form: the largest suffix that needs no fraction.

    >>> text(Fraction(1, 10)), text(Fraction(2**21), binary=True)
    ('100m', '2Mi')
    """
    if value == 0:
        return "0"
    if binary and value.denominator == 1:
        for suffix, factor in reversed(_BINARY.items()):
            if value % factor == 0:
                return f"{value / factor}{suffix}"
        return str(value)
    for suffix, power in reversed(_DECIMAL.items()):
        scaled = value / Fraction(10) ** power
        if scaled.denominator == 1:
            return f"{scaled}{suffix}"
    return f"{-(-value // Fraction(1, 10**9))}n"
