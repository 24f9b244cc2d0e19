"""What holds for every test, in tests/ and in notebooks/: how notebooks are compared, and what is told at the end.

A test that this machine cannot run is skipped, counted and named with the reason. With EPKIT_SKIP_NOTHING=1, as in
CI, a skipped test fails the run.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("EPKIT_MODE", "ci")  # fixed names, addresses and times, in the notebooks' kernels too


def pytest_collectstart(collector: pytest.Collector) -> None:
    """nbval compares every output but pictures, which another dot draws otherwise: their text forms are compared."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("image/svg+xml",)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    must_run_all = os.environ.get("EPKIT_SKIP_NOTHING") == "1" and not hasattr(session.config, "workerinput")
    if must_run_all and reporter and reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    write = terminalreporter.write_line
    for line in conformance_summary(terminalreporter):
        write(line)
    reasons = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        longrepr = report.longrepr
        reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
        reasons[reason.removeprefix("Skipped: ")].append(report.nodeid)
    for reason, names in sorted(reasons.items()):
        write(f"skipped here: {len(names)} test{'s' * (len(names) > 1)}: {reason}")
        for name in names:
            write(f"  {name}")
    if reasons and os.environ.get("EPKIT_SKIP_NOTHING") == "1":
        write("a skipped test fails this run (EPKIT_SKIP_NOTHING=1): install what is named above")


def conformance_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[str]:
    """How many recorded scenarios agree, which do not yet, and which do so for the first time."""
    named = defaultdict(list)  # what a test of a scenario recorded → the scenarios' names
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if getattr(report, "when", None) == "call":
            for name, value in report.user_properties:
                named[name].append(value)
    agree, differ, new = (sorted(named[name]) for name in ("agrees", "differs", "agrees-newly"))
    if agree or differ:
        yield f"conformance: {len(agree)} of {len(agree) + len(differ)} scenarios agree"
    if differ:
        yield f"not yet: {' '.join(differ)}"
    if new:
        yield f"newly agreeing, to be added to tests/conformance/agreeing.txt: {' '.join(new)}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--target", default="", help="run the notebooks' live tests on kind, controlplane or context:NAME")
