"""Tokens, health and metrics."""

from __future__ import annotations

import base64
import json

import pytest

ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default/token"


def claims(token: str) -> dict[str, object]:
    header, body, signature = token.split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "RS256" and signature
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "=="))
    return found


def test_a_token_says_whose_it_is_and_how_long_it_lasts(inside) -> None:
    code, body = inside.request("POST", ACCOUNT, "", b'{"spec":{"expirationSeconds":600,"audiences":["me"]}}')
    answer = json.loads(body)
    assert code == 201 and answer["kind"] == "TokenRequest"
    assert answer["status"]["expirationTimestamp"] == "2026-01-01T00:10:02Z"
    told = claims(answer["status"]["token"])
    assert told["sub"] == "system:serviceaccount:default:default" and told["aud"] == ["me"]
    assert told["exp"] - told["iat"] == 600  # type: ignore[operator]


def test_no_two_tokens_are_the_same(inside) -> None:
    tokens = {json.loads(inside.request("POST", ACCOUNT, "", b"{}")[1])["status"]["token"] for _ in range(2)}
    assert len(tokens) == 2


def test_tokens_that_are_not_to_be_had(inside) -> None:
    code, body = inside.request("POST", ACCOUNT, "", b'{"spec":{"expirationSeconds":10}}')
    assert code == 422
    assert "spec.expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes" in body.decode()
    code, body = inside.request("POST", ACCOUNT.replace("accounts/default", "accounts/nosuch"), "", b"{}")
    assert (code, json.loads(body)["message"]) == (404, 'serviceaccounts "nosuch" not found')


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/readyz/etcd", "/healthz/ping"])
def test_all_is_well(inside, path: str) -> None:
    assert inside.request("GET", path) == (200, b"ok")


def test_and_what_all_is(inside) -> None:
    code, body = inside.request("GET", "/readyz", "verbose&exclude=etcd")
    lines = body.decode().splitlines()
    assert code == 200 and lines[0] == "[+]ping ok" and lines[-1] == "readyz check passed"
    assert "[+]etcd excluded: ok" in lines
    assert "warn: some health checks" in inside.request("GET", "/livez", "verbose&exclude=nosuch")[1].decode()
    assert inside.request("GET", "/healthz/nosuch")[0] == 404


def test_metrics_of_the_endpointslice_controller(inside) -> None:
    inside.web(3)
    inside.service()
    lines = inside.request("GET", "/metrics")[1].decode().splitlines()
    assert "# TYPE endpoint_slice_controller_syncs counter" in lines
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    # Those of web, and of the Service kube-dns.
    assert float(values["endpoint_slice_controller_endpoints_desired"]) == 5
    assert float(values["endpoint_slice_controller_num_endpoint_slices"]) == 2
    assert float(values['endpoint_slice_controller_syncs{result="success"}']) > 0
