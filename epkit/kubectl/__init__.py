"""kubectl in a notebook: the real one where there is one, else the built-in subset with the same output."""
from __future__ import annotations

from epkit.kubectl.run import Completed, run

__all__ = ["Completed", "run"]
