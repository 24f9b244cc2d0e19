"""The pages for workshop leaders say what is true of the notebooks: sections, minutes, links, the 25 facts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from epkit.checks.model import Chapter, chapters

ROOT = Path(__file__).resolve().parents[2]
INSTRUCTOR, NOTEBOOKS = ROOT / "instructor", ROOT / "notebooks"
PAGES = sorted(INSTRUCTOR.glob("*.md"))
CHAPTERS = list(chapters().values())
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#|mailto:)([^)#\s]+)\)")
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)


def prose(notebook: str) -> str:
    cells = json.loads((NOTEBOOKS / notebook).read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def sections(notebook: str) -> list[str]:
    return re.findall(r"^## (\d+\.\d+ .+)$", prose(notebook), re.MULTILINE)


def page(chapter: Chapter) -> str:
    return (INSTRUCTOR / f"ch{int(chapter.id):02}.md").read_text(encoding="utf-8")


# -- the facts -----------------------------------------------------------------------------------------------------


def facts() -> list[tuple[str, str, str]]:
    return ROW.findall((INSTRUCTOR / "facts.md").read_text(encoding="utf-8"))


def test_all_25_facts_are_there_in_order() -> None:
    found = facts()
    assert [int(number) for number, _, _ in found] == list(range(1, 26))
    assert all(text.endswith(".") for _, text, _ in found)
    assert len({text for _, text, _ in found}) == 25


@pytest.mark.parametrize("fact", facts(), ids=lambda fact: fact[0])
def test_a_fact_is_taught_where_the_table_says(fact: tuple[str, str, str]) -> None:
    places = LINK.findall(fact[2])
    assert places
    for heading, target in places:
        assert heading in sections(Path(target).name), f"{target} has no section {heading!r}"


# -- the chapters' pages -------------------------------------------------------------------------------------------


def test_there_is_a_page_for_each_chapter() -> None:
    assert {path.name for path in PAGES} == {
        "README.md", "facts.md", *(f"ch{int(chapter.id):02}.md" for chapter in CHAPTERS),
    }  # fmt: skip


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.id)
def test_it_gives_each_section_its_minutes_and_they_add_up(chapter: Chapter) -> None:
    rows = re.findall(r"^\| (.+) \| (\d+) \|$", page(chapter), re.MULTILINE)
    assert [name for name, _ in rows if name != "Exercises"] == sections(chapter.notebook)
    assert sum(int(minutes) for _, minutes in rows) == chapter.minutes


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.id)
def test_it_says_what_a_leader_needs(chapter: Chapter) -> None:
    text = page(chapter)
    assert text.startswith(f"# Chapter {chapter.id}: {chapter.title}\n")
    assert f"(../notebooks/{chapter.notebook})" in text and text.count("**The one idea:**") == 1
    for heading in ("## Show", "## Questions that come", "## Skip"):
        assert f"\n{heading}\n" in text
    questions = text.split("## Questions that come")[1].split("\n## ")[0]
    assert len(re.findall(r"^- \*\*.+?[?.]\*\* \S", questions, re.MULTILINE | re.DOTALL)) >= 5


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_section_and_exercise_that_is_named_exists(path: Path) -> None:
    known = {heading.split(" ")[0] for chapter in CHAPTERS for heading in sections(chapter.notebook)}
    known |= {exercise.id for chapter in CHAPTERS for exercise in chapter.exercises}
    text = re.sub(r"v?\d+\.\d+ or newer|v\d\.\d+|of 1\.29", "", path.read_text(encoding="utf-8"))
    assert set(re.findall(r"(?<![\w.,/])([1-8]\.\d{1,2})(?![\w.]*\d)", text)) <= known


def test_the_readme_has_the_minutes_of_each_chapter() -> None:
    text = (INSTRUCTOR / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| minutes \|(.+)\|$", text, re.MULTILINE)
    assert [int(cell) for cell in row.split("|")] == [chapter.minutes for chapter in CHAPTERS]


# -- all pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_its_links_lead_somewhere(path: Path) -> None:
    targets = [target for _, target in LINK.findall(path.read_text(encoding="utf-8"))]
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", [*PAGES, NOTEBOOKS / "cheat-sheet.md"], ids=lambda path: path.name)
def test_its_words_are_spelled_as_in_a_dictionary(path: Path) -> None:
    command = [sys.executable, "-m", "codespell_lib", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stdout


def test_the_cheat_sheet_to_print_is_the_one_in_chapter_8() -> None:
    table = re.compile(r"(?:^\|.*\n?)+", re.MULTILINE)
    printed = [found.strip() for found in table.findall((NOTEBOOKS / "cheat-sheet.md").read_text(encoding="utf-8"))]
    section = prose("08-conclusion.ipynb").split("## 8.6 Cheat sheet")[1].split("## 8.7")[0]
    assert printed == [found.strip() for found in table.findall(section)] and len(printed) == 3
