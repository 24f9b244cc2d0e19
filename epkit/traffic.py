"""What came of many requests: who answered, how often, and what was refused or lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from epkit.views.diagram import Diagram

ANSWERED, REFUSED, TIMED_OUT, UNRESOLVED, FAILED = "answered", "refused", "timed out", "not resolved", "failed"


@dataclass(frozen=True)
class Response:
    """What one request led to.

    Attributes:
        outcome: answered, refused, timed out, not resolved (no such name) or failed (no HTTP).
        pod, node, zone: who answered; empty where nobody did, or where it was no pod.
        code, body: of the answer.
        at: when it was sent, in seconds since the epoch.
    """

    outcome: str
    pod: str = ""
    node: str = ""
    zone: str = ""
    code: int = 0
    body: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Responses:
    """The responses to a number of equal requests, in order of sending.

    >>> cluster.request("http://web", from_pod="client", n=100)
    100 requests from pod client to http://web: web-abc answered 52, web-def 48.
    """

    url: str
    sender: str
    node: str
    zone: str
    items: Sequence[Response] = field(repr=False)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def by_pod(self) -> dict[str, int]:
        """How many requests each pod answered, by the pods' names."""
        counts = Counter(item.pod for item in self.items if item.outcome == ANSWERED and item.pod)
        return dict(sorted(counts.items()))

    @property
    def by_zone(self) -> dict[str, int]:
        """How many requests were answered in each zone."""
        counts = Counter(item.zone for item in self.items if item.outcome == ANSWERED and item.zone)
        return dict(sorted(counts.items()))

    @property
    def outcomes(self) -> dict[str, int]:
        """How many were answered, refused, timed out, not resolved or failed."""
        counts = Counter(item.outcome for item in self.items)
        return {outcome: counts[outcome] for outcome in _OUTCOMES if counts[outcome]}

    @property
    def answered(self) -> int:
        return self.outcomes.get(ANSWERED, 0)

    @property
    def refused(self) -> int:
        return self.outcomes.get(REFUSED, 0)

    @property
    def timed_out(self) -> int:
        return self.outcomes.get(TIMED_OUT, 0)

    @property
    def sentence(self) -> str:
        """The result in words: its text form, and the alternative text of its picture."""
        count = len(self.items)
        subject = f"{count} request{'s' if count != 1 else ''} from {self.sender} to {self.url}"
        parts = [
            f"{pod} answered {number}" if index == 0 else f"{pod} {number}"
            for index, (pod, number) in enumerate(self.by_pod.items())
        ]
        others = self.answered - sum(self.by_pod.values())
        if others:
            parts.append(f"something that is no pod answered {others}")
        told = [", ".join(parts)] if parts else []
        told += [f"{number} {_WORDS[outcome]}" for outcome, number in self.outcomes.items() if outcome != ANSWERED]
        return f"{subject}: {'; '.join(told) or 'none was sent'}."

    def __repr__(self) -> str:
        return self.sentence

    @property
    def diagram(self) -> Diagram:
        """The same as a picture: the sender, and an arrow to each pod that answered."""
        from epkit.views.requests import of_responses

        return of_responses(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.diagram._repr_mimebundle_(include, exclude)


_OUTCOMES = (ANSWERED, REFUSED, TIMED_OUT, UNRESOLVED, FAILED)
_WORDS = {
    REFUSED: "refused",
    TIMED_OUT: "timed out",
    UNRESOLVED: "failed, for the name was not found",
    FAILED: "failed, for the other side does not speak HTTP",
}
