"""The certificates of a control plane: two authorities, as kubeadm makes them, and what they sign.

etcd has an authority of its own, so that nobody but kube-apiserver gets in. Everything is made anew for each control
plane, lies in its private folder, and goes with it.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: how long they hold: no kernel lives that long
DAYS = 30
#: the programs of one machine share a clock, but virtual machines wake up with an old one
_EARLIER = datetime.timedelta(hours=1)
_USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and of its key."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority that keeps its key to itself: it is in no file.

    Args:
        folder: where the files go.
        name: of the authority; its own certificate is ``NAME.crt``.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = _key_usage(digital_signature=True, key_cert_sign=True, crl_sign=True)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        builder = self._begin(self._name, self._key.public_key())
        builder = builder.add_extension(constraints, critical=True).add_extension(usage, critical=True)
        self.file = folder / f"{name}.crt"
        write(self.file, builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        file: str,
        name: str,
        groups: Sequence[str] = (),
        *,
        usages: Sequence[str] = ("client",),
        hosts: Sequence[str] = (),
    ) -> Pair:
        """Sign a certificate for a new key, and write both.

        Args:
            file: the files' name, without ``.crt`` and ``.key``.
            name: the common name: a user's, for kube-apiserver.
            groups: the organisations: a user's groups.
            usages: of ``client`` and ``server``.
            hosts: DNS names and addresses that a server is reached by.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, name)])
        extended = x509.ExtendedKeyUsage([_USAGES[usage] for usage in usages])
        builder = self._begin(subject, key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(digital_signature=True), critical=True)
        builder = builder.add_extension(extended, critical=False)
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
            )
        pair = Pair(self._folder / f"{file}.crt", self._folder / f"{file}.key")
        write(pair.certificate, builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        write(pair.key, _private(key))
        return pair

    def _begin(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + datetime.timedelta(days=DAYS))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def key_pair(folder: Path, file: str) -> tuple[Path, Path]:
    """A key without a certificate, for the tokens of service accounts: the private and the public file."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{file}.key", folder / f"{file}.pub"
    write(private, _private(key))
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    write(public, key.public_key().public_bytes(encoding, form))
    return private, public


def write(file: Path, data: bytes) -> None:
    """Write a file that nobody else may read."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(data)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    # "EC PRIVATE KEY", the form that every version of client-go's keyutil reads.
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, digital_signature: bool, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
