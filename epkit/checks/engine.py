"""What a notebook calls: start, check, hint, solution, predict, quiz and progress."""

from __future__ import annotations

import os
import re
from html import escape
from typing import TYPE_CHECKING, Any

from epkit.checks import progress as kept
from epkit.checks import script
from epkit.checks.model import Chapter, Exercise, Quiz, Verdict, chapter_of, chapters, exercise_of, quiz_of
from epkit.errors import ApiError, EpkitError

if TYPE_CHECKING:
    from epkit.cluster import Cluster

_hinted: dict[str, int] = {}
_passed: set[str] = set()
_answered: set[str] = set()


def start(chapter: str) -> Cluster:
    """Connect, put the cluster into a chapter's start state, wherever it was, and draw the chapter's first picture.

    The target is that of the cluster which is connected, else the one of `EPKIT_TARGET`, else the built-in cluster.
    On a live one it is the chapter's own namespaces that are put into their start state.

    >>> cluster = epkit.start("4")

    Raises:
        EpkitError: there is no such chapter.
    """
    found = chapter_of(str(chapter))
    cluster = _fresh(found)
    cluster.target.enter(found.id)
    with cluster.target.together():
        script.run(found.setup, cluster, strict=True)
        for exercise in found.exercises:
            if not (exercise.after or exercise.late or _lacking(exercise, cluster)):
                prepare(exercise, cluster)
    if found.show:
        _display(cluster.show(found.show))
    return cluster


def _fresh(chapter: Chapter) -> Cluster:
    """The cluster for a chapter: a new built-in one, or the live one that is connected or asked for."""
    from epkit import cluster as clusters

    connected = clusters.current()
    target = connected.called if connected is not None else os.environ.get("EPKIT_TARGET", "") or "fake"
    if target != "fake":
        if connected is not None:
            return connected
        simulated = {key: chapter.options[key] for key in ("nodes",) if key in chapter.options}
        return clusters.connect(target, **(simulated if target == "controlplane" else {}))
    clusters.disconnect()
    return clusters.connect("fake", **chapter.options)


def prepare(exercise: Exercise, cluster: Cluster) -> None:
    """Make an exercise's namespace and start state; a namespace that is there already is emptied first."""
    if exercise.after:
        earlier = exercise_of(exercise.after)
        prepare(earlier, cluster)
        script.run(earlier.solution, cluster, strict=True)
    else:
        cluster.target.vacate(exercise.namespace)
        script.run(f"%kubectl create namespace {exercise.namespace}", cluster, strict=True)
    script.run(exercise.setup, cluster, strict=True)


def check(id: str) -> Card:
    """Look whether an exercise's goal is reached, and say what was seen."""
    exercise = exercise_of(str(id))
    cluster = _connected(exercise)
    if lacking := _lacking(exercise, cluster):
        return Card("○", f"{exercise.id} not here", lacking)
    if os.environ.get("EPKIT_MODE") == "solve":
        script.run(exercise.solution, cluster)
    verdict = look(exercise, cluster)
    if os.environ.get("EPKIT_MODE") == "solve" and not verdict.ok:
        raise AssertionError(f"the solution of {exercise.id} does not pass its check: {verdict.saw}")
    if not verdict.ok:
        return Card("✖", f"{exercise.id} not yet", verdict.saw)
    return Card("✔", f"{exercise.id} done", verdict.saw + _remember(exercise))


def _lacking(exercise: Exercise, cluster: Cluster) -> str:
    """Why an exercise cannot be on this cluster; empty where it can."""
    from epkit.targets.base import POWERS

    lacking = [power for power in exercise.needs if power not in cluster.target.powers]
    if not lacking:
        return ""
    what = f"{cluster.target.name} clusters cannot {POWERS[lacking[0]]}"
    return f"{what}, which this exercise needs. The built-in one can."


def _remember(exercise: Exercise) -> str:
    """Write down that an exercise is done, once; returns what to say where that failed, else nothing."""
    _passed.add(exercise.id)
    try:
        if exercise.id not in kept.read().passed:
            kept.record("passed", exercise.id)
    except EpkitError as error:
        return f" {error}"
    return ""


