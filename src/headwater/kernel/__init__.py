"""The loops between wire octets and columns: compiled, or their numpy twin where no compiler was used.

backend: "native" or "numpy". The twin serves builds without the extension (HEADWATER_PURE=1) and tests
(HEADWATER_KERNEL=numpy); an extension that is there but does not load is an error, not a slower decoder.
"""

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

backend = "numpy" if os.environ.get("HEADWATER_KERNEL") == "numpy" or not find_spec(f"{__name__}._kernel") else "native"

if TYPE_CHECKING or backend == "native":
    from headwater.kernel._kernel import (
        chain,
        columns,
        dicts,
        dissect,
        fresh,
        gather_rows,
        pack,
        pcap_packets,
        pcapng_packets,
        runs,
        scan,
        scatter,
        scatter_strings,
        strings,
        utf8,
    )
else:
    from headwater.kernel.reference import (
        chain,
        columns,
        dicts,
        dissect,
        fresh,
        gather_rows,
        pack,
        pcap_packets,
        pcapng_packets,
        runs,
        scan,
        scatter,
        scatter_strings,
        strings,
        utf8,
    )

__all__ = [
    "backend",
    "chain",
    "columns",
    "dicts",
    "dissect",
    "fresh",
    "gather_rows",
    "pack",
    "pcap_packets",
    "pcapng_packets",
    "runs",
    "scan",
    "scatter",
    "scatter_strings",
    "strings",
    "utf8",
]
