"""Words in a picture: made safe, cut to measure, and counted.

Names come from a cluster or from a file that somebody sent. Control characters, line breaks and marks that turn the
direction of writing are shown as a replacement character; escaping for XML is done where a text is written.
"""
from __future__ import annotations

import unicodedata

FONT = "Helvetica, Arial, sans-serif"
MONO = "Menlo, Consolas, 'Liberation Mono', monospace"

#: Widths of Helvetica's characters from the space to the tilde, in thousandths of the font's size (Adobe's AFM file).
_WIDTHS = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 "
    "278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 "
    "611 722 667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 "
    "556 556 556 556 333 500 278 556 500 722 500 500 500 334 260 334 584"
)
_WIDTH_OF = {chr(32 + place): int(width) for place, width in enumerate(_WIDTHS.split())}
_ROOM = 1.13  # another font may stand in for Helvetica


def clean(text: object) -> str:
    """The text without what could break a line, a terminal or a picture.

    >>> clean("web\\n\\x1b[31m")
    'web\\ufffd\\ufffd[31m'
    """
    return "".join("\ufffd" if unicodedata.category(char) in _UNSAFE else char for char in str(text))


_UNSAFE = {"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"}


def cut(text: str, most: int = 63) -> str:
    """At most so many characters, the middle left out: both ends of a Kubernetes name tell something.

    >>> cut("my-deployment-57fd887bb6-25bg6", 20)
    'my-deploym…bb6-25bg6'
    """
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def width_of(text: str, size: float, *, mono: bool = False, bold: bool = False) -> float:
    """About how many pixels wide a text is, rather too much than too little."""
    if mono:
        return len(text) * size * 0.605
    return sum(_WIDTH_OF.get(char, 900) for char in text) * size / 1000 * _ROOM * (1.1 if bold else 1)


def fit(text: str, size: float, width: float, *, mono: bool = False, bold: bool = False) -> str:
    """The text, its middle left out as far as needed to fit into so many pixels."""
    def fits(words: str) -> bool:
        return width_of(words, size, mono=mono, bold=bold) <= width

    if fits(text):
        return text
    low, high = 1, len(text)
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(cut(text, middle)) else (low, middle)
    return cut(text, low)


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "slice"), count(12000, "endpoint")
    ('1 slice', '12,000 endpoints')
    """
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def listing(words: list[str], most: int = 5) -> str:
    """Words with commas, and how many more there are.

    >>> listing(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[:most])} and {len(words) - most:,} more"


def size_in_bytes(number: float) -> str:
    """Bytes in decimal units with two or three digits.

    >>> size_in_bytes(840), size_in_bytes(10_600), size_in_bytes(84e9)
    ('840 B', '10.6 kB', '84 GB')
    """
    units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
    place = 0
    while number >= 999.5 and place < len(units) - 1:
        number, place = number / 1000, place + 1
    digits = f"{number:.3g}" if number >= 1 or place == 0 else f"{number:.2g}"
    return f"{digits} {units[place]}"
