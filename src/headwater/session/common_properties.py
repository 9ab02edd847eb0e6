"""What many records have in common, sent once: RFC 5473, and the "data templates" of other tools."""

from __future__ import annotations

from collections.abc import Iterable

from headwater.errors import EncodeError
from headwater.model import registry as registries
from headwater.model.template import Field, Template

_COMMON_PROPERTIES_ID = 137


def common_properties(template: Template, names: Iterable[str], *, length: int = 8) -> tuple[Template, Template]:
    """A Template in two: an Options Template for the fields `names`, and a Template for the others.

    In both commonPropertiesId comes first, in `length` octets: the scope of the option record, which says the fixed
    values once (RFC 5473 §5), and in each record the number of the option record that holds for it.
    Raises EncodeError: a name is no column of the Template, or all of them are given, or none.
    """
    columns = dict(zip(template.column_names, template.fields, strict=True))
    fixed = list(names)
    unknown = [name for name in fixed if name not in columns]
    if unknown:
        raise EncodeError(f"the Template has no {unknown[0]}; it has {', '.join(columns)}", column=unknown[0])
    rest = [field for name, field in columns.items() if name not in fixed]
    if not fixed or not rest or template.scope_count:
        raise EncodeError("common properties are some of the fields of a Template, not none, not all, no scope")
    id = Field(registries.IANA.get(0, _COMMON_PROPERTIES_ID), length)
    return Template(0, (id, *(columns[name] for name in fixed)), 1), Template(0, (id, *rest))
