"""Whatever is typed, a command ends with a code and words, or says that it would never end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inside_cluster import Inside

from epkit.errors import EpkitError
from epkit.fake.commands import COMMANDS

_OTHERS = """web http://web:80 https://kubernetes 10.244.1.9 /tmp /tmp/x /etc/hosts - -n -s -c -o -m 1 x -1 'a_b'
"$HOME" $(hostname) $? %{http_code} +%s -type=SRV [ ] = ! -w -qO-
hosts a=b \\ * é ''""".split()
WORDS = st.sampled_from([*COMMANDS, *_OTHERS])
GLUE = st.sampled_from(
    [" ", " ; ", " && ", " || ", " | ", " > /tmp/out ", " 2>&1 ", " < /etc/hosts ", "\n", " & ", "(", ")"]
)


@pytest.fixture(scope="module")
def cluster() -> Inside:
    cluster = Inside(nodes="1")
    cluster.client()
    cluster.web(1)
    cluster.service()
    return cluster


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(WORDS, GLUE), min_size=1, max_size=8))
def test_a_script_ends(cluster: Inside, parts: list[tuple[str, str]]) -> None:
    script = "".join(word + glue for word, glue in parts)
    try:
        done = cluster.run("sh", "-c", script)
    except EpkitError as error:
        assert "never ends by itself" in str(error)
    else:
        assert 0 <= done.returncode <= 255


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(COMMANDS)), st.lists(WORDS, max_size=4), st.text(max_size=20))
def test_a_command_ends(cluster: Inside, name: str, args: list[str], stdin: str) -> None:
    try:
        done = cluster.run(name, *args, "", stdin=stdin)
    except EpkitError as error:
        assert "never ends by itself" in str(error)
    else:
        assert 0 <= done.returncode <= 255