def look(exercise: Exercise, cluster: Cluster) -> Verdict:
    """The check alone. Of an incident's stages it tells the first that is not reached, and gives no later one away."""
    cluster.settle()
    for earlier in _stages_before(exercise):
        verdict = _look(earlier, cluster)
        if not verdict.ok:
            return Verdict(False, f"{earlier.id} comes first: {verdict.saw}")
    return _look(exercise, cluster)


def _stages_before(exercise: Exercise) -> list[Exercise]:
    """The exercises that this one goes on from, the first one first."""
    if not exercise.after:
        return []
    earlier = exercise_of(exercise.after)
    return [*_stages_before(earlier), earlier]


def _look(exercise: Exercise, cluster: Cluster) -> Verdict:
    """A learner who deleted something that the check needs gets a sentence, not a traceback."""
    namespace = cluster.target.real(exercise.namespace)
    if cluster.client.find("namespaces", namespace) is None:
        return Verdict(
            False,
            f"the namespace {namespace} is not there: it was deleted, or never made in this cluster. "
            f"Call again({exercise.id!r}) to get it.",
        )
    try:
        return exercise.check(cluster, namespace)
    except ApiError as error:
        return Verdict(False, f"{error.message}. Call again({exercise.id!r}) to start this exercise anew.")


def again(id: str) -> Card:
    """Put one exercise back to its start. A stage of an incident starts with the earlier stages solved."""
    exercise = exercise_of(str(id))
    cluster = _connected(exercise)
    if lacking := _lacking(exercise, cluster):
        return Card("○", f"{exercise.id} not here", lacking)
    with cluster.target.together():
        prepare(exercise, cluster)
    start = f"when {exercise.after} was solved" if exercise.after else "at the start"
    namespace = cluster.target.real(exercise.namespace)
    return Card("↺", f"{exercise.id} again", f"the namespace {namespace} is as it was {start}.")


def hint(id: str) -> Card:
    """The next hint; each call gives one more."""
    exercise = exercise_of(str(id))
    number = min(_hinted.get(exercise.id, 0), len(exercise.hints) - 1)
    _hinted[exercise.id] = number + 1
    left = len(exercise.hints) - number - 1
    more = f" ({left} more)" if left else " (that was the last; solution() shows one way)"
    return Card("?", f"{exercise.id} hint {number + 1}", exercise.hints[number] + more)


def solution(id: str) -> Code:
    """One way to reach the goal, to be read and then typed."""
    return Code(exercise_of(str(id)).solution)


def predict(question: str, options: list[str]) -> Prediction:
    """Ask for a guess before a cell is run; its :meth:`Prediction.compare` shows it beside what happened."""
    return Prediction(question, [str(option) for option in options])


def quiz(id: str) -> Question:
    """A question with options, and why the right one is right."""
    return Question(quiz_of(str(id)))


def progress(reset: bool = False) -> Table:
    """What you have done so far, by chapter. `reset` starts anew and keeps the old file."""
    if reset:
        where = kept.reset()
        _passed.clear()
        _answered.clear()
        return Table(
            [f"Your progress starts anew. The old file is kept as {where}." if where else "There was none yet."]
        )
    lines = []
    try:
        done = kept.read()
    except EpkitError as error:
        done, lines = kept.Done(), [str(error)]
    for number, chapter in enumerate(chapters().values()):
        count = sum(1 for one in chapter.exercises if one.id in done.passed or one.id in _passed)
        right = sum(1 for one in chapter.quizzes if done.answered.get(one.id) or one.id in _answered)
        bar = "■" * count + "□" * (len(chapter.exercises) - count)
        lines.insert(
            number,
            f"{chapter.id}. {chapter.title:<44} {bar:<6} {count} of {len(chapter.exercises)} exercises, "
            f"{right} of {len(chapter.quizzes)} quizzes, {chapter.minutes} minutes",
        )
    if done.unreadable:
        lines.append(f"{_lines(done.unreadable)} of {kept.path()} cannot be read and stay as they are.")
    if done.foreign:
        lines.append(f"{_lines(done.foreign)} of {kept.path()} are of another version of epkit and stay as they are.")
    return Table(lines)


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"


# -- what is shown -------------------------------------------------------------------------------------------------


