"""Whatever is handed over becomes a column or an error of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.batch.incoming import columns_of
from headwater.errors import EncodeError, UnknownElement
from headwater.model.registry import IANA

ODD: list[Any] = [
    np.datetime64("NaT"), np.timedelta64(5), np.float32(1.5), np.int8(-1), np.void(b"abcd"), np.str_("7"), object(),
    np.zeros(2), np.array(7), ..., int, {"items": [1]}, {"element": "vlanId", "items": [1]},
    {"element": "vlanId", "items": [None]}, {"element": 7, "items": []}, {300: [{"vlanId": 1}]}, [{"vlanId": 1}],
    [None], {"groups": [{}]}, {"groups": 7}, {"template": 1, "items": [[1]]},
    {"semantic": [], "element": "vlanId", "items": []},
]  # fmt: skip
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5),
    st.binary(max_size=20), st.decimals(), st.fractions(), st.complex_numbers(), st.datetimes(),
    st.datetimes(timezones=st.timezones()), st.dates(), st.times(), st.timedeltas(), st.ip_addresses(), st.uuids(),
    st.lists(st.integers(0, 300), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.integers(0, len(ODD) - 1).map(ODD.__getitem__),
)  # fmt: skip
ELEMENTS = st.sampled_from(sorted({e.type: e.name for e in IANA if e.pen == 0}.values()))


@settings(max_examples=200)
@given(ELEMENTS, st.lists(JUNK, max_size=4), st.booleans())
def test_any_values_are_a_column_or_refused(name: str, data: list[Any], is_allowed: bool) -> None:
    try:
        found = columns_of([{name: value} for value in data], allow_rounding=is_allowed)
    except (EncodeError, UnknownElement):
        return
    if data:
        assert len(found.values[0]) == len(data) == found.count
