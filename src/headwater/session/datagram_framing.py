"""Where Messages begin and end in datagrams, and of which protocol each is (RFC 7011 §10.3, RFC 3954 §5)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.errors import FaultKind
from headwater.session.framing import I32, Frames, Octets, Trouble, header_of
from headwater.wire.dialect import DIALECTS, IPFIX, NETFLOW8, SFLOW, Dialect
from headwater.wire.legacy import AGGREGATION_AT, record_sizes, template_id

if TYPE_CHECKING:
    from collections.abc import Iterator

U16 = npt.NDArray[np.uint16]

_NO_VERSION = 0xFFFF
_SFLOW5 = 5  # its version has 32 bits
_VERSION_PLAN = np.array([(0, 0, 2, 0)], np.int32)
_WORD_PLAN = np.array([(0, 0, 4, 0)], np.int32)
_COUNT_PLAN = np.array([(0, 2, 2, 0)], np.int32)
_AGGREGATION_PLAN = np.array([(0, AGGREGATION_AT, 1, 0)], np.int32)
_U2, _U1 = [np.dtype("u2")], [np.dtype("u1")]


def frame_datagrams(buf: Octets, starts: I32, ends: I32, peer: I32 | None = None, *, salvage: bool = False) -> Frames:
    """Messages of datagrams, in their order; several IPFIX Messages in a datagram are accepted.

    starts, ends: int32[d], at least one. The protocol is told by the version of each, so all of them may come mixed.
    peer: int32[d], whose each is; None = all are of one.
    """
    version = _versions(buf, starts, ends)
    if (version == version[0]).all():
        return _frame(int(version[0]), buf, starts, ends, peer, salvage=salvage)
    parts = []
    for number in np.unique(version).tolist():
        which = np.flatnonzero(version == number)
        part = _frame(number, buf, starts[which], ends[which], None if peer is None else peer[which], salvage=salvage)
        assert part.datagram is not None
        part.datagram = which[part.datagram].astype(np.int32)
        part.troubles = [trouble._replace(datagram=int(which[trouble.datagram])) for trouble in part.troubles]
        parts.append(part)
    return _merged(parts, len(buf))


def _versions(buf: Octets, starts: I32, ends: I32) -> U16:
    """The first 16 bits of each datagram, _NO_VERSION if it has fewer."""
    short = ends - starts < 2
    if not short.any():
        return kernel.columns(buf, starts[None], _VERSION_PLAN, _U2)[0]
    version = np.full(len(starts), _NO_VERSION, np.uint16)
    long = np.flatnonzero(~short)
    version[long] = kernel.columns(buf, starts[long][None], _VERSION_PLAN, _U2)[0]
    return version


def _frame(version: int, buf: Octets, starts: I32, ends: I32, peer: I32 | None, *, salvage: bool) -> Frames:
    """Messages of datagrams of one version."""
    if version == IPFIX.version:
        return _frame_ipfix(buf, starts, ends, salvage=salvage)
    dialect = DIALECTS.get(version)
    if dialect is None:
        return _none(len(buf), list(_foreign(version, buf, starts, ends, peer)))
    short = ends - starts < dialect.header
    if not short.any():
        return _frame_netflow(dialect, buf, starts, ends)
    long = np.flatnonzero(~short)
    frames = _frame_netflow(dialect, buf, starts[long], ends[long]) if len(long) else _none(len(buf), [])
    assert frames.datagram is not None
    frames.datagram = long[frames.datagram].astype(np.int32)
    frames.troubles = [trouble._replace(datagram=int(long[trouble.datagram])) for trouble in frames.troubles] + [
        Trouble(FaultKind.SHORT_HEADER, int(starts[i]), 1, f"{dialect.name} in {int(ends[i] - starts[i])} octets", i)
        for i in np.flatnonzero(short).tolist()
    ]
    return frames


def _frame_netflow(dialect: Dialect, buf: Octets, starts: I32, ends: I32) -> Frames:
    """NetFlow has one Message in a datagram, and no length of it but the datagram's."""
    versions = np.full(len(starts), dialect.version, np.uint16)
    datagram = np.arange(len(starts), dtype=np.int32)
    body = starts + np.int32(dialect.header)
    if dialect.has_sets:
        return Frames(starts, body, ends, len(buf), version=versions, datagram=datagram)
    id = _template_ids(dialect, buf, starts)
    size = record_sizes()[id]
    troubles = []
    known = size > 0
    if not known.all():
        odd = np.flatnonzero(~known)
        for i, domain in zip(odd.tolist(), _domains(dialect, buf, starts[odd]), strict=True):
            detail = f"{dialect.name} aggregation {int(id[i]) - template_id(dialect.version)}"
            troubles.append(Trouble(FaultKind.AGGREGATION, int(starts[i]), 1, detail, i, domain=domain))
        starts, body, ends, size = starts[known], body[known], ends[known], size[known]
        versions, datagram = versions[known], datagram[known]
    if not len(starts):
        return _none(len(buf), troubles)
    (claimed,) = kernel.columns(buf, starts[None], _COUNT_PLAN, _U2)
    room = (ends - body) // size
    count = np.where(claimed == 0, room, np.minimum(claimed, room)).astype(np.int32)
    end = body + count * size
    odd = np.flatnonzero((claimed != count) | (end != ends))
    for i, domain in zip(odd.tolist(), _domains(dialect, buf, starts[odd]), strict=True):
        kind = FaultKind.TRUNCATED if claimed[i] > room[i] else FaultKind.COUNT_MISMATCH
        detail = f"{dialect.name}: {int(claimed[i])} records in the header, room for {int(room[i])}"
        trouble = Trouble(kind, int(starts[i]), 1, detail, int(datagram[i]), is_message=False, domain=domain)
        troubles.append(trouble)
    return Frames(starts, body, end, len(buf), troubles, version=versions, datagram=datagram)


