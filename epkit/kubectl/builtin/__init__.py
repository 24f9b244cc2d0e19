"""The built-in kubectl: a subset of the commands, with the real one's output to the letter."""
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from epkit.errors import ApiError
from epkit.kubectl.builtin.failures import KubectlError, NotInSubset, describe
from epkit.kubectl.builtin.session import Session

_HOMES = {
    "get": "get:get",
    "describe": "describe:describe",
}


def run(session: Session) -> int:
    """Carry out the session's command and return its exit status; what it prints is in ``session.output``."""
    try:
        _command(session.args.command)(session)
    except (KubectlError, ApiError) as failure:
        text, code = describe(failure)
        session.err(text)
        return code
    return 0


def _command(name: str) -> Callable[[Session], None]:
    home = _HOMES.get(name)
    if home is None:
        raise NotInSubset(name)
    module, _, function = home.partition(":")
    found: Callable[[Session], None] = getattr(import_module(f"epkit.kubectl.builtin.{module}"), function)
    return found
