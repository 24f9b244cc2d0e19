"""The shell of a simulated container."""

from __future__ import annotations

import pytest

from epkit.fake.commands.parse import ShellSyntaxError, parse


@pytest.mark.parametrize(
    ("script", "output"),
    [
        ("true && echo yes || echo no", "yes\n"),
        ("false && echo yes || echo no", "no\n"),
        ("false; echo $?", "1\n"),
        ("echo a; echo b\necho c # comment", "a\nb\nc\n"),
        ("! false && echo inverted", "inverted\n"),
        ("echo 'a  b' \"c  d\" e  f", "a  b c  d e f\n"),
        ("name=web; echo $name ${name} '$name' \"<$name>\"", "web web $name <web>\n"),
        ("echo ${missing:-default} [$missing]", "default []\n"),
        ('echo $(hostname) "`hostname`"', "client client\n"),
        ("words='a b  c'; echo $words \"$words\"", "a b c a b  c\n"),
        ("x=''; echo $x end", "end\n"),
        ("echo a\\ b \\$HOME", "a b $HOME\n"),
        ("echo one | cat | wc -l", "1\n"),
        ("printf 'b\\na\\nb\\n' | sort | uniq -c", "      1 a\n      2 b\n"),
        ("cd /tmp && pwd", "/tmp\n"),
        ("export A=1; echo $A", "1\n"),
        ("sh -c 'echo inner; exit 3'; echo $?", "inner\n3\n"),
        ("set -e; false || true; echo on; false; echo never", "on\n"),
        (": nothing; echo done", "done\n"),
    ],
)
def test_a_script_prints(inside, script: str, output: str) -> None:
    assert inside.run(script).stdout == output


@pytest.mark.parametrize(
    ("script", "code"),
    [("true", 0), ("false", 1), ("exit 7", 7), ("false; exit", 1), ("nosuch", 127), ("true; nosuch || exit 9", 9)],
)
def test_a_script_ends_with_a_code(inside, script: str, code: int) -> None:
    assert inside.run(script).returncode == code


def test_what_is_not_found_is_named(inside) -> None:
    assert inside.run("nosuch -x").stderr == "sh: nosuch: not found\n"


@pytest.mark.parametrize(
    "script",
    ["for i in 1 2; do echo $i; done", "while true; do sleep 1; done", "if true; then echo a; fi", "sleep 5 &"],
)
def test_what_the_shell_does_not_know_it_refuses_by_name(inside, script: str) -> None:
    done = inside.run(script)
    assert done.returncode == 2 and "the simulated shell has no" in done.stderr and not done.stdout


@pytest.mark.parametrize("script", ["echo 'open", "echo a &&", "| cat", "echo $(hostname", "echo $((1+1))", "cat <"])
def test_a_script_without_meaning_is_a_syntax_error(script: str) -> None:
    with pytest.raises(ShellSyntaxError):
        parse(script)


def test_output_and_errors_go_where_redirections_say(inside) -> None:
    inside.says("echo first > /tmp/log; echo second >> /tmp/log; cat nosuch > /tmp/both 2>&1 || true")
    assert inside.says("cat /tmp/log") == "first\nsecond\n"
    assert inside.says("cat /tmp/both") == "cat: nosuch: No such file or directory\n"
    assert inside.run("cat nosuch 2>/dev/null").stderr == ""
    assert inside.says("cat < /tmp/log | head -n 1") == "first\n"


def test_a_redirection_to_a_directory_that_is_not_there_fails(inside) -> None:
    done = inside.run("echo a > /nosuch/file")
    assert done.returncode == 1 and "nonexistent directory" in done.stderr


def test_a_script_comes_by_stdin_too(inside) -> None:
    done = inside.run("sh", "-s", stdin="hostname\nexit 4\n")
    assert (done.stdout, done.returncode) == ("client\n", 4)


def test_environment_holds_services_and_the_pod_s_own(inside) -> None:
    inside.service()
    inside.client("second", container={"env": [{"name": "WHERE", "value": "at $(WEB_SERVICE_HOST)"}]})
    address = inside.api.get("services", "web", "default")["spec"]["clusterIP"]
    assert inside.says("echo $WHERE", pod="second") == f"at {address}\n"
    assert inside.says("printenv", "WEB_SERVICE_PORT_HTTP", pod="second") == "80\n"
    assert inside.run("printenv", "NOSUCH", pod="second").returncode == 1


def test_sleep_takes_virtual_time(inside) -> None:
    before = inside.now
    assert inside.says("sleep 30; date +%s") == f"{int(before + 30)}\n"
    assert inside.now == before + 30
