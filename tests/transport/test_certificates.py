"""Files of certificates and keys that cannot be used."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headwater.errors import TransportError
from headwater.transport.certificates import load_own
from tests.transport.certificates import Party


def loaded(**options: Path) -> None:
    endpoint: Any = SimpleNamespace(
        url="tls://", name="tls://*:4740", options={name: str(path) for name, path in options.items()}
    )
    load_own(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), endpoint)


def test_a_certificate_and_its_key_are_taken_from_one_file_or_two(exporter: Party, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(exporter.cert.read_text() + exporter.key.read_text())
    loaded(cert=both)
    loaded(cert=exporter.cert, key=exporter.key)


@pytest.mark.parametrize("text", ["nonsense", "", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_the_file_that_is_to_blame_is_named(exporter: Party, tmp_path: Path, text: str) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text(text)
    for options, message in [
        ({"cert": exporter.cert, "key": bad}, f"key={bad} cannot be used: it holds no private key"),
        ({"cert": exporter.cert, "key": exporter.cert}, f"key={exporter.cert} cannot be used: it holds no private key"),
        ({"cert": exporter.cert}, f"cert={exporter.cert} cannot be used: it holds no private key"),
        ({"cert": bad, "key": exporter.key}, f"cert={bad} cannot be used: it holds no certificate"),
        ({"cert": bad}, f"cert={bad} cannot be used: it holds no certificate"),
    ]:
        with pytest.raises(TransportError) as told:
            loaded(**options)
        assert str(told.value).endswith(message)
