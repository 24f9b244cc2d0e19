"""Finds the real kubectl."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import lru_cache

from epkit.errors import EpkitError

#: older ones ask for documents that the built-in cluster does not serve
OLDEST = (1, 29)


def find() -> str | None:
    """The path of the kubectl to use, or None for the built-in subset.

    Raises:
        EpkitError: ``EPKIT_KUBECTL`` is neither ``builtin`` nor a kubectl that is new enough.
    """
    wanted = os.environ.get("EPKIT_KUBECTL", "")
    if wanted == "builtin" or (not wanted and os.environ.get("EPKIT_MODE") == "ci"):
        return None
    if not wanted:
        found = shutil.which("kubectl")
        return found if found is not None and (version(found) or (0, 0)) >= OLDEST else None
    path = shutil.which(wanted)
    minor = version(path) if path else None
    if path is None or minor is None:
        raise EpkitError(
            f"EPKIT_KUBECTL is {wanted!r}, which is not a kubectl that runs. Set it to the path of one, or to builtin."
        )
    if minor < OLDEST:
        raise EpkitError(
            f"{path} is kubectl {minor[0]}.{minor[1]}; 1.29 or newer is needed. Install a newer one, or set "
            "EPKIT_KUBECTL=builtin."
        )
    return path


@lru_cache(maxsize=8)
def version(path: str) -> tuple[int, int] | None:
    """The major and minor version of a kubectl, or None where it does not say."""
    try:
        done = subprocess.run(
            [path, "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=20, check=True
        )
        client = json.loads(done.stdout)["clientVersion"]
        return int(client["major"]), int(client["minor"].rstrip("+"))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None
