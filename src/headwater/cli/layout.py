"""Which columns of records a table shows where: what was added stands beside what it explains."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from headwater.batch.strings import Strings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from headwater.batch.lists import Values
    from headwater.cli.query import Mask, Picked
    from headwater.model.template import Template

HAS_TEMPLATES = 9
"""The first version of the protocol with Templates."""

EXPORTER = "exporter"
"""The column that tells exporters apart where records of several stand in one table."""

_FIRST = ("flowStart", "flowEnd", "flowDuration")
_BEHIND = {
    "ingressInterface": ("ingressInterfaceName", "ingressInterfaceDescription"),
    "egressInterface": ("egressInterfaceName", "egressInterfaceDescription"),
    "ingressVRFID": ("ingressVRFName",),
    "egressVRFID": ("egressVRFName",),
    "applicationId": ("applicationIdText", "applicationName"),
    "samplerId": ("samplerName",),
    "selectorId": ("samplerName",),
    "octetDeltaCount": ("scaledOctetDeltaCount",),
    "packetDeltaCount": ("scaledPacketDeltaCount",),
}
"""Added columns by the field that they stand behind."""

_MATTERS = (
    re.compile(r"^exporter$"),
    re.compile(r"^flowStart(?!SysUpTime|Delta)|^observationTime|^(source|destination)IPv[46]Address"),
    re.compile(r"^octet(Delta|Total)Count$"),
    re.compile(r"^scaledOctet|^samplingRate$|^flowDuration$|^(in|e)gressInterfaceName$|^applicationName$"),
    re.compile(r"TransportPort$|^protocolIdentifier$"),
    re.compile(r"^packet(Delta|Total)Count$|^natEvent$|^firewallEvent$|^icmpTypeCode|MacAddress$"),
    re.compile(r"^scaled|VRFName$|^samplerName$"),
    re.compile(r"^tcpControlBits$|^flowEndReason$|^flow(Start|End|Duration)"),
    re.compile(r"Interface$|^vlanId$|^interfaceName$|^exporterIPv[46]Address$|^samplingSource$|^timeSource$"),
)
"""Names of columns that are kept when there is no room for all, the most important first."""
_RAW_TIME = re.compile(r"^flow(Start|End|Duration)[A-Z]")
_IP = re.compile(r"^(source|destination)IPv[46]Address$")
_MAC = re.compile(r"MacAddress$")
_LAST = len(_MATTERS) + 1


def arranged(names: Sequence[str], added: Sequence[str]) -> list[str]:
    """The names in the order of a table: times that were added first, other added columns beside what they explain."""
    fields = names[: len(names) - len(added)]
    left = dict.fromkeys(added)
    out = [name for name in _FIRST if name in left]
    for name in out:
        del left[name]
    for name in fields:
        out.append(name)
        for behind in _BEHIND.get(name, ()):
            if behind in left:
                del left[behind]
                out.append(behind)
    return [*out, *left]


def ranks(names: Iterable[str], kept: Collection[str] = ()) -> list[int]:
    """How much each column matters, 0 = most.

    Raw times matter little beside the flowStart that is made of them, and MAC addresses beside IP addresses.
    kept: columns that matter most.
    """
    names = list(names)
    little = [
        words
        for words, is_there in ((_RAW_TIME, "flowStart" in names), (_MAC, any(map(_IP.search, names))))
        if is_there
    ]
    return [
        0
        if name in kept
        else _LAST
        if any(words.search(name) for words in little)
        else next((rank for rank, words in enumerate(_MATTERS) if words.search(name)), len(_MATTERS))
        for name in names
    ]


def has_values(values: Values, mask: Mask | None) -> bool:
    """Whether a column has anything but nulls where the mask is True."""
    if isinstance(values, np.ma.MaskedArray):
        is_there = ~np.ma.getmaskarray(values)
    elif isinstance(values, Strings) and values.validity is not None:
        is_there = values.validity
    else:
        return True
    return bool((is_there if mask is None else is_there & mask).any())


def exporters(picked: Picked) -> tuple[list[str], list[int] | None]:
    """(the exporters of the picked records; for each record which of them, None if they are all of one).

    Nothing for a file, which has no exporters.
    """
    messages, sets = picked.sets.messages, picked.sets
    if not len(sets.message):
        return [], None
    if messages.peer is None:
        key = messages.keys[0]
        return ([] if key is None else [str(key)]), None
    peers = np.repeat(messages.peer[sets.message], sets.count)
    peers = peers if picked.mask is None else peers[picked.mask]
    there, which = np.unique(peers, return_inverse=True)
    names = [str(messages.keys[one]) for one in there.tolist()]
    return names, None if len(names) < 2 else which.tolist()


def protocol(version: int) -> str:
    """What a version of the protocol is called."""
    return "IPFIX" if version == 10 else f"NetFlow v{version}"


def format_of(template: Template, version: int) -> str:
    """What the records of a Template are called: the fixed formats have no Templates but those we made of them."""
    if version < HAS_TEMPLATES:
        return protocol(version)
    return f"{'Options Template' if template.scope_count else 'Template'} {template.id}"


def version_of(picked: Picked) -> int:
    """The version of the protocol that the first of the records came in."""
    of_sets = picked.sets.message
    return int(picked.sets.messages.version[of_sets[0]]) if len(of_sets) else 0
