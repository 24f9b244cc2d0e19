"""A terminal's line discipline, for ``kubectl exec -it``: what is typed is shown, and given on line by line."""

from __future__ import annotations

from dataclasses import dataclass

_END_OF_TEXT, _INTERRUPT, _ERASE = "\x04", "\x03", ("\x7f", "\b")


@dataclass(frozen=True)
class Typed:
    """What came of some keys: the text to be shown, the lines that are complete, and whether the input has ended."""

    echo: str
    lines: str
    ended: bool


class Terminal:
    """Keeps the line that is being typed.

    >>> terminal = Terminal()
    >>> terminal.type("hostnane\\x7f\\x7fme\\r")
    Typed(echo='hostnane\\x08 \\x08\\x08 \\x08me\\r\\n', lines='hostname\\n', ended=False)
    """

    def __init__(self) -> None:
        self._line = ""

    def type(self, keys: str) -> Typed:
        """Take some keys: Enter ends a line, Ctrl-C forgets it, Ctrl-D on an empty one ends the input."""
        echo, lines, ended = "", "", False
        for key in keys:
            if key in "\r\n":
                echo, lines, self._line = echo + "\r\n", lines + self._line + "\n", ""
            elif key in _ERASE:
                echo += "\b \b" if self._line else ""
                self._line = self._line[:-1]
            elif key == _INTERRUPT:
                echo, lines, self._line = echo + "^C\r\n", lines + "\n", ""
            elif key == _END_OF_TEXT:
                ended = ended or not self._line
            elif key == "\t" or key >= " ":
                echo, self._line = echo + key, self._line + key
        return Typed(echo, lines, ended)
