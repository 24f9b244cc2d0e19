"""`make notebooks`: run every notebook from the top and store what it printed, so that running again leaves no diff.

It runs inside the environment, with EPKIT_MODE=ci: the built-in cluster then gives fixed names, addresses and times.
`normalise` removes what differs from machine to machine; the test of the notebooks' rules calls it too.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
CELL_SECONDS = 120
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
KEPT_CELL_METADATA = ("tags", "slideshow")


def main(names: list[str]) -> int:
    """Run the notebooks `names`, by default all; returns 1 when a cell fails."""
    os.environ["EPKIT_MODE"] = "ci"
    paths = [Path(name).resolve() for name in names] or sorted((ROOT / "notebooks").glob("*.ipynb"))
    with ThreadPoolExecutor(max_workers=2) as pool:
        return int(not all(list(pool.map(execute, paths))))


def execute(path: Path) -> bool:
    """Run one notebook and write it where something changed; a cell that fails leaves the file as it is."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    notebook = nbformat.read(path, as_version=4)
    clear(notebook)
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    try:
        client.execute()
    except CellExecutionError as error:
        told = f"a cell failed, the file is left as it was: {error.ename}: {error.evalue}"
        print(f"epkit: {path.name}: {told}", file=sys.stderr, flush=True)
        return False
    text = normalise(notebook)
    changed = text != path.read_text(encoding="utf-8")
    if changed:
        path.write_text(text, encoding="utf-8", newline="\n")
    print(f"epkit: {path.name}: {'written' if changed else 'unchanged'}", file=sys.stderr, flush=True)
    return True


def clear(notebook: nbformat.NotebookNode) -> None:
    """Remove all outputs and execution counts."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def normalise(notebook: nbformat.NotebookNode) -> str:
    """The text to store: stable cell ids, no timings, no widget views or state, sorted keys, LF."""
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell["id"] = stable_id(cell, number)
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in KEPT_CELL_METADATA})
        if cell.cell_type == "code":
            cell.outputs = outputs(cell.outputs)
    text: str = nbformat.writes(notebook)
    return text.rstrip("\n") + "\n"


def stable_id(cell: Any, number: int) -> str:
    """The cell's own id, or one made from its text and place where it has none."""
    return str(cell.get("id") or hashlib.sha256(f"{number} {cell.source}".encode()).hexdigest()[:8])


def outputs(every: list[Any]) -> list[Any]:
    """Outputs without widget views, texts of one stream joined, the clone's path left out of tracebacks."""
    result: list[Any] = []
    for output in every:
        if "data" in output:
            output.data.pop(WIDGET_VIEW, None)
            output.metadata.pop(WIDGET_VIEW, None)
        if output.output_type == "error":
            output.traceback = [line.replace(str(ROOT) + os.sep, "") for line in output.traceback]
        last = result[-1] if result else None
        if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            result.append(output)
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
