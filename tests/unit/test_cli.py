"""The `epkit` command's frame; what the subcommands do is tested beside their modules."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from epkit import __version__, cli
from epkit.errors import EpkitError


def a_command(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    """Let `epkit probe` be the only command, with `run` behind it."""
    def register(subparsers: Any) -> None:
        parser = subparsers.add_parser("probe")
        parser.add_argument("--word", default="none")
        parser.set_defaults(run=run)

    monkeypatch.setitem(sys.modules, "epkit_probe", SimpleNamespace(register=register))
    monkeypatch.setattr(cli, "COMMANDS", {"probe": ("epkit_probe", "a probe")})


def test_help_names_the_commands_without_importing_them(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(cli, "COMMANDS", {"probe": ("no_such_module", "a probe")})
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    assert "a probe" in capsys.readouterr().out


def test_a_command_gets_its_options_and_gives_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    a_command(monkeypatch, lambda options: seen.append(options.word) or 1)
    assert cli.main(["probe", "--word", "slice"]) == 1
    assert seen == ["slice"]


def test_a_command_that_returns_nothing_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    a_command(monkeypatch, lambda options: None)
    assert cli.main(["probe"]) == 0


def test_an_error_for_people_is_one_sentence_and_status_2(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def run(options: Any) -> int:
        raise EpkitError("Port 1 is taken. Choose another with --port.")

    a_command(monkeypatch, run)
    assert cli.main(["probe"]) == 2
    assert capsys.readouterr().err == "epkit: Port 1 is taken. Choose another with --port.\n"


def test_no_command_prints_the_help(capsys: Any) -> None:
    assert cli.main([]) == 2
    assert "commands" in capsys.readouterr().out


def test_the_version(capsys: Any) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"epkit {__version__}\n"


def test_an_unknown_command_is_refused_with_the_known_ones(capsys: Any) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["frobnicate"])
    assert "frobnicate" in capsys.readouterr().err


def test_help_imports_neither_the_fake_nor_the_client() -> None:
    code = (
        "import sys, epkit.cli\ntry: epkit.cli.main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = ('epkit.fake', 'epkit.targets', 'kubernetes', 'uvicorn')\n"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).endswith("[]\n")