def _template_ids(dialect: Dialect, buf: Octets, starts: I32) -> npt.NDArray[np.intp]:
    """The id of the fixed Template of each Message."""
    if dialect.version != NETFLOW8.version:
        return np.full(len(starts), template_id(dialect.version))
    (aggregation,) = kernel.columns(buf, starts[None], _AGGREGATION_PLAN, _U1)
    return np.minimum(template_id(dialect.version) + aggregation.astype(np.intp), 255)


def _domains(dialect: Dialect, buf: Octets, starts: I32) -> list[int]:
    """The Observation Domain in each header, 0 where the protocol has none."""
    if dialect.domain is None:
        return [0] * len(starts)
    plan = np.array([(0, *dialect.domain, 0)], np.int32)
    domains: list[int] = kernel.columns(buf, starts[None], plan, [np.dtype("u4")])[0].tolist()
    return domains


def _frame_ipfix(buf: Octets, starts: I32, ends: I32, *, salvage: bool) -> Frames:
    parent, version, body, end, rest = kernel.chain(buf, starts, ends, IPFIX.header)
    troubles, torn, torn_ends = [], [], []
    stop = rest
    wrong = np.flatnonzero(version != IPFIX.version)
    if len(wrong):  # after a foreign version the boundaries mean nothing: cut its datagram there
        first = wrong[np.unique(parent[wrong], return_index=True)[1]]
        cut = np.full(len(ends), len(version), np.int64)
        cut[parent[first]] = first
        stop = rest.copy()
        stop[parent[first]] = body[first] - IPFIX.header
        keep = np.arange(len(version)) < cut[parent]
        parent, body, end = parent[keep], body[keep], end[keep]
    for i in np.flatnonzero(stop != ends).tolist():
        at, datagram_end = int(stop[i]), int(ends[i])
        troubles.append(_rest(buf, at, datagram_end, i, is_first=at == starts[i]))
        if salvage and troubles[-1].kind is FaultKind.TRUNCATED:
            torn.append((i, at))
            torn_ends.append(datagram_end)
    if torn:  # the last of its datagram, so a stable sort by datagram puts each where it belongs
        parent = np.concatenate([parent, np.array([i for i, _ in torn], np.int32)])
        order = np.argsort(parent, kind="stable")
        parent = parent[order]
        body = np.concatenate([body, np.array([at for _, at in torn], np.int32) + np.int32(IPFIX.header)])[order]
        end = np.concatenate([end, np.array(torn_ends, np.int32)])[order]
    start = body - np.int32(IPFIX.header)
    return Frames(start, body, end, len(buf), troubles, torn=[at for _, at in torn], datagram=parent)


