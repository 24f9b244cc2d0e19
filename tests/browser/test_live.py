"""The live view in JupyterLab, by keyboard alone: Tab to a control, Space or Enter, arrow keys; in both themes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import harness
import nbformat
import pytest
from playwright.sync_api import Page, TimeoutError, sync_playwright

pytestmark = pytest.mark.browser

CELLS = (
    'import epkit\ncluster = epkit.connect()\ncluster.kubectl("create deployment web --image=nginx --replicas=2")\n'
    'cluster.kubectl("expose deployment web --port=80")\n'
    'cluster.kubectl("run wbe --image=nginx --labels=app=wbe");',
    'view = cluster.live("svc/web")\nview',
)
MORE = 'get_ipython().user_ns["cluster"].kubectl("scale deployment web --replicas=3")'
FOCUS = """() => { const element = document.activeElement;
  if (!element?.closest('.epkit-live')) return '';
  return element.matches('.noUi-handle') ?
    element.closest('.widget-inline-hbox').querySelector('.widget-label').textContent :
    element.labels?.[0]?.textContent || element.textContent }"""
THEME = "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme }).then(() => null)"
EXECUTE = """code => { const panel = [...window.jupyterapp.shell.widgets('main')].find(one => one.sessionContext);
  return panel.sessionContext.session.kernel.requestExecute({ code }).done.then(() => null) }"""
TOP = """() => document.querySelector('.epkit-live').scrollIntoView({ block: 'start' })"""


@contextmanager
def chromium_page(chromium: Path, home: Path) -> Iterator[Page]:
    env: dict[str, str | float | bool] = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}
    env.pop("XDG_CACHE_HOME", None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(chromium), headless=True, args=list(harness.CHROMIUM_FLAGS), env=env
        )
        try:
            yield browser.new_page(viewport={"width": 1400, "height": 1500})
        finally:
            browser.close()


class Keyboard:
    """Somebody without a mouse in front of the live view."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def status(self) -> str:
        return self.page.locator(".epkit-live [role=status]").inner_text()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, name: str, back: bool = False) -> None:
        """Press Tab until the control with this name has the focus."""
        seen = []
        for _ in range(12):
            self.press("Shift+Tab" if back else "Tab")
            seen.append(self.page.evaluate(FOCUS).strip())
            if seen[-1] == name:
                return
        pytest.fail(f"Tab does not reach {name!r}, but {seen}")

    def wait_for(self, status: str) -> None:
        """Wait until the status says so; `status` is a regular expression."""
        found = "pattern => new RegExp(pattern).test(document.querySelector('.epkit-live [role=status]').textContent)"
        try:
            self.page.wait_for_function(found, arg=status, timeout=60_000)
        except TimeoutError:
            pytest.fail(f"The status does not come to say {status!r}; it says {self.status!r}")


@contextmanager
def opened(chromium: Path, folder: Path, run: harness.Run) -> Iterator[Page]:
    """A notebook with a live view, run in JupyterLab, once the view is there."""
    source = folder / "live.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, source)
    harness.SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with harness.jupyterlab([source], folder / "lab") as address, chromium_page(chromium, folder) as page:
        harness.listen(page, run, address)
        page.goto(address.format("lab/tree/notebooks/live.ipynb"), timeout=harness.PAGE_MILLISECONDS)
        page.wait_for_function(harness.IDLE, timeout=harness.PAGE_MILLISECONDS)
        page.evaluate(harness.RUN_ALL)
        page.wait_for_selector(".epkit-live [role=status]", timeout=harness.PAGE_MILLISECONDS)
        run.cells = page.evaluate(harness.CELLS)
        yield page
    assert run.cell_errors == []
    assert run.console_errors == []
    assert run.outside_requests == []


def test_the_live_view_is_operated_by_keyboard_alone(chromium: Path, tmp_path: Path) -> None:
    run = harness.Run([], [], [])
    with opened(chromium, tmp_path, run) as page:
        assert page.locator(".jp-Notebook .epkit-live").count() == 1  # EPKIT_MODE is set: it stays in the cell
        writes = operate(Keyboard(page))
        for theme in ("Light", "Dark"):
            page.evaluate(THEME, f"JupyterLab {theme}")
            page.wait_for_function(
                "light => document.body.dataset.jpThemeLight === light", arg=str(theme == "Light").lower()
            )
            page.wait_for_function("() => !document.getElementById('jupyterlab-splash')")
            if theme == "Dark":
                Keyboard(page).press(*["ArrowLeft"] * 9)
                Keyboard(page).wait_for(f"^Looking back at write {writes - 9} of {writes}, ")
            page.screenshot(path=harness.SCREENSHOTS / f"live-{theme.lower()}.png")


