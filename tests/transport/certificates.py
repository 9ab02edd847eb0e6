"""Certificates for tests, made by the openssl program; nothing of them is kept."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


class Party(NamedTuple):
    """Files of one party's certificate and key."""

    cert: Path
    key: Path

    def copied(self, folder: Path) -> Party:
        """Files with other names, which can be replaced."""
        own = Party(folder / "own.pem", folder / "own.key")
        for mine, copy in zip(self, own, strict=True):
            shutil.copy(mine, copy)
        return own

    def encrypted(self, folder: Path) -> Party:
        """The same with a key that wants a password."""
        key = folder / "encrypted.key"
        subprocess.run(
            ["openssl", "pkcs8", "-topk8", "-in", self.key, "-out", key, "-passout", "pass:secret"], check=True
        )
        return Party(self.cert, key)


class Certificates:
    """An authority in a folder, and what it signs."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._authority = Party(folder / f"{name}.pem", folder / f"{name}.key")
        self._openssl(
            "req", "-x509", "-days", "2", "-subj", f"/CN={name}", *_new_key(self._authority.key),
            "-out", str(self._authority.cert),
        )  # fmt: skip

    @property
    def ca(self) -> Path:
        """The authority's certificate."""
        return self._authority.cert

    def party(self, name: str, *names: str, use: str = "") -> Party:
        """Somebody who is called so; names: DNS names and addresses, as openssl has them ("DNS:localhost").

        use: what the certificate is good for ("serverAuth"), "" = anything.
        """
        party, request = Party(self._folder / f"{name}.pem", self._folder / f"{name}.key"), self._folder / f"{name}.csr"
        self._openssl("req", "-new", "-subj", f"/CN={name}", *_new_key(party.key), "-out", str(request))
        extensions = self._folder / f"{name}.ext"
        lines = ["basicConstraints=CA:FALSE"]
        lines += [f"subjectAltName={','.join(names)}"] if names else []
        lines += [f"extendedKeyUsage={use}"] if use else []
        extensions.write_text("".join(f"{line}\n" for line in lines))
        self._openssl(
            "x509", "-req", "-days", "2", "-in", str(request), "-out", str(party.cert), "-extfile", str(extensions),
            "-CA", str(self._authority.cert), "-CAkey", str(self._authority.key), "-CAcreateserial",
        )  # fmt: skip
        return party

    def revoked(self, *parties: Party) -> Path:
        """A list that has the certificates of these on it."""
        index, settings, path = (self._folder / f"revocation.{kind}" for kind in ("index", "cnf", "pem"))
        index.write_text("")
        settings.write_text(
            f"[ca]\ndefault_ca=own\n[own]\ndatabase={index}\ndefault_md=sha256\ndefault_crl_days=2\n"
            f"certificate={self._authority.cert}\nprivate_key={self._authority.key}\n"
        )
        for party in parties:
            self._openssl("ca", "-config", str(settings), "-revoke", str(party.cert))
        self._openssl("ca", "-config", str(settings), "-gencrl", "-out", str(path))
        return path

    def server_context(self, party: Party) -> ssl.SSLContext:
        """A collector's side, which wants to see the exporter's certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(party.cert, party.key)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        context.num_tickets = 0
        return context

    def _openssl(self, *arguments: str) -> None:
        program = shutil.which("openssl")
        if program is None:
            pytest.skip("openssl is not installed, so there are no certificates")
        subprocess.run([program, *arguments], check=True, capture_output=True)


def _new_key(path: Path) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(path))
