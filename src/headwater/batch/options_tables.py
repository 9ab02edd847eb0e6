"""OptionsTables: what option records said, as tables, and looked up for flows.

Each record is kept under its exporter (address and port of the transport session), its Observation Domain and its
scope, in the versions its values had; a version is valid from the export time it was first seen at, the first one
also before that. So what a flow is joined with depends on neither the order of records in a Message nor that of
Messages. What a flow's own session and domain do not know is taken, in this order, from the same domain of the same
address (the port changes when an exporter restarts, and some send options from a port of their own), in IPFIX from its
domain 0, which stands for all of them (RFC 7011 §3.1), and from the only one of its domains that knows.
Exporters of different addresses never mix, nor do versions of the protocol from one address; all files (sessions
without a key) are one exporter, so give each file tables of its own.
"""

from __future__ import annotations

from collections import ChainMap, Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np

from headwater.batch.facts import IPFIX
from headwater.batch.lookup import looked_up_messages
from headwater.batch.option_cells import clean, frozen, octets_of
from headwater.batch.option_table import OptionTable
from headwater.batch.option_versions import VERSIONS_KEPT, Option, Origin, Version
from headwater.batch.scopes import Kind, Shape, number_of
from headwater.errors import HeadwaterError

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.model.template import Template
    from headwater.session.events import Messages

OPTIONS_FACTS: Final = (
    "exporterIPv4Address", "exporterIPv6Address", "exporterTransportPort", "observationDomainId",
    "exportProtocolVersion", "exportTime",
)  # fmt: skip
"""The provenance that `OptionsTables.learn` needs: `Decoder(None, provenance=OPTIONS_FACTS)`."""

_SHAPES: Final = 1024
_SIGHTS: Final = 4
_FOUND_BY_ONE_KEY: Final = 64
_TIMELINES: Final = 1 << 16

T = TypeVar("T")
Timeline = tuple[tuple[int, T], ...]
"""(valid from, what is valid), ascending; the first also holds before its time. () = nothing is known."""


class Aspect(NamedTuple):
    """What is wanted of an option record: `of` its values, None if they do not tell. `name` stands for it in caches."""

    name: str
    of: Callable[[Mapping[str, Any]], Any]


class SavedOption(NamedTuple):
    """An option record as `OptionsTables.snapshot` gives it. versions: (values, first seen, last seen, count)."""

    address: str
    port: int
    domain: int
    version: int
    table: str
    scope: dict[str, Any]
    keys: tuple[tuple[str, int], ...]
    versions: tuple[tuple[dict[str, Any], int, int, int], ...]


