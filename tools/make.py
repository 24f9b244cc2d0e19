"""What the Makefile calls: `python3 tools/make.py COMMAND`. It finds a Python that is new enough and hands over to it.

This file alone must run on an old Python, to be able to say so: no syntax newer than Python 3.5 here.
"""

import os
import subprocess
import sys

OLDEST, TOO_NEW = (3, 11), (3, 15)
HERE = os.path.dirname(os.path.abspath(__file__))
PROBE = "import sys; print(sys.version_info[0], sys.version_info[1], sys.executable)"


def candidates() -> list:
    """Commands that may start a suitable Python, the likeliest first."""
    if os.environ.get("EPKIT_PYTHON"):
        return [[os.environ["EPKIT_PYTHON"]]]
    names = [[sys.executable]] + [["python3.%d" % minor] for minor in (13, 12, 14, 11)]
    if os.name == "nt":
        names += [["py", "-3.%d" % minor] for minor in (13, 12, 14, 11)]
    return names


def version_of(command: list) -> tuple:
    """(major, minor) and the path of the Python that `command` starts; (0, 0) and None where it does not start."""
    try:
        answer = subprocess.check_output(command + ["-c", PROBE], stderr=subprocess.DEVNULL).decode().split(" ", 2)
        return (int(answer[0]), int(answer[1])), answer[2].strip()
    except (OSError, ValueError, IndexError, subprocess.CalledProcessError):
        return (0, 0), None


def main() -> int:
    seen = []
    for command in candidates():
        version, path = version_of(command)
        if OLDEST <= version < TOO_NEW:
            return run(path)
        if path:
            seen.append("%s is %d.%d" % (path, version[0], version[1]))
    sys.stderr.write(
        "epkit: stopped: epkit needs Python 3.11, 3.12, 3.13 or 3.14, and none was found (%s).\n"
        "epkit: remedy: install one (https://www.python.org/downloads/, or conda install python=3.13) "
        "and run make again, or name it: make EPKIT_PYTHON=/path/to/python3.13\n"
        % ("; ".join(seen) or "EPKIT_PYTHON does not start")
    )
    return 1


def run(python: str) -> int:
    """Carry out the command in this process where possible, else in one of `python`."""
    if os.path.realpath(python) == os.path.realpath(sys.executable):
        sys.path.insert(0, HERE)
        import commands

        return commands.main(sys.argv[1:])
    return subprocess.call([python, os.path.join(HERE, "commands.py")] + sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
