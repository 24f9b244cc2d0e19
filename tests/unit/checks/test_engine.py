"""What a learner meets beside the exercises: mistakes, cells out of order, and a progress file that must survive."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import epkit
from epkit import cluster as clusters
from epkit.checks import engine, model
from epkit.checks import progress as kept
from epkit.cluster import Cluster
from epkit.errors import EpkitError


@pytest.fixture(autouse=True)
def a_learner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A fresh kernel of a learner with a progress file; the cluster keeps fixed names all the same."""
    file = tmp_path / "home" / "progress.jsonl"
    monkeypatch.setenv("EPKIT_MODE", "ci")
    monkeypatch.setenv("EPKIT_KUBECTL", "builtin")
    monkeypatch.setenv("EPKIT_PROGRESS", str(file))
    for name in ("_hinted", "_passed", "_answered"):
        monkeypatch.setattr(engine, name, type(getattr(engine, name))())
    clusters.disconnect()
    yield file
    clusters.disconnect()


@pytest.fixture
def file(a_learner: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The learner's progress file; from here on, what is done is written down."""
    monkeypatch.delenv("EPKIT_MODE")
    return a_learner


@pytest.fixture
def cluster(a_learner: Path) -> Cluster:
    """Chapter 1, started."""
    return epkit.start("1")


def solve(id: str) -> None:
    connected = clusters.current()
    assert connected is not None
    engine.script.run(model.exercise_of(id).solution, connected)


# -- names that are wrong ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [engine.check, engine.hint, engine.solution, engine.again])
@pytest.mark.parametrize(("given", "nearest"), [("1.22", "1.2"), ("4,1", "4.1"), ("ex-5-1", "5.1")])
def test_an_unknown_exercise_is_answered_with_the_nearest(call: object, given: str, nearest: str) -> None:
    expected = rf"There is no exercise '{given}'\. Did you mean '{nearest}'\? There are: 1\.1"
    with pytest.raises(EpkitError, match=expected):
        call(given)  # type: ignore[operator]


def test_a_number_instead_of_a_text_is_understood(cluster: Cluster) -> None:
    assert repr(engine.check(1.1)) == repr(engine.check("1.1"))  # type: ignore[arg-type]


def test_an_unknown_quiz_and_an_unknown_chapter_name_those_there_are() -> None:
    with pytest.raises(EpkitError, match=r"There is no quiz '1\.q9'\. Did you mean '1\.q\d'\?"):
        engine.quiz("1.q9")
    with pytest.raises(EpkitError, match=r"There is no chapter '9'\. There are: 1"):
        epkit.start("9")


# -- cells out of order, and twice ---------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [engine.check, engine.again])
def test_before_start_one_is_told_which_cell_comes_first(call: object) -> None:
    with pytest.raises(EpkitError, match=r'No cluster is connected\. Run the chapter\'s first cell: .*start\("4"\)'):
        call("4.2")  # type: ignore[operator]


def test_hints_and_solutions_need_no_cluster() -> None:
    assert "4.2 hint 1" in repr(engine.hint("4.2"))
    assert repr(engine.solution("5.1")).startswith("%kubectl expose")


def test_hints_come_one_at_a_time_and_the_last_one_stays() -> None:
    count = len(model.exercise_of("4.1").hints)
    said = [repr(engine.hint("4.1")) for _ in range(count + 2)]
    assert len(set(said)) == count and said[-1] == said[-2] == said[count - 1]
    assert f"({count - 1} more)" in said[0] and "that was the last" in said[-1]


def test_starting_twice_gives_the_start_state_again(cluster: Cluster) -> None:
    solve("1.1")
    assert engine.check("1.1").sign == "✔"
    again = epkit.start("1")
    assert cluster.closed and not again.closed
    assert engine.check("1.1").sign == "✖"


def test_checking_and_solving_twice_changes_nothing(cluster: Cluster) -> None:
    solve("1.1")
    first = repr(engine.check("1.1"))
    solve("1.1")
    assert repr(engine.check("1.1")) == first


def test_an_exercise_of_another_chapter_says_how_to_get_there(cluster: Cluster) -> None:
    said = engine.check("4.2")
    assert said.sign == "✖" and "never made in this cluster. Call again('4.2')" in said.text
    assert engine.again("4.2").sign == "↺"
    assert "lists endpoints without any port" in engine.check("4.2").text


# -- what a learner deletes ----------------------------------------------------------------------------------------


def test_a_deleted_namespace_can_be_had_again(cluster: Cluster) -> None:
    assert cluster.kubectl("delete namespace ex-1-1").returncode == 0
    assert "the namespace ex-1-1 is not there: it was deleted" in engine.check("1.1").text
    assert "is as it was at the start" in engine.again("1.1").text
    solve("1.1")
    assert engine.check("1.1").sign == "✔"


@pytest.mark.parametrize("id", [one.id for chapter in model.chapters().values() for one in chapter.exercises])
def test_whatever_is_deleted_the_check_answers_in_a_sentence(id: str) -> None:
    exercise = model.exercise_of(id)
    with Cluster(dict(model.chapter_of(id.split(".")[0]).options)) as cluster:
        engine.prepare(exercise, cluster)
        for kind in ("deployments", "services", "endpointslices", "pods"):
            cluster.kubectl(f"delete {kind} --all -n {exercise.namespace}")
        verdict = engine.look(exercise, cluster)
    assert not verdict.ok and verdict.saw.endswith(".")


def test_a_stage_of_an_incident_starts_where_the_one_before_is_solved() -> None:
    epkit.start("8")
    assert "Call again('8.1')" in engine.check("8.3").text
    assert "when 8.2 was solved" in engine.again("8.3").text
    assert [engine.check(f"8.{number}").sign for number in range(1, 6)] == ["✔", "✔", "✖", "✖", "✖"]


def test_a_later_stage_gives_nothing_away_before_the_earlier_ones_are_reached() -> None:
    epkit.start("8")
    engine.again("8.1")
    first = engine.check("8.1").text
    assert {engine.check(f"8.{number}").text for number in range(2, 6)} == {f"8.1 comes first: {first}"}
    solve("8.1")
    assert engine.check("8.5").text.startswith("8.2 comes first: ")


def test_each_chapter_can_follow_each_other_in_one_kernel() -> None:
    numbers = list(model.chapters())
    for number in [*numbers, numbers[0]]:
        cluster = epkit.start(number)
        names = {one["metadata"]["name"] for one in cluster.client.list("namespaces")}
        assert {one.namespace for one in model.chapter_of(number).exercises if not (one.late or one.after)} <= names


# -- progress ------------------------------------------------------------------------------------------------------


def row(number: str) -> str:
    return next(line for line in repr(engine.progress()).splitlines() if line.startswith(f"{number}. "))


def test_a_done_exercise_and_a_right_answer_are_remembered_in_another_kernel(cluster: Cluster, file: Path) -> None:
    solve("1.1")
    engine.check("1.1")
    engine.check("1.1")
    entry = model.quiz_of("1.q1")
    assert engine.quiz("1.q1").answer(entry.options[entry.right]).startswith("✔ Right")
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == ["1.1", "1.q1"]
    engine._passed.clear()
    engine._answered.clear()
    assert "■□□" in row("1") and "1 of 3 exercises, 1 of 3 quizzes" in row("1")


def test_under_test_nothing_is_written(cluster: Cluster, a_learner: Path) -> None:
    solve("1.1")
    assert engine.check("1.1").sign == "✔" and not a_learner.exists()
    assert "1 of 3 exercises" in row("1")


def test_a_file_that_was_cut_in_half_loses_its_last_line_alone(file: Path) -> None:
    kept.record("passed", "1.1")
    kept.record("passed", "1.2")
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    kept.record("passed", "1.3")
    assert set(kept.read().passed) == {"1.1", "1.3"}
    assert file.read_bytes().startswith(whole[:-20] + b"\n")
    assert f"1 line of {file} cannot be read and stay" in repr(engine.progress())


@pytest.mark.parametrize(
    "strange",
    ['{"v": 2, "kind": "passed", "id": "1.2"}', '{"v": 1, "kind": "badge", "id": "1.2"}'],
    ids=["another version", "another kind"],
)
def test_lines_of_another_version_are_kept_and_counted(file: Path, strange: str) -> None:
    file.parent.mkdir()
    file.write_text(strange + "\n")
    kept.record("passed", "1.1")
    assert set(kept.read().passed) == {"1.1"}
    assert file.read_text().startswith(strange + "\n")
    assert f"1 line of {file} are of another version" in repr(engine.progress())


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[1, 2]\nnull\n3\n", b'{"v": 1}\n', b"\n\n", b"["*100_000])
def test_whatever_is_in_the_file_it_is_read_and_kept(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    kept.record("passed", "1.1")
    assert set(kept.read().passed) == {"1.1"}
    assert file.read_bytes().startswith(content)


def test_a_file_that_cannot_be_written_does_not_take_the_success_away(cluster: Cluster, file: Path) -> None:
    file.mkdir(parents=True)  # a folder is in its place
    solve("1.1")
    said = engine.check("1.1")
    assert said.sign == "✔" and "EPKIT_PROGRESS" in said.text
    assert "1 of 3 exercises" in row("1")
    assert f"could not be read from {file}" in repr(engine.progress())
    right = model.quiz_of("1.q1")
    assert "could not be written" in engine.quiz("1.q1").answer(right.options[right.right])


def test_starting_anew_keeps_the_old_file(file: Path) -> None:
    assert "none yet" in repr(engine.progress(reset=True))
    for number in (1, 2):
        kept.record("passed", "1.1")
        said = repr(engine.progress(reset=True))
        assert str(file.with_suffix(f".{number}.jsonl")) in said and not file.exists()
    assert "0 of 3 exercises" in row("1")
    assert len(list(file.parent.iterdir())) == 2


def test_the_file_may_be_named_with_the_user_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EPKIT_MODE")
    monkeypatch.setenv("EPKIT_PROGRESS", str(tmp_path / "%u.jsonl"))
    monkeypatch.setattr(kept, "_user", lambda: "ada")
    kept.record("passed", "1.1")
    assert (tmp_path / "ada.jsonl").exists()


WRITER = """
import sys
from epkit.checks import progress
sys.stdin.readline()
for number in range(200):
    progress.record("passed", f"{sys.argv[1]}.{number}", note="x" * number * 20)
"""


def test_kernels_that_write_at_once_lose_nothing(file: Path) -> None:
    command = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, text=True) for n in range(3)]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    done = kept.read()
    assert not done.unreadable and len(done.passed) == 600


# -- predictions and quizzes ---------------------------------------------------------------------------------------


def test_a_prediction_is_compared_with_what_happened() -> None:
    guess = engine.predict("How many?", ["1", "2"])
    assert repr(guess) == "How many?\n  ○ 1\n  ○ 2"
    assert guess.compare(2).sign == "○"
    guess.choose("2")
    assert guess.compare(2).sign == "✔"
    assert "you predicted 2, it was 1" in guess.compare(1).text


def test_an_outcome_that_nobody_offered_is_still_told() -> None:
    guess = engine.predict("How many?", ["1", "2"])
    guess.choose("1")
    assert "it was 7" in guess.compare(7).text


def test_a_wrong_answer_is_explained_too() -> None:
    entry = model.quiz_of("1.q1")
    wrong = entry.options[1 - entry.right]
    assert engine.quiz("1.q1").answer(wrong) == f"✖ Not quite. {entry.why}"


def test_buttons_choose_and_say_so() -> None:
    question = engine.quiz("1.q1")
    buttons = question._made().children[1]
    buttons.value = question.options[question._entry.right]
    assert question.chosen == buttons.value and "✔ Right" in question._said.value


def test_a_notebook_shows_the_sentence_and_no_way_through_our_code() -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell()
    with capture_output() as shown:
        shell.run_cell("from epkit import check\ncheck('9.9')")
    assert shown.stdout.startswith("EpkitError: There is no exercise '9.9'.") and "File" not in shown.stdout


def test_in_solve_mode_a_check_solves_first_and_must_pass(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPKIT_MODE", "solve")
    assert engine.check("1.1").sign == "✔"
    broken = model.exercise_of("1.2")
    monkeypatch.setattr(engine, "exercise_of", lambda id: replace(broken, solution="%kubectl get pods -n ex-1-2"))
    with pytest.raises(AssertionError, match=r"the solution of 1\.2 does not pass its check: the pod popular is in 0"):
        engine.check("1.2")
