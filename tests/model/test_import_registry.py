from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "import_registry.py"
COLUMNS = "pen,id,name,abstract_data_type,semantics,units,range,status,date,name_source,also_in\n"


@pytest.fixture
def importer(tmp_path: Path) -> dict[str, Any]:
    """The script's names, with its output directory in a temporary place."""
    names = runpy.run_path(str(SCRIPT))
    main = names["main"]
    main.__globals__["DATA"] = tmp_path / "data"
    (tmp_path / "data").mkdir()
    return names


def test_the_importer_chooses_types_and_names(tmp_path: Path, importer: dict[str, Any]) -> None:
    source = tmp_path / "facts"
    source.mkdir()
    (source / "pen_0.csv").write_text(
        COLUMNS + "0,0,Reserved,,,,,reserved,,IANA,\n"
        "0,31,flowLabelIPv6,unsigned32,identifier,none,0-0xFFFFF,current,,IANA,\n"
        "0,9999,pseudo,octetArray,,,,,,other,\n"
    )
    (source / "pen_5.csv").write_text(
        COLUMNS + "5,2,FW Rule,uint,,,,,,telegraf,\n5,1,WIDTH,unsigned16,,,,,,Wireshark 4,\n"
        "5,3,AGREED,unsigned16,,,,deprecated,,Wireshark 4,logstash\n5,4,DST_IPV6,ip,,,,,,telegraf,\n"
    )
    (source / "pen_29305.csv").write_text(COLUMNS + "29305,1,reverseX,unsigned8,,,,,,other,\n")
    (source / "conflicts.csv").write_text("pen,id,what,source_a,value_a,source_b,value_b\n")
    (source / "netflow_v9_names.csv").write_text(
        "id,iana_name,wireshark_v9_name,wireshark_ipfix_name,logstash_name,logstash_type,libfds_name,libfds_type\n"
        "1,octetDeltaCount,BYTES,BYTES,in_bytes,4,,\n97,,camelCase,,,,,\n"
    )
    (tmp_path / "data" / "pen_7.csv").write_text("gone after the import")
    importer["main"](source)
    made = {p.name: p.read_text("utf-8") for p in (tmp_path / "data").iterdir()}
    head = "id,name,type,semantics,units,range,status\n"
    assert made.pop("PROVENANCE.md").startswith("# Where these tables come from")
    assert made == {
        "pen_0.csv": head + "31,flowLabelIPv6,unsigned32,identifier,,0-1048575,\n",
        "pen_5.csv": head + "1,WIDTH,unsigned64,,,,\n2,FW_Rule,unsigned64,,,,\n3,AGREED,unsigned16,,,,deprecated\n"
        "4,DST_IPV6,ipv6Address,,,,\n",
        "aliases.csv": "id,name\n1,IN_BYTES\n1,BYTES\n214,collectorProtocolVersion\n215,collectorTransportProtocol\n",
    }
