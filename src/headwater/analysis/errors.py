"""What goes wrong with questions."""

from __future__ import annotations

import re

from headwater.errors import HeadwaterError


class QueryError(HeadwaterError, ValueError):
    """A question that has no answer: bad SQL, no such column, nothing to read; one or two sentences."""


def sentence(error: Exception) -> str:
    """What DuckDB has against a question, without its drawing, and with its suggestion."""
    lines = str(error).strip().splitlines()
    extension = re.search(r"required extension '(\w+)", lines[0])
    if extension:
        return f"this needs DuckDB's extension {extension[1]}, which is not installed"
    if "CSV Error on Line" in lines[0]:
        return _of_csv(lines)
    told = re.sub(r"^[A-Z][A-Za-z ]+ Error: ", "", lines[0])
    told = re.sub(r"^Python exception occurred while executing the UDF: \w+: ", "", told).rstrip("!:. ")
    hints = [line for line in lines[1:] if line.startswith(("Candidate bindings:", "Did you mean"))]
    return "; ".join([told[:1].lower() + told[1:] if told[1:2].islower() else told, *map(_hint, hints)])


def _of_csv(lines: list[str]) -> str:
    """The file, the line and the reason: the rest says how DuckDB could be made to read it all the same."""
    number = lines[0].rpartition(" ")[2]
    file = next((line.partition("= ")[2] for line in lines if line.startswith("  file = ")), "a CSV file")
    why = next((line for line in lines[1:] if line and not line.startswith("Original Line")), "it cannot be read")
    return f"{file}, line {number}: {why[:1].lower()}{why[1:]}"


def _hint(line: str) -> str:
    names = re.findall(r'"([^"]+)"', line)
    return f"did you mean {' or '.join(names[:3])}?" if names else line
