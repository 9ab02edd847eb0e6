"""Numbers of NetFlow v9 that are no numbers of IPFIX, and what only NetFlow has (RFC 3954 §6.1, §8)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from headwater.model.element import NETFLOW_PEN, NETFLOW_SCOPE_PEN, InformationElement, Semantics
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.model.registry import Registry

_CISCO: Final = 9
_NTOP: Final = 35632
_NTOP_BASE: Final = 57472  # nProbe's element n is type 57472 + n in NetFlow v9, and 35632/n in IPFIX
_VENDORS: Final = 0x8000
_INTEGERS: Final = {
    True: (DataType.SIGNED8, DataType.SIGNED16, DataType.SIGNED32, DataType.SIGNED64),
    False: (DataType.UNSIGNED8, DataType.UNSIGNED16, DataType.UNSIGNED32, DataType.UNSIGNED64),
}


def _element(pen: int, id: int, name: str, type: DataType, semantics: int = Semantics.DEFAULT) -> InformationElement:
    return InformationElement(pen, id, name, type, semantics)


NETFLOW_ELEMENTS: Final = (
    _element(NETFLOW_PEN, 1, "v7Flags1", DataType.UNSIGNED8, Semantics.FLAGS),
    _element(NETFLOW_PEN, 2, "v7Flags2", DataType.UNSIGNED16, Semantics.FLAGS),
    _element(NETFLOW_PEN, 3, "v8ExtraPackets", DataType.UNSIGNED32),
    _element(NETFLOW_PEN, 4, "shortcutRouterIPv4Address", DataType.IPV4),
    _element(NETFLOW_PEN, 33000, "ingressAclId", DataType.OCTET_ARRAY),
    _element(NETFLOW_PEN, 33001, "egressAclId", DataType.OCTET_ARRAY),
    _element(NETFLOW_PEN, 33002, "firewallEventExtended", DataType.UNSIGNED16, Semantics.IDENTIFIER),
    _element(NETFLOW_PEN, 34000, "sgtSourceTag", DataType.UNSIGNED16, Semantics.IDENTIFIER),
    _element(NETFLOW_PEN, 34001, "sgtDestinationTag", DataType.UNSIGNED16, Semantics.IDENTIFIER),
    _element(NETFLOW_PEN, 34002, "sgtSourceName", DataType.STRING),
    _element(NETFLOW_PEN, 34003, "sgtDestinationName", DataType.STRING),
    _element(NETFLOW_PEN, 40000, "aaaUserName", DataType.STRING),
    _element(NETFLOW_PEN, 40001, "xlateSourceIPv4Address", DataType.IPV4),
    _element(NETFLOW_PEN, 40002, "xlateDestinationIPv4Address", DataType.IPV4),
    _element(NETFLOW_PEN, 40003, "xlateSourceTransportPort", DataType.UNSIGNED16, Semantics.IDENTIFIER),
    _element(NETFLOW_PEN, 40004, "xlateDestinationTransportPort", DataType.UNSIGNED16, Semantics.IDENTIFIER),
    _element(NETFLOW_PEN, 40005, "nselFirewallEvent", DataType.UNSIGNED8, Semantics.IDENTIFIER),
    _element(NETFLOW_PEN, 56701, "paloAltoAppId", DataType.STRING),
    _element(NETFLOW_PEN, 56702, "paloAltoUserId", DataType.STRING),
    _element(NETFLOW_SCOPE_PEN, 1, "v9System", DataType.UNSIGNED32, Semantics.IDENTIFIER),
    _element(NETFLOW_SCOPE_PEN, 2, "v9Interface", DataType.UNSIGNED32, Semantics.IDENTIFIER),
    _element(NETFLOW_SCOPE_PEN, 3, "v9LineCard", DataType.UNSIGNED32, Semantics.IDENTIFIER),
    _element(NETFLOW_SCOPE_PEN, 4, "v9Cache", DataType.UNSIGNED32, Semantics.IDENTIFIER),
    _element(NETFLOW_SCOPE_PEN, 5, "v9Template", DataType.UNSIGNED32, Semantics.IDENTIFIER),
)
"""ASA's, Palo Alto's and TrustSec's types of NetFlow v9, the scope types, and fields of v7 and v8."""

_OWN: Final = frozenset(element.key for element in NETFLOW_ELEMENTS)


def netflow_key(id: int, registry: Registry) -> tuple[int, int]:
    """(pen, id) of the element that a NetFlow v9 field type means.

    Up to 32767 that is the IANA element of the number. Above, "no enterprise number follows": vendors took what they
    liked. Those that are known to be an enterprise's element of IPFIX in disguise (Cisco: 32768 + n, ntop: 57472 + n)
    are that element; all others have a name space of their own.
    """
    if id < _VENDORS or (NETFLOW_PEN, id) in _OWN:
        return (NETFLOW_PEN if id >= _VENDORS else 0, id)
    for pen, base in ((_NTOP, _NTOP_BASE), (_CISCO, _VENDORS)):
        if id >= base and (pen, id - base) in registry:
            return (pen, id - base)
    return (NETFLOW_PEN, id)


def widened(element: InformationElement, length: int) -> InformationElement:
    """The element as a NetFlow v9 field of `length` octets: an integer longer than native is a wider integer.

    NetFlow v9 has no types and so no native lengths (RFC 3954 §8 calls many of them "N"): exporters send a sampler id
    in 2 or 4 octets.
    """
    type = element.type
    if not type.is_integer or not type.width < length <= 8:
        return element
    fits = next(wider for wider in _INTEGERS[type.is_signed] if wider.width >= length)
    return replace(element, type=fits)