def test_where_sidecar_is_installed_the_live_view_opens_beside_the_notebook(
    chromium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sidecar")
    monkeypatch.delenv("EPKIT_MODE", raising=False)
    with opened(chromium, tmp_path, harness.Run([], [], [])) as page:
        user = Keyboard(page)
        user.wait_for("^Playing at once, at the present: 1 slice, 2 of 2 endpoints ready")
        tab = page.locator(".lm-TabBar-tabLabel", has_text=re.compile("^svc/web$"))
        assert (page.locator(".jp-Notebook .epkit-live").count(), tab.count()) == (0, 1)
        notebook, view = page.locator(".jp-NotebookPanel").bounding_box(), page.locator(".epkit-live").bounding_box()
        assert notebook is not None and view is not None
        assert notebook["x"] + notebook["width"] <= view["x"]
        page.locator(".epkit-live button").first.focus()
        user.press("Space")
        user.wait_for("^Paused")
        user.tab_to("Write")
        user.press("ArrowDown")
        user.wait_for("^Looking back at write")
        page.screenshot(path=harness.SCREENSHOTS / "live-sidecar.png")
        page.evaluate(EXECUTE, 'get_ipython().user_ns["again"] = get_ipython().user_ns["cluster"].live("svc/web")')
        page.evaluate(EXECUTE, 'get_ipython().display_formatter.format(get_ipython().user_ns["again"])')
        user.wait_for("^Paused, at the present")  # the new view stands where the first one stood
        page.wait_for_function("() => document.querySelectorAll('.epkit-live').length === 1")
        page.evaluate(EXECUTE, 'get_ipython().user_ns["cluster"].close()')
        page.wait_for_function("() => !document.querySelector('.epkit-live')")
        tab.wait_for(state="detached")


def operate(user: Keyboard) -> int:
    """Use every control; returns how many writes the slider goes over at the end."""
    page = user.page
    # From the cell with the view, in the notebook's command mode, Tab goes to the first control.
    page.evaluate(TOP)
    page.keyboard.press("Escape")
    user.wait_for("^Playing at once, at the present: 1 slice, 2 of 2 endpoints ready")
    page.locator(".epkit-live button").first.focus()  # where Tab goes on from; everything else is done by keys
    assert page.evaluate(FOCUS).strip() == "Pause"

    user.press("Space")
    user.wait_for("^Paused")
    assert page.evaluate(FOCUS).strip() == "Play"  # the focus stays

    page.evaluate(EXECUTE, MORE)
    user.tab_to("Next write")
    for _ in range(30):
        before = user.status
        user.press("Enter")
        user.wait_for(f"^(?!{re.escape(before)}$)")
        if "3 of 3" in user.status:
            break
    assert "3 of 3 endpoints ready" in user.status

    user.tab_to("Step", back=True)
    user.press("Space")
    user.wait_for("^Step: ")

    user.tab_to("Speed")
    user.press("ArrowRight")  # × 0.5; the clock is paused, so nothing moves yet
    user.wait_for("^From the next Play on: × 0.5. Paused")
    user.tab_to("Moment")
    user.press("ArrowLeft")
    user.wait_for("^Looking back at write")
    found = re.match(r"Looking back at write (\d+) of (\d+)", user.status)
    assert found is not None and int(found[1]) == int(found[2]) - 1
    user.press("ArrowLeft")
    user.wait_for(f"^Looking back at write {int(found[1]) - 1} of {found[2]}")
    user.press("Home")
    user.wait_for("^Looking back, before write 1 ")
    assert page.locator(".epkit-live").get_by_text("There is no Service web in the namespace default").count() == 1
    user.press("ArrowRight")
    user.wait_for("^Looking back at write 1 of .*kubectl ADDED deployments/web")
    user.press("End")
    user.wait_for("^Paused, at the present: 1 slice, 3 of 3 endpoints ready")
    user.press("ArrowLeft")
    user.wait_for("^Looking back")
    user.tab_to("Write")
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type("3")
    user.press("Enter")
    user.wait_for("^Looking back at write 3 of ")
    user.press("ArrowUp")
    user.wait_for("^Looking back at write 4 of ")
    field = page.get_by_role("spinbutton", name="Write")  # what a screen reader hears of it: its label and the number
    assert field.input_value() == "4"
    user.tab_to("Now")
    user.press("Enter")
    user.wait_for("^Paused, at the present")

    user.tab_to("Play", back=True)
    user.press("Enter")
    user.wait_for("^Playing × 0.5")
    page.evaluate(EXECUTE, 'get_ipython().user_ns["cluster"].resume()')
    user.wait_for("^Playing at once")
    page.evaluate(EXECUTE, 'get_ipython().user_ns["cluster"].kubectl("scale deployment web --replicas=4")')
    user.wait_for("4 of 4 endpoints ready")
    alt = page.locator(".epkit-live img").get_attribute("alt") or ""
    assert alt.startswith("Service web (10.") and "4 of 4 endpoints ready" in alt
    margin = page.locator(".epkit-live .epkit-added").first.inner_text()
    assert margin.startswith("+ ")
    user.tab_to("Moment")
    return int(page.locator(".epkit-live .epkit-here td").nth(1).inner_text())
