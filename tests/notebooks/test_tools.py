"""`make notebooks` and the rules themselves: that each does what it says, on small notebooks made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
import test_rules as rules
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from test_rules import tool


def a_notebook(*cells: Any) -> Any:
    return new_notebook(cells=list(cells))


def reread(text: str) -> Any:
    return nbformat.reads(text, as_version=4)


def test_normalising_twice_changes_nothing() -> None:
    notebook = a_notebook(new_markdown_cell("# Title"), new_code_cell("1", outputs=[new_output("stream", text="1\n")]))
    once = tool.normalise(notebook)
    assert tool.normalise(reread(once)) == once
    assert once.endswith("}\n") and "\r" not in once


def test_a_cell_keeps_its_id_and_one_without_gets_always_the_same() -> None:
    notebook = a_notebook(new_markdown_cell("a", id="one"), new_markdown_cell("b"), new_markdown_cell("b"))
    del notebook.cells[1]["id"], notebook.cells[2]["id"]
    ids = [cell.id for cell in reread(tool.normalise(notebook)).cells]
    del notebook.cells[1]["id"], notebook.cells[2]["id"]
    assert [cell.id for cell in reread(tool.normalise(notebook)).cells] == ids
    assert ids[0] == "one" and len(set(ids)) == 3


def test_widget_views_state_and_timings_are_left_out() -> None:
    bundle = {"text/plain": "HTML(value='x')", tool.WIDGET_VIEW: {"model_id": "1"}}
    cell = new_code_cell("h", outputs=[new_output("display_data", bundle)])
    cell.metadata = {"execution": {"iopub.execute_input": "2026"}, "trusted": True, "tags": ["raises-exception"]}
    notebook = a_notebook(cell)
    notebook.metadata["widgets"] = {"state": {}}
    stored = reread(tool.normalise(notebook))
    assert stored.cells[0].outputs[0].data == {"text/plain": "HTML(value='x')"}
    assert stored.cells[0].metadata == {"tags": ["raises-exception"]}
    assert "widgets" not in stored.metadata and stored.metadata.kernelspec.name == "python3"


def test_neighbouring_texts_of_a_stream_are_joined() -> None:
    streams = [("stdout", "a\n"), ("stdout", "b\n"), ("stderr", "c\n"), ("stdout", "d\n")]
    cell = new_code_cell("x", outputs=[new_output("stream", name=name, text=text) for name, text in streams])
    stored = reread(tool.normalise(a_notebook(cell))).cells[0].outputs
    assert [(output.name, output.text) for output in stored] == [
        ("stdout", "a\nb\n"), ("stderr", "c\n"), ("stdout", "d\n"),
    ]  # fmt: skip


def test_a_notebook_is_run_and_written_once(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    nbformat.write(a_notebook(new_markdown_cell("# T"), new_code_cell("import os\nos.environ['EPKIT_MODE']")), path)
    assert tool.main([str(path)]) == 0
    first = path.read_bytes()
    cell = reread(first.decode()).cells[1]
    assert (cell.execution_count, cell.outputs[0].data["text/plain"]) == (1, "'ci'")
    assert tool.main([str(path)]) == 0
    assert path.read_bytes() == first


def test_a_cell_that_fails_leaves_the_file_as_it_was(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "x.ipynb"
    nbformat.write(a_notebook(new_code_cell("1/0")), path)
    before = path.read_bytes()
    assert tool.main([str(path)]) == 1
    assert path.read_bytes() == before
    assert "x.ipynb: a cell failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (rules.test_every_cell_can_be_tested, "w.Output()", "outputs = cluster.Outputs"),
        (rules.test_every_cell_can_be_tested, "interact(f, x=1)", "interacting = 1"),
        (rules.test_every_cell_can_be_tested, "import os; os.system('ls')", "os.environ"),
        (rules.test_every_cell_can_be_tested, "# NBVAL_IGNORE_OUTPUT\n1", "# ignore the output"),
        (rules.test_every_cell_can_be_tested, "name = input('?')", "cluster.input(1)"),
        (rules.test_no_absolute_path_of_a_machine_is_stored, "open('/home/me/x')", "'/var/run/secrets/x'"),
        (rules.test_no_absolute_path_of_a_machine_is_stored, r"open('C:\\Users')", "'http://example.com/home/x'"),
        (rules.test_no_cell_is_empty, "  ", "1"),
    ],
)
def test_a_rule_finds_what_it_forbids_in_code(rule: Any, bad: str, good: str) -> None:
    rule(a_notebook(new_code_cell(good)))
    with pytest.raises(AssertionError):
        rule(a_notebook(new_code_cell(bad)))


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (rules.test_its_headings_start_with_one_title_and_do_not_jump, "# A\n\n### B", "# A\n\n## B\n\n### C\n\n## D"),
        (rules.test_its_headings_start_with_one_title_and_do_not_jump, "## A", "# A\n\n```sh\n# a comment\n```"),
        (rules.test_its_headings_start_with_one_title_and_do_not_jump, "# A\n\n# B", "# A"),
        (rules.test_its_prose_shows_in_jupyterlab_and_to_a_screen_reader, "![](a.svg)", "![A slice](a.svg)"),
        (rules.test_its_prose_shows_in_jupyterlab_and_to_a_screen_reader, '<img src="a">', '<img alt="A" src="a">'),
        (rules.test_its_prose_shows_in_jupyterlab_and_to_a_screen_reader, "> [!NOTE]\n> x", "> **Note** x"),
        (rules.test_its_prose_shows_in_jupyterlab_and_to_a_screen_reader, ":::{note}\nx\n:::", "a ::: b"),
    ],
)
def test_a_rule_finds_what_it_forbids_in_prose(rule: Any, bad: str, good: str) -> None:
    rule(a_notebook(new_markdown_cell(good)))
    with pytest.raises(AssertionError):
        rule(a_notebook(new_markdown_cell(bad)))


@pytest.mark.parametrize(
    ("rule", "output"),
    [
        (rules.test_no_output_differs_from_run_to_run, new_output("stream", text="<A object at 0x7f01>")),
        (
            rules.test_every_picture_has_a_sentence_that_is_compared,
            new_output("display_data", {"image/svg+xml": "<svg/>"}),
        ),
        (
            rules.test_every_picture_has_a_sentence_that_is_compared,
            new_output("display_data", {"image/svg+xml": "<svg/>", "text/plain": "<epkit.views.Topology of web>"}),
        ),
        (rules.test_every_picture_has_a_sentence_that_is_compared, new_output("display_data", {"image/png": "eA=="})),
        (rules.test_no_widget_view_or_state_is_stored, new_output("display_data", {tool.WIDGET_VIEW: {}})),
        (rules.test_no_absolute_path_of_a_machine_is_stored, new_output("stream", text="in /home/me/epkit/x.py")),
    ],
)
def test_a_rule_finds_what_it_forbids_in_outputs(rule: Any, output: Any) -> None:
    rule(a_notebook(new_code_cell("x", outputs=[new_output("stream", text="Service web has two endpoints\n")])))
    with pytest.raises(AssertionError):
        rule(a_notebook(new_code_cell("x", outputs=[output])))


@pytest.mark.parametrize("counts", [[None, None], [2, 1], [1, 3], [1, None]])
def test_a_notebook_that_was_not_run_once_from_the_top_is_found(counts: list[int | None]) -> None:
    with pytest.raises(AssertionError):
        rules.test_its_code_cells_were_run_once_from_the_top(
            a_notebook(*(new_code_cell("x", execution_count=count) for count in counts))
        )
