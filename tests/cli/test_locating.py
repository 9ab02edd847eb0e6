"""One message of a source is found in the same way however the source is cut into windows."""

from __future__ import annotations

import pytest

from headwater.cli.located import Found
from headwater.cli.locating import NamedWindows, locate
from headwater.errors import SourceError
from headwater.process.manner import Manner
from headwater.transport.windows import MappedWindows
from tests import build

FIRST, SECOND, THIRD, *_ = build.flows(100)
RUBBISH = b"rubbish!" * 200
OCTETS = FIRST + SECOND + RUBBISH + THIRD + THIRD[:100]
PLACES = [0, len(FIRST), len(FIRST + SECOND), len(FIRST + SECOND + RUBBISH), len(OCTETS) - 100]


def find(window: int, *, number: int | None = None, offset: int = 0) -> Found:
    return locate(
        NamedWindows("x", MappedWindows(memoryview(OCTETS), window=window)), Manner(), number=number, offset=offset
    )


@pytest.mark.parametrize("window", [100, 1500, 4 << 20])
def test_messages_are_counted_and_know_their_templates(window: int) -> None:
    found = [find(window, number=number) for number in (1, 2, 3, 4)]
    assert [f.number for f in found] == [1, 2, 3, 4]
    assert [f.at for f in found] == [PLACES[0], PLACES[1], PLACES[3], PLACES[4]]
    assert [f.octets for f in found] == [FIRST, SECOND, THIRD, THIRD[:100]]
    assert [list(f.templates) for f in found] == [[], [256], [256], [256]]
    with pytest.raises(SourceError, match="x has 4 messages, no message 5"):
        find(window, number=5)


@pytest.mark.parametrize("window", [100, 1500, 4 << 20])
def test_every_octet_belongs_to_a_message_or_to_none(window: int) -> None:
    for offset in range(0, len(OCTETS), 97):
        found = find(window, offset=offset)
        assert found.at <= offset < found.at + len(found.octets)
        index = max(i for i, place in enumerate(PLACES) if place <= offset)
        assert found.number == [1, 2, 0, 3, 4][index]
    with pytest.raises(SourceError, match=f"x has {len(OCTETS)} octets, none at offset {len(OCTETS)}"):
        find(window, offset=len(OCTETS))
