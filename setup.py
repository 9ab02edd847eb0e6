"""Builds what is compiled; everything else about the package is in pyproject.toml.

HEADWATER_PURE=1 builds without a compiler: the package then runs on the numpy twin of the kernel, and takes datagrams
from sockets one by one.
"""

import os
import sys

from setuptools import Extension, setup

LIMITED_API = "0x030B0000"  # one abi3 wheel serves Python 3.11 and later


def extensions() -> list[Extension]:
    """The extension modules. A compile failure is an error, never a silently slower install."""
    if os.environ.get("HEADWATER_PURE") == "1":
        return []
    from Cython.Build import cythonize

    modules = ["headwater.kernel._kernel"]
    if sys.platform == "linux":  # other systems have no recvmmsg
        modules.append("headwater.transport.incoming._datagrams")
    return cythonize(
        [extension(module) for module in modules],
        build_dir="build/cython",
        compiler_directives={"language_level": 3},
    )


def extension(module: str) -> Extension:
    """One module of the stable ABI, of the source file that has its name."""
    flags = [] if sys.platform == "win32" else ["-O3", "-g0"]
    flags += os.environ.get("HEADWATER_CFLAGS", "").split()
    return Extension(
        module,
        [f"src/{module.replace('.', '/')}.pyx"],
        define_macros=[("Py_LIMITED_API", LIMITED_API), ("CYTHON_LIMITED_API", "1")],
        extra_compile_args=flags,
        extra_link_args=os.environ.get("HEADWATER_LDFLAGS", "").split(),
        py_limited_api=True,
    )


compiled = extensions()
setup(
    ext_modules=compiled,
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if compiled else {},
)
