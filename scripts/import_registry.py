"""Make the registry tables of src/headwater/model/data from a directory of fact tables.

    python scripts/import_registry.py DIRECTORY

The directory has `pen_<number>.csv` (pen,id,name,abstract_data_type,semantics,units,range,status,date,name_source,
also_in), `conflicts.csv` (pen,id,what,source_a,value_a,source_b,value_b) and `netflow_v9_names.csv` (id,iana_name,
wireshark_v9_name,wireshark_ipfix_name,logstash_name,...). Only facts are taken: numbers, names, types, semantics,
units, ranges, status. What is chosen where sources disagree is written to data/PROVENANCE.md.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from headwater.model.element import (
    CERT_PEN,
    CERT_REVERSE,
    REVERSE_PEN,
    SEMANTICS_NAMES,
    UNITS_NAMES,
    clean_name,
    unknown_key,
)
from headwater.model.types import DataType

DATA = Path(__file__).parents[1] / "src" / "headwater" / "model" / "data"
LAST_IANA_ID = 32767
PSEUDO = frozenset(range(9997, 10000))  # numbers a library uses for itself under PEN 0, never assigned by IANA
WEAK_TYPES = {"uint": "unsigned64", "hex": "octetArray", "proto": "unsigned8", "uint15": "unsigned16", "": "octetArray"}
EARLIER_NAMES = {
    214: "collectorProtocolVersion",  # RFC 5655 §8.2.2-3 calls them so
    215: "collectorTransportProtocol",
}
V9_WORD = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")


@dataclass
class Notes:
    """What was decided on the way, for PROVENANCE.md."""

    dropped: list[str] = field(default_factory=list)
    renamed: dict[int, int] = field(default_factory=dict)
    retyped: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)


def main(source: Path) -> None:
    """Replace every table of data/ that this script makes."""
    notes = Notes()
    conflicting = _conflicts(source / "conflicts.csv")
    for old in (*DATA.glob("pen_*.csv"), DATA / "aliases.csv"):
        old.unlink(missing_ok=True)
    for path in sorted(source.glob("pen_*.csv"), key=lambda p: int(p.stem[4:])):
        pen = int(path.stem[4:])
        if pen == REVERSE_PEN:
            continue  # reverse elements are made from the forward ones when asked for
        with path.open(encoding="utf-8", newline="") as file:
            rows = sorted(csv.DictReader(file), key=lambda row: int(row["id"]))
        lines = list(_elements(pen, rows, conflicting, notes))
        notes.counts[pen] = len(lines)
        _write(DATA / path.name, "id,name,type,semantics,units,range,status", lines)
    with (source / "netflow_v9_names.csv").open(encoding="utf-8", newline="") as file:
        _write(DATA / "aliases.csv", "id,name", _aliases(csv.DictReader(file)))
    (DATA / "PROVENANCE.md").write_text(_provenance(notes), "utf-8")


def _elements(
    pen: int, rows: list[dict[str, str]], conflicting: dict[tuple[int, int], set[str]], notes: Notes
) -> Iterable[str]:
    for row in rows:
        id = int(row["id"])
        where = f"{pen}/{id} {row['name'].strip()}"
        if row["status"] in ("reserved", "unassigned") or (pen == 0 and id in PSEUDO):
            notes.dropped.append(where)
            continue
        if pen == CERT_PEN and id & CERT_REVERSE:
            continue  # as for REVERSE_PEN
        name = row["name"].strip()
        usable = name if clean_name(name) == name else clean_name(name)
        if usable != name:
            notes.renamed[pen] = notes.renamed.get(pen, 0) + 1
        assert usable, where
        assert unknown_key(usable) is None, where
        label = _type(row, conflicting.get((pen, id), set()))
        if label != row["abstract_data_type"]:
            notes.retyped.setdefault((pen, f"{row['abstract_data_type'] or 'no type'} → {label}"), []).append(id)
        assert not row["semantics"] or row["semantics"] in SEMANTICS_NAMES.values(), where
        assert not row["units"] or row["units"] in UNITS_NAMES.values(), where
        semantics = "" if row["semantics"] == "default" else row["semantics"]
        units = "" if row["units"] == "none" else row["units"]
        status = "" if row["status"] == "current" else row["status"]
        yield ",".join([str(id), usable, label, semantics, units, _range(row["range"]), status])


def _type(row: dict[str, str], others: set[str]) -> str:
    """The type of a row; a source that knows only how wide a value is displayed is not believed about its width.

    A field may be shorter than its type (RFC 7011 §6.2) but never longer, so unsigned64 reads whatever is sent.
    """
    label = row["abstract_data_type"]
    if label == "ip":
        return "ipv6Address" if "v6" in row["name"].lower() else "ipv4Address"
    if label in WEAK_TYPES:
        return WEAK_TYPES[label]
    types = {t.label.lower(): t for t in DataType}
    found = types[label.lower()]
    displayed = row["name_source"].startswith("Wireshark")
    agreed = row["also_in"].strip() and not others
    if displayed and not agreed and found.is_integer:
        return "unsigned64" if found.is_unsigned else "signed64"
    return found.label


def _conflicts(path: Path) -> dict[tuple[int, int], set[str]]:
    """(pen, id) → types that other sources give."""
    found: dict[tuple[int, int], set[str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["what"] == "type":
                found.setdefault((int(row["pen"]), int(row["id"])), set()).add(row["value_b"])
    return found


def _range(text: str) -> str:
    """Bounds as two decimal numbers."""
    if not text:
        return ""
    low, high = text.split("-")
    return f"{int(low, 0)}-{int(high, 0)}"


def _aliases(rows: Iterable[dict[str, str]]) -> Iterable[str]:
    """NetFlow v9's names in the spelling of RFC 3954 (IN_BYTES), and names that earlier RFCs used."""
    taken: set[str] = set()
    for row in rows:
        id = int(row["id"])
        names = [row["logstash_name"].upper() if "_" in row["logstash_name"] else "", row["wireshark_v9_name"]]
        for name in names:
            if V9_WORD.fullmatch(name) and name not in taken:
                taken.add(name)
                yield f"{id},{name}"
    for id, name in EARLIER_NAMES.items():
        yield f"{id},{name}"


