"""The files of a simulated container, and what hears of their changes."""

from __future__ import annotations

import pytest

from epkit.objects import condition


def test_files_are_made_listed_read_and_removed(inside) -> None:
    inside.says("mkdir -p /data/a && touch /data/a/x && echo hello > /data/y")
    assert inside.says("ls /data") == "a\ny\n"
    assert inside.says("cat /data/y") == "hello\n"
    inside.says("rm -r /data/a; rm -f /data/nosuch")
    assert inside.says("ls /data") == "y\n"


@pytest.mark.parametrize(
    ("script", "code", "error"),
    [
        ("cat /nosuch", 1, "cat: /nosuch: No such file or directory"),
        ("cat /etc", 1, "cat: /etc: Is a directory"),
        ("ls /nosuch", 2, "ls: cannot access '/nosuch': No such file or directory"),
        ("rm /nosuch", 1, "rm: cannot remove '/nosuch': No such file or directory"),
        ("rm /etc", 1, "rm: cannot remove '/etc': Is a directory"),
        ("touch /nosuch/x", 1, "touch: cannot touch '/nosuch/x': No such file or directory"),
    ],
)
def test_what_is_not_there_is_said_as_usual(inside, script: str, code: int, error: str) -> None:
    done = inside.run(script)
    assert (done.returncode, done.stderr) == (code, error + "\n")


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("-f /etc/hosts", True), ("-d /etc", True), ("-f /etc", False), ("-e /nosuch", False), ("! -e /nosuch", True),
        ("a = a", True), ("a != a", False), ("-z ''", True), ("-n ''", False), ("2 -gt 1", True), ("text", True),
    ],
)  # fmt: skip
def test_tests(inside, expression: str, holds: bool) -> None:
    assert inside.run(f"test {expression}").returncode == int(not holds)
    assert inside.run(f"[ {expression} ]").returncode == int(not holds)


def test_standard_input_is_copied_by_cat_and_tee(inside) -> None:
    assert inside.says("cat", "-", stdin="from outside") == "from outside"
    assert inside.says("tee", "/tmp/copy", stdin="text\n") == "text\n"
    assert inside.says("cat /tmp/copy") == "text\n"


def test_a_file_decides_about_readiness_at_once(inside) -> None:
    probe = {"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 5}
    inside.client("probed", container={"readinessProbe": probe})

    def ready() -> str:
        found = condition(inside.api.get("pods", "probed", "default"), "Ready")
        assert found is not None
        return str(found["status"])

    assert ready() == "False"
    inside.says("touch /tmp/ready", pod="probed")
    assert ready() == "True"
    inside.says("rm /tmp/ready", pod="probed")
    assert ready() == "False"


def test_a_new_process_finds_the_image_s_files_again(inside) -> None:
    [name] = inside.web(1)
    inside.says("echo mine > /usr/share/nginx/html/index.html", pod=name)
    container = inside.plane.kubelet.container("default", name)
    container.end(inside.now, 1)
    container.start(inside.now)
    assert "Welcome to nginx" in (container.read("/usr/share/nginx/html/index.html") or "")


def test_who_and_where_a_container_is(inside) -> None:
    address = inside.address("client")
    assert inside.says("hostname") == "client\n"
    assert inside.says("hostname -i") == address + "\n"
    assert f"inet {address}/24 brd " in inside.says("ip addr")
    assert inside.says("ip route").splitlines()[1].endswith(f"scope link  src {address}")
    assert inside.says("id") == "uid=0(root) gid=0(root) groups=0(root)\n"


def test_filters(inside) -> None:
    inside.says("printf 'b 2\\na 10\\nc 1\\n' > /tmp/t")
    assert inside.says("sort /tmp/t | head -1") == "a 10\n"
    assert inside.says("grep -c a /tmp/t; grep -v a /tmp/t | tail -n 1") == "1\nc 1\n"
    assert inside.run("grep nosuch /tmp/t").returncode == 1
    assert inside.says("wc /tmp/t") == "       3       6      13 /tmp/t\n"
