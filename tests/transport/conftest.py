"""Certificates of two parties, for transports that want some."""

from __future__ import annotations

import pytest

from tests.transport.certificates import Certificates, Party


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def exporter(certificates: Certificates) -> Party:
    return certificates.party("exporter", "DNS:exporter.example.net", "IP:192.0.2.1")


@pytest.fixture(scope="module")
def collector(certificates: Certificates) -> Party:
    return certificates.party("collector", "DNS:localhost", "IP:127.0.0.1")
