# Columns to wire octets.

def fresh(size):
    """uint8[size] for messages, of undefined content: memory of results that nobody uses any more."""
    if not 0 <= size <= INT32_MAX:
        raise ValueError(f"{size} octets for messages")
    cdef Py_ssize_t n = size
    cdef uint8_t *p
    return Slab(room(n)).array(n, UINT8, 1, &p)


def pack(sizes, budget, header, *, align=1, most=0):
    """Put records into messages in order, as many as fit -> at[r], first[k+1], begin[k+1].

    sizes: int32[r], octets of each record. budget: octets of records in a message, after `header` octets.
    align: the records of a message take a multiple of so many octets. most: records in a message, 0 = any number.
    at: int32, where each record starts. first: int32, the first record of each message, which are sequence numbers as
    well, then r. begin: int32, where each message starts, then where all end.
    """
    cdef const int32_t[::1] wanted = numbers(sizes)
    if not 1 <= budget <= INT32_MAX or not 0 <= header <= INT32_MAX:
        raise ValueError(f"a budget of {budget} octets after a header of {header}")
    if not 1 <= align <= budget or not 0 <= most <= INT32_MAX:
        raise ValueError(f"at most {most} records, aligned to {align} octets, in a budget of {budget}")
    cdef Py_ssize_t i, k = 0, p = 0, left = -1, n = wanted.shape[0], fixed = header, step = align, whole = budget
    cdef Py_ssize_t limit = most or -1, inside = 0
    whole -= whole % step
    cdef int32_t *at
    cdef int32_t *first
    cdef int32_t *begin
    cdef Slab slab = Slab(room(4 * n) + 2 * room(4 * (n + 1)))
    at_ = slab.array(n, INT32, 4, &at)
    first_ = slab.array(n + 1, INT32, 4, &first)
    begin_ = slab.array(n + 1, INT32, 4, &begin)
    with nogil:
        for i in range(n):
            if not 1 <= wanted[i] <= whole:
                with gil:
                    raise ValueError(f"record {i} of {wanted[i]} octets for a budget of {whole}")
            if wanted[i] > left or inside == limit:
                if k:  # the budget is whole steps, so what is left of it tells how far the last one is filled
                    p += left % step
                first[k] = <int32_t>i
                begin[k] = <int32_t>p
                k += 1
                p += fixed
                left = whole
                inside = 0
            if p + wanted[i] + step > INT32_MAX:
                with gil:
                    raise ValueError("more than 2 GiB of messages")
            at[i] = <int32_t>p
            p += wanted[i]
            left -= wanted[i]
            inside += limit > 0
        if k:
            p += left % step
        first[k] = <int32_t>n
        begin[k] = <int32_t>p
    return at_, first_[:k + 1], begin_[:k + 1]


