"""The IPFIX captures of the corpus, their truth, and where the truth is not ours."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from pathlib import Path
from typing import Any

from headwater.model.element import REVERSE_PEN, InformationElement
from headwater.model.types import DataType
from headwater.wire.records import Cell
from tests.oracle import Record

BY_GRADE = {
    "A": """
        ls_ipfix ls_ipfix_openbsd_pflow ls_ipfix_juniper_mx240_junos151r6s3_512 ls_ipfix_mikrotik ls_ipfix_netscaler
        ls_ipfix_vmware_vds ls_ipfix_viptela_257 ls_ipfix_barracuda ls_ipfix_yaf_s tg_ipfix_example tg_ipfix_options
        tg_ipfix_pen_35632 ng_100_00 ng_106_00 ng_111_01 ng_srv6 ng_400_01 ng_501_00 ng_502_00 gen_libfixbuf_struct_n
        gen_libfixbuf_struct_t""",
    "B": """
        cc_01_odid0 cc_02_odid0 cc_02_odid4 cc_03_odid0_a cc_03_odid0_b cc_04_odid256_512 cc_missing_template_258
        cc2_example_flows gen_sf_ipfix gen_sf_ipfix_bidir_milli gen_sf_ipfix_ether_micro gen_sf_ipfix_bidir_vlan_sec
        gen_pmacctd_nfprobe_v10 gen_python_ipfix""",
    "C": "",
    "B0": """
        ls_netscaler_missing_templates ls_ipfix_netscaler_b cc_bad_length_in_set cc_bad_template_field_count
        cc_header_and_zeros cc_only_data_no_templates cc_withdrawal_message_256 vf_ipfix_stress""",
    "D": """
        cc_enterprise_from_nfv9 pn_tests vf_ipfix cb_ipfix_parser cb_ipfix_interp np_ipfix vw_ipfix""",
}
GRADES = {name: grade for grade, names in BY_GRADE.items() for name in names.split()}
"""Captures with IPFIX packets and how far their truth can be trusted: A and B fully, B0 = no record, D = not at all."""
TRUSTED = [name for name, grade in GRADES.items() if grade in "ABC"]

MORE_RECORDS = {
    # The datagram holds three Messages back to back, of 484, 64 and 240 octets:
    #     000a01e4 5553337a 00000006 … 000a0040 5553337a 00000007 … 000a00f0 5553337c 0000000c …
    # The truth (as logstash) takes the first one only; we take all of what a datagram holds.
    ("ls_ipfix", 1): 13,
}
"""(capture, frame): records that are there, where the truth has fewer."""

OTHER_VALUES = {
    # samplerId (48) is an unsigned8, and Huawei sends it in 4 octets. Longer than native is not a reduced size (RFC
    # 7011 §6.2), so these octets are kept and the template is counted; the truth reads them as 10 and 65.
    ("ng_106_00", 5, "samplerId"): "hex:0000000a",
    ("ng_106_00", 6, "samplerId"): "hex:00000041",
}
"""(capture, frame, key): the value that we give, where the truth has another."""


def truth(corpus: Path, name: str) -> dict[int, list[dict[str, Any]]]:
    """Expected records by frame."""
    out: dict[int, list[dict[str, Any]]] = {}
    for line in (corpus / "data" / f"{name}.expected.jsonl").read_text().splitlines():
        record = json.loads(line)
        out.setdefault(record["_frame"], []).append(record)
    return out


def assert_is(record: Record, expected: dict[str, Any], name: str) -> None:
    """The record has the fields, the scope and the values that are expected, in their order."""
    ours = {}
    seen: Counter[str] = Counter()
    for cell in record.cells:
        key = _key(cell.field.element)
        seen[key] += 1
        ours[key if seen[key] == 1 else f"{key}#{seen[key]}"] = cell
    theirs = {key: value for key, value in expected.items() if not key.startswith("_")}
    assert record.template.id == expected["_set"]
    assert list(ours) == list(theirs)
    assert list(ours)[: record.template.scope_count] == expected.get("_scope", [])
    assert expected["_tshark"] in ("agree", "partial")
    for key, cell in ours.items():
        value = OTHER_VALUES.get((name, expected["_frame"], key), theirs[key])
        found = _as_octets(record, cell) if _is_raw(value, cell) else _as_value(record, cell)
        assert found == value, key
        assert type(found) is type(value), key


def _key(element: InformationElement) -> str:
    return element.name if element.pen in (0, REVERSE_PEN) else f"{element.pen}/{element.id}"


def _is_raw(value: Any, cell: Cell) -> bool:
    """Whether the truth knows octets only; it knows no enterprise elements, and no type information (RFC 5610)."""
    return isinstance(value, str) and value.startswith("hex:") and cell.field.element.pen != 0


def _octets(record: Record, cell: Cell) -> str:
    start = cell.at + cell.prefix
    return record.sets.buffer[start : start + cell.length].tobytes().hex()


def _as_octets(record: Record, cell: Cell) -> str:
    return "hex:" + _octets(record, cell)


def _as_value(record: Record, cell: Cell) -> Any:
    type, value = cell.field.type, cell.value
    if type.is_list:
        return "list:" + _octets(record, cell)
    if type in (DataType.MICROSECONDS, DataType.NANOSECONDS):
        return "ntp:" + _octets(record, cell)
    if type is DataType.IPV4 and isinstance(value, int):
        return str(ipaddress.IPv4Address(value))
    if isinstance(value, bytes):
        if type is DataType.IPV6 and len(value) == 16:
            return str(ipaddress.IPv6Address(value))
        return value.hex(":") if type is DataType.MAC_ADDRESS and len(value) == 6 else f"hex:{value.hex()}"
    return value
