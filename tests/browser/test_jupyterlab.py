"""A learner's way: open a chapter in JupyterLab, run it from the top, look at it."""

from __future__ import annotations

import json
from pathlib import Path

import harness
import pytest

pytestmark = pytest.mark.browser


def chapter(pattern: str) -> Path:
    """The one notebook that `pattern` names."""
    (found,) = (harness.ROOT / "notebooks").glob(pattern)
    return found


def test_chapter_5_runs_from_the_top_in_jupyterlab(chromium: Path, tmp_path: Path) -> None:
    path = chapter("05-*.ipynb")
    with harness.jupyterlab([path], tmp_path) as address:
        run = harness.run_notebook(address, path.name, chromium, tmp_path)
    stored = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in run.cells] == list(range(1, len(stored) + 1))
    assert run.cell_errors == []
    assert run.console_errors == []
    assert run.outside_requests == []
    assert run.cut_off == []
    assert all(shot.stat().st_size > 10_000 for shot in run.screenshots)
