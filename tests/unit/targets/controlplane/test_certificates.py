from __future__ import annotations

import socket
import ssl
import stat
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from epkit.targets.controlplane.certificates import Authority, key_pair
from epkit.targets.controlplane.components import Files


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str = "127.0.0.1") -> dict:
    """The client's certificate as the server sees it. Raises ssl.SSLError where either does not trust the other."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[dict] = []
    failed: list[Exception] = []

    def accept() -> None:
        try:
            with server.wrap_socket(listener.accept()[0], server_side=True) as connection:
                seen.append(connection.getpeercert() or {})
                connection.sendall(b"x")
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        with socket.create_connection(listener.getsockname()) as plain:
            with client.wrap_socket(plain, server_hostname=host) as connection:
                if connection.recv(1) != b"x":
                    raise ssl.SSLError("the server has gone away")
    finally:
        thread.join()
        listener.close()
    if failed:
        raise failed[0]
    return seen[0]


def server_of(pair, ca) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca.file))
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def client_of(pair, ca) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca.file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(pair.certificate, pair.key)
    return context


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1", "172.18.0.2"])
def test_kube_apiserver_is_known_by_its_names_and_knows_its_users(files, host):
    node = files.user("system:node:node-1", "system:nodes", "system:masters")
    seen = handshake(server_of(files.serving, files.ca), client_of(node, files.ca), host)
    subject = [pair for part in seen["subject"] for pair in part]
    assert ("commonName", "system:node:node-1") in subject
    assert {value for key, value in subject if key == "organizationName"} == {"system:nodes", "system:masters"}


def test_etcd_lets_nobody_in_but_kube_apiserver(files):
    etcd = server_of(files.etcd, files.etcd_ca)
    assert handshake(etcd, client_of(files.etcd_client, files.etcd_ca))
    admin = files.user("kubernetes-admin", "system:masters")
    with pytest.raises(OSError):
        handshake(etcd, client_of(admin, files.etcd_ca))


def test_etcds_certificate_serves_and_asks(files):
    """Its gateway and its peers use one certificate for both."""
    assert handshake(server_of(files.etcd, files.etcd_ca), client_of(files.etcd, files.etcd_ca))


def test_another_control_planes_users_are_strangers(files, tmp_path):
    (tmp_path / "other").mkdir()
    other = Files(tmp_path / "other")
    stranger = client_of(other.user("kubernetes-admin", "system:masters"), files.ca)
    with pytest.raises(OSError):
        handshake(server_of(files.serving, files.ca), stranger)


def test_nobody_else_reads_the_files(files):
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700
    files.kubeconfig(files.folder / "kubeconfig", "https://127.0.0.1:1", "kubernetes-admin", "system:masters")
    assert {stat.S_IMODE(file.stat().st_mode) for file in files.folder.iterdir()} == {0o600}


def test_an_authority_may_sign_and_what_it_signs_may_not(tmp_path):
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("user", "ann")
    root = x509.load_pem_x509_certificate(authority.file.read_bytes())
    leaf = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    leaf.verify_directly_issued_by(root)
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "ann"
    assert not list(tmp_path.glob("ca.key"))


def test_the_tokens_keys_belong_together(tmp_path):
    private, public = key_pair(tmp_path, "service-accounts")
    key = serialization.load_pem_private_key(private.read_bytes(), None)
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    assert key.public_key().public_bytes(encoding, form) == public.read_bytes()
    assert private.read_text().startswith("-----BEGIN EC PRIVATE KEY-----")
