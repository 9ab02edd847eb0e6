# Variable-length values: wire octets to Arrow binary and text.

cdef enum:
    SLACK = 128  # octets that may be written after the last value of a column

cdef uint8_t NOTHING = 0  # what an empty buffer points to


cdef inline void copy_values(const uint8_t *buf, Py_ssize_t total, const int32_t *end, const int32_t *size, Py_ssize_t n,
                             int32_t *offsets, uint8_t *data, Py_ssize_t chunk) noexcept nogil:
    """Copy values one after the other, most by a copy of constant length whose excess the next value overwrites:
    cheaper than a call that branches on every length."""
    cdef Py_ssize_t k, length, begin, p = 0
    for k in range(n):
        offsets[k] = <int32_t>p
        length = size[k]
        begin = end[k] - length
        if length <= chunk and begin <= total - chunk:
            memcpy(data + p, buf + begin, chunk)
        else:
            memcpy(data + p, buf + begin, length)
        p += length
    offsets[n] = <int32_t>p


def strings(buf, end, size):
    """Copy variable-length values -> offsets int32[r+1], data uint8[*]: an Arrow binary column.

    buf: octets. end, size: int32[r], where the content of each value ends and its octets (rows of scan's result).
    """
    cdef const uint8_t[::1] wire = octets(buf)
    cdef const int32_t[::1] ends_ = numbers(end), sizes_ = numbers(size)
    cdef Py_ssize_t k, n = ends_.shape[0], total = wire.shape[0], needed = 0
    cdef bint wrong = False
    cdef uint32_t limit = <uint32_t>min(total, <Py_ssize_t>INT32_MAX)
    if n != sizes_.shape[0]:
        raise ValueError(f"{n} ends but {sizes_.shape[0]} sizes")
    cdef const uint8_t *source = &wire[0] if total else &NOTHING
    cdef const int32_t *ends = &ends_[0] if n else NULL
    cdef const int32_t *sizes = &sizes_[0] if n else NULL
    with nogil:
        for k in range(n):  # as unsigned numbers, negative ones are out of range as well
            wrong |= (<uint32_t>ends[k] > limit) | (<uint32_t>sizes[k] > <uint32_t>ends[k])
            needed += sizes[k]
    if wrong:
        raise IndexError(f"a value is not inside {total} octets")
    if needed > INT32_MAX:
        raise ValueError("more than 2 GiB of values in one column")
    cdef int32_t *offsets
    cdef uint8_t *data
    cdef Slab slab = Slab(room(4 * (n + 1)) + room(needed + SLACK))
    out = (slab.array(n + 1, INT32, 4, &offsets), slab.array(needed, UINT8, 1, &data, SLACK))
    with nogil:  # most values are no longer than twice the mean
        if needed <= 16 * n:
            copy_values(source, total, ends, sizes, n, offsets, data, 32)
        elif needed <= 32 * n:
            copy_values(source, total, ends, sizes, n, offsets, data, 64)
        elif needed <= 48 * n:
            copy_values(source, total, ends, sizes, n, offsets, data, 96)
        else:
            copy_values(source, total, ends, sizes, n, offsets, data, SLACK)
    return out


cdef bint is_utf8(const uint8_t *p, const uint8_t *q, bint *plain) noexcept nogil:
    """p..q is well-formed by table 3-7 of Unicode; *plain is cleared if it is not ASCII."""
    cdef uint64_t a, b, c, d
    cdef uint8_t lead, low, high
    cdef Py_ssize_t more
    while p < q:
        if q - p >= 32:
            memcpy(&a, p, 8)
            memcpy(&b, p + 8, 8)
            memcpy(&c, p + 16, 8)
            memcpy(&d, p + 24, 8)
            if not (a | b | c | d) & <uint64_t>0x8080808080808080:
                p += 32
                continue
            if not a & <uint64_t>0x8080808080808080:
                p += 8
                continue
        lead = p[0]
        p += 1
        if lead < 0x80:
            continue
        plain[0] = False
        low = 0x80
        high = 0xBF
        if lead < 0xC2:  # a continuation, or an overlong form of ASCII
            return False
        elif lead < 0xE0:
            more = 1
        elif lead < 0xF0:
            more = 2
            if lead == 0xE0:  # overlong below
                low = 0xA0
            elif lead == 0xED:  # surrogates above
                high = 0x9F
        elif lead < 0xF5:
            more = 3
            if lead == 0xF0:  # overlong below
                low = 0x90
            elif lead == 0xF4:  # more than U+10FFFF above
                high = 0x8F
        else:
            return False
        if q - p < more or not low <= p[0] <= high:
            return False
        if more > 1 and p[1] & 0xC0 != 0x80:
            return False
        if more > 2 and p[2] & 0xC0 != 0x80:
            return False
        p += more
    return True


cdef bint are_utf8(const uint8_t *data, const int32_t *offsets, Py_ssize_t n) noexcept nogil:
    """All n values are well-formed, because all of them together are and none starts inside a character."""
    cdef Py_ssize_t k
    cdef bint plain = True
    if not is_utf8(data + offsets[0], data + offsets[n], &plain):
        return False
    if not plain:
        for k in range(n):
            if offsets[k] < offsets[n] and data[offsets[k]] & 0xC0 == 0x80:
                return False
    return True


def utf8(offsets, data):
    """Which values of an Arrow binary column are well-formed UTF-8 -> bool[r], or None if all are.

    offsets: int32[r+1]. data: octets.
    """
    cdef const int32_t[::1] bounds = numbers(offsets)
    cdef const uint8_t[::1] text = octets(data)
    check_offsets(bounds, text.shape[0])
    cdef Py_ssize_t k, n = bounds.shape[0] - 1
    cdef bint fine
    cdef uint8_t *good
    cdef const int32_t *at = &bounds[0]
    cdef const uint8_t *source = &text[0] if text.shape[0] else &NOTHING
    with nogil:
        fine = are_utf8(source, at, n)
    if fine:
        return None
    out = Slab(room(n)).array(n, BOOL, 1, &good)
    with nogil:
        for k in range(n):
            good[k] = is_utf8(source + at[k], source + at[k + 1], &fine)
    return out
