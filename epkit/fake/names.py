"""Generated names, uids and numbers that are the same in every run.

Each is derived from the seed, from what it is for, and from how many there were before it for the same thing. One more
request therefore does not rename everything after it.
"""

from __future__ import annotations

import hashlib
from uuid import UUID

#: ``k8s.io/apimachinery/pkg/util/rand``: no vowels and no look-alikes.
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
#: ``k8s.io/apiserver/pkg/storage/names``: a generated name has at most 63 characters, 5 of them random.
LONGEST_PREFIX = 58


class Names:
    """A source of names.

    >>> names = Names("lesson")
    >>> names.suffix("endpointslices", "default", "web-") == names.suffix("endpointslices", "default", "web-")
    False
    """

    def __init__(self, seed: str = "epkit") -> None:
        self._seed = seed
        self._counts: dict[tuple[str, ...], int] = {}

    def suffix(self, *parts: str, keep: bool = True) -> str:
        """Five characters for a generated name; with `keep` False (a dry run) the next call gives the same ones."""
        number = int.from_bytes(self._digest("suffix", parts, keep)[:8], "big")
        letters = []
        for _ in range(5):
            number, index = divmod(number, len(ALPHABET))
            letters.append(ALPHABET[index])
        return "".join(letters)

    def uid(self, *parts: str, keep: bool = True) -> str:
        return str(UUID(bytes=self._digest("uid", parts, keep)[:16], version=4))

    def number(self, below: int, *parts: str, keep: bool = True) -> int:
        """A number from 0 to `below` - 1."""
        return int.from_bytes(self._digest("number", parts, keep)[:8], "big") % below

    def _digest(self, what: str, parts: tuple[str, ...], keep: bool) -> bytes:
        key = (what, *parts)
        count = self._counts.get(key, 0)
        if keep:
            self._counts[key] = count + 1
        return hashlib.sha256("\0".join((self._seed, *key, str(count))).encode()).digest()


def generated(prefix: str, suffix: str) -> str:
    """The name made from ``metadata.generateName``."""
    return prefix[:LONGEST_PREFIX] + suffix
