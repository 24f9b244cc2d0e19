"""``%kubectl`` and ``%%kubectl``: kubectl in a notebook's cell, on the cluster that the kernel is connected to."""
from __future__ import annotations

import sys
from typing import Any

from epkit.errors import EpkitError


def kubectl(line: str, cell: str | None = None) -> None:
    """Run kubectl with the words of the line; a cell's body is its standard input.

    >>> get_ipython().run_line_magic("kubectl", "get pods")
    """
    from epkit.cluster import connect
    from epkit.kubectl.run import run

    cluster = connect()
    try:
        done = run(line, cluster, stdin=cell or "", namespace=cluster.namespace)
    except EpkitError as error:
        print(error)
        return
    # One stream in one order, so that what is stored is what is seen.
    sys.stdout.write(done.text)


def load_ipython_extension(shell: Any) -> None:
    """Make the magics known to IPython; :func:`epkit.connect` calls it."""
    shell.register_magic_function(kubectl, magic_kind="line_cell", magic_name="kubectl")
