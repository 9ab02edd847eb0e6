# Packet captures: the records of pcap and the blocks of pcapng, and what is inside each packet.
#
# Every header is read behind a check that it ends inside its packet, and a packet is checked to lie inside the buffer.

cdef enum:
    SECTION = 0x0A0D0D0A  # the same in both byte orders
    MAGIC = 0x1A2B3C4D
    INTERFACE = 1
    OLD_PACKET = 2
    SIMPLE_PACKET = 3
    ENHANCED_PACKET = 6
    FEW_PACKETS = 64

cdef enum PacketKind:
    NO_IP, UDP, TCP, FRAGMENT, OTHER_IP, DAMAGED, CUT, FOREIGN_LINK

cdef enum EtherType:
    IP4 = 0x0800
    IP6 = 0x86DD
    VLAN = 0x8100
    QINQ = 0x88A8
    OLD_QINQ = 0x9100
    MPLS = 0x8847
    MPLS_UPSTREAM = 0x8848
    PPPOE = 0x8864
    BY_NIBBLE = -1  # no type, the first four bits tell

cdef struct Capture:
    int32_t start, end
    uint32_t high, low
    int32_t interface

cdef struct Section:
    uint32_t kind
    int32_t start, end
    bint is_big

cdef struct Packet:
    PacketKind kind
    bint has_key
    int version
    int32_t header, start, end
    uint64_t[5] key

cdef struct Slot:
    uint32_t mark
    int32_t peer  # 1 is the first one; 0: empty

cdef uint64_t[11] SECRETS  # WORDS and one


cdef int write_secrets() except -1:
    cdef int i
    for i in range(WORDS + 1):
        SECRETS[i] = int.from_bytes(urandom(8), "little")
    return 0


write_secrets()


cdef inline uint32_t load2(const uint8_t *p) noexcept nogil:
    return <uint32_t>p[0] << 8 | p[1]


cdef inline uint32_t load4(const uint8_t *p, bint is_swapped) noexcept nogil:
    cdef uint32_t v
    memcpy(&v, p, 4)
    return hw_swap4(v) if is_swapped else v


cdef int grow(Block *block, size_t used) except -1:
    """Make a block four times as large."""
    cdef Block larger = take(4 * block.capacity)
    if larger.memory == NULL:
        raise MemoryError(f"{4 * block.capacity} octets for one result")
    memcpy(larger.memory, block.memory, used)
    give(block[0])
    block[0] = larger
    return 0


cdef inline void look_ahead(const uint8_t *wire, Py_ssize_t p, Py_ssize_t q, Py_ssize_t length, Py_ssize_t before,
                            Py_ssize_t *reached) noexcept nogil:
    """Headers are met one after the other, a cache miss each: guess the coming ones."""
    cdef Py_ssize_t there
    if p + AHEAD < q:
        if length == before:
            there = min(p + 32 * length, q - 1)
            hw_prefetch(wire + there)
            hw_prefetch(wire + min(there + LINE, q - 1))
        elif length <= LONG:
            reached[0] = max(reached[0], p)
            while reached[0] < p + AHEAD:
                hw_prefetch(wire + reached[0])
                reached[0] += LINE


