"""Programs of other projects that tests run against; Debian has them, Python's package index has not."""

from __future__ import annotations

import os
import shutil

import pytest

DEBIAN_PACKAGES = {
    "tshark": "tshark",
    "dumpcap": "wireshark-common",
    "tcpdump": "tcpdump",
    "ipfixDump": "libfixbuf-tools",
    "softflowd": "softflowd",
    "pmacctd": "pmacct",
    "nfpcapd": "nfdump",
    "nfreplay": "nfdump",
    "nfcapd": "nfdump",
    "nfdump": "nfdump",
    "nfacctd": "pmacct",
    "linux.uml": "user-mode-linux",
    "insmod": "kmod",
    "ip": "iproute2",
    "busybox": "busybox-static",
}


def require_program(name: str) -> str:
    """The path of a program of DEBIAN_PACKAGES. Where it is not installed: skips the test, but in CI fails it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path:
        return path
    reason = f"{name} is not installed (Debian: apt-get install {DEBIAN_PACKAGES[name]})"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; in CI every peer must be there")
    pytest.skip(reason)
