"""The command line, read as cobra and pflag read it."""

from __future__ import annotations

import pytest

from epkit.kubectl.builtin.args import parse
from epkit.kubectl.builtin.failures import KubectlError, printed


@pytest.mark.parametrize(
    ("line", "command", "words"),
    [
        ("get pods", "get", ["pods"]),
        ("-n demo get pods", "get", ["pods"]),
        ("create deploy web --image=nginx", "create deployment", ["web"]),
        ("create svc clusterip web --tcp=80", "create service clusterip", ["web"]),
        ("rollout -n demo status deploy/web", "rollout status", ["deploy/web"]),
        ("set image deploy/web nginx=nginx:1.27", "set image", ["deploy/web", "nginx=nginx:1.27"]),
        ("run busy --image=busybox -- sleep 5", "run", ["busy", "sleep", "5"]),
        ("exec web ls -l", "exec", ["web", "ls"]),
    ],
)
def test_command_and_words(line: str, command: str, words: list[str]) -> None:
    args = parse(line.split())
    assert (args.command, args.words) == (command, words)


@pytest.mark.parametrize("flag", ["-n demo", "-ndemo", "-n=demo", "--namespace demo", "--namespace=demo"])
def test_ways_to_give_a_value(flag: str) -> None:
    assert parse(["get", *flag.split()])["namespace"] == "demo"


def test_short_flags_stand_together_and_lists_grow() -> None:
    args = parse("get pods -Aowide -L app,team -L zone --no-headers=false".split())
    assert args["all-namespaces"] is True
    assert args["output"] == "wide"
    assert args["label-columns"] == ["app", "team", "zone"]
    assert args["no-headers"] is False


def test_dry_run_without_a_value() -> None:
    assert parse("delete pod web --dry-run".split())["dry-run"] == "unchanged"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("get --nope", "error: unknown flag: --nope\nSee 'kubectl get --help' for usage.\n"),
        ("get -Axz", "error: unknown shorthand flag: 'x' in -xz\nSee 'kubectl get --help' for usage.\n"),
        ("get -o", "error: flag needs an argument: 'o' in -o\nSee 'kubectl get --help' for usage.\n"),
        ("get ---x", "error: bad flag syntax: ---x\nSee 'kubectl get --help' for usage.\n"),
        (
            "scale --replicas=x",
            'error: invalid argument "x" for "--replicas" flag: strconv.ParseInt: parsing "x": invalid syntax\n'
            "See 'kubectl scale --help' for usage.\n",
        ),
        (
            "get -A=x",
            'error: invalid argument "x" for "-A, --all-namespaces" flag: strconv.ParseBool: parsing "x": invalid '
            "syntax\nSee 'kubectl get --help' for usage.\n",
        ),
        (
            "scale --timeout=5",
            'error: invalid argument "5" for "--timeout" flag: time: missing unit in duration "5"\n'
            "See 'kubectl scale --help' for usage.\n",
        ),
        ("gte pods", 'error: unknown command "gte" for "kubectl"\n\nDid you mean this?\n\tget\n'),
        ("rollout foo", "error: unknown command \"foo\"\nSee 'kubectl rollout -h' for help and examples\n"),
    ],
)
def test_what_cannot_be_read(line: str, text: str) -> None:
    with pytest.raises(KubectlError) as raised:
        parse(line.split())
    assert printed(raised.value) == (text, 1)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("top pods", "top"),
        ("port-forward web 80", "port-forward"),
        ("create secret generic x", "create secret generic"),
        ("create quota x", "create quota"),
        ("rollout status deploy/web --kubeconfig=x", "rollout status --kubeconfig"),
        ("get pods --watch-only --output-watch-events", "get --output-watch-events"),
        ("delete pods --interactive", "delete --interactive"),
        ("get --help", "get --help"),
        ("", "without a command"),
    ],
)
def test_what_only_the_real_one_does_is_named(line: str, what: str) -> None:
    with pytest.raises(KubectlError) as raised:
        parse(line.split())
    assert printed(raised.value) == (f"error: kubectl {what}: not in the built-in subset: install kubectl\n", 1)