def _write(path: Path, header: str, lines: Iterable[str]) -> None:
    path.write_text("\n".join([header, *lines, ""]), "utf-8")


def _provenance(notes: Notes) -> str:
    dropped = "\n".join(f"- {where}" for where in notes.dropped)
    renamed = ", ".join(f"{pen} ({count})" for pen, count in notes.renamed.items())
    retyped = "\n".join(f"- {pen}, {what}: {_spans(ids)}" for (pen, what), ids in notes.retyped.items())
    enterprise = ", ".join(f"{pen} ({count})" for pen, count in sorted(notes.counts.items()) if pen)
    return f"""# Where these tables come from

Made by `scripts/import_registry.py`; never edited by hand. They hold facts only (numbers, names, types, semantics,
units, ranges, status), no descriptions.

- `pen_0.csv`: {notes.counts[0]} elements of the IANA registry "IP Flow Information Export (IPFIX) Entities" as
  updated on 2026-07-22.
- Enterprise tables, PEN (elements): {enterprise}.
  Sources: libfds and ipfixcol element files, CERT's cert_ipfix.xml of libfixbuf 2.4.1, NetGauze, go-ipfix (Antrea),
  the field names that Wireshark 4.0.17 prints, the field tables of logstash-codec-netflow and telegraf.
- Not listed because they are derived: the reverse elements of PEN {REVERSE_PEN} (RFC 5103) and those of PEN {CERT_PEN}
  with bit 0x4000 of the id.
- `aliases.csv`: names of NetFlow v9 field types, and names of earlier RFCs.
- `enumerations.csv`, which the script does not make: names of values (id, value, name; a second name of a value is a
  synonym), written from the IANA registries and the RFCs that define them.

## What was decided

A column is empty where the value is the ordinary one: semantics `default`, units `none`, status `current`. A type
that a source gave only as a display width was widened to 64 bits, which reads a field of any length. Where libfds and
another source disagree about a type, libfds is followed.

Names that are not identifiers have underscores for the other characters; PEN (names): {renamed}.

Dropped, because they are reserved, or numbers a library uses for itself:
{dropped}

Types chosen, by PEN:
{retyped}
"""


def _spans(ids: list[int]) -> str:
    """Ascending numbers, those that follow each other as a range."""
    spans: list[list[int]] = []
    for id in ids:
        if spans and spans[-1][1] == id - 1:
            spans[-1][1] = id
        else:
            spans.append([id, id])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: import_registry.py DIRECTORY")
    main(Path(sys.argv[1]))
