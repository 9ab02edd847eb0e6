from __future__ import annotations

from pathlib import Path

import pytest

from headwater.errors import DecodeError, SourceError
from headwater.model.element import InformationElement
from headwater.model.loading import load_elements
from headwater.model.registry import IANA
from headwater.model.registry_csv import elements_from_csv
from headwater.model.registry_xml import elements_from_xml
from headwater.model.types import DataType

TABLE = """\
# my own elements
pen,id,name,type,semantics,units,range,status
35566,1,myCount,unsigned64,deltaCounter,octets,0-0xFF,current

35566,2,"my, name",String,,,,deprecated
,3,noEnterprise,unsigned8,5,2,
"""

IANA_TABLE = """\
ElementID,Name,Abstract Data Type,Data Type Semantics,Status,Description,Units,Range,References
0,Reserved,,,,,,,
1,octetDeltaCount,unsigned64,deltaCounter,current,"The number of
octets",octets,,
97,Assigned for NetFlow v9 compatibility,,,,,,,
105-127,Assigned for NetFlow v9 compatibility,,,,,,,
9,sourceIPv4PrefixLength,unsigned8,,current,,bits,0-32,
534-32767,Unassigned,,,,,,,
"""

IANA_XML = b"""\
<?xml version='1.0' encoding='UTF-8'?>
<registry xmlns="http://www.iana.org/assignments" id="ipfix">
  <title>IP Flow Information Export (IPFIX) Entities</title>
  <registry id="ipfix-information-elements">
    <record><name>Reserved</name><elementId>0</elementId></record>
    <record date="2013-02-18">
      <name>octetDeltaCount
      </name>
      <dataType>unsigned64</dataType>
      <dataTypeSemantics>deltaCounter</dataTypeSemantics>
      <elementId>1</elementId>
      <status>current</status>
      <description><paragraph>Not for us.</paragraph></description>
      <units>octets</units>
    </record>
    <record>
      <name>flowLabelIPv6</name><dataType>unsigned32</dataType><elementId>31</elementId>
      <range>0-0xFFFFF</range><units>furlongs</units><status>deprecated</status>
    </record>
    <record><name>new</name><dataType>unsigned128</dataType><elementId>600</elementId></record>
    <record><name>Unassigned</name><elementId>534-32767</elementId></record>
  </registry>
  <registry id="mpls"><record><value>1</value><description>TE-MIDPT</description></record></registry>
</registry>
"""

CERT_XML = b"""\
<?xml version='1.0' encoding='UTF-8'?>
<registry id="cert_ipfix" xmlns="http://www.iana.org/assignments" xmlns:cert="http://www.cert.org/ipfix">
  <registry id="cert-information-elements">
    <record><name>Unassigned</name><cert:enterpriseId>6871</cert:enterpriseId><elementId>1-11</elementId></record>
    <record>
      <name>initialTCPFlags</name>
      <dataType>unsigned16</dataType>
      <group>yaf</group>
      <dataTypeSemantics>flags</dataTypeSemantics>
      <cert:reversible>true</cert:reversible>
      <cert:enterpriseId>6871</cert:enterpriseId>
      <elementId>14</elementId>
      <status>current</status>
    </record>
    <record>
      <name>httpX-Forwarded-For</name>
      <dataType>string</dataType>
      <cert:enterpriseId>6871</cert:enterpriseId>
      <elementId>254</elementId>
      <status>obsolete</status>
    </record>
  </registry>
</registry>
"""


def test_a_table_of_ones_own() -> None:
    assert elements_from_csv(TABLE, pen=5) == (
        InformationElement(35566, 1, "myCount", DataType.UNSIGNED64, 3, 2, (0, 255)),
        InformationElement(35566, 2, "my_name", DataType.STRING, status="deprecated"),
        InformationElement(5, 3, "noEnterprise", DataType.UNSIGNED8, 5, 2),
    )


def test_the_table_that_iana_publishes() -> None:
    assert [(e.id, e.name, e.range) for e in elements_from_csv(IANA_TABLE)] == [
        (1, "octetDeltaCount", None),
        (9, "sourceIPv4PrefixLength", (0, 32)),
    ]


