"""``%kubectl`` and ``%%kubectl``: kubectl in a notebook's cell, on the cluster that the kernel is connected to."""
from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from epkit.errors import EpkitError

#: ``{name}`` and ``{name.attribute[0]}``, ``$name``; and ``$$`` for a dollar sign
_REFERENCE = re.compile(r"\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[[^\[\]{}*:]+\])*)\}|\$([A-Za-z_]\w*)|(\$\$)")
#: words of kubectl's own templates, which are no variables
_TEMPLATE_WORDS = ("range", "end", "true", "false")


def kubectl(line: str, cell: str | None = None) -> None:
    """Run kubectl with the words of the line; a cell's body is its standard input.

    Variables of the notebook stand in braces or after a dollar sign; what is no variable stays as it is, so that the
    braces of a JSONPath need no escape. What the command prints is printed, and a command that fails says so in
    what it prints; it raises nothing, and the cells after it run.

    >>> get_ipython().run_line_magic("kubectl", "get pods -l app={name}")
    """
    from epkit.cluster import connect

    shell = _shell()
    variables: Mapping[str, Any] = shell.user_ns if shell is not None else {}
    cluster = connect()
    try:
        done = cluster.kubectl(expanded(line, variables), stdin=cell or "")
    except EpkitError as error:
        print(error)
        return
    # One stream in one order, so that what is stored is what is seen.
    sys.stdout.write(done.text)


# IPython would expand the whole line or, where a JSONPath is in it, nothing at all.
kubectl._ipython_magic_no_var_expand = True  # type: ignore[attr-defined]


def expanded(line: str, variables: Mapping[str, Any]) -> str:
    """The line with the values of the variables that it names.

    >>> expanded("get svc {name} -o jsonpath={.spec.ports[*].port}", {"name": "web"})
    'get svc web -o jsonpath={.spec.ports[*].port}'
    """

    def value(match: re.Match[str]) -> str:
        if match[3]:
            return "$"
        expression = match[1] or match[2]
        root = re.split(r"[.\[]", expression, maxsplit=1)[0]
        if root not in variables or root in _TEMPLATE_WORDS:
            return match[0]
        return str(eval(expression, {"__builtins__": {}}, dict(variables)))  # the learner's own variables

    return _REFERENCE.sub(value, line)


def _shell() -> Any:
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def load_ipython_extension(shell: Any) -> None:
    """Make the magics known to IPython; :func:`epkit.connect` calls it."""
    shell.register_magic_function(kubectl, magic_kind="line_cell", magic_name="kubectl")
