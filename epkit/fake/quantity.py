"""Amounts of resources, such as ``250m`` CPUs or ``64Mi`` of memory, as numbers.

Source of the grammar: ``k8s.io/apimachinery/pkg/api/resource/quantity.go``.
"""
from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

_SUFFIXES = {
    "": 1, "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"),
    "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkKMGTPE]i?)?)")


@lru_cache(maxsize=1024)
def parse(text: str) -> Decimal:
    """The value of a quantity.

    >>> parse("250m"), parse("1Ki"), parse("2")
    (Decimal('0.250'), Decimal('1024'), Decimal('2'))

    Raises:
        ValueError: it is no quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or (match[3] or "") not in _SUFFIXES:
        raise ValueError(f"{text!r} is no quantity: write a number with an optional suffix, such as 250m or 64Mi")
    return Decimal(match[1] + (match[2] or "")) * _SUFFIXES[match[3] or ""]
