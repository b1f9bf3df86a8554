"""Certificates for TLS tests: an authority of our own and what it signs, as PEM files."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = ("127.0.0.1", "localhost")


def _subject(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _san(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path, data, mode=0o600):
    path.write_bytes(data)
    os.chmod(path, mode)
    return path


def _pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Pair:
    """A certificate and its key: .cert .key, and both in one file: .both."""

    def __init__(self, directory, name, certificate, key):
        cert = certificate.public_bytes(serialization.Encoding.PEM)
        self.cert = _write(directory / (name + ".crt"), cert, 0o644)
        self.key = _write(directory / (name + ".key"), _pem(key))
        self.both = _write(directory / (name + ".pem"), cert + _pem(key))


class Authority:
    """Signs certificates. `ca` is the file that peers trust."""

    def __init__(self, directory, name="authority"):
        self.directory = directory
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(name, self.key.public_key(), (), -1, 10, is_ca=True)
        self.ca = _write(directory / (name + ".crt"),
                         self.certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def _sign(self, name, public_key, names, from_days, to_days, is_ca=False):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder()
                   .subject_name(_subject(name)).issuer_name(_subject(self.name))
                   .public_key(public_key).serial_number(x509.random_serial_number())
                   .not_valid_before(now + datetime.timedelta(days=from_days))
                   .not_valid_after(now + datetime.timedelta(days=to_days))
                   .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), is_ca))
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_san(n) for n in names]), False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name, names=NAMES, from_days=-1, to_days=10):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key(), names, from_days, to_days)
        return Pair(self.directory, name, certificate, key)
