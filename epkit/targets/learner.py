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
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from epkit.errors import EpkitError

#: a namespace's name has 63 characters; chapter and exercise come after the user's
_LONGEST = 30
_ID, _NAME = re.compile(r"[a-z0-9]{8,40}"), re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


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
        self.keep()
        self.clusters[cluster] = Known(user, time.strftime("%Y-%m-%d"))
        self._replace()

    def forget(self, cluster: str) -> None:
        """The next use of the cluster asks again."""
        if path().exists():
            self._take(read())
            if self.clusters.pop(cluster, None) is not None:
                self._replace()

    def keep(self) -> None:
        """See that the learner is written down, before anything is made that is theirs.

        Another kernel may have done that in the meantime: what it wrote is who the learner is.

        Raises:
            EpkitError: the file cannot be written, or not be read.
        """
        if path().exists():
            self._take(read())
            return
        with _told(path()):
            path().parent.mkdir(parents=True, exist_ok=True)
            part = self._part()
            try:
                os.link(part, path())  # unlike a replacement, this fails where the file is there
            except FileExistsError:
                pass
            except OSError:  # a file system without links
                if not path().exists():
                    part.replace(path())
            finally:
                part.unlink(missing_ok=True)
        self._take(read())

    def name_on(self, cluster: str) -> str:
        """What the learner's namespaces on a cluster are named after: as it was at the yes, or as EPKIT_USER says."""
        known = self.clusters.get(cluster)
        wanted = user()
        if known is None or (os.environ.get("EPKIT_USER") and known.user not in (wanted, self.distinct(wanted))):
            return wanted
        return known.user

    def distinct(self, name: str) -> str:
        """The name with a part of the learner's number, for a cluster where somebody else has it."""
        return f"{name}-{self.id[:4]}"

    def _take(self, other: Learner) -> None:
        self.id = other.id
        self.clusters.clear()
        self.clusters.update(other.clusters)

    def _replace(self) -> None:
        """Replace the file in one step."""
        with _told(path()):
            self._part().replace(path())

    def _part(self) -> Path:
        clusters = {name: {"user": known.user, "on": known.on} for name, known in self.clusters.items()}
        part = path().with_name(f"{path().name}.{os.getpid()}-{secrets.token_hex(4)}")
        try:
            part.write_text(json.dumps({"id": self.id, "clusters": clusters}, indent=1) + "\n", encoding="utf-8")
        except OSError:
            part.unlink(missing_ok=True)
            raise
        return part


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """A file that cannot be written is an error for people."""
    try:
        yield
    except OSError as error:
        raise EpkitError(
            f"epkit could not write down who you are in {file}: {error.strerror or error}. It needs to, so that it "
            "removes only what is yours. Set EPKIT_HOME to a folder that you may write."
        ) from None


def home() -> Path:
    """The folder where epkit keeps what must outlive a kernel; ``EPKIT_HOME`` names another one."""
    named = os.environ.get("EPKIT_HOME")
    try:
        return Path(named).expanduser() if named else Path.home() / ".epkit"
    except RuntimeError:  # an account without a home
        raise EpkitError(
            "There is no home folder to keep things in. Set EPKIT_HOME to a folder that you may write."
        ) from None


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
    except UnicodeDecodeError:
        text = ""
    try:
        found = json.loads(text)
        clusters = {name: Known(str(one["user"]), str(one["on"])) for name, one in found["clusters"].items()}
        if not _ID.fullmatch(found["id"]) or not all(_NAME.fullmatch(one.user) for one in clusters.values()):
            raise ValueError  # they go into labels and names
        return Learner(found["id"], clusters)
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
        except (KeyError, OSError, ImportError):  # a container's user without a name; Windows
            named = "learner"
    return _plain(named)


def _plain(name: str) -> str:
    """A name's letters and digits without accents, with single dashes for the rest.

    >>> _plain("Žofie.4@example.org")
    'zofie4-example-org'
    """
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:_LONGEST].strip("-")
    # A number of its own would read as a chapter: ann-4's first chapter as the fourth of ann, exercise 1.
    plain = re.sub(r"-(?=\d+(-|$))", "", plain)
    return plain or "learner"