cdef inline void spread(const uint *values, uint8_t *p, const int32_t *at, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t k
    cdef uint v
    for k in range(n):
        v = swapped(values[k])
        memcpy(p + at[k], &v, sizeof(uint))


cdef inline void spread_reduced(const wide *values, uint8_t *p, const int32_t *at, Py_ssize_t n, int width) noexcept nogil:
    cdef Py_ssize_t k
    cdef uint64_t v
    for k in range(n):
        v = hw_swap8(<uint64_t>values[k])
        memcpy(p + at[k], <uint8_t *>&v + 8 - width, width)


cdef inline void spread_raw(const uint8_t *values, uint8_t *p, const int32_t *at, Py_ssize_t n, size_t width) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        memmove(p + at[k], values + k * width, width)


cdef void spread_tile(Column *cols, Py_ssize_t count, Py_ssize_t k, Py_ssize_t n) noexcept nogil:
    """Write values k..k+n of every column."""
    cdef Py_ssize_t f
    cdef Column *x
    cdef const int32_t *at
    cdef const uint8_t *values
    for f in range(count):
        x = &cols[f]
        at = x.at + k
        values = x.values + k * x.item
        if x.kind == U8:
            spread(<const uint64_t *>values, x.base, at, n)
        elif x.kind == U4:
            spread(<const uint32_t *>values, x.base, at, n)
        elif x.kind == U2:
            spread(<const uint16_t *>values, x.base, at, n)
        elif x.kind == U1:
            spread(values, x.base, at, n)
        elif x.kind >= RAW6:
            spread_raw(values, x.base, at, n, x.width)
        elif x.item == 8:
            spread_reduced(<const uint64_t *>values, x.base, at, n, x.width)
        elif x.item == 4:
            spread_reduced(<const uint32_t *>values, x.base, at, n, x.width)
        else:
            spread_reduced(<const uint16_t *>values, x.base, at, n, x.width)


def scatter(buf, at, plan, columns):
    """Inverse of columns(): write the values of each array at its field of every record, cut to the field's width.

    buf: octets, written to; fields must not overlap. at, plan: as in columns(). columns: one array of r per field.
    """
    cdef uint8_t[::1] wire = writable(buf)
    cdef const int32_t[:, :] rows = table(at), fields = table(plan)
    cdef list arrays = [np.ascontiguousarray(column) for column in columns]
    cdef const uint8_t[::1] values
    cdef Py_ssize_t f, k = 0, n = rows.shape[1], count = fields.shape[0]
    cdef Column *cols = compile_plan(fields, [array.dtype for array in arrays])
    try:
        place_all(cols, wire, rows, fields)
        for f in range(count):
            if arrays[f].shape != (n,):
                raise ValueError(f"column {f} has shape {arrays[f].shape}, not ({n},)")
            if n:
                values = arrays[f].view(UINT8)
                cols[f].values = <uint8_t *>&values[0]
        with nogil:
            while k < n:
                spread_tile(cols, count, k, min(<Py_ssize_t>TILE, n - k))
                k += TILE
    finally:
        free(cols)


cdef inline void copy_octets(uint8_t *to, const uint8_t *source, Py_ssize_t n) noexcept nogil:
    """memcpy for values that are mostly short: whole words, of which the last two may overlap."""
    cdef uint64_t first, last
    cdef uint32_t head, tail
    if n > 32:
        memcpy(to, source, n)
    elif n >= 16:
        memcpy(to, source, 16)
        if n > 16:
            memcpy(&first, source + n - 16, 8)
            memcpy(&last, source + n - 8, 8)
            memcpy(to + n - 16, &first, 8)
            memcpy(to + n - 8, &last, 8)
    elif n >= 8:
        memcpy(&first, source, 8)
        memcpy(&last, source + n - 8, 8)
        memcpy(to, &first, 8)
        memcpy(to + n - 8, &last, 8)
    elif n >= 4:
        memcpy(&head, source, 4)
        memcpy(&tail, source + n - 4, 4)
        memcpy(to, &head, 4)
        memcpy(to + n - 4, &tail, 4)
    elif n:
        to[0] = source[0]
        to[n >> 1] = source[n >> 1]
        to[n - 1] = source[n - 1]


def scatter_strings(buf, end, offsets, data, *, shortest=255):
    """Write variable-length values, each behind its length in 1 octet or 3 (RFC 7011 section 7).

    buf: octets, written to; values must not overlap. end: int32[r], where each value ends.
    offsets: int32[r+1], data: octets: an Arrow binary column.
    shortest: values from so many octets on (255 at most) get 3; 0 = all of them.
    """
    cdef uint8_t[::1] wire = writable(buf)
    cdef const int32_t[::1] ends = numbers(end), bounds = numbers(offsets)
    cdef const uint8_t[::1] values = octets(data)
    if not 0 <= shortest <= 255:
        raise ValueError(f"a length of 3 octets from {shortest} on")
    cdef Py_ssize_t k, length, x, n = ends.shape[0], total = wire.shape[0], least = shortest
    if bounds.shape[0] != n + 1:
        raise ValueError(f"{bounds.shape[0]} offsets for {n} values")
    check_offsets(bounds, values.shape[0])
    for k in range(n):
        if bounds[k + 1] - bounds[k] > 65535:
            raise ValueError(f"value {k} has {bounds[k + 1] - bounds[k]} octets")
    for k in range(n):
        length = bounds[k + 1] - bounds[k]
        if ends[k] - length - (1 if length < least else 3) < 0 or ends[k] > total:
            raise IndexError(f"value {k} of {length} octets up to {ends[k]} is not inside {total} octets")
    if n == 0:
        return
    cdef uint8_t *to = &wire[0]
    cdef const uint8_t *source = &values[0] if values.shape[0] else NULL
    with nogil:
        for k in range(n):
            length = bounds[k + 1] - bounds[k]
            x = ends[k] - length
            copy_octets(to + x, source + bounds[k], length)
            if length < least:
                to[x - 1] = <uint8_t>length
            else:
                to[x - 3] = 255
                to[x - 2] = <uint8_t>(length >> 8)
                to[x - 1] = <uint8_t>length
