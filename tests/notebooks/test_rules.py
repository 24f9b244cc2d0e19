"""The rules that keep the notebooks testable and readable, checked on the stored files.

That the stored outputs are true is nbval's part: it runs every cell and compares (see conftest.py at the root).
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import notebooks as tool  # noqa: E402  (found beside the commands, not in a package)
from epkit.targets.base import POWERS  # noqa: E402
from epkit.targets.table import TARGETS, class_of  # noqa: E402

PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# Output, interact and clear_output need a front end to be compared; os.system escapes capture; input waits for ever.
# A cell that nbval skips or does not compare is a claim that nobody checks.
UNTESTABLE = re.compile(
    r"\bOutput\(|\binteract(?:ive|ive_output|_manual)?\(|\bclear_output\(|\bdisplay_id\b|\bos\.system\(|(?<![\w.])input\("
    r"|NBVAL_(?:IGNORE_OUTPUT|SKIP)|nbval-(?:ignore-output|skip)"
)
UNSTABLE = re.compile(r"\bat 0x[0-9a-f]+|ipykernel_\d+")
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|Users|private|tmp|work|opt)/[\w.]|\b[A-Z]:\\\\?\w")
DIRECTIVE = re.compile(r"^:{3,}\{|^> \[!\w+\]", re.MULTILINE)  # JupyterLab shows these as plain text
IMAGE_WITHOUT_ALT = re.compile(r"!\[\s*\]\(|<img(?![^>]*\balt=\"[^\"]+\")[^>]*>")
HEADING = re.compile(r"^(#{1,6}) +\S", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


@pytest.fixture(params=PATHS, ids=lambda path: path.name)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def notebook(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def of_type(notebook: Any, kind: str) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in of_type(notebook, "code") for output in cell.outputs]


def texts(output: Any) -> list[str]:
    """What an output shows as text."""
    if output.output_type == "stream":
        return [output.text]
    if output.output_type == "error":
        return [output.evalue, *output.traceback]
    return [value for kind, value in output.data.items() if kind.startswith("text/")]


def test_it_is_stored_as_make_notebooks_writes_it(path: Path, notebook: Any) -> None:
    assert path.read_text(encoding="utf-8") == tool.normalise(notebook), "run `make notebooks` and commit the result"


def test_its_code_cells_were_run_once_from_the_top(notebook: Any) -> None:
    counts = [cell.execution_count for cell in of_type(notebook, "code")]
    assert counts == list(range(1, len(counts) + 1))


def test_no_cell_is_empty(notebook: Any) -> None:
    assert [cell.id for cell in notebook.cells if not cell.source.strip()] == []


def test_every_cell_can_be_tested(notebook: Any) -> None:
    found = {cell.id: UNTESTABLE.findall(cell.source) for cell in of_type(notebook, "code")}
    assert {name: words for name, words in found.items() if words} == {}
    tags = {tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])}
    assert not {tag for tag in tags if UNTESTABLE.search(tag)}


def test_no_output_differs_from_run_to_run(notebook: Any) -> None:
    assert [text for output in outputs(notebook) for text in texts(output) if UNSTABLE.search(text)] == []


def test_no_absolute_path_of_a_machine_is_stored(notebook: Any) -> None:
    stored = [cell.source for cell in notebook.cells] + [text for output in outputs(notebook) for text in texts(output)]
    assert [match[0] for text in stored for match in ABSOLUTE_PATH.finditer(text)] == []


def test_every_picture_has_a_sentence_that_is_compared(notebook: Any) -> None:
    for output in outputs(notebook):
        kinds = set(output.get("data", {}))
        assert not kinds & {"image/png", "image/jpeg"}, "nbval compares no bitmap: draw SVG"
        if "image/svg+xml" in kinds:
            text = output.data.get("text/plain", "").strip()
            assert len(text) > 20 and not text.startswith("<"), f"a picture's text form is {text!r}"


def test_no_widget_view_or_state_is_stored(notebook: Any) -> None:
    assert "widgets" not in notebook.metadata
    assert [output for output in outputs(notebook) if tool.WIDGET_VIEW in output.get("data", {})] == []


def test_its_kernel_is_python3(notebook: Any) -> None:
    assert notebook.metadata.kernelspec.name == "python3"


def test_its_headings_start_with_one_title_and_do_not_jump(notebook: Any) -> None:
    prose = "\n\n".join(FENCE.sub("", cell.source) for cell in of_type(notebook, "markdown"))
    levels = [len(match[1]) for match in HEADING.finditer(prose)]
    assert levels[:1] == [1] and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))


def test_its_prose_shows_in_jupyterlab_and_to_a_screen_reader(notebook: Any) -> None:
    for cell in of_type(notebook, "markdown"):
        prose = FENCE.sub("", cell.source)
        assert not DIRECTIVE.search(prose), "JupyterLab shows directives and alerts as plain text"
        assert not IMAGE_WITHOUT_ALT.search(prose), "a picture without alt text"


def test_every_link_to_a_file_leads_somewhere(path: Path, notebook: Any) -> None:
    for cell in of_type(notebook, "markdown"):
        for target in re.findall(r"\]\((?!https?:|#|mailto:|attachment:)([^)#\s]+)", FENCE.sub("", cell.source)):
            assert (path.parent / target).exists(), f"{target} is not there"


# -- cells that need what not every target has -----------------------------------------------------------------------

NEEDS = re.compile(r"\A%%needs +([a-z ]+)\n")
#: what a cell does -> the power that it needs for that
WANTS = {
    r"\bcluster\.step\(": "step",
    r"\bcluster\.(?:pause|resume)\(": "pause",
    r"\bcluster\.sleep\(\d{3,}": "pause",  # on a live cluster the learner would wait for minutes
    r"\bcluster\.controller\(": "controllers",
    r"\bcluster\.kubelet\(": "kubelets",
    r"(?:^%kubectl|kubectl\(f?\"|^ +\") *(?:label node|cordon|uncordon|drain|taint|delete node)\b": "everywhere",
    r"--replicas=(?:1000|1020)\b|, 1000\):\n +cluster\.kubectl": "crowd",
}


def powers_of(source: str) -> set[str]:
    marked = NEEDS.match(source)
    return set(marked[1].split()) if marked else set()


def names_in(source: str) -> tuple[set[str], set[str]]:
    """What a cell gives names to, and what it uses, in Python and in its ``%kubectl`` lines."""
    plain = NEEDS.sub("", source)
    if plain.startswith("%%"):
        return set(), set()
    tree = ast.parse(TransformerManager().transform_cell(plain))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    stored |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    return stored, used | set(re.findall(r"^ *%kubectl.*?\{([A-Za-z_]\w*)", plain, re.MULTILINE))


def test_a_cell_that_needs_a_power_says_so(notebook: Any) -> None:
    for cell in of_type(notebook, "code"):
        wanted = {power for sign, power in WANTS.items() if re.search(sign, cell.source, re.MULTILINE)}
        for target in map(class_of, TARGETS):
            lacking = wanted - target.powers
            assert not lacking or powers_of(cell.source) - target.powers, f"{cell.id}: {target.name} lacks {lacking}"


def test_a_named_power_exists(notebook: Any) -> None:
    assert {power for cell in of_type(notebook, "code") for power in powers_of(cell.source)} <= set(POWERS)


def test_what_a_left_out_cell_would_have_named_is_not_used(notebook: Any) -> None:
    given: dict[str, list[set[str]]] = {}  # a name -> the powers of each cell that gives it
    for cell in of_type(notebook, "code"):
        stored, used = names_in(cell.source)
        for name in used - stored:
            needed = [powers for powers in given.get(name, []) if not powers <= powers_of(cell.source)]
            assert len(needed) < len(given.get(name, [None])), f"{cell.id} uses {name}, which only marked cells name"
        for name in stored:
            given.setdefault(name, []).append(powers_of(cell.source))


def test_the_code_names_no_namespace_and_no_node_of_one_target(notebook: Any) -> None:
    for cell in of_type(notebook, "code"):
        if not powers_of(cell.source):
            assert not re.search(r"[\"']default[\"']|[\"']node-\d[\"']|-n default\b", cell.source), cell.id