def _rest(buf: Octets, at: int, end: int, datagram: int, *, is_first: bool) -> Trouble:
    """What is wrong with the octets of an IPFIX datagram from `at`."""
    size = end - at
    version, length = header_of(buf, at, end)
    if not is_first and (version != IPFIX.version or size < IPFIX.header):
        return Trouble(FaultKind.TRAILING_OCTETS, at, size, f"{size} octets after the Message", datagram)
    if size < IPFIX.header:
        return Trouble(FaultKind.SHORT_HEADER, at, 1, f"{size} octets", datagram)
    if length < IPFIX.header:
        return Trouble(FaultKind.BAD_LENGTH, at, 1, f"Message length {length}", datagram)
    return Trouble(FaultKind.TRUNCATED, at, 1, f"Message length {length}, datagram has {size} octets", datagram)


def _foreign(version: int, buf: Octets, starts: I32, ends: I32, peer: I32 | None) -> Iterator[Trouble]:
    """One for each datagram of a protocol that is not read; of sFlow, which comes in masses, one for each exporter."""
    long = np.flatnonzero(ends - starts >= 4) if version == SFLOW else np.empty(0, np.intp)
    word = kernel.columns(buf, starts[long][None], _WORD_PLAN, [np.dtype("u4")])[0]
    sflow = long[word == _SFLOW5]
    if len(sflow):
        whose = np.zeros(len(sflow), np.int32) if peer is None else peer[sflow]
        for first, count in zip(*np.unique(whose, return_index=True, return_counts=True)[1:], strict=True):
            i = int(sflow[first])
            detail = "sFlow version 5 is not decoded"
            yield Trouble(FaultKind.SFLOW, int(starts[i]), int(count), detail, i, is_message=False)
    rest = np.ones(len(starts), np.bool_)
    rest[sflow] = False
    for i in np.flatnonzero(rest).tolist():
        size = int(ends[i] - starts[i])
        if size < 2:
            yield Trouble(FaultKind.SHORT_HEADER, int(starts[i]), 1, f"{size} octets", i)
        else:
            detail = f"version {version}, which is no export protocol known here"
            yield Trouble(FaultKind.VERSION, int(starts[i]), 1, detail, i)


def _none(consumed: int, troubles: list[Trouble]) -> Frames:
    nothing = np.empty(0, np.int32)
    return Frames(nothing, nothing, nothing, consumed, troubles, version=np.empty(0, np.uint16), datagram=nothing)


def _merged(parts: list[Frames], consumed: int) -> Frames:
    """Messages of several versions, in the order of their datagrams."""
    datagram = np.concatenate([_datagrams(part) for part in parts])
    version = np.concatenate([_version_of(part) for part in parts])
    start, body, end = (np.concatenate([getattr(part, name) for part in parts]) for name in ("start", "body", "end"))
    order = np.argsort(datagram, kind="stable")
    merged = Frames(start[order], body[order], end[order], consumed, version=version[order], datagram=datagram[order])
    troubles = [trouble for part in parts for trouble in part.troubles]
    return replace(merged, troubles=troubles, torn=[at for part in parts for at in part.torn])


def _datagrams(frames: Frames) -> I32:
    assert frames.datagram is not None
    return frames.datagram


def _version_of(frames: Frames) -> U16:
    return np.full(len(frames.start), IPFIX.version, np.uint16) if frames.version is None else frames.version
