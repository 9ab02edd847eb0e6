"""The compiled kernel and its numpy twin give the same results and refuse the same arguments."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.kernel import reference
from tests.kernel import cases

native = pytest.importorskip("headwater.kernel._kernel", reason="built without a compiler")


@pytest.mark.parametrize("make", cases.CALLS, ids=lambda make: make.__name__)
@given(random=st.randoms(use_true_random=True))
@settings(max_examples=300, deadline=None)
def test_native_equals_reference(make: Callable[[Random], cases.Call], random: Random) -> None:
    call = make(random)
    assert cases.outcome(native, call) == cases.outcome(reference, call)
