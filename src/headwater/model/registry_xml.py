"""Information Elements from XML as IANA publishes its registry, and CERT its own (cert_ipfix.xml of libfixbuf)."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree

from headwater.errors import DecodeError
from headwater.model.element import InformationElement
from headwater.model.loading import element_from_words
from headwater.model.types import DataType

_TAGS: Final = {
    "enterpriseId": "pen",
    "elementId": "id",
    "name": "name",
    "dataType": "type",
    "dataTypeSemantics": "semantics",
    "units": "units",
    "range": "range",
    "status": "status",
}
_LABELS: Final = {t.label.lower() for t in DataType}


def elements_from_xml(data: bytes, *, pen: int = 0, source: str = "XML") -> tuple[InformationElement, ...]:
    """Elements of every `<record>` that has an elementId and a dataType; the namespace does not matter.

    Records without them list numbers that are not used, or values of an element. White space around words is not
    theirs (copies of the registry have names that end in a line feed). A type nobody knows is octetArray.
    pen: for records without an enterpriseId. source: how messages call the data.
    Raises DecodeError for what is not XML, has a document type (none of these files has, and entities can explode),
    or gives a number out of range.
    """
    try:
        # the builder refuses a DTD, so there are no entities to expand
        parser = ElementTree.XMLParser(target=_Builder())  # noqa: S314
        root = ElementTree.fromstring(data, parser=parser)  # noqa: S314
    except ElementTree.ParseError as error:
        raise DecodeError(f"{source}: {error}") from error
    elements = []
    for record in root.iter():
        if _local(record.tag) != "record":
            continue
        words = {_TAGS[tag]: "".join(c.itertext()).strip() for c in record if (tag := _local(c.tag)) in _TAGS}
        if not words.get("type") or not words.get("id", "").isdigit():
            continue
        if words["type"].lower() not in _LABELS:
            words["type"] = DataType.OCTET_ARRAY.label
        where = f"{source}: element {words['id']}"
        elements.append(
            element_from_words(where, words.get("pen") or str(pen), words["id"], words.get("name", ""), words)
        )
    if not elements:
        raise DecodeError(f"{source}: no <record> has an elementId and a dataType")
    return tuple(elements)


class _Builder(ElementTree.TreeBuilder):
    """Stops at a document type, before any entity it declares can be used."""

    def doctype(self, name: str, public_id: str | None, system: str | None) -> None:
        raise DecodeError(f"a registry in XML has no document type, this one has {name!r}; remove it")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
