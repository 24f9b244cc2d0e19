"""`epkit doctor`: is everything here that the course needs? Every line that is not fine says what to do about it.

It changes nothing: it makes a built-in cluster of its own, asks it something, and ends it again.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from epkit.errors import EpkitError

FINE, NOTE, PROBLEM = "✔ fine", "◐ note", "✖ problem"
OLDEST, TOO_NEW = (3, 11), (3, 15)
LITTLE_MEMORY = 400 * 1024**2  # bytes: a kernel with the largest chapter's cluster takes about half of it
LITTLE_DISK = 100 * 1024**2
JUPYTER_PORT = 8888


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at.

    Attributes:
        state: FINE; NOTE, when the course works all the same; or PROBLEM.
        usual: what is said in stored outputs, which must not differ from machine to machine, unless it is a problem.
        fix: what to do about it; empty only where all is fine.
    """

    state: str
    what: str
    saw: str
    usual: str
    fix: str = ""


class Report:
    """What the doctor found, as text; `ok` is whether the course can run here."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines

    @property
    def ok(self) -> bool:
        return all(line.state != PROBLEM for line in self.lines)

    def __repr__(self) -> str:
        stored = bool(os.environ.get("EPKIT_MODE"))
        printed = []
        for line in self.lines:
            if stored and line.state != PROBLEM:
                printed.append(f"{FINE:<9}  {line.what:<9}  {line.usual}")
                continue
            printed.append(f"{line.state:<9}  {line.what:<9}  {line.saw}")
            if line.fix:
                printed.append(f"{'':<22}→ {line.fix}")
        problems = sum(1 for line in self.lines if line.state == PROBLEM)
        noun = "problem" if problems == 1 else "problems"
        return "\n".join([*printed, f"{problems} {noun} to mend." if problems else "The course can run here."])


def doctor() -> Report:
    """Look whether everything is in place for the course, before the day or when something is odd.

    >>> epkit.doctor()
    ✔ fine     Python     3.13.5
    …
    The course can run here.
    """
    return Report([line for look in LOOKS for line in look()])


def register(commands: Any) -> None:
    """Add ``epkit doctor`` to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="look whether everything is in place",
        description="Look whether everything that the course needs is here. Exit status: 0 it is, 1 something is not.",
    )
    parser.set_defaults(run=_run)


def _run(options: object) -> int:
    report = doctor()
    print(report)
    return 0 if report.ok else 1


# -- the looks, in the order in which they are shown ---------------------------------------------------------------


def _python() -> Iterator[Line]:
    version, usual = sys.version.split()[0], "3.11 to 3.14"
    if OLDEST <= sys.version_info[:2] < TOO_NEW:
        yield Line(FINE, "Python", f"{version} ({sys.executable})", usual)
    else:
        fix = "install Python 3.13 and make the environment anew: make clean, then make lab"
        yield Line(PROBLEM, "Python", f"{version}; epkit is made for 3.11 to 3.14", usual, fix)


_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*\(?([^;()]*)\)?\s*(?:;\s*(.*))?")


def _packages() -> Iterator[Line]:
    usual = "those that epkit names, in their versions"
    try:
        wanted = [_REQUIREMENT.match(text) for text in metadata.requires("epkit") or ()]
    except metadata.PackageNotFoundError:
        fix = "python -m pip install --editable . in the clone, or make lab"
        yield Line(NOTE, "packages", "epkit is not installed as a package, so versions were not compared", usual, fix)
        return
    needed = {found[1]: found[2].strip() for found in wanted if found and not found[3]}
    wrong = {name: version for name, bounds in needed.items() if (version := _wrong(name, bounds)) is not None}
    for name, version in wrong.items():
        saw = f"{name} is {version}, and epkit needs {needed[name]}"
        yield Line(PROBLEM, "packages", saw, usual, f'python -m pip install "{name}{needed[name]}", or make lab')
    if not wrong:
        saw = ", ".join(f"{name} {metadata.version(name)}" for name in needed)
        yield Line(FINE, "packages", saw, usual)


