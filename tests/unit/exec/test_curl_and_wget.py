"""curl and wget: what they print and how they end."""

from __future__ import annotations

import pytest


@pytest.fixture
def web(inside):
    inside.web(2)
    inside.service()
    return inside


def test_the_welcome_page_of_nginx(web) -> None:
    page = web.says("curl -s http://web")
    assert page.startswith("<!DOCTYPE html>") and "<h1>Welcome to nginx!</h1>" in page
    assert len(page) == 615
    assert web.says("wget -qO- http://web") == page


def test_a_page_that_was_written_is_the_page_that_is_served(web) -> None:
    for pod in web.pods_of("web"):
        web.says('echo "$(hostname)" > /usr/share/nginx/html/index.html', pod=pod)
    seen = {web.says("curl -s web").strip() for _ in range(12)}
    assert seen == set(web.pods_of("web"))


def test_curl_s_options(web) -> None:
    address = web.api.get("services", "web", "default")["spec"]["clusterIP"]
    assert (
        web.says(r"curl -s -o /dev/null -w '%{http_code} %{remote_ip}:%{remote_port}\n' web") == f"200 {address}:80\n"
    )
    head = web.says("curl -sI web")
    assert head.startswith("HTTP/1.1 200 OK\r\nServer: nginx/1.29\r\n") and "Content-Length: 615\r\n" in head
    web.says("curl -so /tmp/page web:80/index.html")
    assert web.says("wc -c < /tmp/page") == "615\n"
    assert "> GET / HTTP/1.1\n> Host: web\n" in web.run("curl -sv web").stderr
    assert web.run("curl -s -f web/nosuch").returncode == 22


def test_without_silence_there_is_a_progress_meter(web) -> None:
    assert "% Total    % Received" in web.run("curl web").stderr
    assert web.run("curl -s web").stderr == ""


@pytest.mark.parametrize(
    ("command", "code", "error"),
    [
        ("curl -sS nosuch", 6, "curl: (6) Could not resolve host: nosuch"),
        ("curl -sS -m 2 10.244.2.200", 28, "curl: (28) Connection timed out after 2000 milliseconds"),
        ("curl -sS --connect-timeout 3 10.244.2.200", 28,
         "curl: (28) Failed to connect to 10.244.2.200 port 80 after 3000 ms: Timeout was reached"),
        ("curl -sS localhost:9", 7,
         "curl: (7) Failed to connect to localhost port 9 after 0 ms: Could not connect to server"),
        ("curl -sS ftp://web", 1, 'curl: (1) Protocol "ftp" not supported'),
        ("curl -sS http://web:99999", 3,
         "curl: (3) URL rejected: Port number was not a decimal number between 0 and 65535"),
        ("curl -sS https://web:80", 35,
         "curl: (35) TLS connect error: error:0A00010B:SSL routines::wrong version number"),
        ("wget -q nosuch", 1, "wget: bad address 'nosuch'"),
        ("wget -qO- localhost:9", 1, "wget: can't connect to remote host (127.0.0.1): Connection refused"),
        ("wget -qO- -T 2 10.244.2.200", 1, "wget: download timed out"),
        ("wget -qO- web/nosuch", 1, "wget: server returned error: HTTP/1.1 404 Not Found"),
    ],
)  # fmt: skip
def test_how_they_fail(web, command: str, code: int, error: str) -> None:
    done = web.run(command)
    assert (done.returncode, done.stderr.strip()) == (code, error)


def test_silence_covers_errors_too(web) -> None:
    done = web.run("curl -s nosuch")
    assert (done.returncode, done.stdout, done.stderr) == (6, "", "")


def test_a_service_without_endpoints_refuses(inside) -> None:
    inside.service("empty")
    assert inside.run("curl -s empty").returncode == 7


def test_a_wait_takes_time(web) -> None:
    before = web.now
    web.run("curl -s -m 2 10.244.2.200")
    assert web.now == before + 2
    web.run("curl -s 10.244.2.200")
    assert web.now == before + 132, "Linux gives up after its last SYN"


@pytest.mark.parametrize("command", ["curl --nosuch web", "curl -Z web", "curl", "wget --nosuch web", "wget"])
def test_options_that_are_not_simulated_are_refused(web, command: str) -> None:
    done = web.run(command)
    assert done.returncode in (1, 2) and done.stderr and not done.stdout


def test_images_answer_as_they_do(inside) -> None:
    for name, image, path, answer in (
        ("apache", "httpd", "", "<html><body><h1>It works!</h1></body></html>\n"),
        ("who", "traefik/whoami", "", "Hostname: who-"),
        ("hello", "gcr.io/google-samples/hello-app:2.0", ":8080", "Hello, world!\nVersion: 2.0.0\nHostname: hello-"),
        ("other", "example.com/team/shop:1", ":8080", "other-"),
        ("agn", "registry.k8s.io/e2e-test-images/agnhost:2.53", ":8080/hostname", "agn-"),
    ):
        port = int(path.partition("/")[0].strip(":") or 80)
        args = {"args": ["netexec"]} if name == "agn" else {}
        inside.web(1, name, image, ports=[{"containerPort": port}], **args)
        inside.service(name, port, port)
        assert inside.says(f"curl -s {name}{path}").startswith(answer)


def test_a_database_speaks_no_http(inside) -> None:
    inside.web(1, "db", "postgres:17")
    inside.service("db", 5432, 5432)
    assert inside.run("curl -sS db:5432").stderr == "curl: (52) Empty reply from server\n"


def test_the_api_server_is_there_and_wants_to_know_who_asks(inside) -> None:
    assert inside.run("curl -sS https://kubernetes").returncode == 60
    assert '"gitVersion":"v1.36.2"' in inside.says("curl -sk https://kubernetes/version")
    assert 'User \\"system:anonymous\\" cannot get path' in inside.says("curl -sk https://kubernetes/api")