def pcap_packets(buf, at, is_big, header, most):
    """Walk the records of a pcap file from `at` on -> start[n], end[n], seconds[n], fraction[n], rest.

    buf: octets. is_big: byte order of the file. header: octets of a record header, 16, or 24 in Kuznetzov's dialect.
    most: captured octets, more than which are impossible.
    start, end: int32[n], the packet data. seconds, fraction: uint32[n], the time as it is written.
    rest: where the walk stopped: at a record that is not whole, or that is impossible: longer than `most`, or without
    any octet on the wire.
    """
    cdef const uint8_t[::1] wire = octets(buf)
    if not 0 <= at <= wire.shape[0]:
        raise IndexError(f"octet {at} of {wire.shape[0]}")
    if header != 16 and header != 24:
        raise ValueError(f"a record header of {header} octets")
    if not 0 <= most <= INT32_MAX:
        raise ValueError(f"packets of up to {most} octets")
    cdef Py_ssize_t p = at, q = wire.shape[0], fixed = header, n = 0, k, capacity, before = 0, reached = 0
    cdef uint32_t length, limit = index(most)
    cdef bint is_swapped = bool(is_big) == bool(HW_LITTLE)
    cdef const uint8_t *w = &wire[0] if q else NULL
    cdef int32_t *start
    cdef int32_t *end
    cdef uint32_t *seconds
    cdef uint32_t *fraction
    cdef Block block = take((FEW_PACKETS + (q - p) // 512) * sizeof(Capture))
    cdef Capture *found = <Capture *>block.memory
    cdef Slab slab
    try:
        if found == NULL:
            raise MemoryError(f"{block.capacity} octets for one result")
        capacity = <Py_ssize_t>(block.capacity // sizeof(Capture))
        with nogil:
            while p + fixed <= q:
                length = load4(w + p + 8, is_swapped)
                if length > limit or length > q - p - fixed or (length == 0 and load4(w + p + 12, is_swapped) == 0):
                    break
                if n == capacity:
                    with gil:
                        grow(&block, n * sizeof(Capture))
                    found = <Capture *>block.memory
                    capacity = <Py_ssize_t>(block.capacity // sizeof(Capture))
                look_ahead(w, p, q, fixed + length, before, &reached)
                before = fixed + length
                found[n].high = load4(w + p, is_swapped)
                found[n].low = load4(w + p + 4, is_swapped)
                p += fixed
                found[n].start = <int32_t>p
                p += length
                found[n].end = <int32_t>p
                n += 1
        slab = Slab(4 * room(4 * n))
        out = (slab.array(n, INT32, 4, &start), slab.array(n, INT32, 4, &end), slab.array(n, UINT32, 4, &seconds),
               slab.array(n, UINT32, 4, &fraction), p)
        with nogil:
            for k in range(n):
                start[k] = found[k].start
                end[k] = found[k].end
                seconds[k] = found[k].high
                fraction[k] = found[k].low
    finally:
        give(block)
    return out


def pcapng_packets(buf, at, is_big, interfaces, snap, most):
    """Walk the blocks of a pcapng file from `at` on -> packets, others, rest, (is_big, interfaces, snap).

    buf: octets. is_big, interfaces, snap: byte order of the section that `at` lies in, how many interfaces it has
    described so far, and the snap length of its first interface; what the call before returned. most: octets of a
    block, more than which are impossible.
    packets: start, end int32[n], interface int32[n], high, low uint32[n] (the time as it is written). Interfaces are
    counted from those that were there before over all that this call meets, not from the beginning of the section; -1
    is one that was never described, or a packet that is longer than its block. Simple Packet Blocks have no time: 0.
    others: kind uint32[m], start, end int32[m] (the bodies), is_big bool[m] of Section Header Blocks and Interface
    Description Blocks.
    rest: where the walk stopped: at a block that is not whole, or is impossible. What no section began is skipped.
    """
    cdef const uint8_t[::1] wire = octets(buf)
    if not 0 <= at <= wire.shape[0]:
        raise IndexError(f"octet {at} of {wire.shape[0]}")
    if not 0 <= interfaces <= INT32_MAX // 2 or not 0 <= snap <= 0xFFFFFFFF or not 0 <= most <= INT32_MAX:
        raise ValueError(f"{interfaces} interfaces, a snap length of {snap}, blocks of up to {most} octets")
    cdef Py_ssize_t p = at, q = wire.shape[0], n = 0, m = 0, k, before = 0, reached = 0
    cdef Py_ssize_t first = 0, known = interfaces, body, stop
    cdef uint32_t kind, size, interface, captured, high, low, limit = index(most), cut = index(snap)
    cdef bint big = bool(is_big), is_swapped = bool(is_big) == bool(HW_LITTLE)
    cdef const uint8_t *w = &wire[0] if q else NULL
    cdef int32_t *start
    cdef int32_t *end
    cdef int32_t *interface_
    cdef uint32_t *high_
    cdef uint32_t *low_
    cdef uint32_t *kind_
    cdef int32_t *start_
    cdef int32_t *end_
    cdef uint8_t *big_
    cdef Block block = take((FEW_PACKETS + (q - p) // 512) * sizeof(Capture))
    cdef Block more = take(FEW_PACKETS * sizeof(Section))
    cdef Capture *found = <Capture *>block.memory
    cdef Section *sections = <Section *>more.memory
    cdef Slab slab
    try:
        if found == NULL or sections == NULL:
            raise MemoryError(f"{block.capacity} octets for one result")
        with nogil:
            while p + 12 <= q:
                kind = load4(w + p, is_swapped)
                if kind == SECTION:
                    if load4(w + p + 8, False) != MAGIC and load4(w + p + 8, True) != MAGIC:
                        break
                    is_swapped = load4(w + p + 8, True) == MAGIC
                size = load4(w + p + 4, is_swapped)
                if size < 12 or size & 3 or size > limit or size > q - p or load4(w + p + size - 4, is_swapped) != size:
                    if kind == SECTION:
                        is_swapped = big == HW_LITTLE
                    break
                body = p + 8
                stop = p + size - 4
                if n * sizeof(Capture) + sizeof(Capture) > block.capacity:
                    with gil:
                        grow(&block, n * sizeof(Capture))
                    found = <Capture *>block.memory
                if m * sizeof(Section) + sizeof(Section) > more.capacity:
                    with gil:
                        grow(&more, m * sizeof(Section))
                    sections = <Section *>more.memory
                look_ahead(w, p, q, size, before, &reached)
                before = size
                p += size
                if kind == SECTION or kind == INTERFACE:
                    if kind == SECTION:
                        big = is_swapped == HW_LITTLE
                        first = known
                        cut = 0
                    elif stop - body < 8:
                        continue
                    else:
                        if known == first:
                            cut = load4(w + body + 4, is_swapped)
                        known += 1
                    sections[m].kind = kind
                    sections[m].start = <int32_t>body
                    sections[m].end = <int32_t>stop
                    sections[m].is_big = big
                    m += 1
                    continue
                if kind == SIMPLE_PACKET and stop - body >= 4:
                    interface = high = low = 0
                    captured = load4(w + body, is_swapped)
                    body += 4
                    if cut:
                        captured = min(captured, cut)
                    captured = <uint32_t>min(<Py_ssize_t>captured, stop - body)
                elif (kind == ENHANCED_PACKET or kind == OLD_PACKET) and stop - body >= 20:
                    interface = load4(w + body, is_swapped)
                    if kind == OLD_PACKET:  # two numbers of 16 bits: the interface, and packets that were dropped
                        interface = interface >> 16 if big else interface & 0xFFFF
                    high = load4(w + body + 4, is_swapped)
                    low = load4(w + body + 8, is_swapped)
                    captured = load4(w + body + 12, is_swapped)
                    body += 20
                else:
                    continue
                if captured > stop - body:
                    captured = 0
                    interface = 0xFFFFFFFF
                found[n].start = <int32_t>body
                found[n].end = <int32_t>(body + captured)
                found[n].interface = <int32_t>(first + interface) if interface < known - first else -1
                found[n].high = high
                found[n].low = low
                n += 1
        slab = Slab(5 * room(4 * n) + 3 * room(4 * m) + room(m))
        packets = (slab.array(n, INT32, 4, &start), slab.array(n, INT32, 4, &end), slab.array(n, INT32, 4, &interface_),
                   slab.array(n, UINT32, 4, &high_), slab.array(n, UINT32, 4, &low_))
        others = (slab.array(m, UINT32, 4, &kind_), slab.array(m, INT32, 4, &start_), slab.array(m, INT32, 4, &end_),
                  slab.array(m, BOOL, 1, &big_))
        with nogil:
            for k in range(n):
                start[k] = found[k].start
                end[k] = found[k].end
                interface_[k] = found[k].interface
                high_[k] = found[k].high
                low_[k] = found[k].low
            for k in range(m):
                kind_[k] = sections[k].kind
                start_[k] = sections[k].start
                end_[k] = sections[k].end
                big_[k] = sections[k].is_big
    finally:
        give(block)
        give(more)
    return packets, others, p, (big, known - first, cut)
