# Messages, sets, list entries and records: everything whose extent is written on the wire.

cdef enum:
    SHORT = 512  # structures of fewer octets, the processor's own prefetching reaches the next one
    LONG = 4096  # in structures of more octets, waiting for a header is nothing to reading the rest
    AHEAD = 8192
    EMPTY = 8  # a guess at the octets of a variable-length field

cdef struct Entry:
    int32_t parent, at
    uint16_t tag, length


def chain(buf, start, end, header):
    """Walk spans of (tag u16, length u16 incl. header) structures -> parent, tag, body, end, rest.

    buf: octets. start, end: int32[m], the spans. header: octets before the body of a structure, 4 to 65535
    (16: messages, 4: sets and entries of a subTemplateMultiList).
    parent: int32[k], index of the span; tag: uint16[k]; body, end: int32[k].
    rest: int32[m], where the walk of each span stopped: at its end, or at a length that cannot be.
    """
    if not 4 <= header <= 65535:
        raise ValueError(f"a header of {header} octets")
    cdef Py_ssize_t fixed = header
    cdef const uint8_t[::1] wire = octets(buf)
    cdef const int32_t[::1] starts = numbers(start), ends = numbers(end)
    check_spans(wire, starts, ends)
    cdef Py_ssize_t i, p, q, n, before = 0, reached, k = 0, m = starts.shape[0]
    cdef Py_ssize_t capacity = 64 + 2 * m
    cdef int32_t *parent
    cdef int32_t *body
    cdef int32_t *stop
    cdef int32_t *rest
    cdef uint16_t *tag
    cdef Block block = take(capacity * sizeof(Entry)), grown
    cdef Entry *entries = <Entry *>block.memory
    cdef Slab slab
    rest_ = Slab(room(4 * m)).array(m, INT32, 4, &rest)
    try:
        if entries == NULL:
            raise MemoryError(f"{capacity} structures")
        with nogil:
            for i in range(m):
                p = reached = starts[i]
                q = ends[i]
                while p + fixed <= q:
                    n = <Py_ssize_t>wire[p + 2] << 8 | wire[p + 3]
                    if n < fixed or p + n > q:
                        break
                    if k == capacity:
                        with gil:
                            grown = take(4 * capacity * sizeof(Entry))
                            if grown.memory == NULL:
                                raise MemoryError(f"{4 * capacity} structures")
                            memcpy(grown.memory, entries, capacity * sizeof(Entry))
                            give(block)
                        block = grown
                        entries = <Entry *>block.memory
                        capacity *= 4
                    if p + AHEAD < q:  # headers are met one after the other, a cache miss each: guess the coming ones
                        if n == before:
                            hw_prefetch(&wire[min(p + 8 * n, q - 1)])
                        elif SHORT <= n <= LONG:
                            reached = max(reached, p)
                            while reached < p + AHEAD:
                                hw_prefetch(&wire[reached])
                                reached += LINE
                        before = n
                    entries[k].parent = <int32_t>i
                    entries[k].at = <int32_t>p
                    entries[k].tag = <uint16_t>(wire[p] << 8 | wire[p + 1])
                    entries[k].length = <uint16_t>n
                    k += 1
                    p += n
                rest[i] = <int32_t>p
        slab = Slab(3 * room(4 * k) + room(2 * k))
        out = (slab.array(k, INT32, 4, &parent), slab.array(k, UINT16, 2, &tag), slab.array(k, INT32, 4, &body),
               slab.array(k, INT32, 4, &stop), rest_)
        with nogil:
            for i in range(k):
                parent[i] = entries[i].parent
                tag[i] = entries[i].tag
                body[i] = entries[i].at + <int32_t>fixed
                stop[i] = entries[i].at + entries[i].length
    finally:
        give(block)
    return out


cdef int32_t *widened(const int32_t *rows, Py_ssize_t count, Py_ssize_t length, int32_t *out, Py_ssize_t stride) noexcept:
    """Copy rows of `length` items to rows `stride` items apart."""
    cdef Py_ssize_t j
    for j in range(count):
        memcpy(out + j * stride, rows + j * length, 4 * length)
    return out


def scan(buf, start, end, gaps):
    """Walk the records of one template in spans -> at[v+1, r], size[v, r], count[m], rest[m].

    buf: octets. start, end: int32[m], the spans. gaps: int32[v+1], fixed octets before each of the v variable-length
    fields (RFC 7011 section 7) and after the last.
    at: int32, row 0 where each record starts, row j+1 where the content of its j-th variable-length field ends.
    size: int32, octets of that content. count: int32, records of each span. rest: int32, where they stopped: what is
    left is padding if it is less than a record can be, else a record that runs past its span.
    """
    cdef const uint8_t[::1] wire = octets(buf)
    cdef const int32_t[::1] starts = numbers(start), ends = numbers(end), fixed = numbers(gaps)
    cdef Py_ssize_t i, p, q, x, j, length, more, cap, n = 0, most = 0, total = 0, m = starts.shape[0]
    cdef Py_ssize_t v = fixed.shape[0] - 1, least = v
    if v < 0:
        raise ValueError("no gaps")
    for j in range(v + 1):
        if fixed[j] < 0:
            raise ValueError(f"gap {j} is negative")
        least += fixed[j]
    if least == 0:
        raise ValueError("a record of no octets")
    check_spans(wire, starts, ends)
    for i in range(m):
        most += (ends[i] - starts[i]) // least
        total += ends[i] - starts[i]
    cap = min(most, 64 + total // (least + EMPTY * v))  # few fields are empty, so `most` would be many times too much
    cdef int32_t *at
    cdef int32_t *size
    cdef int32_t *count
    cdef int32_t *rest
    cdef int32_t *a
    cdef int32_t *s
    cdef const int32_t *gap = &fixed[0]
    cdef Slab slab = Slab(room(4 * (v + 1) * cap) + room(4 * v * cap)), small = Slab(2 * room(4 * m)), grown
    count_ = small.array(m, INT32, 4, &count)
    rest_ = small.array(m, INT32, 4, &rest)
    at = <int32_t *>slab.claim(4 * (v + 1) * cap)
    size = <int32_t *>slab.claim(4 * v * cap)
    with nogil:
        for i in range(m):
            p = starts[i]
            q = ends[i]
            count[i] = <int32_t>-n
            while p + least <= q:  # so n < most: no record takes fewer than `least` octets
                if n == cap:
                    with gil:
                        more = min(most, 4 * cap)
                        grown = Slab(room(4 * (v + 1) * more) + room(4 * v * more))
                        at = widened(at, v + 1, cap, <int32_t *>grown.claim(4 * (v + 1) * more), more)
                        size = widened(size, v, cap, <int32_t *>grown.claim(4 * v * more), more)
                        slab = grown
                        cap = more
                a = at + n
                s = size + n
                a[0] = <int32_t>p
                x = p
                for j in range(v):
                    x += gap[j]
                    if x >= q:
                        break
                    length = wire[x]
                    x += 1
                    if length == 255:
                        if x + 2 > q:
                            break
                        length = <Py_ssize_t>wire[x] << 8 | wire[x + 1]
                        x += 2
                    x += length
                    if x > q:
                        break
                    a += cap
                    a[0] = <int32_t>x
                    s[0] = <int32_t>length
                    s += cap
                else:
                    x += gap[v]
                    if x <= q:
                        p = x
                        n += 1
                        continue
                break
            count[i] += <int32_t>n
            rest[i] = <int32_t>p
    return slab.matrix(v + 1, n, cap, at), slab.matrix(v, n, cap, size), count_, rest_
