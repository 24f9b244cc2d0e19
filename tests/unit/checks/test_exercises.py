"""Every exercise: untouched it is not done, each wrong answer gets its own message, the solution passes.

With ``--target kind`` (or another one, see ``epkit targets``) they are tried on that cluster, in its own time.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import epkit
from epkit.checks import engine, script
from epkit.checks.model import Chapter, Exercise, Wrong, chapters
from epkit.cluster import Cluster

EXERCISES = [(chapter, exercise) for chapter in chapters().values() for exercise in chapter.exercises]
WRONG = [(chapter, exercise, wrong) for chapter, exercise in EXERCISES for wrong in exercise.wrong]


@pytest.fixture
def cluster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster in the start state of the exercise that the test is about."""
    monkeypatch.setenv("EPKIT_MODE", "ci")
    chapter, exercise = request.param
    if target := request.config.getoption("--target"):
        cluster = epkit.connect(target)  # one for all tests
        if lacking := [power for power in exercise.needs if power not in cluster.target.powers]:
            pytest.skip(f"{target} clusters lack {lacking[0]}")
        cluster.target.enter(chapter.id)
        with cluster.target.together():
            engine.prepare(exercise, cluster)
        yield cluster
        return
    with Cluster(dict(chapter.options)) as made:
        script.run(chapter.setup, made, strict=True)
        engine.prepare(exercise, made)
        yield made


def ids(cases: list[tuple[Chapter, Exercise]]) -> list[str]:
    return [exercise.id for _, exercise in cases]


@pytest.mark.parametrize("cluster", EXERCISES, indirect=True, ids=ids(EXERCISES))
def test_untouched_then_solved(cluster: Cluster, request: pytest.FixtureRequest) -> None:
    exercise = request.node.callspec.params["cluster"][1]
    untouched = engine.look(exercise, cluster)
    assert not untouched.ok and untouched.saw
    printed = script.run(exercise.solution, cluster)
    solved = engine.look(exercise, cluster)
    assert solved.ok, f"{solved.saw}\n{printed}"


@pytest.mark.parametrize(
    ("cluster", "wrong"),
    [((chapter, exercise), wrong) for chapter, exercise, wrong in WRONG],
    indirect=["cluster"],
    ids=[f"{exercise.id}-{number}" for number, (_, exercise, _) in enumerate(WRONG)],
)
def test_a_wrong_answer_gets_its_own_message(cluster: Cluster, wrong: Wrong, request: pytest.FixtureRequest) -> None:
    exercise = request.node.callspec.params["cluster"][1]
    if "cluster.controller(" in wrong.script and "controllers" not in cluster.target.powers:
        pytest.skip(f"{cluster.target.name} clusters cannot make this mistake: they lack controllers")
    printed = script.run(wrong.script, cluster)
    verdict = engine.look(exercise, cluster)
    assert not verdict.ok, f"this wrong answer passes: {verdict.saw}"
    assert wrong.says in verdict.saw, f"{verdict.saw}\n{printed}"
    assert verdict.saw != engine.look.__doc__


def test_ids_namespaces_and_texts_are_in_order() -> None:
    seen = set()
    for chapter, exercise in EXERCISES:
        assert exercise.id.startswith(f"{chapter.id}.") and exercise.id not in seen
        seen.add(exercise.id)
        assert len(exercise.wrong) >= 2 and exercise.hints and exercise.goal.endswith(".")
        for text in (exercise.setup, exercise.solution, *(wrong.script for wrong in exercise.wrong)):
            for line in text.splitlines():
                if line.startswith("%kubectl"):
                    assert exercise.namespace in line, f"{exercise.id} works outside its namespace: {line}"
        messages = [wrong.says for wrong in exercise.wrong]
        assert len(set(messages)) == len(messages)
    for chapter in chapters().values():
        assert len(chapter.exercises) >= 3 and len(chapter.quizzes) >= 3
        assert all(0 <= quiz.right < len(quiz.options) for quiz in chapter.quizzes)
