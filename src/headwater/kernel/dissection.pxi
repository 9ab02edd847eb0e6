# What is inside a captured packet: from the link layer to the payload of UDP and TCP, and between whom.

cdef enum:
    NEXT = 12


cdef int find_network(const uint8_t *w, Py_ssize_t *at, Py_ssize_t q, int link) noexcept nogil:
    """Move *at to the IP header of the packet that ends at q -> its EtherType, BY_NIBBLE, or minus a PacketKind."""
    cdef Py_ssize_t p = at[0]
    cdef int type
    cdef uint32_t family
    if link == 1:  # Ethernet
        if q - p < 14:
            return -CUT
        type = load2(w + p + 12)
        p += 14
    elif link == 113:  # Linux cooked
        if q - p < 16:
            return -CUT
        type = load2(w + p + 14)
        p += 16
    elif link == 276:  # Linux cooked, version 2
        if q - p < 20:
            return -CUT
        type = load2(w + p)
        p += 20
    elif link == 0 or link == 108:  # loopback: an address family of the system that captured, in its byte order
        if q - p < 4:
            return -CUT
        family = load4(w + p, HW_LITTLE)
        if family > 0xFFFF:
            family = hw_swap4(family)
        p += 4
        type = IP4 if family == 2 else IP6 if family in (10, 23, 24, 28, 30) else 0
    elif link in (12, 14, 101, 228, 229):  # IP at once
        type = BY_NIBBLE
    else:
        return -FOREIGN_LINK
    while True:  # each turn takes 4 octets or ends
        if type == VLAN or type == QINQ or type == OLD_QINQ:
            if q - p < 4:
                return -CUT
            type = load2(w + p + 2)
            p += 4
        elif type == MPLS or type == MPLS_UPSTREAM:
            if q - p < 4:
                return -CUT
            if w[p + 2] & 1:  # the last label
                type = BY_NIBBLE
            p += 4
        elif type == PPPOE:
            if q - p < 8:
                return -CUT
            type = load2(w + p + 6)
            type = IP4 if type == 0x21 else IP6 if type == 0x57 else 0
            p += 8
        else:
            at[0] = p
            return type


cdef inline uint64_t leading(const uint8_t *p) noexcept nogil:
    """Four octets and four zeros, as they are in memory."""
    cdef uint32_t v
    memcpy(&v, p, 4)
    return v if HW_LITTLE else <uint64_t>v << 32


cdef PacketKind dissect_network(const uint8_t *w, Py_ssize_t p, Py_ssize_t q, int type, Packet *out) noexcept nogil:
    """The packet whose IP header is at p and of which octets were captured up to q. Lengths may lie beyond q."""
    cdef Py_ssize_t x, stop
    cdef uint32_t length
    cdef int next
    if type == BY_NIBBLE and q > p:
        type = IP4 if w[p] >> 4 == 4 else IP6 if w[p] >> 4 == 6 else 0
    elif type == BY_NIBBLE:
        return CUT
    if type == IP4:
        if q - p < 20:
            return CUT
        length = load2(w + p + 2)
        x = (w[p] & 15) * 4
        if w[p] >> 4 != 4 or x < 20 or 0 < length < x:
            return DAMAGED
        if q - p < x:
            return CUT
        stop = p + length if length else q  # 0: the network card would have cut this into packets
        x += p
        next = w[p + 9]
        out.version = 4
        out.key[1] = leading(w + p + 12)
        out.key[2] = 0
        out.key[3] = leading(w + p + 16)
        out.key[4] = 0
        if load2(w + p + 6) & 0x3FFF:
            return fragment(p, x, stop, q, out)
    elif type == IP6:
        if q - p < 40:
            return CUT
        if w[p] >> 4 != 6:
            return DAMAGED
        length = load2(w + p + 4)
        stop = p + 40 + length if length else q
        x = p + 40
        next = w[p + 6]
        out.version = 6
        memcpy(&out.key[1], w + p + 8, 16)
        memcpy(&out.key[3], w + p + 24, 16)
        while next in (0, 43, 44, 51, 60, 135, 139, 140):  # headers of at least 8 octets
            if stop - x < 8:
                return DAMAGED
            if q - x < 8:
                return CUT
            if next == 44 and load2(w + x + 2) & 0xFFF9:
                return fragment(p, x + 8, stop, q, out)
            length = 8 if next == 44 else (w[x + 1] + 2) * 4 if next == 51 else (w[x + 1] + 1) * 8
            next = w[x]
            x += length
    else:
        return NO_IP
    return dissect_transport(w, x, stop, q, next, out)


