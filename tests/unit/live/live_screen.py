"""What somebody sees of a live view, without its markup."""

from __future__ import annotations

import html
import re

from epkit.live.view import LiveView


class Screen:
    """What somebody sees of a live view: the text of its widgets."""

    def __init__(self, view: LiveView) -> None:
        self.panel = view._panel

    @property
    def status(self) -> str:
        return text(self.panel.status.value)

    @property
    def heading(self) -> str:
        return text(re.sub(r"<style>.*</style>", "", self.panel.heading.value, flags=re.DOTALL))

    @property
    def picture(self) -> str:
        found = re.search(r'alt="([^"]*)"', self.panel.picture.value)
        return html.unescape(found[1]) if found else text(self.panel.picture.value)

    @property
    def slices(self) -> str:
        return text(self.panel.slices.value)

    def lines(self, sign: str) -> list[str]:
        """The lines of YAML with a sign in their margin."""
        found = re.findall(r"<span[^>]*>([^<]*)</span>", self.panel.slices.value)
        return [html.unescape(line)[2:].rstrip() for line in found if line[0] == sign]

    @property
    def length(self) -> int:
        """How many writes the slider goes over."""
        return round(self.panel.moment.max / self.panel.moment.step)

    @property
    def position(self) -> int:
        """After how many of them the slider stands."""
        return round(self.panel.moment.value / self.panel.moment.step)

    def slide_to(self, position: int) -> None:
        self.panel.moment.value = position * self.panel.moment.step

    @property
    def rows(self) -> list[list[str]]:
        """The table of writes without its head."""
        rows = re.findall(r"<tr[^>]*>(.*?)</tr>", self.panel.writes.value)
        return [[text(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows][1:]


def text(value: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", value))
