"""Several UDP sockets of one address, for as many workers: all that an exporter sends goes to one of them.

NetFlow v9 knows Templates by the exporter's address whatever the port is (RFC 3954 §5.1), so the socket is chosen by
the address alone, by a classic BPF program of Linux. The kernel by itself goes by address and port.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from typing import TYPE_CHECKING, Final

from headwater.errors import TransportError
from headwater.transport.incoming.multicast import is_multicast
from headwater.transport.incoming.udp_socket import bind

if TYPE_CHECKING:
    from headwater.transport.incoming.url import ListenUrl

_ATTACH: Final = 51  # SO_ATTACH_REUSEPORT_CBPF, which Python's socket module has not
_INSTRUCTION: Final = struct.Struct("=HBBI")  # sock_filter: code, jump if true, jump if false, constant
_PROGRAM: Final = struct.Struct("@HP")  # sock_fprog: length, address

# of linux/bpf_common.h; A and X are the registers
_LOAD_BYTE, _LOAD_WORD = 0x30, 0x20  # A = octets of the packet
_X_IS_A: Final = 0x07
_SHIFT_RIGHT, _XOR_X, _MULTIPLY, _MODULO = 0x74, 0xAC, 0x24, 0x94
_JUMP, _JUMP_EQUAL = 0x05, 0x15
_RETURN_A: Final = 0x16
_IP: Final = 0xFFF00000  # SKF_NET_OFF: from the IP header on, whatever the socket sees
_SOURCE4, _SOURCE6 = 12, 8
_MIX: Final = 0x9E3779B1  # the golden ratio: neighbouring addresses go to different sockets


def bound_group(url: ListenUrl, count: int) -> tuple[list[socket.socket], list[str]]:
    """So many sockets bound to the address of a URL, and what people should know of them.

    Raises TransportError; also if somebody else listens there, whom the sockets would share with otherwise.
    """
    if count == 1:
        return [bind(url)], []
    if not hasattr(socket, "SO_REUSEPORT"):
        raise TransportError(f"{url.name}: this system lets no {count} workers share an address", url=url.url)
    if is_multicast(url.host):
        raise TransportError(f"{url.name}: every member of a group gets all, so it has one worker", url=url.url)
    made = [bind(url)]  # alone, so that nobody is there already
    try:
        _share(made[0])
        url = url.at_port(made[0].getsockname()[1])
        made.extend(bind(url, _share) for _ in range(count - 1))
    except OSError:
        for one in made:
            one.close()
        raise
    return made, choose_by_address(made[0], count, url)


def choose_by_address(first: socket.socket, count: int, url: ListenUrl) -> list[str]:
    """Let the kernel choose among the sockets of a group by source address; a warning if it does not.

    first: any of them, when all are bound.
    """
    try:
        if sys.platform != "linux":
            raise OSError("there is no such choice")
        program = ctypes.create_string_buffer(_program(count))
        length = (len(program) - 1) // _INSTRUCTION.size
        first.setsockopt(socket.SOL_SOCKET, _ATTACH, _PROGRAM.pack(length, ctypes.addressof(program)))
    except OSError as error:
        return [
            f"{url.name}: the kernel does not choose workers by the exporters' addresses ({error}); Templates of "
            "exporters that send NetFlow v9 from several ports may be missed"
        ]
    return []


def _share(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def _program(count: int) -> bytes:
    """Instructions that make of a packet the number of a socket, in the order of binding."""
    six = [(_LOAD_WORD, 0, 0, _IP + _SOURCE6)]
    for word in (4, 8, 12):
        six += [(_X_IS_A, 0, 0, 0), (_LOAD_WORD, 0, 0, _IP + _SOURCE6 + word), (_XOR_X, 0, 0, 0)]
    program = [
        (_LOAD_BYTE, 0, 0, _IP),
        (_SHIFT_RIGHT, 0, 0, 4),
        (_JUMP_EQUAL, 0, len(six) + 1, 6),  # the version
        *six,
        (_JUMP, 0, 0, 1),
        (_LOAD_WORD, 0, 0, _IP + _SOURCE4),
        (_MULTIPLY, 0, 0, _MIX),
        (_SHIFT_RIGHT, 0, 0, 16),
        (_MODULO, 0, 0, count),
        (_RETURN_A, 0, 0, 0),
    ]
    return b"".join(_INSTRUCTION.pack(*one) for one in program)
