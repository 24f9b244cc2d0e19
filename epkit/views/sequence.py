"""The sequence of a Service: who wrote what, when, as a sequence diagram.

Every write goes through the API server; no component talks to another. So each step is an arrow from its writer to
the API server. What made the writer act is what its watch told it: a step above.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from epkit.views import involved, palette, steps
from epkit.views.canvas import Canvas
from epkit.views.diagram import Diagram
from epkit.views.lookup import parse_service
from epkit.views.steps import CREATE, DELETE, UPDATE, Step
from epkit.views.text import clean, count, width_of

if TYPE_CHECKING:
    from epkit.story import Story

#: More steps than this are not drawn: the first of them and the last.
MOST_STEPS = 40
SERVER = "API server"
_COMPONENTS = {"kubelet", "scheduler", "kube-scheduler", "kube-controller-manager", "cloud-controller-manager"}
#: Those through whose hands a pod goes stand in that order.
_FIRST = (
    "deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller",
    "job-controller", "scheduler", "kube-scheduler", "kubelet",
)  # fmt: skip

ROW, HEAD, MARGIN, TIME = 22, 52, 14, 48
#: The widest text beside a step, in pixels; what is longer is cut, and whole in the sentence.
WORDS = 520
LOOKS = {
    CREATE: palette.Look("create", "+", palette.BLUE, "solid"),
    UPDATE: palette.Look("update", "~", palette.GREEN, "dashed"),
    DELETE: palette.Look("delete", "−", palette.ORANGE, "dotted"),
}


@dataclass
class Steps:
    """What there is to draw."""

    title: str
    steps: list[Step]
    silent: int
    start: float

    @property
    def shown(self) -> tuple[list[Step], list[Step]]:
        """The steps before and after a gap; without a gap, all of them and none."""
        if len(self.steps) <= MOST_STEPS:
            return self.steps, []
        return self.steps[: MOST_STEPS * 2 // 3], self.steps[-(MOST_STEPS // 3) :]

    @property
    def hidden(self) -> int:
        return len(self.steps) - sum(map(len, self.shown))

    @property
    def actors(self) -> list[str]:
        """Columns from left to right: people and their programs, the API server, components."""
        seen = list(dict.fromkeys(step.who for part in self.shown for step in part if step.who != SERVER))
        components = [who for who in _FIRST if who in seen]
        components += [who for who in seen if _component(who) and who not in _FIRST]
        return [who for who in seen if not _component(who)] + [SERVER] + components


def of_service(story: Story, what: str, namespace: str = "default", since: float | str | None = None) -> Diagram:
    """The sequence of what was written for a Service and its pods.

    Args:
        story: what happened (:attr:`Cluster.story`, or a replayed one).
        what: the Service, as ``svc/web``.
        since: the moment to begin with, in seconds since the epoch of the cluster's time; or a resource version, such
            as a list comes with, to begin after it. Where time stands still, only the latter tells before from after.
            Times in the picture count from the moment; without one, from the first step.

    Raises:
        EpkitError: the story knows no such Service, or ends before that moment.
    """
    namespace, name = parse_service(what, namespace)
    start = involved.moment(story, since)  # refuses what is neither
    writes = involved.of_service(story, namespace, name)
    found, silent = steps.of_writes(write for write in writes if involved.is_after(write, since))
    if len(found) > MOST_STEPS:
        found = steps.gathered(found)
    if start is None or isinstance(since, str):
        start = found[0].at if found else story.end
    sequence = Steps(f"svc/{clean(name)}", found, silent, start)
    return Diagram(describe(sequence), svg=_draw(sequence))


def describe(sequence: Steps) -> str:
    """The steps as lines."""
    if not sequence.steps:
        return f"Nothing was written for {sequence.title}."
    writers = len({step.who for step in sequence.steps})
    aside = f"; {count(sequence.silent, 'write')} of mere status left out" if sequence.silent else ""
    first, last = sequence.shown
    lines = [f"{count(len(sequence.steps), 'step')} by {count(writers, 'writer')} for {sequence.title}{aside}:"]
    lines += _lines(sequence, first)
    if sequence.hidden:
        lines.append(f"… {count(sequence.hidden, 'step')} not shown …")
    return "\n".join(lines + _lines(sequence, last))


def _lines(sequence: Steps, part: Iterable[Step]) -> list[str]:
    return [f"+{step.at - sequence.start:.1f}s {step.who}: {step.text}" for step in part]


def _draw(sequence: Steps) -> str:
    first, last = sequence.shown
    rows = len(first) + len(last) + (1 if sequence.hidden else 0)
    columns = _columns(sequence.actors)
    right = max(columns[actor] + _wide(actor) / 2 for actor in columns) + 14
    words = min(WORDS, max((width_of(step.text, 12) for step in (*first, *last)), default=200.0))
    canvas = Canvas(right + 12 + words + MARGIN, HEAD + max(rows, 1) * ROW + MARGIN + 8)
    bottom = HEAD + max(rows, 1) * ROW + 8
    for actor, x in columns.items():
        _heading(canvas, actor, x, bottom)
    if not rows:
        canvas.text(right, HEAD + 20, "nothing was written", colour=palette.FAINT)
    before = ""
    for row, step in enumerate([*first, None, *last] if sequence.hidden else first):
        y = HEAD + row * ROW + 18
        if step is None:
            canvas.text(right, y + 4, f"… {count(sequence.hidden, 'step')} not shown …", colour=palette.FAINT)
            continue
        time = f"+{step.at - sequence.start:.1f}s"
        if time != before:
            canvas.text(MARGIN + TIME - 12, y + 4, time, size=11, anchor="end", colour=palette.FAINT)
        before = time
        _step(canvas, step, columns, right, y, words)
    return canvas.svg()


def _step(canvas: Canvas, step: Step, columns: dict[str, float], right: float, y: float, words: float) -> None:
    look, server, writer = LOOKS[step.sort], columns[SERVER], columns[step.who]
    if step.who != SERVER:
        end = server + (6 if writer > server else -6)
        canvas.line([(writer, y), (end, y)], look.colour, style=look.line, thick=1.6, arrow=True)
    canvas.circle(writer, y, 3.5, fill=look.colour)
    canvas.text(right, y + 4, look.sign, bold=True, colour=look.colour, anchor="middle")
    canvas.text(right + 12, y + 4, step.text, width=words)


def _columns(actors: list[str]) -> dict[str, float]:
    """Where each lifeline stands."""
    columns, x = {}, float(MARGIN + TIME)
    for actor in actors:
        wide = _wide(actor)
        columns[actor] = x + wide / 2
        x += wide + 7
    return columns


def _heading(canvas: Canvas, actor: str, x: float, bottom: float) -> None:
    lines = _two_lines(actor)
    wide = _wide(actor)
    own = actor == SERVER
    canvas.line([(x, HEAD - 8), (x, bottom)], palette.BLUE if own else palette.RULE, thick=5 if own else 1)
    canvas.rect(x - wide / 2, 10, wide, HEAD - 18, fill=palette.HEAD if own else palette.CARD,
                line=palette.BLUE if own else palette.RULE, round_by=4)
    top = 10 + (HEAD - 18) / 2 + (4 if len(lines) == 1 else -3)
    for number, line in enumerate(lines):
        canvas.text(x, top + 13 * number, line, size=11, anchor="middle", bold=own)


def _wide(actor: str) -> float:
    """How wide the box with an actor's name is."""
    return max(width_of(line, 11) for line in _two_lines(actor)) + 10


def _two_lines(actor: str) -> list[str]:
    for end in ("-controller", "-manager"):
        if actor.endswith(end) and actor != end:
            return [actor.removesuffix(end) + "-", end[1:]]
    return actor.split(" ", 1)


def _component(who: str) -> bool:
    return who.endswith("-controller") or who in _COMPONENTS
