"""Runs a kubectl command on a cluster: by the real kubectl where one is found, else by the built-in subset.

``EPKIT_KUBECTL`` chooses: ``builtin``, or the path of a kubectl. Without it, the first kubectl 1.29 or newer on PATH
is taken; tests and the notebooks' stored outputs (``EPKIT_MODE=ci``) use the built-in one. So do commands in which
kubectl reads its own clock, on a cluster whose time is not the wall's.
"""
from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from epkit.client import Transport
from epkit.kubectl import binary
from epkit.kubectl.builtin import args as command_line
from epkit.kubectl.builtin import run as run_builtin
from epkit.kubectl.builtin.failures import NOT_IN_SUBSET, KubectlError, printed
from epkit.kubectl.builtin.session import Editor, Session

#: no command runs longer than this, in seconds
LONGEST = 60.0


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command printed and how it ended.

    >>> print(cluster.kubectl("get nodes -o name"))
    node/node-1
    """

    returncode: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Both streams in the order in which a terminal shows them: warnings, what it printed, what went wrong."""
        lines = self.stderr.splitlines(keepends=True)
        first = next((i for i, line in enumerate(lines) if not line.startswith("Warning: ")), len(lines))
        return "".join(lines[:first]) + self.stdout + "".join(lines[first:])

    def __str__(self) -> str:
        return self.text.removesuffix("\n")

    def __repr__(self) -> str:
        return str(self)


def run(
    argv: Sequence[str] | str,
    cluster: Any,
    *,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    namespace: str = "default",
    timeout: float = LONGEST,
    editor: Editor | None = None,
) -> Completed:
    """Run one command.

    Args:
        argv: the words after ``kubectl``, as a list or as one line in shell quoting. A leading ``kubectl`` is dropped;
            assignments before it, such as ``KUBE_EDITOR="sed -i s/80/81/" edit …``, belong to `env`.
        cluster: a :class:`epkit.cluster.Cluster`, or a bare transport (then the built-in subset answers).
        stdin: what ``-f -`` reads.
        env: variables of the command, such as ``KUBE_EDITOR``.
        namespace: where the command works when it names none.
        timeout: how long it may take, in seconds; at most 60.
        editor: for ``kubectl edit``: a function from the text to the edited text, in place of ``KUBE_EDITOR``.

    Raises:
        EpkitError: ``EPKIT_KUBECTL`` names something that is no kubectl.

    >>> run("get services -A", cluster).returncode
    0
    """
    try:
        words = shlex.split(argv) if isinstance(argv, str) else list(argv)
    except ValueError as error:
        return Completed(1, "", f"error: the command cannot be read: {error}\n")
    words, assigned = _assignments(words)
    env = {**(env or {}), **assigned}
    if words[:1] == ["kubectl"]:
        words = words[1:]
    timeout = min(timeout, LONGEST)
    path = None if _bare(cluster) or editor is not None or _guarded(cluster) else binary.find()
    if path is not None and _reads_the_clock(words) and _has_its_own_time(cluster):
        done = _built_in(words, cluster, stdin, env, namespace, timeout, editor)
        if NOT_IN_SUBSET not in done.stderr:
            return done
    if path is not None and not (getattr(cluster, "paused", False) and _waits(words)):
        return _real(path, words, cluster, stdin, env, namespace, timeout)
    return _built_in(words, cluster, stdin, env, namespace, timeout, editor)


_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


def _assignments(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The words without the assignments in front, and those, as a shell takes them."""
    env: dict[str, str] = {}
    for position, word in enumerate(words):
        match = _ASSIGNMENT.fullmatch(word)
        if match is None:
            return words[position:], env
        env[match[1]] = match[2]
    return [], env


def _bare(cluster: Any) -> bool:
    """A bare transport has no kubeconfig that a real kubectl could use."""
    return not hasattr(cluster, "transport")


def _guarded(cluster: Any) -> bool:
    """Are some requests held back? A real kubectl would go around that."""
    return bool(getattr(getattr(cluster, "target", None), "guarded", False))


#: commands that may wait for the cluster: on a paused clock the built-in one says so at once, the real one would hang
_WAITING = ("rollout status", "wait", "delete", "drain", "replace", "scale")


#: commands in which kubectl itself reads the clock: for the age of an event, and for the annotation of a restart, of
#: which there can be one a second
_CLOCKED = ("describe", "events", "rollout restart")


def _waits(words: list[str]) -> bool:
    return _command(words) in _WAITING


def _reads_the_clock(words: list[str]) -> bool:
    return _command(words) in _CLOCKED


def _command(words: list[str]) -> str:
    try:
        return command_line.parse(words).command
    except KubectlError:
        return ""


def _has_its_own_time(cluster: Any) -> bool:
    """Can its clock be stopped and run ahead? A real kubectl only knows the wall's."""
    return "pause" in getattr(getattr(cluster, "target", None), "powers", ())


def _built_in(
    words: list[str],
    cluster: Any,
    stdin: str,
    env: Mapping[str, str],
    namespace: str,
    timeout: float,
    editor: Editor | None,
) -> Completed:
    transport: Transport = getattr(cluster, "transport", cluster)
    try:
        parsed = command_line.parse(words)
    except KubectlError as failure:
        text, code = printed(failure)
        return Completed(code, "", text)
    session = Session(
        transport,
        parsed,
        default_namespace=namespace,
        stdin=stdin,
        env=env,
        editor=editor,
        timeout=timeout,
        paused=lambda: bool(getattr(cluster, "paused", False)),
        now=_clock(cluster),
    )
    code = run_builtin(session)
    return Completed(code, session.output.stdout, session.output.stderr)


def _clock(cluster: Any) -> Callable[[], float]:
    """The cluster's own time where it has one, else the wall's."""
    return (lambda: float(cluster.now)) if hasattr(cluster, "now") else time.time


def _real(
    path: str,
    words: list[str],
    cluster: Any,
    stdin: str,
    env: Mapping[str, str],
    namespace: str,
    timeout: float,
) -> Completed:
    command = [path, *_with_namespace(words, namespace)]
    environment = {**os.environ, **env, "KUBECONFIG": str(cluster.kubeconfig)}
    try:
        done = subprocess.run(
            command,
            input=stdin,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        waited = f"error: kubectl {shlex.join(words)} was still waiting after {timeout:g} s\n"
        return Completed(1, _decoded(error.stdout), _decoded(error.stderr) + waited)
    return Completed(done.returncode, done.stdout, done.stderr)


def _with_namespace(words: list[str], namespace: str) -> list[str]:
    """The words with ``--namespace`` before them, unless they name one or none is needed."""
    named = any(word == "-n" or word.startswith(("--namespace", "-n")) for word in words)
    if namespace == "default" or named or "-A" in words or "--all-namespaces" in words:
        return words
    return [f"--namespace={namespace}", *words]


def _decoded(output: bytes | str | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
