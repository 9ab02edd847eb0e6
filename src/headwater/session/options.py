"""What option records teach a session: types of elements (RFC 5610), checksums and session details (RFC 5655)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from headwater.errors import DecodeError
from headwater.wire.records import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headwater.model.template import Template
    from headwater.session.events import Scope

TYPE_OF = (0, 303)
"""informationElementId: what a type information record is about (RFC 5610 §3.9)."""
DATA_TYPE = (0, 339)
"""informationElementDataType, mandatory in a type information record."""
CHECKSUM = (0, 262)
"""messageMD5Checksum (RFC 5655 §8.1.1)."""
CHECKSUM_LENGTH = 16
SESSION_SCOPE = (0, 267)
"""sessionScope: the record is about the whole session or file (RFC 5655 §8.1.2-3)."""


def read_options(template: Template, body: bytes, scope: Scope) -> Iterator[dict[str, Any]]:
    """Option records of one Data Set as dicts; ends quietly where the octets do not frame a record."""
    names = template.column_names
    try:
        for record in Reader(body, scope).records(template, 0, len(body)):
            yield dict(zip(names, (cell.value for cell in record), strict=True))
    except DecodeError:
        return  # the session reports the overrun when it frames this Set


def find_checksums(template: Template, body: bytes, scope: Scope) -> Iterator[int]:
    """Where the MD5 checksums in a Data Set are, from the start of its body; -1 for one that has not 16 octets."""
    fields = [index for index, field in enumerate(template.fields) if field.element.key == CHECKSUM]
    try:
        for record in Reader(body, scope).records(template, 0, len(body)):
            for cell in map(record.__getitem__, fields):
                yield cell.at + cell.prefix if cell.length == CHECKSUM_LENGTH else -1
    except DecodeError:
        return  # as above


def is_checksum_right(message: bytes, at: int) -> bool:
    """Whether the MD5 in `message` at octet `at` is that of the Message with these 16 octets zero (RFC 5655 §8.1.1)."""
    end = at + CHECKSUM_LENGTH
    digest = hashlib.md5(message[:at], usedforsecurity=False)
    digest.update(bytes(CHECKSUM_LENGTH))
    digest.update(message[end:])
    return digest.digest() == message[at:end]
