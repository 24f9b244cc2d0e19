"""Replay the scenarios against several `epkit up` side by side.

A group of scenarios shares the flags of its server. A group is cut into shards of about equal waiting time, each with
a server and a replayer of its own; nearly all of their time is waiting, so they hardly disturb each other.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
NODES = "node-1=zone-a,node-2=zone-b,node-3=zone-c"
# Group → the flags of `epkit up` and how many shards it is cut into.
GROUPS: dict[str, tuple[list[str], int]] = {
    "large": (["--nodes", "0"], 2),
    "kubelet": (["--nodes", NODES], 4),
    "max3": (["--nodes", "0", "--max-endpoints-per-slice", "3"], 2),
    "default": (["--nodes", "0"], 9),
}
# How long a server may take to start, a shard to be replayed, and a server to end.
START_SECONDS, REPLAY_SECONDS, END_SECONDS = 60, 240, 15
OUTCOME = re.compile(r"^(agrees|DIFFERS)\s+(\S+)$")


class NotStarted(Exception):
    """A server ended, or said nothing, before it answered."""


@dataclass(frozen=True)
class Result:
    """Whether a scenario agrees with its recording, and the differences that the replayer printed."""

    agrees: bool
    differences: str = ""


@dataclass
class Shard:
    """Some scenarios of one group, for one server."""

    group: str
    names: list[str]
    seconds: float = 0.0  # estimated


def scenarios() -> dict[str, dict[str, Any]]:
    """Every scenario by its name."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted((HERE / "scenarios").glob("*.yaml"))}


def uses_kubectl(scenario: dict[str, Any]) -> bool:
    return any("kubectl" in step for step in scenario["steps"])


def shards(wanted: dict[str, dict[str, Any]]) -> list[Shard]:
    """Cut the scenarios `wanted` into shards of about equal length: the longest first, each to the shortest shard."""
    result = []
    for group, (_, count) in GROUPS.items():
        members = {name: estimate(one) for name, one in wanted.items() if one.get("group", "default") == group}
        cut = [Shard(group, []) for _ in range(min(count, len(members)))]
        for name, seconds in sorted(members.items(), key=lambda item: (-item[1], item[0])):
            shortest = min(cut, key=lambda shard: shard.seconds)
            shortest.names.append(name)
            shortest.seconds += seconds
        result += cut
    return result


def estimate(scenario: dict[str, Any]) -> float:
    """About how many seconds the replay of `scenario` takes."""
    seconds = 1.0  # the namespace is emptied before
    for step in scenario["steps"]:
        seconds += float(step.get("settle", 0)) + float(step.get("sleep", 0)) + (0.3 if "kubectl" in step else 0.02)
        seconds += float((step.get("watch") or {}).get("seconds", 0))
    return seconds


def replay(wanted: dict[str, dict[str, Any]], folder: Path) -> dict[str, Result]:
    """Replay the scenarios `wanted`; kubeconfigs and kubectl's caches go to `folder`."""
    every = shards(wanted)
    with ThreadPoolExecutor(max_workers=max(1, len(every))) as pool:
        folders = [folder / f"{shard.group}-{number}" for number, shard in enumerate(every)]
        results: dict[str, Result] = {}
        for part in pool.map(replay_shard, every, folders):
            results |= part
    return results


def replay_shard(shard: Shard, folder: Path) -> dict[str, Result]:
    """The results of one shard. A scenario that ends the replay differs; the rest goes on with a new server."""
    folder.mkdir(parents=True)
    results: dict[str, Result] = {}
    left = sorted(shard.names)  # the replayer takes them in this order
    while left:
        try:
            output = one_server(shard.group, left, folder)
        except NotStarted as error:
            return results | {name: Result(False, str(error)) for name in left}
        found = outcomes(output)
        results |= found
        left = [name for name in left if name not in found]
        if left:
            tail = output[output.rfind("\nagrees") + 1 :] or "the replay printed nothing"
            results[left.pop(0)] = Result(False, f"the replay ended here:\n{tail}")
    return results


def outcomes(output: str) -> dict[str, Result]:
    """The replayer's output, cut into one result a scenario: its differences stand before its outcome."""
    results: dict[str, Result] = {}
    differences: list[str] = []
    for line in output.splitlines():
        if match := OUTCOME.match(line):
            results[match[2]] = Result(match[1] == "agrees", "\n".join(differences))
            differences = []
        else:
            differences.append(line)
    return results


def one_server(group: str, names: list[str], folder: Path) -> str:
    """Start `epkit up`, replay `names` against it and end it; returns what the replayer printed.

    Raises NotStarted when the server does not announce itself within a minute.
    """
    kubeconfig = folder / "kubeconfig"
    env = {**os.environ, "KUBECACHEDIR": str(folder / "kube"), "PYTHONUNBUFFERED": "1"}
    env.pop("EPKIT_MODE", None)  # in CI mode the clock would stand still
    command = [sys.executable, "-m", "epkit.cli", "up", "--kubeconfig", str(kubeconfig), *GROUPS[group][0]]
    with (folder / "server.log").open("a+") as log:
        server = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert server.stdout is not None
            if not answers(server):
                log.seek(0)
                raise NotStarted(f"`epkit {' '.join(command[3:])}` did not start:\n{log.read()[-2000:]}")
            done = subprocess.run(
                [sys.executable, str(HERE / "replay.py"), "--kubeconfig", str(kubeconfig), "--group", group, *names],
                env=env, capture_output=True, text=True, timeout=REPLAY_SECONDS,
            )  # fmt: skip
            return done.stdout + done.stderr
        except subprocess.TimeoutExpired as error:
            printed = error.stdout or b""
            text = printed.decode(errors="replace") if isinstance(printed, bytes) else printed
            return f"{text}\nthe replay did not end within {REPLAY_SECONDS} s"
        finally:
            end(server)


def answers(server: subprocess.Popen[str]) -> bool:
    """Whether the server prints its `export KUBECONFIG=` line in time; what it prints later is read and dropped."""
    ready = threading.Event()

    def read() -> None:
        assert server.stdout is not None
        for line in server.stdout:
            if line.startswith("export KUBECONFIG="):
                ready.set()
        ready.set()  # the server has ended

    threading.Thread(target=read, daemon=True).start()
    return ready.wait(START_SECONDS) and server.poll() is None


def end(server: subprocess.Popen[str]) -> None:
    server.terminate()
    try:
        server.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
