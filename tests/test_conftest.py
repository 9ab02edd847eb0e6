from __future__ import annotations

import pytest

from tests.conftest import ROOT


def test_an_exception_that_python_ignores_fails_the_test_it_happened_in(pytester: pytest.Pytester) -> None:
    """Compiled code and destructors cannot raise; what they swallow must not go unseen."""
    file = pytester.makepyfile(
        """
        class Careless:
            def __del__(self):
                raise RuntimeError("swallowed")

        def test_it():
            Careless()
        """
    )
    result = pytester.runpytest_subprocess(file, "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(pytester.path))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*PytestUnraisableExceptionWarning*"])
