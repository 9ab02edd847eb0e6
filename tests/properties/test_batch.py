"""Columns, rows and tuples of any template are what the scalar codec reads record by record."""

from __future__ import annotations

import pytest
from hypothesis import given

from headwater.session import Session
from tests.oracle import Account
from tests.properties.strategies import REGISTRY, damaged_streams, deep, quick, streams

SALVAGE = pytest.mark.parametrize("salvage", [False, True], ids=["whole", "salvage"])


def check(chunks: list[bytes], *, salvage: bool) -> None:
    """Every Account compares what the decoder makes of each DataSets with the oracle: values, faults, all views."""
    Account(Session(REGISTRY, "udp", salvage=salvage)).feed(*chunks)
    Account(Session(REGISTRY, "file", salvage=salvage, resync=True)).feed(b"".join(chunks)).close()


@SALVAGE
@quick
@given(chunks=streams())
def test_a_batch_is_what_the_scalar_codec_reads(chunks: list[bytes], salvage: bool) -> None:
    check(chunks, salvage=salvage)


@SALVAGE
@quick
@given(chunks=damaged_streams())
def test_a_batch_of_damaged_data_is_what_the_scalar_codec_reads(chunks: list[bytes], salvage: bool) -> None:
    check(chunks, salvage=salvage)


@pytest.mark.slow
@SALVAGE
@deep
@given(chunks=streams())
def test_a_batch_is_what_the_scalar_codec_reads_in_depth(chunks: list[bytes], salvage: bool) -> None:
    check(chunks, salvage=salvage)