def _marked_up(text: str) -> str:
    """Text as HTML: what stands between backticks is code, in the colours around it, which fit in either theme."""
    code = r'<code style="background:none;color:inherit">\1</code>'
    return re.sub(r"`([^`]+)`", code, escape(text))


class Card:
    """A line with a sign, a word and a sentence: never a colour alone."""

    def __init__(self, sign: str, title: str, text: str) -> None:
        self.sign, self.title, self.text = sign, title, text

    def __repr__(self) -> str:
        return f"{self.sign} {self.title}: {self.text}"

    def _repr_html_(self) -> str:
        style = "background:#fff;color:#1a1a1a;border:1px solid #595959;border-left:6px solid #0072b2;padding:6px 10px"
        said = f"{self.sign} <b>{escape(self.title)}</b>: {_marked_up(self.text)}"
        return f'<div role="status" style="{style}">{said}</div>'


class Code:
    """Text of cells, shown as it would be typed."""

    def __init__(self, text: str) -> None:
        self.text = text.strip("\n")

    def __repr__(self) -> str:
        return self.text


class Table:
    """Lines of text."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def __repr__(self) -> str:
        return "\n".join(self.lines)


class Choice:
    """Options to choose from: text for everybody, radio buttons where there is a front end."""

    def __init__(self, question: str, options: list[str]) -> None:
        self.question, self.options = question, options
        self.chosen: str | None = None
        self._widget: Any = None

    def __repr__(self) -> str:
        return "\n".join([self.question, *(f"  ○ {option}" for option in self.options)])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        bundle = dict(self._made()._repr_mimebundle_())
        bundle["text/plain"] = repr(self)
        return bundle

    def _made(self) -> Any:
        if self._widget is None:
            import ipywidgets as widgets

            buttons = widgets.RadioButtons(options=self.options, value=None, layout={"width": "max-content"})
            self._said = widgets.HTML(value="")
            buttons.observe(lambda change: self.choose(change["new"]), names="value")
            question = widgets.HTML(value=f"<b>{_marked_up(self.question)}</b>")
            self._widget = widgets.VBox([question, buttons, self._said])
        return self._widget

    def choose(self, option: str) -> None:
        """Take a choice; the buttons call it."""
        self.chosen = option
        self._tell(self.answer(option))

    def answer(self, option: str) -> str:
        """What to say to a choice."""
        return f"Noted: {option}. Now run the cell below."

    def _tell(self, text: str) -> None:
        if self._widget is not None:
            self._said.value = f'<div role="status">{_marked_up(text)}</div>'


class Prediction(Choice):
    """A guess that was made before something happened."""

    def compare(self, outcome: object) -> Card:
        """Show the guess beside what happened."""
        if self.chosen is None:
            return Card("○", "No prediction", f"it was {outcome}. Guess first next time: it makes you remember.")
        if self.chosen == str(outcome):
            return Card("✔", "As you predicted", f"{outcome}.")
        return Card("✖", "A surprise", f"you predicted {self.chosen}, it was {outcome}.")


class Question(Choice):
    """A quiz."""

    def __init__(self, entry: Quiz) -> None:
        super().__init__(entry.question, list(entry.options))
        self._entry = entry

    def answer(self, option: str) -> str:
        right = self.options.index(option) == self._entry.right
        if right:
            _answered.add(self._entry.id)
        said = f"{'✔ Right' if right else '✖ Not quite'}. {self._entry.why}"
        try:
            kept.record("answered", self._entry.id, right=right)
        except EpkitError as error:
            return f"{said} {error}"
        return said


def _connected(exercise: Exercise) -> Cluster:
    """The cluster of this kernel, with this exercise's start state. Cells that are run out of order still work."""
    from epkit import cluster as clusters

    cluster = clusters.current()
    chapter = exercise.id.split(".")[0]
    if cluster is None:
        raise EpkitError(f'No cluster is connected. Run the chapter\'s first cell: cluster = epkit.start("{chapter}").')
    return cluster


def _display(shown: object) -> None:
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        print(shown)
        return
    if get_ipython() is None:
        print(shown)
    else:
        display(shown)  # type: ignore[no-untyped-call]
