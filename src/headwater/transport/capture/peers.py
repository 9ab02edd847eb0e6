"""Who sends: the peers whose traffic is taken, numbered for the whole capture."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from headwater.session.key import SessionKey

MOST_PEERS = 1 << 16
KEY = 40
"""Octets of the key of a peer, as `kernel.dissect` makes them."""

UDP, TCP = 17, 6


class Peers:
    """Peers in the order in which they were taken. keys: their SessionKeys, a list that only grows."""

    def __init__(self, most: int = MOST_PEERS) -> None:
        self.keys: list[SessionKey | None] = []
        self._most = most
        self._rows = np.empty((64, KEY), np.uint8)
        self._numbers: dict[bytes, int] = {}
        self._pairs: set[bytes] = set()

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def rows(self) -> npt.NDArray[np.uint8]:
        """Their keys: uint8[k, 40]."""
        return self._rows[: len(self.keys)]

    def find(self, key: bytes) -> int:
        """The number of a peer, -1 if it was not taken."""
        return self._numbers.get(key, -1)

    def has_pair(self, addresses: bytes) -> bool:
        """Whether any peer was taken that sends between these addresses (16 octets each)."""
        return addresses in self._pairs

    def take(self, rows: npt.NDArray[np.uint8]) -> int:
        """Number new peers from len(self) on, as many as there is room for; how many. rows: uint8[m, 40], keys."""
        count, known = min(len(rows), self._most - len(self)), len(self)
        if known + count > len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty((known + count, KEY), np.uint8)])
        self._rows[known : known + count] = rows[:count]
        for key in _as_bytes(rows[:count]):
            self._numbers[key] = len(self.keys)
            self._pairs.add(key[8:])
            self.keys.append(session_key(key))
        return count


def _as_bytes(rows: npt.NDArray[np.uint8]) -> list[bytes]:
    octets = rows.tobytes()
    return [octets[at : at + KEY] for at in range(0, len(octets), KEY)]


def session_key(key: bytes) -> SessionKey:
    """The transport session of a key."""
    family, size = (socket.AF_INET, 4) if key[1] == 4 else (socket.AF_INET6, 16)
    ports = int.from_bytes(key[2:4]), int.from_bytes(key[4:6])
    source, destination = (socket.inet_ntop(family, key[p : p + size]) for p in (8, 24))
    return SessionKey(source, ports[0], destination, ports[1])


def destination_ports(keys: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """uint16[u], the destination ports of keys."""
    return keys[:, 4].astype(np.uint16) << np.uint16(8) | keys[:, 5]


def port_table(ports: Sequence[int]) -> npt.NDArray[np.bool_]:
    """bool[65536], whether a port is one of `ports`."""
    out = np.zeros(1 << 16, bool)
    out[list(ports)] = True
    return out
