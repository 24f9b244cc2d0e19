"""Label selectors of objects as the text that a query carries (``metav1.LabelSelectorAsSelector(…).String()``)."""
from __future__ import annotations

from epkit.objects import Obj


def as_text(selector: Obj | None) -> str:
    """``app=web,tier in (a,b),!old``, by key.

    >>> as_text({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "old", "operator": "DoesNotExist"}]})
    'app=web,!old'
    """
    parts = [(key, f"{key}={value}") for key, value in ((selector or {}).get("matchLabels") or {}).items()]
    for entry in (selector or {}).get("matchExpressions") or ():
        key, values = entry["key"], ",".join(sorted(entry.get("values") or ()))
        words = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append((key, words.get(entry["operator"], f"!{key}")))
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0]))
