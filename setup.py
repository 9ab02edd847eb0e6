"""Builds the kernel; everything else about the package is in pyproject.toml.

HEADWATER_PURE=1 builds without a compiler: the package then runs on the numpy twin of the kernel.
"""

import os
import sys

from setuptools import Extension, setup

LIMITED_API = "0x030B0000"  # one abi3 wheel serves Python 3.11 and later


def kernel() -> list[Extension]:
    """The one extension module. A compile failure is an error, never a silently slower install."""
    if os.environ.get("HEADWATER_PURE") == "1":
        return []
    from Cython.Build import cythonize

    flags = [] if sys.platform == "win32" else ["-O3", "-g0"]
    flags += os.environ.get("HEADWATER_CFLAGS", "").split()
    extension = Extension(
        "headwater.kernel._kernel",
        ["src/headwater/kernel/_kernel.pyx"],
        define_macros=[("Py_LIMITED_API", LIMITED_API), ("CYTHON_LIMITED_API", "1")],
        extra_compile_args=flags,
        extra_link_args=os.environ.get("HEADWATER_LDFLAGS", "").split(),
        py_limited_api=True,
    )
    return cythonize([extension], build_dir="build/cython", compiler_directives={"language_level": 3})


extensions = kernel()
setup(
    ext_modules=extensions,
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if extensions else {},
)
