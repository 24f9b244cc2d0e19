"""The commands behind the Makefile's targets, each a module of its own beside this file (standard library only)."""

from __future__ import annotations

import sys

from console import Stop

COMMANDS = {
    "lab": "open the course in JupyterLab (PORT=8889 for another port, EPKIT_NO_BROWSER=1 for no browser window)",
    "test": "run every test: unit, conformance, notebooks, browser, live clusters (about ten minutes)",
    "check": "lint, types and unit tests (under two minutes)",
    "notebooks": "run all notebooks again and store their outputs",
    "lock": "resolve the pinned versions in requirements/ anew (needs uv)",
    "clean": "remove what these commands made: .venv, caches, test output",
    "help": "show this list",
}


def main(arguments: list[str]) -> int:
    """Run the command that `arguments` names; returns the exit status."""
    name, *rest = arguments or ["help"]
    if name not in COMMANDS:
        print(f"epkit: there is no command {name!r}; these are:\n{usage()}", file=sys.stderr)
        return 2
    try:
        return run(name, rest)
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nepkit: stopped by Ctrl-C", file=sys.stderr)
        return 130


def run(name: str, rest: list[str]) -> int:
    if name == "help":
        print(usage())
        return 0
    if name == "lab":
        import lab

        return lab.main()
    if name == "test":
        import testing

        return testing.test(rest)
    if name == "check":
        import testing

        return testing.check()
    if name == "notebooks":
        import environment
        import testing

        return testing.execute_notebooks(environment.ready("test"), rest)
    if name == "lock":
        import lock

        lock.main()
        return 0
    import environment

    environment.clean()
    return 0


def usage() -> str:
    """The list that `make help` prints."""
    return "\n".join(f"  make {name:<10} {text}" for name, text in COMMANDS.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