class OptionsTables:
    """What option records said; learns from any number of transport sessions.

    rows, octets: bounds on what is kept; beyond them what was not seen for longest is forgotten.
    counters: "records" taken in, "repeats" among them; "forgotten" for a bound, "refused" as too large or too many.
    """

    def __init__(self, *, rows: int = 1 << 16, octets: int = 64 << 20) -> None:
        self.counters: Counter[str] = Counter()
        self._rows, self._octets_limit = rows, octets
        self._octets = 0
        self._learnable = rows
        self._options: OrderedDict[Any, Option] = OrderedDict()
        self._found: dict[Any, dict[Option, None]] = {}
        self._numbers: dict[Kind, Counter[int]] = {kind: Counter() for kind in Kind}
        self._shapes: dict[Template, Shape] = {}
        self._repeats: dict[tuple[Origin, Shape], dict[int, tuple[Any, Version]]] = {}
        self._repeated: dict[Version, tuple[Origin, Shape]] = {}
        self._timelines: dict[Any, Timeline[Any]] = {}

    def __len__(self) -> int:
        return len(self._options)

    def learn(self, batch: Batch) -> None:
        """Take in a batch of option records, with all their fields and then OPTIONS_FACTS as its columns.

        A record that says what it said before costs a few microseconds, a new one some fifty; that a batch of nothing
        but option records takes seconds at most, it may have `rows` new ones and four times as many in all.
        Raises HeadwaterError for a batch without these columns. Records that describe flows are passed over.
        """
        template = batch.template
        width = len(template.fields)
        tail = [name.partition("#")[0] for name in batch.schema.names[width:]]
        if tuple(tail) != OPTIONS_FACTS:
            raise HeadwaterError("options are learned from a Decoder(None, provenance=OPTIONS_FACTS)")
        if not template.scope_count:
            return
        shape = self._shape(template)
        if not shape.table:
            return
        extra = len(batch) - _SIGHTS * self._rows
        if extra > 0:  # of so many the last are the ones to know
            self.counters["refused"] += extra
            batch = batch.take(np.arange(extra, len(batch)))
        self._learnable = self._rows
        origins: dict[tuple[Any, ...], Origin] = {}
        for row in batch.rows():
            cells = tuple(row.values())
            who = cells[width:-1]
            origin = origins.get(who)
            if origin is None:
                v4, v6, port, domain, version = who
                origin = origins[who] = Origin(v4 or v6 or "", port or 0, domain, version)
            self._take(shape, origin, cells[:width], cells[-1])

    def tables(self, exporters: Collection[str] | None = None) -> dict[str, OptionTable]:
        """The tables by name, in the order of their names. exporters: addresses of those to tell of, None = all."""
        found: dict[str, list[Option]] = {}
        for option in self._options.values():
            if exporters is None or option.origin.address in exporters:
                found.setdefault(option.table, []).append(option)
        return {name: OptionTable(name, options) for name, options in sorted(found.items())}

    def constant(self, messages: Messages, element: str) -> np.ma.MaskedArray[Any, Any]:
        """What options say of the exporter, domain or process of each Message as a whole: int64[n], masked = unknown.

        element: an integer or a time, such as "systemInitTimeMilliseconds".
        """
        found = looked_up_messages(self, messages, Aspect(element, lambda values: values.get(element)))
        limit = 1 << 63
        known = [isinstance(one, int) and -limit <= one < limit for one in found.choices]
        numbers = np.array([one if ok else 0 for one, ok in zip(found.choices, known, strict=True)], np.int64)
        mask = ~np.array(known, np.bool_)
        return np.ma.MaskedArray(numbers[found.at], mask[found.at])

    # ------------------------------------------------------------ lookups

    def timeline(self, origin: Origin, kinds: tuple[Kind, ...], number: int, aspect: Aspect) -> Timeline[Any]:
        """What is known of something, over time, by the first of the kinds that knows; see the module."""
        key = (origin, kinds, number, aspect.name)
        found = self._timelines.get(key)
        if found is None:
            if len(self._timelines) >= _TIMELINES:
                self._timelines.clear()
            found = self._timelines[key] = self._timeline(origin, kinds, number, aspect)
        return found

    def numbers(self, kinds: tuple[Kind, ...]) -> Collection[int]:
        """The numbers under which any exporter said something."""
        return self._numbers[kinds[0]].keys() if len(kinds) == 1 else ChainMap(*[self._numbers[k] for k in kinds])

    def _timeline(self, origin: Origin, kinds: tuple[Kind, ...], number: int, aspect: Aspect) -> Timeline[Any]:
        address, _, domain, version = origin
        for place in ((origin,), (address, version, domain), *(((address, version, 0),) if version == IPFIX else ())):
            for kind in kinds:
                found = _merged(self._found.get((*place, kind, number), ()), aspect)
                if found:
                    return found
        for kind in kinds:
            knowing = [o for o in self._found.get((address, version, kind, number), ()) if _merged((o,), aspect)]
            if len({option.origin.domain for option in knowing}) == 1:
                return _merged(knowing, aspect)
        return ()

    # ------------------------------------------------------------ what is kept

    def snapshot(self) -> Iterator[SavedOption]:
        """All that is known, what was not seen for longest first; for `restore`."""
        for option in self._options.values():
            yield SavedOption(
                *option.origin,
                option.table,
                dict(option.scope),
                tuple((kind.value, number) for kind, number in option.keys),
                tuple((dict(v.values), v.first_seen, v.last_seen, v.count) for v in option.versions),
            )

    def restore(self, saved: Iterable[SavedOption]) -> None:
        """Take in what an earlier `snapshot` gave; what is known already stays.

        Raises ValueError, KeyError or TypeError for what no snapshot gives.
        """
        for one in saved:
            origin = Origin(one.address, one.port, one.domain, one.version)
            columns = {name for values, *_ in one.versions for name in values}
            option = Option(origin, one.table, one.scope, tuple((Kind(kind), number) for kind, number in one.keys))
            key = (origin, one.table, tuple(sorted(columns)), tuple(sorted(one.scope.items(), key=repr)))
            if key in self._options or not one.versions:
                continue
            versions = sorted(one.versions, key=lambda version: version[1])[-VERSIONS_KEPT:]
            option.versions = [Version(values, first, last, count) for values, first, last, count in versions]
            self._add(key, option)
            self._weigh(option)
        self._make_room()
        self._timelines.clear()

    def _shape(self, template: Template) -> Shape:
        shape = self._shapes.get(template)
        if shape is None or shape.names != template.column_names:  # type information can rename the same octets
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
                self._repeats.clear()
                self._repeated.clear()
            shape = self._shapes[template] = Shape.of(template)
        return shape

    def _take(self, shape: Shape, origin: Origin, cells: tuple[Any, ...], at: int) -> None:
        self.counters["records"] += 1
        row = hash(frozen(cells) if shape.has_lists else cells)
        repeats = self._repeats.get((origin, shape))
        if repeats is not None and row in repeats:
            key, version = repeats[row]
            option = self._options[key]
            if version is option.versions[-1] and version.first_seen <= at:
                self.counters["repeats"] += 1
                version.last_seen = max(version.last_seen, at)
                version.count += 1
                self._options.move_to_end(key)
                return
        if self._learnable:
            self._learnable -= 1
            self._learn(shape, origin, cells, at, row)
        else:
            self.counters["refused"] += 1

    def _learn(self, shape: Shape, origin: Origin, cells: tuple[Any, ...], at: int, row: int) -> None:
        names = shape.names
        if shape.overlong:
            cells = tuple([number_of(cell) if i in shape.overlong else cell for i, cell in enumerate(cells)])
        values = {names[i]: clean(cells[i]) for i in shape.values}
        scope = {names[i]: clean(cells[i]) for i in shape.identity}
        if octets_of(values) + octets_of(scope) > self._octets_limit // 16:
            self.counters["refused"] += 1
            return
        sender, domain = origin, shape.domain(cells)
        if domain is not None:
            origin = origin._replace(domain=domain)
        key = (origin, shape.table, tuple(sorted(values)), tuple(sorted(scope.items(), key=repr)))
        option = self._options.get(key)
        if option is None:
            option = Option(origin, shape.table, scope, shape.keys(cells))
            self._add(key, option)
        else:
            self._options.move_to_end(key)
        version = option.observe(values, at)
        self._unrepeat(version)
        version.row = row
        self._repeats.setdefault((sender, shape), {})[row] = key, version
        self._repeated[version] = sender, shape
        for old in option.forget():
            self._unrepeat(old)
        self._weigh(option)
        self._make_room()
        self._timelines.clear()

    def _add(self, key: Any, option: Option) -> None:
        self._options[key] = option
        for kind, number in option.keys:
            self._numbers[kind][number] += 1
        for place in _places(option):
            found = self._found.setdefault(place, {})
            found[option] = None
            if len(found) > _FOUND_BY_ONE_KEY:  # nothing but a hostile exporter says so much of one thing
                del found[next(iter(found))]

    def _make_room(self) -> None:
        while len(self._options) > self._rows or self._octets > self._octets_limit:
            _, option = self._options.popitem(last=False)
            self.counters["forgotten"] += 1
            self._octets -= option.octets
            for version in option.versions:
                self._unrepeat(version)
            for kind, number in option.keys:
                self._numbers[kind][number] -= 1
                if not self._numbers[kind][number]:
                    del self._numbers[kind][number]
            for place in _places(option):
                found = self._found.get(place, {})
                found.pop(option, None)
                if not found:
                    self._found.pop(place, None)

    def _weigh(self, option: Option) -> None:
        octets = octets_of(option.scope) + sum(octets_of(version.values) for version in option.versions)
        self._octets += octets - option.octets
        option.octets = octets

    def _unrepeat(self, version: Version) -> None:
        """Know no more which row makes this version."""
        where = self._repeated.pop(version, None)
        repeats = self._repeats.get(where) if where is not None else None
        if where is not None and repeats is not None:
            repeats.pop(version.row, None)
            if not repeats:
                del self._repeats[where]


def _places(option: Option) -> Iterator[Any]:
    """Under what an option is found: session and domain, address and domain, address; each with the version."""
    address, _, domain, version = origin = option.origin
    for key in option.keys:
        yield (origin, *key)
        yield (address, version, domain, *key)
        yield (address, version, *key)


def _merged(options: Iterable[Option], aspect: Aspect) -> Timeline[Any]:
    """The versions of some options in the order of their time, as far as they tell."""
    found = [
        (version.first_seen, told)
        for option in options
        for version in option.versions
        if (told := aspect.of(version.values)) is not None
    ]
    found.sort(key=lambda pair: pair[0])
    return tuple(found)
