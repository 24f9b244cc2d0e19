"""The errors that epkit raises."""
from __future__ import annotations

from typing import Any


class EpkitError(Exception):
    """An error meant for a person: its text says what happened, what was expected and what to do next.

    >>> str(EpkitError("No kubectl was found on PATH. Install kubectl 1.29 or newer, then run the cell again."))
    'No kubectl was found on PATH. Install kubectl 1.29 or newer, then run the cell again.'
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows under a cell: the sentence, without the way to it through epkit's own code."""
        return [f"{type(self).__name__}: {self}"]


class ApiError(EpkitError):
    """What the API server refused, carrying the ``Status`` object that it answers with.

    `status` is a complete ``v1`` Status in JSON form; `code`, `reason` and `message` are its fields, with the
    defaults of an absent one: 500, ``""`` and ``""``. :mod:`epkit.fake.wire.errors` makes the usual ones.

    >>> error = ApiError({"kind": "Status", "code": 404, "reason": "NotFound", "message": 'pods "a" not found'})
    >>> error.code, error.reason, str(error)
    (404, 'NotFound', 'pods "a" not found')
    """

    def __init__(self, status: dict[str, Any]) -> None:
        self.status = status
        self.code = int(status.get("code", 500))
        self.reason = str(status.get("reason", ""))
        self.message = str(status.get("message", ""))
        super().__init__(self.message)