def _wrong(name: str, bounds: str) -> str | None:
    """The version of a distribution that is outside its bounds, "missing" where there is none, None where all is well.

    >>> _wrong("kubernetes", ">=36,<38")
    """
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"
    have = _numbers(version)
    for bound in filter(None, (part.strip() for part in bounds.split(","))):
        limit = _numbers(bound.lstrip("<>=!~ "))
        if (bound.startswith(">=") and have < limit) or (bound.startswith("<") and have >= limit):
            return version
    return None


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _kubectl() -> Iterator[Line]:
    from epkit.kubectl import binary

    usual = "the one that is built in, or a real one of 1.29 or newer"
    try:
        path = binary.find()
    except EpkitError as error:
        yield Line(PROBLEM, "kubectl", str(error), usual, "unset EPKIT_KUBECTL, or set it to builtin")
        return
    if path is not None:
        version = binary.version(path) or (0, 0)
        yield Line(FINE, "kubectl", f"{version[0]}.{version[1]} ({path})", usual)
        return
    other = shutil.which("kubectl")
    if other is None or os.environ.get("EPKIT_KUBECTL") == "builtin":
        yield Line(FINE, "kubectl", "the one that is built in; it knows every command of this course", usual)
        return
    old = binary.version(other)
    saw = f"{other} {f'is {old[0]}.{old[1]}' if old else 'does not tell its version'}, so the built-in one is used"
    yield Line(NOTE, "kubectl", saw, usual, "install kubectl 1.29 or newer if you want to use your own")


def _graphviz() -> Iterator[Line]:
    from epkit.views.layout import draw

    usual = "draws pictures"
    try:
        draw("digraph { a -> b }")
    except EpkitError as error:
        fix = "pip install pygraphviz, or put Graphviz's program dot on PATH"
        yield Line(NOTE, "Graphviz", f"pictures are shown as sentences only: {error}", usual, fix)
        return
    program = shutil.which("dot")
    yield Line(FINE, "Graphviz", program or f"pygraphviz {metadata.version('pygraphviz')}", usual)


def _widgets() -> Iterator[Line]:
    usual, found = "ipywidgets, for buttons and the live view", {}
    for name in ("ipywidgets", "jupyterlab_widgets", "jupyterlab"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    if "ipywidgets" not in found:
        yield Line(PROBLEM, "widgets", "ipywidgets is missing", usual, "make lab, or python -m pip install ipywidgets")
        return
    saw = ", ".join(f"{name} {version}" for name, version in found.items())
    if "jupyterlab_widgets" not in found:
        fix = "install jupyterlab-widgets beside JupyterLab, or open the course with make lab"
        yield Line(NOTE, "widgets", f"{saw}; JupyterLab cannot show buttons, quizzes stay text", usual, fix)
    else:
        yield Line(FINE, "widgets", saw, usual)


def _cluster() -> Iterator[Line]:
    """Start a cluster, put a Service into it, and ask for its slice: in process, then over loopback."""
    from epkit.cluster import Cluster

    usual, started = "starts, makes a slice of two endpoints, and answers on loopback", time.perf_counter()
    try:
        with Cluster({}) as cluster:
            cluster.client.create("services", SERVICE, "default")
            for number in (1, 2):
                cluster.client.create("pods", _pod(number), "default")
            cluster.settle()
            slices = cluster.client.list("endpointslices", "default", labels="kubernetes.io/service-name=doctor").items
            ready = sum(1 for one in slices for e in one["endpoints"] if e["conditions"]["ready"])
            took = time.perf_counter() - started
            if ready != 2:
                saw = f"started, but its Service has {ready} endpoints that are ready instead of 2"
                yield Line(PROBLEM, "cluster", saw, usual, "this is a fault of epkit: please report it with this line")
                return
            if (refused := _unreachable(cluster)) is not None:
                fix = "let programs of this machine connect to 127.0.0.1 (a firewall or a sandbox keeps them)"
                saw = f"works inside notebooks, but cannot be reached on 127.0.0.1: {refused}"
                yield Line(NOTE, "cluster", saw, usual, f"{fix}; until then set EPKIT_KUBECTL=builtin")
                return
            if (refused := _kubectl_refused(cluster)) is not None:
                fix = "set EPKIT_KUBECTL=builtin to use the kubectl that is built in"
                yield Line(PROBLEM, "cluster", f"kubectl cannot ask it: {refused}", usual, fix)
                return
    except (EpkitError, OSError, ImportError) as error:
        fix = "make clean, then make lab; if it stays, report it with this line"
        yield Line(PROBLEM, "cluster", f"does not start: {error}", usual, fix)
        return
    saw = f"starts and makes a slice of two endpoints in {took:.2f} s; answers on loopback"
    yield Line(FINE, "cluster", saw, usual)


SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "doctor"},
    "spec": {"selector": {"app": "doctor"}, "ports": [{"port": 80}]},
}


def _pod(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"doctor-{number}", "labels": {"app": "doctor"}},
        "spec": {"containers": [{"name": "nginx", "image": "nginx"}]},
    }


def _unreachable(cluster: Any) -> str | None:
    """Why the cluster's server does not answer on loopback, or None if it does. No proxy is asked."""
    import yaml

    server = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{server}/readyz", timeout=10):
            return None
    except (urllib.error.URLError, OSError) as error:
        return str(error)


