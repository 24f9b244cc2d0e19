from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from control_plane_stand_ins import ROOT, processes_of

from epkit.errors import EpkitError
from epkit.targets.controlplane.processes import Processes

#: a program that writes a line on its end, and one that does not want to end
POLITE = ["/bin/sh", "-c", 'trap "echo $0 >> $1; exit 0" TERM; echo up; while :; do sleep 0.05; done']
STUBBORN = ["/bin/sh", "-c", 'trap "" TERM; echo up; while :; do sleep 0.05; done']


def soon(what: Callable[[], object], within: float = 15.0) -> bool:
    """Does it come true within a bounded time?"""
    end = time.monotonic() + within
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def up(processes: Processes, *names: str) -> bool:
    return soon(lambda: all(processes.tail(name)[-1:] == ["up"] for name in names))


def test_programs_end_the_last_started_first_and_their_folder_goes(tmp_path):
    processes = Processes()
    ends = tmp_path / "ends"
    for name in ("etcd", "kube-apiserver", "kube-scheduler"):
        processes.start(name, [*POLITE, name, str(ends)])
    assert up(processes, "etcd", "kube-apiserver", "kube-scheduler")
    pids = processes.pids
    assert processes.folder.stat().st_mode & 0o777 == 0o700
    processes.close()
    assert ends.read_text().split() == ["kube-scheduler", "kube-apiserver", "etcd"]
    assert processes_of(pids) == []
    assert not processes.folder.exists()
    processes.close()  # twice is once


def test_a_program_that_does_not_end_is_killed(monkeypatch, tmp_path):
    script = tmp_path / "supervisor.py"
    original = ROOT / "epkit/targets/controlplane/supervisor.py"
    script.write_text(original.read_text().replace("GRACE = 4.0", "GRACE = 0.2"))
    monkeypatch.setattr("epkit.targets.controlplane.processes._SCRIPT", script)
    processes = Processes()
    processes.start("etcd", STUBBORN)
    assert up(processes, "etcd")
    pids = processes.pids
    processes.close()
    assert processes_of(pids) == []


def test_a_program_that_ends_is_known_with_its_last_lines():
    processes = Processes()
    processes.start("etcd", ["/bin/sh", "-c", "echo one; echo two >&2; exit 7"])
    assert soon(lambda: processes.code("etcd") is not None)
    assert processes.code("etcd") == 7
    assert processes.tail("etcd") == ["one", "two"]
    processes.start("etcd", ["/bin/sleep", "60"])
    assert processes.code("etcd") is None  # it has been started again
    processes.close()


def test_a_program_that_cannot_be_started():
    processes = Processes()
    with pytest.raises(EpkitError, match="/no/such/etcd cannot be started: .*No such file"):
        processes.start("etcd", ["/no/such/etcd"])
    processes.close()


KERNEL = f"""
import json, os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from epkit.targets.controlplane.processes import Processes
processes = Processes()
processes.start("etcd", {POLITE!r} + ["etcd", "/dev/null"])
processes.start("kube-apiserver", {STUBBORN!r})
if "fork" in sys.argv:  # a child that outlives its parent and knows nothing of what it has inherited
    if os.fork() == 0:
        os.closerange(0, 3)
        time.sleep(60)
        os._exit(0)
print(json.dumps([processes.pids, str(processes.folder)]), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_nothing_is_left_when_the_kernel_is_killed(how):
    import json

    kernel = subprocess.Popen([sys.executable, "-c", KERNEL, how], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert kernel.stdout is not None
        pids, folder = json.loads(kernel.stdout.readline())
        assert len(processes_of(pids)) == 3
        kernel.kill()
        kernel.wait()
        assert soon(lambda: not processes_of(pids)), processes_of(pids)
        assert soon(lambda: not Path(folder).exists())
    finally:
        os.killpg(kernel.pid, signal.SIGKILL) if how == "fork" else kernel.kill()
        kernel.stdout.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_nothing_runs_on_when_the_supervisor_itself_is_killed():
    processes = Processes()
    processes.start("etcd", STUBBORN)
    assert up(processes, "etcd")
    pids = processes.pids
    os.kill(pids[""], signal.SIGKILL)
    assert soon(lambda: not processes_of({"etcd": pids["etcd"]}))
    assert soon(lambda: processes.code("etcd") == -9)
    with pytest.raises(EpkitError, match="the process that looks after it has ended"):
        processes.start("kube-apiserver", STUBBORN)
    processes.close()
    import shutil

    shutil.rmtree(processes.folder)


def test_a_signal_for_the_kernel_is_not_for_the_programs():
    """Ctrl-C in a terminal goes to the whole foreground process group."""
    processes = Processes()
    processes.start("etcd", ["/bin/sleep", "60"])
    assert os.getpgid(processes.pids["etcd"]) != os.getpgrp()
    processes.close()


def test_forked_children_let_go_of_the_pipe():
    processes = Processes()
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def look() -> None:
        sender.send(processes.closed)

    child = context.Process(target=look)
    child.start()
    child.join()
    assert receiver.recv() is True
    assert not processes.closed
    processes.close()