cdef PacketKind fragment(Py_ssize_t p, Py_ssize_t x, Py_ssize_t stop, Py_ssize_t q, Packet *out) noexcept nogil:
    if stop > q:
        return CUT
    out.header = <int32_t>p
    out.start = <int32_t>x
    out.end = <int32_t>stop
    return FRAGMENT


cdef PacketKind dissect_transport(const uint8_t *w, Py_ssize_t x, Py_ssize_t stop, Py_ssize_t q, int protocol,
                                  Packet *out) noexcept nogil:
    cdef Py_ssize_t end
    cdef PacketKind kind
    cdef int least = 8
    if x > stop:
        return DAMAGED
    if protocol == 17:
        kind = UDP
    elif protocol == 6:
        kind = TCP
        least = 20
    else:
        return OTHER_IP
    if stop - x < least:
        return DAMAGED
    if q - x < least:
        return CUT
    if kind == UDP:
        end = x + load2(w + x + 4)  # what the packet has behind that is padding
    else:
        least = (w[x + 12] >> 4) * 4
        end = stop
    if least < 20 and kind == TCP or end - x < least or end > stop:
        return DAMAGED
    if HW_LITTLE:
        out.key[0] = <uint64_t>protocol | <uint64_t>out.version << 8 | leading(w + x) << 16
    else:
        out.key[0] = <uint64_t>protocol << 56 | <uint64_t>out.version << 48 | leading(w + x) >> 16
    out.has_key = True
    out.header = <int32_t>x
    out.start = <int32_t>min(x + least, q)
    out.end = <int32_t>min(end, q)
    return CUT if end > q else kind


cdef inline uint64_t product(uint64_t word, int i) noexcept nogil:
    return SECRETS[2 * i] * <uint32_t>word + SECRETS[2 * i + 1] * (word >> 32)


cdef inline uint32_t mark_of(const uint64_t *key) noexcept nogil:
    """A hash that whoever does not know SECRETS cannot make collide more often than chance (multilinear hashing)."""
    cdef uint64_t sum = SECRETS[WORDS] + product(key[0], 0) + product(key[1], 1) + product(key[3], 3)
    if key[2] or key[4]:  # IPv6
        sum += product(key[2], 2) + product(key[4], 4)
    return <uint32_t>(sum >> 32)


cdef inline bint is_same(const uint8_t *there, const uint64_t *key) noexcept nogil:
    cdef uint64_t[5] v
    memcpy(v, there, ADDRESSES)
    return ((v[0] ^ key[0]) | (v[1] ^ key[1]) | (v[2] ^ key[2]) | (v[3] ^ key[3]) | (v[4] ^ key[4])) == 0


cdef inline Py_ssize_t look_up(Slot *slots, Py_ssize_t mask, uint32_t mark, const uint64_t *key, const uint8_t *known,
                               Py_ssize_t k, const uint8_t *found) noexcept nogil:
    """The slot of a key, or the empty one where it belongs. Half of the slots are empty, so there is one."""
    cdef Py_ssize_t i = mark & mask, peer
    while slots[i].peer:
        peer = slots[i].peer - 1
        if slots[i].mark == mark and is_same(
                known + ADDRESSES * peer if peer < k else found + ADDRESSES * (peer - k), key):
            break
        i = (i + 1) & mask
    return i


cdef Slot *larger_table(Slot *slots, Py_ssize_t size, Py_ssize_t larger) except? NULL:
    cdef Slot *out = <Slot *>calloc(larger, sizeof(Slot))
    cdef Py_ssize_t i, j
    if out == NULL:
        raise MemoryError(f"{larger} peers")
    for i in range(size):
        if slots[i].peer:
            j = slots[i].mark & (larger - 1)
            while out[j].peer:
                j = (j + 1) & (larger - 1)
            out[j] = slots[i]
    free(slots)
    return out


