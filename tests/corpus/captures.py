"""The captures of the corpus: what they hold, how far their truth can be trusted, and where the truth is not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "corpus"
"""Where the captures are kept: beside the repository, not in it."""

_BY_CONTENT = {
    ("10", "A"): """
        ls_ipfix ls_ipfix_openbsd_pflow ls_ipfix_juniper_mx240_junos151r6s3_512 ls_ipfix_mikrotik ls_ipfix_netscaler
        ls_ipfix_vmware_vds ls_ipfix_viptela_257 ls_ipfix_barracuda ls_ipfix_yaf_s tg_ipfix_example tg_ipfix_options
        tg_ipfix_pen_35632 ng_100_00 ng_106_00 ng_111_01 ng_srv6 ng_400_01 ng_501_00 ng_502_00 gen_libfixbuf_struct_n
        gen_libfixbuf_struct_t""",
    ("10", "B"): """
        cc_01_odid0 cc_02_odid0 cc_02_odid4 cc_03_odid0_a cc_03_odid0_b cc_04_odid256_512 cc_missing_template_258
        cc2_example_flows gen_sf_ipfix gen_sf_ipfix_bidir_milli gen_sf_ipfix_ether_micro gen_sf_ipfix_bidir_vlan_sec
        gen_pmacctd_nfprobe_v10 gen_python_ipfix""",
    ("10", "B0"): """
        ls_netscaler_missing_templates ls_ipfix_netscaler_b cc_bad_length_in_set cc_bad_template_field_count
        cc_header_and_zeros cc_only_data_no_templates cc_withdrawal_message_256 vf_ipfix_stress""",
    ("10", "D"): "cc_enterprise_from_nfv9 vf_ipfix cb_ipfix_parser cb_ipfix_interp np_ipfix",
    ("9", "A"): """
        ls_netflow9_valid01 ls_netflow9_cisco_aci_256-258 ls_netflow9_cisco_asa_1 ls_v9_multiple_exporters
        ls_netflow9_iptnetflow_reduced_size_encoding_260 ls_netflow9_unknown_266_292 ls_netflow9_ubnt_edgerouter
        ls_netflow9_nprobe_dpi ls_netflow9_fortigate_fortios_521 ls_netflow9_huawei_netstream
        ls_netflow9_field_layer2segmentid ls_netflow9_cisco_asr9k_260 ls_netflow9_cisco_nbar_260
        ls_netflow9_cisco_nbar_262 ls_netflow9_cisco_wlc ls_netflow9_paloalto_panos tg_netflow_v9_example
        tg_netflow_v9_options ng_101_00 ng_102_00 ng_111_00""",
    ("9", "B"): """
        ls_netflow9_macaddr ls_netflow9_nprobe ls_netflow9_cisco_1941K9 ls_netflow9_cisco_asr1001x_259 gl_v9_2
        gl_nprobe_v9_2 gl_nprobe_v9_3 gl_pmacctd_v9 gf2_v9 fl_v9 fl_v9_ms fl_v9_mpls fl_v9_sampler gen_sf_v9
        gen_sf_v9_vlan gen_sf_v9_ether gen_pmacctd_nfprobe_v9""",
    ("9", "C"): "ls_netflow9_h3c_3281",
    ("9", "B0"): "ls_asr9k_opttpl_misc gl_v9_3_incomplete fl_v9_as2",
    ("9", "D"): "ls_netflow9_invalid01 gl_v9_1 gl_netflow9 np_v9 ngw_v9",
    ("5", "A"): "ls_netflow5 ls_netflow5_microtik ls_netflow5_juniper_mx80 tg_netflow_v5_example",
    ("5", "B"): """
        gl_netflow5 gl_netgraph_v5 gl_pmacctd_v5 vf_v5 gf2_v5 fl_v5 gen_sf_v5 gen_sf_v5_sampled gen_fprobe_v5
        gen_pmacctd_nfprobe_v5 gen_ovs_netflow5""",
    ("5", "D"): "ls_netflow5_invalid01 ls_netflow5_invalid02",
    ("7", "B"): "np_v7",
    ("1", "B"): "gen_sf_v1 gen_fprobe_v1",
    ("sflow5", "B"): """
        tg_sflow_issue_15375 tg_sflow_issue_15918 tg_sflow_issue_18876 tg_sflow_v5_example td_sflow_print_v6 vf_sflow
        vf_sflow_stress gf2_sflow gen_pmacctd_sfprobe gen_ovs_sflow""",
    ("sflow5", "D"): "td_sflow_print_segv gp_sflow",
    ("5 9", "B"): "gl_nprobe_v9",
    ("5 sflow5", "B"): "td_sflow_multiple_counter_30_pdus",
    ("5 9 10", "D"): "pn_tests",
    ("9 10", "D"): "vw_ipfix",
}
VERSIONS = {name: tuple(key[0].split()) for key, names in _BY_CONTENT.items() for name in names.split()}
"""Which protocols each capture holds."""
GRADES = {name: key[1] for key, names in _BY_CONTENT.items() for name in names.split()}
"""How far the truth of each capture can be trusted: A, B and C fully, B0 = no record, D = not at all."""
TRUSTED = [name for name, grade in GRADES.items() if grade in "ABC"]
"""Captures whose records are compared."""
NOTHING = [name for name, grade in GRADES.items() if grade == "B0"]
"""Captures in which nothing can be decoded."""
DISPUTED = [name for name, grade in GRADES.items() if grade == "D"]
"""Captures of invalid octets, whose readers do not agree."""

LARGE = ("cc_01_odid0", "cc2_example_flows")
"""Captures of thousands of records like each other, which take seconds."""

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


def pcap(corpus: Path, name: str) -> Path:
    """The file of a capture."""
    return corpus / "data" / f"{name}.pcap"


def other_value(name: str, frame: int, key: str, value: Any) -> Any:
    """What we give for a value of the truth."""
    return OTHER_VALUES.get((name, frame, key), value)
