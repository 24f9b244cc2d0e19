"""``%%needs``, in a shell of IPython's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from epkit import cluster as clusters
from epkit import needs
from epkit.cluster import Cluster
from epkit.errors import EpkitError
from epkit.kubectl import magic
from epkit.targets.builtin import BuiltIn

pytestmark = pytest.mark.usefixtures("home")


class Poor(BuiltIn):
    """A cluster that can tell its story and no more."""

    name = "kind"
    powers = frozenset({"story"})


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    shell = InteractiveShell()
    shell.history_manager.enabled = False
    needs.load_ipython_extension(shell)
    needs.load_ipython_extension(shell)  # once is enough, twice does no harm
    magic.load_ipython_extension(shell)
    yield shell
    clusters.disconnect()


@pytest.fixture
def rich(shell: InteractiveShell) -> Cluster:
    return clusters.connect()


@pytest.fixture
def poor(shell: InteractiveShell) -> Iterator[Cluster]:
    with Cluster({}, Poor({})) as cluster:
        clusters._current = cluster
        yield cluster
    clusters._current = None


def run(shell: InteractiveShell, cell: str) -> Any:
    return shell.run_cell(cell, store_history=False)


def test_with_the_power_the_cell_runs_as_if_the_line_were_not_there(
    shell: InteractiveShell, rich: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(shell, "%%needs step\nx = 1\nprint('said')\nx + 1")
    assert done.success and done.result == 2 and shell.user_ns["x"] == 1
    assert capsys.readouterr().out.startswith("said\n")


@pytest.mark.parametrize("blank", ["", "\n", "\n\n   \n"])
def test_errors_keep_their_line(shell: InteractiveShell, rich: Cluster, blank: str) -> None:
    """As many lines above it as without ``%%needs``: IPython takes empty ones at the top away."""
    done = run(shell, f"{blank}%%needs step\n\ny = 1\nabsent")
    tb = done.error_in_exec.__traceback__
    while tb.tb_next is not None:
        tb = tb.tb_next
    assert isinstance(done.error_in_exec, NameError) and tb.tb_lineno == 4


def test_another_magic_may_stand_in_the_second_line(
    shell: InteractiveShell, rich: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    for between in ("", "\n"):
        assert run(shell, f"%%needs step pause\n{between}%%kubectl apply -f -\n{body}").success
    assert capsys.readouterr().out == "configmap/a created\nconfigmap/a unchanged\n"
    assert run(shell, "%%needs step\n%kubectl get configmap a -o name").success
    assert capsys.readouterr().out == "configmap/a\n"


def test_without_the_power_one_line_is_said_and_nothing_done(
    shell: InteractiveShell, poor: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    for cell in (
        "%%needs story, step\nz = 1\nprint('said')",
        "%%needs step\n%%kubectl apply -f -\n{",
        "%%needs step\n)(",
    ):
        done = run(shell, cell)
        assert done.success and done.result is None
        assert capsys.readouterr().out == (
            "Left out here: kind clusters cannot be stepped by hand. The built-in one can; go on below.\n"
        )
    assert "z" not in shell.user_ns


def test_what_it_has_is_not_left_out(shell: InteractiveShell, poor: Cluster) -> None:
    assert run(shell, "%%needs story\n3").result == 3


@pytest.mark.parametrize(("line", "said"), [("%%needs steps", "no power 'steps'"), ("%%needs", "nothing named")])
def test_what_is_no_power_is_told(
    shell: InteractiveShell, rich: Cluster, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    assert run(shell, f"{line}\nq = 1").success
    assert capsys.readouterr().out.startswith(f"%%needs: {said}. There are: step, pause, controllers,")
    assert "q" not in shell.user_ns


def test_where_there_is_no_cluster_that_is_told(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPKIT_TARGET", "moon")
    assert run(shell, "%%needs step\n1").success
    assert capsys.readouterr().out.startswith("There is no target 'moon'. There are: fake,")


def test_other_cells_are_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    def connects(*_: object) -> Cluster:
        raise EpkitError("a cell that asks for nothing needs no cluster")

    monkeypatch.setattr(clusters, "connect", connects)
    for lines in (
        [],
        ["\n"],
        ["x = 1\n", "%%needs step\n"],
        ["%%needsmore\n"],
        ["%needs step\n"],
        ["# %%needs step\n"],
    ):
        assert needs.admitted(lines) == lines


def test_connecting_in_a_kernel_makes_it_known(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython

    fresh = InteractiveShell()
    fresh.history_manager.enabled = False
    assert needs.admitted not in fresh.input_transformers_cleanup
    monkeypatch.setattr(IPython, "get_ipython", lambda: fresh)
    clusters.connect()
    assert fresh.input_transformers_cleanup.count(needs.admitted) == 1
    assert run(fresh, "%%needs history\n7").result == 7
