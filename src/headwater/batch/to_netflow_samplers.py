"""Selectors of IPFIX (PSAMP, RFC 5477) as the samplers that collectors of NetFlow v9 know: elements 48, 49 and 50."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from headwater.batch.incoming_columns import of_meanings
from headwater.batch.incoming_names import Meaning
from headwater.batch.sampling import rate_of
from headwater.batch.to_netflow_source import Source
from headwater.model import registry as registries
from headwater.model.netflow import widened

_SELECTOR, _SAMPLER, _MODE, _INTERVAL = 302, 48, 49, 50
_SAMPLER_OCTETS: Final = 4  # Cisco sends 1, 2 or 4
_MODES: Final = {1: 1, 3: 2, 4: 2}
"""samplerMode by selectorAlgorithm (RFC 5477 §8.2): 1 = every n-th packet, 2 = by chance."""
_ALGORITHM: Final = 304
_PARAMETERS: Final = (304, 305, 306, 309, 310, 311)
_MOST: Final = (1 << 32) - 1


def as_samplers(source: Source) -> Source:
    """The same records with samplers for selectors: their numbers in flows, and what options say of them.

    Options that say more than a mode and a whole rate (hashes, filters, every second and third packet) keep their
    elements: NetFlow v9 can carry these, and collectors that know the numbers of IPFIX read them.
    """
    selectors = source.values(_SELECTOR)
    if selectors is None or _SAMPLER in source.by_id or (np.ma.filled(selectors, 0) > _MOST).any():
        return source
    of, place, scope_count = registries.IANA.get, source.by_id[_SELECTOR], source.incoming.scope_count
    meanings = [
        Meaning(*facts, is_scope=index < scope_count)
        for index, facts in enumerate(
            zip(source.incoming.elements, source.incoming.types, source.incoming.lengths, strict=True)
        )
    ]
    sampler = widened(of(0, _SAMPLER), _SAMPLER_OCTETS)
    meanings[place] = Meaning(sampler, sampler.type, _SAMPLER_OCTETS, is_scope=place < scope_count)
    values = list(source.incoming.values)
    values[place] = selectors.astype(np.uint32)
    told = _modes_and_rates(source) if scope_count else None
    if told is not None:
        said = {source.by_id[id] for id in _PARAMETERS if id in source.by_id}
        kept = [index for index in range(len(values)) if index not in said]
        meanings = [meanings[index] for index in kept]
        meanings += [Meaning(of(0, id), of(0, id).type, of(0, id).type.width) for id in (_MODE, _INTERVAL)]
        values = [*[values[index] for index in kept], *told]
    return replace(source, incoming=of_meanings(meanings, values, source.count))


def _modes_and_rates(source: Source) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]] | None:
    """What samplerMode and samplerRandomInterval say of option records; None if not all can be said so."""
    algorithms = source.values(_ALGORITHM)
    if algorithms is None or any(source.by_id.get(id, 1 << 16) < source.incoming.scope_count for id in _PARAMETERS):
        return None
    names = {id: source.incoming.elements[source.by_id[id]].name for id in _PARAMETERS if id in source.by_id}
    columns = {name: column.tolist() for id, name in names.items() if (column := source.values(id)) is not None}
    modes, rates = [], []
    for row in range(source.count):  # there are a few samplers, not one a flow
        record = {name: values[row] for name, values in columns.items()}
        mode, rate = _MODES.get(record["selectorAlgorithm"]), rate_of(record)
        is_every_nth = mode != 1 or record.get("samplingPacketInterval") == 1
        if mode is None or rate is None or not rate.is_integer() or rate > _MOST or not is_every_nth:
            return None
        modes.append(mode)
        rates.append(int(rate))
    return np.array(modes, np.uint8), np.array(rates, np.uint32)
