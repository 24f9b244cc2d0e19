"""What `why` finds, and how it says it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from textwrap import fill
from typing import Any

#: The severities, worst first. "broken": nobody, or not the pod asked for, gets the traffic. "degraded": some of it
#: goes wrong, or soon will. "note": worth knowing; nothing is wrong with the Service.
SEVERITIES = ("broken", "degraded", "note")
BROKEN, DEGRADED, NOTE = SEVERITIES

#: The form of :meth:`Report.to_json`. It grows by new keys alone; a change of meaning raises it.
VERSION = 1
_WIDTH = 100
_LONGEST = 300


@dataclass(frozen=True)
class Finding:
    """One reason, with its evidence.

    Attributes:
        reason: a name for scripts, such as ``ReadinessProbeFails``; :data:`epkit.why.REASONS` has them all.
        severity: one of :data:`SEVERITIES`.
        object: where it was seen: ``service/web``, ``pod/web-1``.
        field: the field of that object.
        seen: what that field says.
        means: what follows from it, in one or two sentences.
        check: kubectl commands that show it.
    """

    reason: str
    severity: str
    object: str
    field: str
    seen: str
    means: str
    check: tuple[str, ...]

    def __post_init__(self) -> None:
        # Much of this comes from other people's objects. What a terminal would obey must not get through.
        for name in ("object", "field", "seen", "means"):
            object.__setattr__(self, name, plain(getattr(self, name)))

    @property
    def counts(self) -> bool:
        """Is something wrong? Notes do not count."""
        return self.severity != NOTE

    def __str__(self) -> str:
        lines = [
            _paragraph("seen", f"{self.object} {self.field}: {self.seen}"),
            _paragraph("means", self.means),
            *(f"   {'check' if not number else '':<7}{command}" for number, command in enumerate(self.check)),
        ]
        return "\n".join([f"{self.severity}: {self.reason}", *lines])

    def to_json(self) -> dict[str, Any]:
        return {
            "reason": self.reason,
            "severity": self.severity,
            "object": self.object,
            "field": self.field,
            "seen": self.seen,
            "means": self.means,
            "check": list(self.check),
        }


@dataclass(frozen=True)
class Unknown:
    """Something that could not be read, and what cannot be said because of it."""

    resource: str
    problem: str
    unsure: str

    def __str__(self) -> str:
        return plain(f"{self.resource} cannot be listed ({self.problem}): {self.unsure}")

    def to_json(self) -> dict[str, Any]:
        return {"resource": self.resource, "problem": plain(self.problem), "unsure": self.unsure}


@dataclass(frozen=True)
class Report:
    """The answer of :func:`epkit.why.why`.

    Attributes:
        subject: what was asked about: ``svc/web``, or ``pod/web-1 and svc/web``.
        namespace: the Service's.
        summary: how things stand, in a sentence or two.
        findings: the reasons; those that count first, each group in order of cause.
        unknown: what could not be read.
    """

    subject: str
    namespace: str
    summary: str
    findings: tuple[Finding, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    service: str = field(default="", repr=False)
    pod: str | None = field(default=None, repr=False)

    @property
    def ok(self) -> bool:
        """Was nothing found that is wrong? Notes do not count."""
        return not any(finding.counts for finding in self.findings)

    @property
    def exit_status(self) -> int:
        """0: nothing wrong, 1: something found, 2: nothing found, but not everything could be read."""
        if not self.ok:
            return 1
        return 2 if self.unknown else 0

    def __repr__(self) -> str:
        parts = [fill(plain(self.summary), _WIDTH)]
        parts += [f"{number}. {finding}" for number, finding in enumerate(self.findings, 1)]
        if self.unknown:
            lines = [
                fill(str(unknown), _WIDTH, initial_indent="- ", subsequent_indent="  ") for unknown in self.unknown
            ]
            parts.append("\n".join(["Not everything could be read:", *lines]))
        if self.exit_status == 0:
            parts.insert(1, "Nothing is wrong.")
        elif self.exit_status == 2:
            parts.append("In what could be read, nothing is wrong.")
        return "\n\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON data; ``epkit why -o json`` prints it.

        >>> report.to_json()["findings"][0]["reason"]
        'SelectorMatchesNothing'
        """
        return {
            "version": VERSION,
            "namespace": self.namespace,
            "service": self.service,
            "pod": self.pod,
            "ok": self.ok,
            "exitStatus": self.exit_status,
            "summary": plain(self.summary),
            "findings": [finding.to_json() for finding in self.findings],
            "unknown": [unknown.to_json() for unknown in self.unknown],
            "error": None,
        }


def failure(text: str) -> dict[str, Any]:
    """The form of :meth:`Report.to_json` where there is no report, but an error."""
    return {"version": VERSION, "ok": None, "exitStatus": 2, "findings": [], "unknown": [], "error": plain(text)}


def plain(text: Any) -> str:
    r"""Text without anything that a terminal would obey, cut where it is very long.

    >>> plain("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    words = "".join(char if char.isprintable() else _escaped(char) for char in str(text))
    return words if len(words) <= _LONGEST * 4 else words[: _LONGEST * 4] + "…"


def short(value: Any) -> str:
    """A value of a field as people write it: JSON for what is nested, cut to a line or three."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def listed(words: Iterable[str], most: int = 3, conjunction: str = "and") -> str:
    """Words as English lists them, the first few by name.

    >>> listed(["a", "b", "c"]), listed("abcde")
    ('a, b and c', 'a, b, c and 2 more')
    """
    words = list(words)
    if len(words) > most + 1:
        words = [*words[:most], f"{len(words) - most} more"]
        conjunction = "and"
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"


def count(number: int, noun: str, plural: str = "") -> str:
    """
    >>> count(1, "pod"), count(2, "pod")
    ('1 pod', '2 pods')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def quoted(word: str) -> str:
    """A word as a shell takes it; names of objects can be hostile where the API does not validate them."""
    return shlex.quote(plain(word))


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _paragraph(label: str, text: str) -> str:
    return fill(
        text,
        _WIDTH,
        initial_indent=f"   {label:<7}",
        subsequent_indent=" " * 10,
        break_long_words=False,
        break_on_hyphens=False,
    )
