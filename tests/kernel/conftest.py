"""Every test of a kernel function runs on both backends."""

from importlib import import_module
from types import ModuleType

import pytest


@pytest.fixture(params=["_kernel", "reference"], ids=["native", "numpy"])
def kernel(request: pytest.FixtureRequest) -> ModuleType:
    if request.param == "_kernel":
        pytest.importorskip("headwater.kernel._kernel", reason="built without a compiler")
    return import_module(f"headwater.kernel.{request.param}")
