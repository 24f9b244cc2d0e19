"""The commands of a simulated container: what ``kubectl exec POD -- …`` can run.

| file | commands |
|---|---|
| `files` | cat cp echo ls mkdir printf rm tee test [ touch |
| `text` | grep head sort tail uniq wc |
| `system` | date env false hostname id ip netstat printenv pwd sleep ss true whoami |
| `names` | getent nslookup |
| `curl`, `wget`, `fetch` | curl wget |
| `shell`, `parse` | sh bash ash dash |

They have the options that people use, and refuse the others by name. Anything else is not found: exit code 127.
Images that come without a shell in reality (pause, coredns, whoami, …) have none of them here.
"""

from __future__ import annotations

import posixpath

from epkit.fake.commands.curl import COMMANDS as CURL
from epkit.fake.commands.files import COMMANDS as FILES
from epkit.fake.commands.names import COMMANDS as NAMES
from epkit.fake.commands.run import Command
from epkit.fake.commands.shell import COMMANDS as SHELLS
from epkit.fake.commands.system import COMMANDS as SYSTEM
from epkit.fake.commands.text import COMMANDS as TEXT
from epkit.fake.commands.wget import COMMANDS as WGET

COMMANDS: dict[str, Command] = {**FILES, **TEXT, **SYSTEM, **NAMES, **CURL, **WGET, **SHELLS}
_DIRECTORIES = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin")


def find(name: str) -> Command | None:
    """The command of that name or path; None where there is none.

    >>> find("/bin/sh") is find("sh")
    True
    """
    directory, base = posixpath.split(name)
    return COMMANDS.get(base) if directory in ("", *_DIRECTORIES) else None
