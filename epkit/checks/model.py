"""What an exercise, a quiz and a chapter are.

An exercise says what to reach, not how. Its check looks at the cluster alone, accepts any way there, and says what it
saw. Its solution and its wrong answers are scripts, which the tests run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, TypeVar

from epkit.errors import EpkitError

if TYPE_CHECKING:
    from epkit.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: is the goal reached, and what was seen, in a sentence."""

    ok: bool
    saw: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """A plausible wrong answer: its script, and words that its message must contain."""

    script: str
    says: str


@dataclass(frozen=True, slots=True)
class Exercise:
    """One exercise. It has a namespace of its own; nothing outside depends on its being solved.

    Attributes:
        id: chapter and number, such as ``"4.2"``.
        goal: what is to be reached, in a sentence that does not say how.
        check: looks at the cluster, given also the exercise's namespace.
        hints: shown one at a time.
        solution: a script that reaches the goal (see :mod:`epkit.checks.script`).
        wrong: plausible wrong answers.
        setup: a script that makes its start state.
        after: the exercise that this one goes on from, for the stages of one incident: it works in that one's
            namespace, and its start state is that one's solved state.
        late: its start state is made by ``again`` alone, when the learner opens it, and not with the chapter's.
        needs: powers of the target without which it cannot be (:data:`epkit.targets.base.POWERS`).
    """

    id: str
    goal: str
    check: Callable[[Cluster, str], Verdict]
    hints: tuple[str, ...]
    solution: str
    wrong: tuple[Wrong, ...]
    setup: str = ""
    after: str = ""
    late: bool = False
    needs: tuple[str, ...] = ()

    @property
    def namespace(self) -> str:
        return exercise_of(self.after).namespace if self.after else "ex-" + self.id.replace(".", "-")


@dataclass(frozen=True, slots=True)
class Quiz:
    """A question with one right option; `why` explains it, whatever was chosen."""

    id: str
    question: str
    options: tuple[str, ...]
    right: int
    why: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter: its notebook, its start state and what its first cell draws."""

    id: str
    title: str
    notebook: str
    minutes: int
    setup: str = ""
    show: str = ""
    options: dict[str, Any] = field(default_factory=dict)  # of the built-in cluster
    exercises: tuple[Exercise, ...] = ()
    quizzes: tuple[Quiz, ...] = ()


@cache
def chapters() -> dict[str, Chapter]:
    """All chapters by their ids, in order."""
    package = import_module("epkit.checks.exercises")
    modules = [import_module(f"{package.__name__}.{found.name}") for found in iter_modules(package.__path__)]
    found = [module.CHAPTER for module in modules]
    return {chapter.id: chapter for chapter in sorted(found, key=lambda chapter: int(chapter.id))}


def chapter_of(id: str) -> Chapter:
    """The chapter with this id. Raises EpkitError, naming those there are."""
    known = chapters()
    if id not in known:
        raise EpkitError(f"There is no chapter {id!r}. There are: {', '.join(known)}.")
    return known[id]


def exercise_of(id: str) -> Exercise:
    """The exercise with this id. Raises EpkitError, naming the nearest."""
    return _find(id, (one for chapter in chapters().values() for one in chapter.exercises), "exercise")


def quiz_of(id: str) -> Quiz:
    """The quiz with this id. Raises EpkitError, naming the nearest."""
    return _find(id, (one for chapter in chapters().values() for one in chapter.quizzes), "quiz")


_Entry = TypeVar("_Entry", Exercise, Quiz)


def _find(id: str, entries: Iterable[_Entry], noun: str) -> _Entry:
    known = {entry.id: entry for entry in entries}
    if id in known:
        return known[id]
    nearest = get_close_matches(str(id), known, n=1, cutoff=0.3)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise EpkitError(f"There is no {noun} {id!r}.{hint} There are: {', '.join(known)}.")