def test_the_xml_that_iana_publishes() -> None:
    elements = elements_from_xml(IANA_XML)
    assert elements == (
        InformationElement(0, 1, "octetDeltaCount", DataType.UNSIGNED64, 3, 2),
        InformationElement(0, 31, "flowLabelIPv6", DataType.UNSIGNED32, range=(0, 0xFFFFF), status="deprecated"),
        InformationElement(0, 600, "new", DataType.OCTET_ARRAY),
    )
    assert IANA.extend(elements).named("new").id == 600


def test_the_xml_of_libfixbuf_names_the_enterprise() -> None:
    assert elements_from_xml(CERT_XML) == (
        InformationElement(6871, 14, "initialTCPFlags", DataType.UNSIGNED16, 5),
        InformationElement(6871, 254, "httpX_Forwarded_For", DataType.STRING, status="obsolete"),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("id,name\n1,x\n", "no column is called type"),
        ("a,b\n1,x\n", "no column is called id or name or type"),
        ("id,name,type\n\n# c\n1,x,unsinged8\n", "CSV line 4: 'unsinged8' is not an abstract data type"),
        ("id,name,type\n1,x,\n", "CSV line 2: '' is not an abstract data type"),
        ("id,name,type\n40000,x,string\n", "CSV line 2: 0/40000 is not the number of an element"),
        ("id,name,type\nten,x,string\n", "0/ten is not the number"),
        ("id,name,type\n1-9,x,string\n", "0/1-9 is not the number"),
        ("pen,id,name,type\n4294967296,1,x,string\n", "4294967296/1 is not the number"),
        ("id,name,type\n1,??,string\n", "cannot name an element"),
        ("id,name,type\n1,x\n", "CSV line 2: '' is not an abstract data type"),
        ("type,id,name\nstring\n", "CSV line 2: 0/ is not the number"),
        ('id,name,type\n1,"x,string\n', "CSV line 2"),
        ("id,name,type\n1," + "x" * 200_000 + ",string\n", "CSV line 2: field larger"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        elements_from_csv(text)


def test_an_empty_table_has_no_elements() -> None:
    assert elements_from_csv("") == ()


BOMB = '<?xml version="1.0" encoding="{0}"?><!DOCTYPE r [<!ENTITY a "aaa"><!ENTITY b "&a;&a;">]><r>&b;</r>'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<registry>", "XML: no element found"),
        (b"<registry/>", "no <record> has an elementId"),
        (BOMB.format("utf-8").encode(), "document type"),
        (BOMB.format("utf-16").encode("utf-16"), "document type"),
        (CERT_XML.replace(b">14<", b">32768<"), "element 32768: 6871/32768 is not the number"),
        (CERT_XML.replace(b"initialTCPFlags", b""), "element 14: '' cannot name"),
    ],
)
def test_xml_that_is_no_registry_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        elements_from_xml(data)


def test_a_file_is_read_as_what_it_is(tmp_path: Path) -> None:
    for name, data in (
        ("a.txt", TABLE.encode("utf-8-sig")),
        ("b.txt", CERT_XML),
        ("c.xml", b"\xef\xbb\xbf" + IANA_XML),
    ):
        (tmp_path / name).write_bytes(data)
    assert [e.pen for e in load_elements(tmp_path / "a.txt")] == [35566, 35566, 0]
    assert [e.id for e in load_elements(str(tmp_path / "b.txt"))] == [14, 254]
    assert [e.id for e in load_elements(tmp_path / "c.xml")] == [1, 31, 600]


def test_a_file_that_cannot_be_read_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read .*nothing.csv: No such file"):
        load_elements(tmp_path / "nothing.csv")
    (tmp_path / "latin.csv").write_bytes(b"id,name,type\n1,\xe9t\xe9,string\n")
    with pytest.raises(DecodeError, match=r"latin.csv is not UTF-8"):
        load_elements(tmp_path / "latin.csv")
