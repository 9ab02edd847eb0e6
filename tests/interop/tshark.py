"""Flow records as tshark reads them, in the words of the IANA registry."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tests.peers import require_program


class Flow(NamedTuple):
    """One record. template: its id; the version for fixed records.

    values: by name, in the order of the wire, but the start of a flow before its end.
    """

    template: int
    values: dict[str, Any]


def _number(field: ET.Element) -> int:
    return int(field.get("show", ""), 0)


def _text(field: ET.Element) -> str:
    return field.get("show", "")


def _milliseconds(field: ET.Element) -> int:
    """Of a system's uptime."""
    seconds, _, fraction = field.get("show", "").partition(".")
    return int(seconds) * 1000 + int(fraction[:3] or 0)


def _instant(field: ET.Element) -> int:
    """Nanoseconds since 1970."""
    whole, fraction = field.get("show", "").removesuffix(" UTC").split(".")
    at = datetime.strptime(whole, "%b %d, %Y %H:%M:%S").replace(tzinfo=UTC)
    return int(at.timestamp()) * 1_000_000_000 + int(fraction)


def _octets(field: ET.Element) -> int:
    """The number that the octets are, where tshark shows something else."""
    return int(field.get("value", ""), 16)


def _unmasked(field: ET.Element) -> int:
    """All bits of the octet that tshark shows in parts."""
    return int(field.get("unmaskedvalue", ""), 16)


FIELDS: dict[str, tuple[str, Callable[[ET.Element], Any]]] = {
    "srcaddr": ("sourceIPv4Address", _text),
    "dstaddr": ("destinationIPv4Address", _text),
    "srcaddrv6": ("sourceIPv6Address", _text),
    "dstaddrv6": ("destinationIPv6Address", _text),
    "nexthop": ("ipNextHopIPv4Address", _text),
    "inputint": ("ingressInterface", _number),
    "outputint": ("egressInterface", _number),
    "packets": ("packetDeltaCount", _number),
    "octets": ("octetDeltaCount", _number),
    "timestart": ("flowStartSysUpTime", _milliseconds),
    "timeend": ("flowEndSysUpTime", _milliseconds),
    "abstimestart": ("flowStart", _instant),
    "abstimeend": ("flowEnd", _instant),
    "srcport": ("sourceTransportPort", _number),
    "dstport": ("destinationTransportPort", _number),
    "protocol": ("protocolIdentifier", _number),
    "tos": ("ipClassOfService", _number),
    "post_tos": ("postIpClassOfService", _number),
    "tcpflags": ("tcpControlBits", _number),
    "srcas": ("bgpSourceAsNumber", _number),
    "dstas": ("bgpDestinationAsNumber", _number),
    "srcmask": ("sourceIPv4PrefixLength", _number),
    "dstmask": ("destinationIPv4PrefixLength", _number),
    "srcmaskv6": ("sourceIPv6PrefixLength", _number),
    "dstmaskv6": ("destinationIPv6PrefixLength", _number),
    "srcmac": ("sourceMacAddress", _text),
    "post_dstmac": ("postDestinationMacAddress", _text),
    "vlanid": ("vlanId", _number),
    "post_vlanid": ("postVlanId", _number),
    "direction": ("flowDirection", _number),
    "flow_end_reason": ("flowEndReason", _number),
    "forwarding_status": ("forwardingStatus", _unmasked),
    "ip_version": ("ipVersion", _number),
    "icmp_type_code_ipv4": ("icmpTypeCodeIPv4", _number),
    "icmp_type_code_ipv6": ("icmpTypeCodeIPv6", _number),
    "engine_type": ("engineType", _number),
    "engine_id": ("engineId", _number),
    "mp_id": ("meteringProcessId", _number),
    "sys_init_time": ("systemInitTimeMilliseconds", _instant),
    "sampling_packet_interval": ("samplingPacketInterval", _number),
    "sampling_packet_space": ("samplingPacketSpace", _number),
    "selector_algorithm": ("selectorAlgorithm", _number),
    "sampling_interval": ("samplingInterval", _number),
    "sampling_algorithm": ("samplingAlgorithm", _number),
    "if_name": ("interfaceName", _text),
    "scope_interface": ("v9Interface", _octets),
}
"""The element of each field of tshark's "cflow" protocol, and what its value is read from."""
_PARTS = re.compile(r"|timedelta|padding|reserved|template_frame|forwarding_status_\w+")
"""Fields that are no values of a record; some have such inside."""
_GROUP = re.compile(r"(?:FlowSet|Set) \d+ \[id=(\d+)\]")
_RECORD = re.compile(r"(?:Flow|pdu) \d")


def flows(capture: Path, port: int) -> list[Flow]:
    """Every record, of options too, of the datagrams to a port."""
    command = [require_program("tshark"), "-r", str(capture), "-d", f"udp.port=={port},cflow", "-T", "pdml"]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return [flow for proto in ET.fromstring(text).iter("proto") if proto.get("name") == "cflow" for flow in _of(proto)]


def _of(proto: ET.Element) -> Iterator[Flow]:
    """Records of one Message."""
    version = next(_number(field) for field in proto if field.get("name") == "cflow.version")
    yield from _records(proto, version)
    for group in proto:
        found = _GROUP.match(group.get("show") or "")
        if found:
            yield from _records(group, int(found[1]))


def _records(parent: ET.Element, template: int) -> Iterator[Flow]:
    for record in parent:
        if not record.get("name") and _RECORD.match(record.get("show") or ""):
            values: dict[str, Any] = {}
            for name, value in _values(record):
                values[name if name not in values else f"reverse{name[0].upper()}{name[1:]}"] = value
            yield Flow(template, values)


def _values(parent: ET.Element) -> Iterator[tuple[str, Any]]:
    """(element, value) of each field."""
    for field in parent:
        name = (field.get("name") or "").removeprefix("cflow.")
        if name in FIELDS:
            element, read = FIELDS[name]
            yield element, read(field)
        else:
            assert _PARTS.fullmatch(name), f"tshark has a field {name!r} that this test does not know"
            yield from _values(field)
