"""Who learns here: a small file with a number of their own, and the clusters that they said yes to.

Two people with the same user name may share a cluster. What tells their namespaces apart is the number, which each
namespace carries as a label.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from epkit.errors import EpkitError

#: a namespace's name has 63 characters; chapter and exercise come after the user's
_LONGEST = 30


@dataclass(slots=True)
class Known:
    """A cluster that the learner has confirmed.

    Attributes:
        user: what their namespaces there are named after.
        on: the day of the confirmation.
    """

    user: str
    on: str


@dataclass(slots=True)
class Learner:
    """The learner of this machine account.

    Attributes:
        id: random, made once; the label of every namespace that is theirs.
        clusters: the confirmed ones, by what identifies them (see :meth:`epkit.targets.live.Live.identity`).
    """

    id: str
    clusters: dict[str, Known] = field(default_factory=dict)

    def confirm(self, cluster: str, user: str) -> None:
        """Write down that epkit may write to a cluster, and under which name.

        Raises:
            EpkitError: the file cannot be written.
        """
        self.clusters[cluster] = Known(user, time.strftime("%Y-%m-%d"))
        self.save()

    def forget(self, cluster: str) -> None:
        """The next use of the cluster asks again."""
        if self.clusters.pop(cluster, None) is not None:
            self.save()

    def keep(self) -> None:
        """Write a new learner down: from now on there is something that is theirs.

        Raises:
            EpkitError: the file cannot be written.
        """
        if not path().exists():
            self.save()

    def save(self) -> None:
        """Replace the file in one step."""
        file = path()
        clusters = {name: {"user": known.user, "on": known.on} for name, known in self.clusters.items()}
        part = file.with_suffix(f".{os.getpid()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps({"id": self.id, "clusters": clusters}, indent=1) + "\n", encoding="utf-8")
            part.replace(file)
        except OSError as error:
            raise EpkitError(
                f"epkit could not write down who you are in {file}: {error.strerror or error}. It needs to, so that it "
                "removes only what is yours. Set EPKIT_HOME to a folder that you may write."
            ) from None


def home() -> Path:
    """The folder where epkit keeps what must outlive a kernel; ``EPKIT_HOME`` names another one."""
    named = os.environ.get("EPKIT_HOME")
    return Path(named).expanduser() if named else Path.home() / ".epkit"


def path() -> Path:
    """The learner's file."""
    return home() / "learner.json"


def read() -> Learner:
    """The learner of this account; the first time, a new one, who is not yet written down.

    Raises:
        EpkitError: the file is there and cannot be understood.
    """
    file = path()
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Learner(secrets.token_hex(6))
    except OSError as error:
        why = error.strerror or error
        raise EpkitError(f"{file} cannot be read: {why}. Set EPKIT_HOME to another folder.") from None
    try:
        found = json.loads(text)
        clusters = {name: Known(str(one["user"]), str(one["on"])) for name, one in found["clusters"].items()}
        return Learner(str(found["id"]), clusters)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise EpkitError(
            f"{file} cannot be understood. It says which namespaces on live clusters are yours: put it right, or move "
            "it away; then epkit no longer knows the namespaces that it made so far."
        ) from None


def user() -> str:
    """The account's name as it may stand in a namespace's name; ``EPKIT_USER`` names another one.

    >>> user()
    'ann'
    """
    named = os.environ.get("EPKIT_USER", "")
    if not named:
        try:
            named = getpass.getuser()
        except (KeyError, OSError):  # a container's user without a name
            named = "learner"
    plain = re.sub(r"[^a-z0-9]+", "-", named.lower()).strip("-")[:_LONGEST].strip("-")
    return plain or "learner"