def _kubectl_refused(cluster: Any) -> str | None:
    """What kubectl says when it fails on this cluster, or None; a wrong EPKIT_KUBECTL is told elsewhere."""
    try:
        done = cluster.kubectl("get endpointslices -l kubernetes.io/service-name=doctor -o name")
    except EpkitError:
        return None
    return (done.text.strip() or f"it ended with status {done.returncode}") if done.returncode else None


def _proxies() -> Iterator[Line]:
    """Programs that honour a proxy for 127.0.0.1 as well would ask it for the cluster; kubectl itself does not."""
    usual = "none stands between this machine and itself"
    caught = {scheme: url for scheme, url in urllib.request.getproxies().items() if scheme in ("http", "https", "all")}
    if not caught or urllib.request.proxy_bypass("127.0.0.1"):
        yield Line(FINE, "proxies", "none is set" if not caught else "set, and 127.0.0.1 is left out", usual)
        return
    saw = f"{' and '.join(sorted(caught))} requests to 127.0.0.1 would go through a proxy, from curl and from Python"
    yield Line(NOTE, "proxies", saw, usual, "export NO_PROXY=localhost,127.0.0.1,::1 before you start JupyterLab")


def _ports() -> Iterator[Line]:
    usual = "127.0.0.1 has free ones"
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        fix = "let this program listen on 127.0.0.1; the notebooks work without, terminals do not"
        yield Line(NOTE, "ports", f"none can be opened on 127.0.0.1: {error.strerror or error}", usual, fix)
        return
    if "ipykernel" not in sys.modules and _taken(JUPYTER_PORT):
        fix = f"make lab PORT={JUPYTER_PORT + 1}, if it is not your JupyterLab that has it"
        yield Line(NOTE, "ports", f"{JUPYTER_PORT}, where JupyterLab opens, is taken", usual, fix)
    else:
        yield Line(FINE, "ports", usual, usual)


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        if os.name != "nt":  # a port in TIME_WAIT counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _memory() -> Iterator[Line]:
    usual, free = "enough is free", free_memory()
    if free is None:
        yield Line(FINE, "memory", "this system does not say how much is free; 400 MB will do", usual)
    elif free < LITTLE_MEMORY:
        fix = "shut down kernels that you do not use: each chapter has a cluster of its own"
        yield Line(NOTE, "memory", f"{free // 1024**2} MB are free, and a chapter may take 200", usual, fix)
    else:
        yield Line(FINE, "memory", f"{free // 1024**2} MB are free", usual)


def free_memory(proc: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that a program may still take: of the machine and, in a container, of its limit. None if nobody says."""
    found = []
    with contextlib.suppress(OSError, ValueError):
        known = dict(line.split(":") for line in proc.read_text().splitlines() if ":" in line)
        if "MemAvailable" in known:
            found.append(int(known["MemAvailable"].split()[0]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        found.append(int((cgroup / "memory.max").read_text()) - int((cgroup / "memory.current").read_text()))
    return max(0, min(found)) if found else None


def _disk() -> Iterator[Line]:
    usual, folder = "enough is free", Path.cwd()
    free = shutil.disk_usage(folder).free
    if free < LITTLE_DISK:
        fix = "make room: notebooks that you save need a little"
        yield Line(NOTE, "disk", f"{free // 1024**2} MB are free in {folder}", usual, fix)
    else:
        yield Line(FINE, "disk", f"{free // 1024**2} MB are free in {folder}", usual)


def _progress() -> Iterator[Line]:
    from epkit.checks import progress

    usual, file = "can be read and written", progress.path()
    if file is None:
        yield Line(FINE, "progress", "is not kept while EPKIT_MODE is set", usual)
        return
    try:
        done = progress.read()
    except EpkitError as error:
        yield Line(PROBLEM, "progress", str(error), usual, "set EPKIT_PROGRESS to another file")
        return
    try:
        if file.exists():
            file.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=next(folder for folder in file.parents if folder.is_dir())).close()
    except OSError as error:
        saw = f"{file} cannot be written, so nothing will be remembered: {error.strerror or error}"
        yield Line(PROBLEM, "progress", saw, usual, "set EPKIT_PROGRESS to a file that you may write")
        return
    count = len(done.passed)
    strange = done.unreadable + done.foreign
    saw = f"{file}: {count} exercise{'' if count == 1 else 's'} done" if file.exists() else f"{file}: none yet"
    if strange:
        fix = "nothing needs to be done; epkit.progress(reset=True) starts a new file and keeps this one"
        yield Line(NOTE, "progress", f"{saw}; {strange} lines are of another version or damaged", usual, fix)
    else:
        yield Line(FINE, "progress", saw, usual)


LOOKS: tuple[Callable[[], Iterator[Line]], ...] = (
    _python, _packages, _kubectl, _graphviz, _widgets, _cluster, _proxies, _ports, _memory, _disk, _progress,
)  # fmt: skip
