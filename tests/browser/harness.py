"""A JupyterLab of its own, driven in headless Chromium.

The server works on copies of the notebooks in a temporary folder, with private Jupyter directories, on a free port of
the loopback address. Nothing waits for a fixed time: the page is asked for the kernel's state and the cells' counts.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "test-output" / "browser"
CHROMIUM_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
START_SECONDS, PAGE_MILLISECONDS, RUN_MILLISECONDS = 60, 60_000, 180_000

# The notebook that is in front, as JupyterLab's own objects: its panel and its kernel's connection.
PANEL = "const panel = window.jupyterapp?.shell?.currentWidget; const kernel = panel?.sessionContext?.session?.kernel;"
IDLE = f"() => {{ {PANEL} return panel?.content?.model?.cells?.length > 0 && kernel?.status === 'idle' }}"
CLEAR = f"""() => {{ {PANEL}
  return window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs') }}"""
RUN_ALL = f"() => {{ {PANEL} return window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => null) }}"
CELLS = f"""() => {{ {PANEL}
  return [...panel.content.model.cells].filter(cell => cell.type === 'code').map(cell => cell.toJSON()) }}"""
SHOW_FIRST_PICTURE = f"""async () => {{ {PANEL}
  const index = panel.content.widgets.findIndex(cell => cell.model.type === 'code' &&
    cell.model.toJSON().outputs.some(output => 'image/svg+xml' in (output.data ?? {{}})));
  if (index < 0) return false;
  await panel.content.scrollToItem(index, 'start');
  return true }}"""

CUT_OFF = """() => [...document.querySelectorAll('.jp-RenderedSVG img')].filter(image =>
  image.getBoundingClientRect().right > image.closest('.jp-OutputArea').getBoundingClientRect().right + 1
).map(image => `${image.naturalWidth} pixels wide`)"""


@dataclass
class Run:
    """What a notebook did: its code cells as nbformat JSON, what the page reported, and pictures that it cut off."""

    cells: list[dict[str, Any]]
    console_errors: list[str]
    outside_requests: list[str]
    screenshots: list[Path] = field(default_factory=list)
    cut_off: list[str] = field(default_factory=list)

    @property
    def cell_errors(self) -> list[str]:
        """`ename: evalue` of every cell that raised, those aside that are tagged `raises-exception`."""
        return [
            f"{output['ename']}: {output['evalue']}"
            for cell in self.cells
            for output in cell["outputs"]
            if output["output_type"] == "error" and "raises-exception" not in cell["metadata"].get("tags", [])
        ]


@contextmanager
def jupyterlab(notebooks: list[Path], folder: Path) -> Iterator[str]:
    """Serve copies of `notebooks` from `folder`/notebooks; yields the server's address with `{}` for a page.

    Raises RuntimeError with the server's log when it does not answer within a minute.
    """
    work = folder / "notebooks"
    work.mkdir(parents=True)
    for path in notebooks:
        shutil.copy(path, work)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    env = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_CONFIG_PATH": str(ROOT / "jupyter"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_TOKEN": token,
    }
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.root_dir={folder}",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--LabApp.expose_app_in_browser=True",
    ]  # fmt: skip
    log = folder / "jupyterlab.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, env=env, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until_answering(server, port, log)
        yield f"http://127.0.0.1:{port}/{{}}?token={token}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until_answering(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"JupyterLab does not answer:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.05)


def run_notebook(address: str, name: str, chromium: Path, home: Path) -> Run:
    """Open notebooks/`name` in JupyterLab at `address`, run all its cells from the top, and take screenshots.

    `home` is the folder that Chromium takes for the user's own.
    """
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    env: dict[str, str | float | bool] = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}
    env.pop("XDG_CACHE_HOME", None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(chromium), headless=True, args=list(CHROMIUM_FLAGS), env=env
        )
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            run = Run([], [], [])
            listen(page, run, address)
            page.goto(address.format(f"lab/tree/notebooks/{name}"), timeout=PAGE_MILLISECONDS)
            page.wait_for_function(IDLE, timeout=PAGE_MILLISECONDS)
            page.evaluate(CLEAR)
            page.set_default_timeout(RUN_MILLISECONDS)
            page.evaluate(RUN_ALL)
            page.wait_for_function(IDLE, timeout=RUN_MILLISECONDS)
            run.cells = page.evaluate(CELLS)
            run.screenshots = screenshots(page, Path(name).stem)
            run.cut_off = page.evaluate(CUT_OFF)
            return run
        finally:
            browser.close()


def listen(page: Page, run: Run, address: str) -> None:
    """Collect the page's console errors and its requests to anything but the server."""
    origin = address.split("/{}")[0]
    page.on("console", lambda message: run.console_errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: run.console_errors.append(str(error)))

    def request(request: Any) -> None:
        if not request.url.startswith((origin, "data:", "blob:")):
            run.outside_requests.append(request.url)

    page.on("request", request)


def screenshots(page: Page, stem: str) -> list[Path]:
    """The end of the notebook, and its first picture once it is drawn."""
    taken = [SCREENSHOTS / f"{stem}-end.png"]
    page.screenshot(path=taken[0])
    if page.evaluate(SHOW_FIRST_PICTURE):
        drawn = "() => [...document.querySelectorAll('.jp-RenderedSVG img')].some(image => image.naturalWidth > 0)"
        page.wait_for_function(drawn)
        taken.append(SCREENSHOTS / f"{stem}-picture.png")
        page.screenshot(path=taken[1])
    return taken
