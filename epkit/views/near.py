"""Near misses: pods that a selector would have chosen but for a slip, such as ``app=wbe``."""
from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher
from functools import lru_cache

#: Labels of this ratio (difflib) count as the same word misspelt.
ALIKE = 0.6
_COMMON = frozenset(("true", "false", "yes", "no", "on", "off"))


def near_miss(selector: Mapping[str, str], labels: Mapping[str, str]) -> list[str]:
    """What keeps labels from matching a selector, if it is little; an empty list if they match or are far from it.

    It is little when every label that is wrong has a close relation (the same key with a value spelt alike, or the
    value under another key), and also when one label alone is wrong and others are right.

    >>> near_miss({"app": "web"}, {"app": "wbe"})
    ['app=wbe instead of app=web']
    >>> near_miss({"app": "web", "tier": "front"}, {"app": "web"})
    ['no label tier=front']
    >>> near_miss({"app": "web"}, {"app": "database"})
    []
    """
    wrong = [(key, value) for key, value in sorted(selector.items()) if labels.get(key) != value]
    found = [_difference(key, value, labels) for key, value in wrong]
    one_of_several = len(wrong) == 1 < len(selector)
    if all(close for _, close in found) or one_of_several:
        return [words for words, _ in found]
    return []


def _difference(key: str, value: str, labels: Mapping[str, str]) -> tuple[str, bool]:
    """What stands in the place of a label, in words, and whether it looks like a slip."""
    if key in labels:
        return f"{key}={labels[key]} instead of {key}={value}", alike(labels[key], value)
    for other, its_value in sorted(labels.items()):
        same_value = its_value == value and value.lower() not in _COMMON and not value.isdigit()
        if same_value or (alike(other, key) and alike(its_value, value)):
            return f"{other}={its_value} instead of {key}={value}", True
    return f"no label {key}={value}", False


@lru_cache(maxsize=4096)
def alike(first: str, second: str) -> bool:
    """Do two words look like the same one, misspelt?"""
    if first.lower() == second.lower():
        return True
    return SequenceMatcher(None, first.lower(), second.lower()).ratio() >= ALIKE
