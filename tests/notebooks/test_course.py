"""What the course promises: eight chapters under the tutorial's titles, each with something to predict and to solve."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
import test_rules as rules

from epkit.checks.model import Chapter, chapters

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
CONTENTS = NOTEBOOKS / "00-start-here.ipynb"
CHAPTERS = list(chapters().values())

TITLES = {
    "1": "Introduction to Endpoints & EndpointSlices",
    "2": "The importance of EndpointSlices",
    "3": "How EndpointSlices work",
    "4": "Creating and managing",
    "5": "Live implementation example",
    "6": "Editing EndpointSlices",
    "7": "Use cases and best practices",
    "8": "Conclusion",
}
LONGEST_CODE, LONGEST_PROSE = 30, 50  # lines: what a reader sees at once
HOURS = {3: "Three", 4: "Four", 5: "Five"}


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def prose(notebook: Any) -> str:
    return "\n\n".join(cell.source for cell in rules.of_type(notebook, "markdown"))


def code(notebook: Any) -> str:
    return "\n\n".join(cell.source for cell in rules.of_type(notebook, "code"))


@pytest.fixture(params=CHAPTERS, ids=lambda chapter: chapter.id)
def chapter(request: pytest.FixtureRequest) -> Chapter:
    return request.param


@pytest.fixture
def notebook(chapter: Chapter) -> Any:
    return read(NOTEBOOKS / chapter.notebook)


# -- the whole -----------------------------------------------------------------------------------------------------


def test_the_chapters_are_the_tutorials() -> None:
    assert {chapter.id: chapter.title for chapter in CHAPTERS} == TITLES


def test_every_notebook_is_the_contents_page_or_a_chapter() -> None:
    found = {path.name for path in NOTEBOOKS.glob("*.ipynb")}
    assert found == {CONTENTS.name, *(chapter.notebook for chapter in CHAPTERS)}


def test_the_contents_page_lists_every_chapter_with_its_minutes() -> None:
    rows = re.findall(r"^\| \[(\d)\. ([^\]]+)\]\(([^)]+)\) \| (\d+) \|", prose(read(CONTENTS)), re.MULTILINE)
    assert rows == [(one.id, one.title, one.notebook, str(one.minutes)) for one in CHAPTERS]
    hours = round(sum(chapter.minutes for chapter in CHAPTERS) / 60)
    assert f"{HOURS[hours]} hours in all" in prose(read(CONTENTS))


def test_the_contents_page_names_the_outlines_authors() -> None:
    for name in ("Pallavi Jaini", "Jay Vyas", "Amim Knabben"):
        assert name in prose(read(CONTENTS))


def test_the_contents_page_runs_the_doctor_and_shows_progress() -> None:
    assert {"epkit.doctor()", "epkit.progress()"} <= set(code(read(CONTENTS)).split())


# -- each chapter --------------------------------------------------------------------------------------------------


def test_it_opens_with_its_title_its_minutes_and_the_way_back(chapter: Chapter, notebook: Any) -> None:
    opening = notebook.cells[0].source
    assert opening.startswith(f"# {chapter.id}. {chapter.title}\n")
    assert f"**Time:** {chapter.minutes} minutes" in opening
    assert "**You will be able to**" in opening and "**Before:**" in opening
    assert f"({CONTENTS.name})" in opening


def test_its_first_cell_starts_it(chapter: Chapter, notebook: Any) -> None:
    first = rules.of_type(notebook, "code")[0].source
    assert f'cluster = epkit.start("{chapter.id}")' in first and "pip" not in first


def test_its_sections_are_numbered(chapter: Chapter, notebook: Any) -> None:
    numbers = re.findall(rf"^## {chapter.id}\.(\d+) \S", prose(notebook), re.MULTILINE)
    assert len(numbers) >= 3 and numbers == [str(number) for number in range(1, len(numbers) + 1)]


def test_it_ends_with_what_to_remember_where_to_read_on_and_the_next_chapter(chapter: Chapter, notebook: Any) -> None:
    headings = [match.group() for match in re.finditer(r"^## .*$", prose(notebook), re.MULTILINE)]
    assert any("What to remember" in heading for heading in headings)
    assert any("Go deeper" in heading for heading in headings)
    following = next((one.notebook for one in CHAPTERS if int(one.id) == int(chapter.id) + 1), CONTENTS.name)
    assert f"({following})" in notebook.cells[-1].source


def test_it_asks_before_it_shows(chapter: Chapter, notebook: Any) -> None:
    text = code(notebook)
    quizzes = re.findall(r'\bquiz\("([^"]+)"\)', text)
    predictions = len(re.findall(r"\bpredict\(", text))
    assert predictions + len(quizzes) >= 3
    assert predictions == text.count(".compare("), "a prediction without its comparison"
    assert sorted(quizzes) == sorted(one.id for one in chapter.quizzes), "each quiz once"


def test_it_has_exercises_and_a_cell_for_each(chapter: Chapter, notebook: Any) -> None:
    cells = rules.of_type(notebook, "code")
    numbered = [(number, cell.source) for number, cell in enumerate(cells)]
    checks = [(number, source) for number, source in numbered if re.fullmatch(r'check\("[^"]+"\)', source)]
    wanted = [f'check("{one.id}")' for one in chapter.exercises]
    assert [source for _, source in checks] == wanted and len(wanted) >= 3
    for number, source in checks:
        assert cells[number - 1].source.startswith("# your commands"), f"no cell for the learner before {source}"
    for one in chapter.exercises:
        assert f"{one.id}**" in prose(notebook), f"the task {one.id} is not told"
        assert one.namespace in prose(notebook)


def test_its_exercises_are_untouched(chapter: Chapter, notebook: Any) -> None:
    for cell in rules.of_type(notebook, "code"):
        if cell.source.startswith("check("):
            assert cell.outputs[0].data["text/plain"].startswith("✖"), "the stored output is what a newcomer sees"
        if cell.source.startswith("# your commands"):
            assert "\n" not in cell.source and not cell.outputs


# -- what can be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", rules.PATHS, ids=lambda path: path.name)
def test_a_reader_sees_a_cell_on_one_screen(path: Path) -> None:
    longest = {"code": LONGEST_CODE, "markdown": LONGEST_PROSE}
    for cell in read(path).cells:
        lines = len(cell.source.splitlines())
        assert lines <= longest[cell.cell_type], f"{lines} lines: {cell.source[:60]!r}"


@pytest.mark.parametrize("path", [*rules.PATHS, ROOT / "README.md"], ids=lambda path: path.name)
def test_its_words_are_spelled_as_in_a_dictionary(path: Path) -> None:
    text = path.read_text(encoding="utf-8") if path.suffix == ".md" else "\n\n".join(c.source for c in read(path).cells)
    command = [sys.executable, "-m", "codespell_lib", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8", cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", rules.PATHS, ids=lambda path: path.name)
def test_its_prose_does_not_shout(path: Path) -> None:
    text = rules.FENCE.sub("", prose(read(path)))
    text = re.sub(r"`[^`]*`|!\[", "", text)
    assert "!" not in text


def test_the_readmes_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
    assert targets and [target for target in targets if not (ROOT / target).exists()] == []
    assert {f"notebooks/{chapter.notebook}" for chapter in CHAPTERS} <= set(targets)


# -- `make test` ---------------------------------------------------------------------------------------------------


@pytest.fixture
def testing(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import testing

    monkeypatch.setattr(testing.environment, "ready", lambda profile: Path("python"))
    return testing


@pytest.mark.parametrize("statuses", [(0, 0), (0, 1), (1, 0)])
def test_make_test_runs_the_notebooks_untouched_and_solved(
    testing: Any, monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, int]
) -> None:
    calls: list[tuple[tuple[str, ...], dict[str, str]]] = []

    def call(python: Path, *command: str, **variables: str) -> int:
        calls.append((command, variables))
        return statuses[len(calls) - 1]

    monkeypatch.setattr(testing, "call", call)
    assert testing.test([]) == max(statuses)
    (untouched, variables), (solved, others) = calls
    assert "--nbval" in untouched and "notebooks" in untouched and not variables
    assert "--nbval-lax" in solved and solved[-1] == "notebooks" and others["EPKIT_MODE"] == "solve"
