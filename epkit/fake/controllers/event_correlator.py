"""Keeps Events from becoming too many: similar ones are combined, and a source may not report without end.

Source: ``k8s.io/client-go/tools/record/events_cache.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

Key = tuple[str, ...]

#: from the tenth Event on that differs by its message alone within ten minutes, they become one
_MOST_SIMILAR, _INTERVAL = 10, 600.0
#: a source may report 25 times about an object, and then once every five minutes
_BURST, _REFILL = 25, 300.0


class EventCorrelator:
    """What one source remembers of its Events.

    >>> correlator = EventCorrelator()
    >>> said = [correlator.combined(("ReplicaSet", "web"), f"Created pod: web-{n}", 0.0) for n in range(10)]
    >>> said[8], said[9]
    (None, '(combined from similar events): Created pod: web-9')
    """

    def __init__(self) -> None:
        self._messages: dict[Key, tuple[set[str], float]] = {}
        self._tokens: dict[Key, tuple[float, float]] = {}

    def combined(self, similar: Key, message: str, now: float) -> str | None:
        """The message of the Event that stands for all similar ones, once there are ten of them; before that None."""
        messages, last = self._messages.get(similar, (set(), now))
        if now - last > _INTERVAL:
            messages = set()
        self._messages[similar] = (messages, now)
        if message not in messages and len(messages) == _MOST_SIMILAR - 1:
            return f"(combined from similar events): {message}"
        messages.add(message)
        return None

    def accepts(self, about: Key, now: float) -> bool:
        """May one more Event about this object be written? (A token bucket.)"""
        tokens, last = self._tokens.get(about, (float(_BURST), now))
        tokens = min(tokens + (now - last) / _REFILL, float(_BURST))
        accepted = tokens >= 1
        self._tokens[about] = (tokens - 1 if accepted else tokens, now)
        return accepted