def dissect(buf, start, end, link, known):
    """What is in packets -> kind[n], header[n], start[n], end[n], peer[n], head[n], keys[u, 40].

    buf: octets. start, end: int32[n], the packets. link: int32[n], their link types (LINKTYPE_…). known: uint8[k, 40],
    keys of peers that are numbered already, no two the same.
    kind: uint8; 0 no IP, 1 a UDP datagram, 2 a TCP segment, 3 an IP fragment, 4 another protocol over IP, 5 lengths
    that contradict each other, 6 cut short by the capture, 7 a link type that is not known.
    header: int32, where the UDP or TCP header begins, for fragments the IP header, else the packet. start, end: int32,
    the payload of UDP or TCP, or of a fragment, as far as it was captured; both 0 where there is none.
    peer: int32, row of the key in `known`, or k + row in `keys`; -1 where ports are not known. head: uint32, the first
    four octets of a payload of UDP or TCP, filled up with zeros.
    keys: uint8, in order of appearance: protocol (17 or 6), IP version, source port, destination port (2 octets each),
    2 zeros, source address, destination address (16 octets each, an IPv4 address and 12 zeros).
    """
    cdef const uint8_t[::1] wire = octets(buf)
    cdef const int32_t[::1] starts = numbers(start), ends = numbers(end), links = numbers(link)
    cdef const uint8_t[:, ::1] rows = keys_of(known)
    check_spans(wire, starts, ends)
    cdef Py_ssize_t i, j, p, size, n = starts.shape[0], k = rows.shape[0], u = 0, mask, q = wire.shape[0]
    cdef const int32_t *begins = &starts[0] if n else NULL
    cdef const int32_t *stops = &ends[0] if n else NULL
    cdef const int32_t *types = NULL
    if links.shape[0] != n:
        raise ValueError(f"{n} packets but {links.shape[0]} link types")
    if n:
        types = &links[0]
    if k > INT32_MAX // 4:
        raise ValueError(f"{k} peers")
    cdef uint8_t *kind
    cdef int32_t *header
    cdef int32_t *begin
    cdef int32_t *stop
    cdef int32_t *peer
    cdef uint32_t *head
    cdef uint8_t *out
    cdef const uint8_t *w = &wire[0] if wire.shape[0] else NULL
    cdef const uint8_t *old = &rows[0, 0] if k else NULL
    cdef Packet packet
    cdef int type
    cdef uint32_t mark
    cdef Slot *slots = NULL
    cdef Block block = take(FEW_PACKETS * ADDRESSES)
    cdef Slab slab = Slab(room(n) + 5 * room(4 * n)), found
    kind_, header_ = slab.array(n, UINT8, 1, &kind), slab.array(n, INT32, 4, &header)
    start_, end_ = slab.array(n, INT32, 4, &begin), slab.array(n, INT32, 4, &stop)
    peer_, head_ = slab.array(n, INT32, 4, &peer), slab.array(n, UINT32, 4, &head)
    try:
        if block.memory == NULL:
            raise MemoryError("no memory for keys")
        mask = 1023
        while mask < 2 * k:
            mask = 2 * mask + 1
        slots = larger_table(NULL, 0, mask + 1)
        with nogil:
            for i in range(k):
                memcpy(packet.key, old + ADDRESSES * i, ADDRESSES)
                mark = mark_of(packet.key)
                j = look_up(slots, mask, mark, packet.key, old, k, NULL)
                if not slots[j].peer:
                    slots[j].mark = mark
                    slots[j].peer = <int32_t>(i + 1)
            for i in range(n):
                if i + NEXT < n:  # the walk that found the packets has seen too many to leave their headers near
                    hw_prefetch(w + begins[i + NEXT])
                    hw_prefetch(w + min(<Py_ssize_t>begins[i + NEXT] + LINE, q))
                packet.has_key = False
                packet.header = packet.start = packet.end = 0
                p = begins[i]
                type = find_network(w, &p, stops[i], types[i])
                if type < BY_NIBBLE:
                    packet.kind = <PacketKind>-type
                else:
                    packet.kind = dissect_network(w, p, stops[i], type, &packet)
                kind[i] = packet.kind
                header[i] = packet.header if packet.header else begins[i]
                begin[i] = packet.start
                stop[i] = packet.end
                peer[i] = -1
                head[i] = 0
                if not packet.has_key:
                    continue
                size = min(packet.end - packet.start, 4)
                if size == 4:
                    head[i] = load4(w + packet.start, HW_LITTLE)
                else:
                    for j in range(size):
                        head[i] |= <uint32_t>w[packet.start + j] << (24 - 8 * j)
                mark = mark_of(packet.key)
                j = look_up(slots, mask, mark, packet.key, old, k, block.memory)
                if not slots[j].peer:
                    if ADDRESSES * (u + 1) > <Py_ssize_t>block.capacity:
                        with gil:
                            grow(&block, ADDRESSES * u)
                    memcpy(block.memory + ADDRESSES * u, packet.key, ADDRESSES)
                    u += 1
                    slots[j].mark = mark
                    slots[j].peer = <int32_t>(k + u)
                    peer[i] = <int32_t>(k + u - 1)
                    if 2 * (k + u) > mask:
                        with gil:
                            slots = larger_table(slots, mask + 1, 4 * (mask + 1))
                        mask = 4 * mask + 3
                else:
                    peer[i] = slots[j].peer - 1
        found = Slab(room(ADDRESSES * u))
        keys = found.array(ADDRESSES * u, UINT8, 1, &out)
        memcpy(out, block.memory, ADDRESSES * u)
    finally:
        free(slots)
        give(block)
    return kind_, header_, start_, end_, peer_, head_, keys.reshape(u, ADDRESSES)
