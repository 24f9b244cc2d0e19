"""The panel: a live view's widgets, and where they are shown.

Only texts and traits: a notebook that is run without a page, or stored and compared, is not changed by it.
"""

from __future__ import annotations

import os
from html import escape
from typing import Any

from epkit.errors import EpkitError
from epkit.live import page

AT_ONCE = "at once"
WHOLE = 100.0
SPEEDS = (0.5, 1.0, 2.0, 5.0, 10.0, 60.0)


class Panel:
    """The widgets, in the order in which Tab reaches them."""

    def __init__(self) -> None:
        try:
            import ipywidgets as widgets
        except ImportError:
            raise EpkitError("The live view needs ipywidgets. Install it with `pip install ipywidgets`.") from None

        def html(**layout: str) -> Any:
            return widgets.HTML(layout={"margin": "2px 0", **layout})

        self.heading, self.status, self.picture = html(), html(), html(max_height="60vh", overflow="auto")
        self.play = widgets.Button(description="Pause", icon="pause", tooltip="Stop time, or let it move")
        self.step = widgets.Button(description="Step", icon="step-forward", tooltip="Do the next single thing")
        self.next = widgets.Button(
            description="Next write", icon="forward", tooltip="Step up to the next write that concerns the Service"
        )
        # A slider and no drop-down list: in a notebook, JupyterLab takes a list's arrow keys for its own.
        self.speed = widgets.SelectionSlider(
            description="Speed",
            options=_speeds(),
            value=0.0,
            tooltip="How fast time moves; arrow keys choose",
            layout={"width": "270px"},
            style={"description_width": "50px"},
        )
        # In percent: of a range that grows, End would go to where its end was at first (noUiSlider keeps that one).
        self.moment = widgets.FloatSlider(
            description="Moment",
            min=0.0,
            max=WHOLE,
            value=WHOLE,
            readout=False,
            tooltip="After which write to look; arrow keys move by one, Home and End to the ends",
            layout={"flex": "1 1 200px", "width": "auto"},
            style={"description_width": "60px"},
        )
        # The same as a number, for who cannot see the slider: of that one a screen reader tells a percentage and no
        # name, of this one its label and the number. JupyterLab leaves a field its arrow keys.
        self.number = widgets.BoundedIntText(
            description="Write",
            min=0,
            max=0,
            tooltip="After which write to look, as a number; the last one is the present",
            layout={"width": "120px"},
            style={"description_width": "42px"},
        )
        self.now = widgets.Button(description="Now", icon="fast-forward", tooltip="Back to the present")
        scrolled = {"max_height": "460px", "overflow": "auto", "min_width": "0"}
        self.slices = html(flex="1 1 360px", **scrolled)
        self.writes = html(flex="1 1 360px", **scrolled)
        row = {"flex_flow": "row wrap", "align_items": "stretch", "grid_gap": "4px", "overflow": "visible"}
        self.root = widgets.VBox(
            [
                self.heading,
                widgets.HBox([self.play, self.step, self.next, self.speed], layout=row),
                widgets.HBox([self.moment, self.number, self.now], layout={**row, "flex_flow": "row nowrap"}),
                self.status,
                self.picture,
                widgets.HBox([self.slices, self.writes], layout=row),
            ],
            layout={"padding": "4px", "overflow": "auto"},
        )
        self.root.add_class("epkit-live")
        self._sidecar: Any = None

    def show_clock(self, clock: str, speed: float) -> None:
        """How time moves; while it does not, the speed stays what was chosen."""
        for control in (self.play, self.step, self.next, self.speed):
            control.disabled = clock == "wall"
        paused = clock == "paused"
        self.play.description, self.play.icon = ("Play", "play") if paused else ("Pause", "pause")
        if clock not in ("instant", "realtime"):
            return
        value = speed if clock == "realtime" else 0.0
        if value not in (known for _, known in self.speed.options):
            self.speed.options = _speeds(value)  # which chooses the first of them for a moment
        self.speed.value = value

    def show_position(self, position: int | None, length: int) -> None:
        """Where the slider stands, and the number beside it: at the end for the present."""
        slider, number = self.moment, self.number
        slider.disabled = number.disabled = length == 0
        with number.hold_sync():
            number.max = length
            number.value = length if position is None else position
        with slider.hold_sync():
            slider.step = _step(length)
            if position is None or position >= length:
                slider.value = WHOLE
            elif self.position(length) != position:  # else a rounding difference would move it while it is moved
                slider.value = position * slider.step

    def position(self, length: int) -> int | None:
        """Where the slider was moved to; None at its right end."""
        position = round(self.moment.value / _step(length))
        return None if self.moment.value >= WHOLE or position >= length else position

    def say(self, text: str) -> None:
        """The status, as text; screen readers read it out when it changes."""
        self.status.value = page.card(escape(text), role="status")

    def bundle(self, title: str) -> dict[str, Any]:
        """What the cell shows: the panel, or nothing where sidecar is installed and has it beside the notebook."""
        beside = _sidecar(title)
        if beside is None:
            return dict(self.root._repr_mimebundle_())
        self.leave_sidecar()
        self._sidecar = beside  # which shows itself
        # Given as data: nothing is captured, as would be inside of `with sidecar:`.
        self._sidecar.append_display_data(self.root)
        return {}

    def close(self) -> None:
        """Close every widget, and what each is made of."""
        self.leave_sidecar()
        _close(self.root)

    def leave_sidecar(self) -> None:
        """Give up the place beside the notebook."""
        if self._sidecar is not None:
            _close(self._sidecar)
            self._sidecar = None


def _close(widget: Any) -> None:
    for child in getattr(widget, "children", ()):
        _close(child)
    for part in ("layout", "style"):
        if hasattr(widget, part):
            getattr(widget, part).close()
    widget.close()


def _step(length: int) -> float:
    """One write on the slider, in percent."""
    return WHOLE / max(length, 1)


def _speeds(*more: float) -> list[tuple[str, float]]:
    return [(AT_ONCE, 0.0), *((speed_in_words(speed), speed) for speed in sorted({*SPEEDS, *more} - {0.0}))]


def speed_in_words(speed: float) -> str:
    """
    >>> speed_in_words(2.0)
    '× 2'
    """
    return f"× {speed:g}"


def _sidecar(title: str) -> Any:
    """A new panel beside the notebook, or None where there is none: it is JupyterLab's, and no test's."""
    if os.environ.get("EPKIT_MODE") or "VSCODE_PID" in os.environ:
        return None
    try:
        from sidecar import Sidecar
    except ImportError:
        return None
    return Sidecar(title=title, anchor="split-right")
