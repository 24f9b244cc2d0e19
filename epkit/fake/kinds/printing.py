"""Cells of the tables: ages, selectors, lists that are cut short.

Source: ``pkg/printers/internalversion/printers.go`` and ``k8s.io/apimachinery/pkg/util/duration``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from epkit.fake.kinds.base import Obj

NONE, UNKNOWN, UNSET = "<none>", "<unknown>", "<unset>"


@lru_cache(maxsize=4096)
def seconds_of(timestamp: str) -> float:
    """Seconds since the epoch of an RFC 3339 time.

    >>> seconds_of("2026-01-01T00:00:00Z")
    1767225600.0
    """
    return datetime.fromisoformat(timestamp).timestamp()


def human_duration(seconds: float) -> str:
    """A duration in at most two units, as ``duration.HumanDuration`` shortens it.

    >>> human_duration(119), human_duration(121), human_duration(4000), human_duration(200000)
    ('119s', '2m1s', '66m', '2d7h')
    """
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total < 120:
        return f"{max(total, 0)}s"
    minutes = total // 60
    if minutes < 10:
        return _two(minutes, "m", total % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 2920:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(many: int, unit: str, rest: int, smaller: str) -> str:
    return f"{many}{unit}{rest}{smaller}" if rest else f"{many}{unit}"


def since(timestamp: str | None, now: float) -> str:
    """How long ago a time was; ``<unknown>`` when it is not set."""
    return human_duration(now - seconds_of(timestamp)) if timestamp else UNKNOWN


def age(obj: Obj, now: float) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def labels(pairs: Mapping[str, str] | None) -> str:
    """``a=b,c=d`` in order of the keys (``labels.FormatLabels``)."""
    return ",".join(f"{key}={pairs[key]}" for key in sorted(pairs)) if pairs else NONE


def label_selector(selector: Mapping[str, Any] | None) -> str:
    """A ``metav1.LabelSelector`` as a selector string; empty for one that selects everything.

    >>> label_selector({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]})
    'app=web,tier'
    """
    if not selector:
        return ""
    terms = {key: f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()}
    listed = sorted(terms.items())
    for term in selector.get("matchExpressions") or ():
        key, operator, values = term["key"], term["operator"], ",".join(sorted(term.get("values") or ()))
        shown = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }.get(operator)
        if shown is None:
            return "<error>"
        listed.append((key, shown))
    return ",".join(text for _, text in sorted(listed, key=lambda item: item[0]))


def template_cells(template: Obj) -> list[str]:
    """Names and images of a pod template's containers, for ``-o wide``."""
    containers = (template.get("spec") or {}).get("containers") or ()
    return [
        ",".join(container.get("name", "") for container in containers),
        ",".join(container.get("image", "") for container in containers),
    ]


def first_three(shown: list[str], total: int) -> str:
    """The first three of a list and how many more there are."""
    text = ",".join(shown[:3])
    return f"{text} + {total - 3} more..." if total > 3 else text
