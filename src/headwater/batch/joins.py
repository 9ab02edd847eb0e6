"""Columns that option records add to flows: names of interfaces, VRFs, applications and samplers.

Each is found by a field of the record among what the same exporter said, in the version valid at the Export Time (see
options_tables). An applicationName that the record itself has (element 96) is taken before one that is looked up.
Unknown names are null; padding with U+0000 is not part of a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater import kernel
from headwater.batch.applications import application_keys, application_text
from headwater.batch.derived import Derived, field_of
from headwater.batch.fields import masked, null_column
from headwater.batch.lookup import Found, distinct, looked_up, number_field, text_column
from headwater.batch.options_tables import Aspect
from headwater.batch.scopes import Kind
from headwater.batch.strings import Strings
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.batch.derived import Sources
    from headwater.batch.lists import Values
    from headwater.batch.records import Job
    from headwater.model.template import Template

_APPLICATION_ID: Final = 95
_APPLICATION_NAME: Final = 96
_INTERFACE: Final = (Kind.INTERFACE,)
_VRF: Final = (Kind.VRF,)
_APPLICATION: Final = (Kind.APPLICATION,)
_SAMPLER: Final = (Kind.SAMPLER, Kind.SELECTOR)
_SELECTOR: Final = (Kind.SELECTOR, Kind.SAMPLER)
"""Some exporters describe samplers by one id and refer to them by the other; the id of the record goes first."""


def _first_of(ids: tuple[int, ...]) -> Sources:
    """The first of these elements that a Template has."""

    def sources(template: Template) -> tuple[int, ...] | None:
        for id in ids:
            index = number_field(template, id)
            if index is not None:
                return (index,)
        return None

    return sources


def _text(*names: str) -> Aspect:
    """The first of these texts that an option record has and that is not empty."""

    def of(values: Mapping[str, Any]) -> str | None:
        for name in names:
            text = values.get(name)
            if text and isinstance(text, str):
                return text
        return None

    return Aspect(names[0], of)


def name_column(job: Job, values: Values, kinds: tuple[Kind, ...], aspect: Aspect) -> Values:
    """What option records say of each value, as text."""
    tables = job.options
    assert tables is not None
    found = looked_up(
        job, values, lambda origin, number: tables.timeline(origin, kinds, number, aspect), tables.numbers(kinds)
    )
    return text_column(found)


def _named(kinds: tuple[Kind, ...], aspect: Aspect) -> Callable[[Job, int, Template, list[Values]], Values]:
    def make(job: Job, count: int, template: Template, values: list[Values]) -> Values:
        if job.options is None:
            return null_column(DataType.STRING, count)
        return name_column(job, values[0], kinds, aspect)

    return make


_SAMPLER_NAME: Final = _text("samplerName", "selectorName")
_SAMPLER_IDS: Final = (48, 302)


def _sampler_name(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    if job.options is None:
        return null_column(DataType.STRING, count)
    kinds = _SAMPLER if number_field(template, _SAMPLER_IDS[0]) is not None else _SELECTOR
    return name_column(job, values[0], kinds, _SAMPLER_NAME)


def _application_sources(template: Template) -> tuple[int, ...] | None:
    found = [field_of(template, id) for id in (_APPLICATION_NAME, _APPLICATION_ID)]
    return tuple([index for index in found if index is not None]) or None


def _id_sources(template: Template) -> tuple[int, ...] | None:
    index = field_of(template, _APPLICATION_ID)
    return None if index is None else (index,)


_APPLICATION_TEXT: Final = _text("applicationName", "applicationDescription")


def _application_name(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    own = values[0] if field_of(template, _APPLICATION_NAME) is not None else None
    ids = values[-1] if field_of(template, _APPLICATION_ID) is not None else None
    if ids is None or job.options is None:
        return null_column(DataType.STRING, count) if own is None else own
    assert isinstance(ids, Strings)
    joined = name_column(job, _keys(job, ids), _APPLICATION, _APPLICATION_TEXT)
    if own is None:
        return joined
    assert isinstance(own, Strings)
    assert isinstance(joined, Strings)
    return _first_known(own, joined)


def _keys(job: Job, ids: Strings) -> Values:
    """Application ids as numbers; null where an id is malformed."""
    keys = application_keys(ids)
    none = keys == 0
    return masked(keys, none) if none.any() else keys


def _first_known(one: Strings, other: Strings) -> Strings:
    """Where the first is null or empty, the second."""
    is_mine = np.diff(one.offsets) > 0
    if one.validity is not None:
        is_mine &= one.validity
    if is_mine.all():
        return one
    data = np.concatenate([one.data, other.data])
    shift = np.int32(len(one.data))
    end = np.where(is_mine, one.offsets[1:], other.offsets[1:] + shift)
    size = np.where(is_mine, np.diff(one.offsets), np.diff(other.offsets))
    offsets, octets = kernel.strings(data, end, size)
    return Strings(offsets, octets, None if other.validity is None else is_mine | other.validity)


def _application_text(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    """RFC 6759 text of each applicationId: worked out once per distinct id."""
    ids = values[0]
    assert isinstance(ids, Strings)
    keys, at = distinct(application_keys(ids))
    first = np.zeros(len(keys), np.intp)
    first[at[::-1]] = np.arange(count - 1, -1, -1)
    texts = [
        application_text(ids.raw(row)) if key else None for key, row in zip(keys.tolist(), first.tolist(), strict=True)
    ]
    return text_column(Found([None, *texts], at + 1))


def _derived(name: str, sources: Sources, make: Callable[[Job, int, Template, list[Values]], Values]) -> Derived:
    return Derived(name, DataType.STRING, sources, make)


_ALL: Final = (
    _derived("ingressInterfaceName", _first_of((10,)), _named(_INTERFACE, _text("interfaceName"))),
    _derived("ingressInterfaceDescription", _first_of((10,)), _named(_INTERFACE, _text("interfaceDescription"))),
    _derived("egressInterfaceName", _first_of((14,)), _named(_INTERFACE, _text("interfaceName"))),
    _derived("egressInterfaceDescription", _first_of((14,)), _named(_INTERFACE, _text("interfaceDescription"))),
    _derived("ingressVRFName", _first_of((234,)), _named(_VRF, _text("VRFname"))),
    _derived("egressVRFName", _first_of((235,)), _named(_VRF, _text("VRFname"))),
    _derived("applicationName", _application_sources, _application_name),
    _derived("applicationIdText", _id_sources, _application_text),
    _derived("samplerName", _first_of(_SAMPLER_IDS), _sampler_name),
)
DERIVED: Final = {derived.name: derived for derived in _ALL}
"""The columns by name."""

JOINED: Final = tuple(derived.name for derived in _ALL if derived.name != "applicationIdText")
"""The columns that `join_options` adds."""
