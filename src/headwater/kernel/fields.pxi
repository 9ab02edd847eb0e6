# Fixed-size fields: wire octets to columns.

cdef enum:
    SHORT_RUN = 1024  # octets
    TILE = 16  # records whose fields are gathered together: with more, the columns fall out of the first-level cache

cdef enum Kind:
    U1, U2, U4, U8, WIDEN2, WIDEN4, WIDEN8, WIDEN, RAW6, RAW16, RAW

cdef struct Column:
    Kind kind
    int width, item
    bint is_signed
    const int32_t *at  # positions of the records
    uint8_t *base  # where the field of a record at position 0 is
    uint8_t *values

ctypedef fused uint:
    uint8_t
    uint16_t
    uint32_t
    uint64_t

ctypedef fused wide:
    uint16_t
    uint32_t
    uint64_t


cdef inline uint swapped(uint v) noexcept nogil:
    if uint is uint8_t:
        return v
    elif uint is uint16_t:
        return hw_swap2(v)
    elif uint is uint32_t:
        return hw_swap4(v)
    else:
        return hw_swap8(v)


cdef inline uint64_t load(uint _, const uint8_t *p) noexcept nogil:
    cdef uint v
    memcpy(&v, p, sizeof(uint))
    return v


cdef inline void gather(uint *out, const uint8_t *p, const int32_t *at, Py_ssize_t n) noexcept nogil:
    """n integers of their native width, at p + at[k]. Stores are what limits it: whole words, swapped as one."""
    cdef Py_ssize_t k = 0
    cdef uint v = 0
    cdef uint64_t w
    if HW_LITTLE and n == TILE:
        while k < TILE:
            if uint is uint8_t:
                w = (load(v, p + at[k]) | load(v, p + at[k + 1]) << 8 | load(v, p + at[k + 2]) << 16
                     | load(v, p + at[k + 3]) << 24 | load(v, p + at[k + 4]) << 32 | load(v, p + at[k + 5]) << 40
                     | load(v, p + at[k + 6]) << 48 | load(v, p + at[k + 7]) << 56)
            elif uint is uint16_t:
                w = hw_swap8(load(v, p + at[k]) << 48 | load(v, p + at[k + 1]) << 32 | load(v, p + at[k + 2]) << 16
                             | load(v, p + at[k + 3]))
            elif uint is uint32_t:
                w = hw_swap8(load(v, p + at[k]) << 32 | load(v, p + at[k + 1]))
            else:
                w = hw_swap8(load(v, p + at[k]))
            memcpy(out + k, &w, 8)
            k += <Py_ssize_t>(8 // sizeof(uint))
    else:
        for k in range(n):
            out[k] = swapped(<uint>load(v, p + at[k]))


cdef inline void gather_wider(wide *out, const uint8_t *p, const int32_t *at, Py_ssize_t n, int width,
                              bint is_signed) noexcept nogil:
    """gather() of reduced-size integers: the top of a word that ends where the value ends is shifted out."""
    cdef Py_ssize_t k
    cdef uint64_t v
    cdef int spare = 64 - 8 * width
    for k in range(n):
        memcpy(&v, p + at[k] + width - 8, 8)
        v = hw_swap8(v) << spare
        out[k] = <wide>(<uint64_t>(<int64_t>v >> spare) if is_signed else v >> spare)


cdef void gather_slowly(Column *x, const int32_t *at, Py_ssize_t n, uint8_t *out) noexcept nogil:
    """gather_wider() octet by octet, for a field that begins less than a word after the buffer does."""
    cdef Py_ssize_t k
    cdef uint64_t v
    cdef uint32_t v4
    cdef uint16_t v2
    cdef const uint8_t *p
    cdef int j
    for k in range(n):
        p = x.base + at[k]
        v = ~<uint64_t>0 if x.is_signed and p[0] & 0x80 else 0
        for j in range(x.width):
            v = v << 8 | p[j]
        v4 = <uint32_t>v
        v2 = <uint16_t>v
        memcpy(out + k * x.item, <void *>&v if x.item == 8 else <void *>&v4 if x.item == 4 else <void *>&v2, x.item)


cdef inline void gather_raw(uint8_t *out, const uint8_t *p, const int32_t *at, Py_ssize_t n, size_t width) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        memcpy(out + k * width, p + at[k], width)


cdef void gather_tile(Column *cols, Py_ssize_t count, const int32_t *tile, Py_ssize_t k, Py_ssize_t n) noexcept nogil:
    """Values k..k+n of every column, n <= TILE, at the positions of `tile`, or of the column if that is NULL."""
    cdef Py_ssize_t f
    cdef Column *x
    cdef const int32_t *at
    cdef uint8_t *out
    for f in range(count):
        x = &cols[f]
        at = tile if tile != NULL else x.at + k
        out = x.values + k * x.item
        if x.kind == U8:
            gather(<uint64_t *>out, x.base, at, n)
        elif x.kind == U4:
            gather(<uint32_t *>out, x.base, at, n)
        elif x.kind == U2:
            gather(<uint16_t *>out, x.base, at, n)
        elif x.kind == U1:
            gather(out, x.base, at, n)
        elif x.kind == WIDEN8:
            gather_wider(<uint64_t *>out, x.base, at, n, x.width, x.is_signed)
        elif x.kind == WIDEN4:
            gather_wider(<uint32_t *>out, x.base, at, n, x.width, x.is_signed)
        elif x.kind == WIDEN2:
            gather_wider(<uint16_t *>out, x.base, at, n, x.width, x.is_signed)
        elif x.kind == WIDEN:
            gather_slowly(x, at, n, out)
        elif x.kind == RAW16:
            gather_raw(out, x.base, at, n, 16)
        elif x.kind == RAW6:
            gather_raw(out, x.base, at, n, 6)
        else:
            gather_raw(out, x.base, at, n, x.width)


# dtype as given -> itemsize, negative for raw octets: asking numpy takes longer than gathering sixteen values.
cdef dict ITEMS = {}


cdef Py_ssize_t item_of(object given) except 0:
    known = ITEMS.get(given)
    if known is not None:
        return known
    dtype = dtype_of(given)
    if dtype.kind == "V" and dtype.names is None and dtype.subdtype is None and dtype.itemsize:
        ITEMS[given] = -dtype.itemsize
    elif dtype.kind in "uifmM" and dtype.itemsize in (1, 2, 4, 8) and dtype.isnative:
        ITEMS[given] = dtype.itemsize
    else:
        raise ValueError(f"a column of {dtype}")
    return ITEMS[given]


cdef Column *compile_plan(const int32_t[:, :] plan, list dtypes) except NULL:
    """How each field becomes an item of its dtype; the caller frees the result."""
    cdef Py_ssize_t f, item, count = plan.shape[0]
    cdef int width
    cdef Column *x
    if plan.shape[1] != 4 or count != len(dtypes):
        raise ValueError(f"a plan of shape ({count}, {plan.shape[1]}) for {len(dtypes)} columns")
    cdef Column *cols = <Column *>calloc(count + 1, sizeof(Column))
    if cols == NULL:
        raise MemoryError(f"a plan of {count} fields")
    try:
        for f in range(count):
            x = &cols[f]
            item = item_of(dtypes[f])
            width = plan[f, 2]
            if not 1 <= width <= 65535 or (item < 0 and width != -item) or (item > 0 and width > item):
                raise ValueError(f"field {f}: {width} octets into {dtypes[f]}")
            x.width = width
            x.is_signed = plan[f, 3] != 0
            x.item = <int>abs(item)
            if item < 0:
                x.kind = RAW16 if width == 16 else RAW6 if width == 6 else RAW
            elif width == item:
                x.kind = U8 if width == 8 else U4 if width == 4 else U2 if width == 2 else U1
            else:
                x.kind = WIDEN8 if item == 8 else WIDEN4 if item == 4 else WIDEN2
    except:
        free(cols)
        raise
    return cols


cdef int place(Column *x, const uint8_t[::1] wire, Py_ssize_t delta, Py_ssize_t lo, Py_ssize_t hi) except -1:
    """Set where a column reads or writes, for records from position lo to position hi."""
    if lo + delta < 0 or hi + delta + x.width > wire.shape[0]:
        raise IndexError(f"a field of {x.width} octets at {lo + delta}..{hi + delta} is not inside {wire.shape[0]} octets")
    x.base = <uint8_t *>&wire[0] + delta
    if WIDEN2 <= x.kind <= WIDEN8 and lo + delta + x.width < 8:
        x.kind = WIDEN
    return 0


cdef int place_all(Column *cols, const uint8_t[::1] wire, const int32_t[:, :] at, const int32_t[:, :] plan) except -1:
    cdef Py_ssize_t f, k, n = at.shape[1], row = -1
    cdef int32_t lo = 0, hi = 0
    cdef const int32_t *p = NULL
    for f in range(plan.shape[0]):
        if not 0 <= plan[f, 0] < at.shape[0]:
            raise IndexError(f"row {plan[f, 0]} of {at.shape[0]}")
        if n == 0:
            continue
        if plan[f, 0] != row:
            row = plan[f, 0]
            p = &at[row, 0]
            lo = hi = p[0]
            for k in range(n):
                lo = min(lo, p[k])
                hi = max(hi, p[k])
        cols[f].at = p
        place(&cols[f], wire, plan[f, 1], lo, hi)
    return 0


cdef list allocate(Column *cols, list dtypes, Py_ssize_t n):
    cdef Py_ssize_t f, total = 0
    for f in range(len(dtypes)):
        total += room(n * cols[f].item)
    cdef Slab slab = Slab(total)
    return [slab.array(n, dtypes[f], cols[f].item, &cols[f].values) for f in range(len(dtypes))]


def columns(buf, at, plan, dtypes):
    """Gather fixed-size fields of records -> one array per row of the plan, of its dtype.

    buf: octets. at: int32[*, r], positions in each record (see scan).
    plan: int32[f, 4], per field (row of `at`, octets from there, width on the wire, is signed).
    dtypes: one of each field: a native integer, float or time of 1, 2, 4 or 8 octets, which a reduced-size integer is
    widened to; or V<width>, the octets as they are.
    """
    cdef const uint8_t[::1] wire = octets(buf)
    cdef const int32_t[:, :] rows = table(at), fields = table(plan)
    cdef list wanted = list(dtypes)
    cdef Py_ssize_t k = 0, n = rows.shape[1], count = fields.shape[0]
    cdef Column *cols = compile_plan(fields, wanted)
    try:
        place_all(cols, wire, rows, fields)
        out = allocate(cols, wanted, n)
        with nogil:
            while k < n:
                gather_tile(cols, count, NULL, k, min(<Py_ssize_t>TILE, n - k))
                k += TILE
    finally:
        free(cols)
    return out


def runs(buf, start, count, stride, plan, dtypes):
    """columns() of records without variable-length fields, count[i] of them from start[i] on.

    start, count: int32[m]. stride: octets of a record. Rows of the plan are (0, octets from the start, width, is signed).
    """
    cdef const uint8_t[::1] wire = octets(buf)
    cdef const int32_t[::1] starts = numbers(start), counts = numbers(count)
    cdef const int32_t[:, :] fields = table(plan)
    if not 1 <= stride <= INT32_MAX:
        raise ValueError(f"records of {stride} octets")
    cdef list wanted = list(dtypes)
    cdef Py_ssize_t f, i, p, last, n = 0, k = 0, c = 0, step = stride, m = starts.shape[0], width = fields.shape[0]
    cdef Py_ssize_t lo = INT32_MAX, hi = 0
    cdef int32_t tile[TILE]
    if m != counts.shape[0]:
        raise ValueError(f"{m} starts but {counts.shape[0]} counts")
    cdef Column *cols = compile_plan(fields, wanted)
    try:
        for i in range(m):
            last = starts[i] + (counts[i] - 1) * step
            if starts[i] < 0 or counts[i] < 0 or last > INT32_MAX:
                raise IndexError(f"{counts[i]} records at {starts[i]}")
            if counts[i]:
                lo = min(lo, <Py_ssize_t>starts[i])
                hi = max(hi, last)
                n += counts[i]
        for f in range(width):
            if fields[f, 0] != 0:
                raise IndexError(f"row {fields[f, 0]} of 1")
            if n:
                place(&cols[f], wire, fields[f, 1], lo, hi)
        out = allocate(cols, wanted, n)
        with nogil:
            for i in range(m if width else 0):
                p = starts[i]
                # Short runs are too scattered for the processor to foresee. A run of records lies inside the buffer.
                if i + 2 < m and 0 < counts[i + 2] * step < SHORT_RUN:
                    for f in range(counts[i + 2] * step // LINE + 1):
                        hw_prefetch(&wire[min(starts[i + 2] + f * LINE, wire.shape[0] - 1)])
                for f in range(counts[i]):
                    tile[c] = <int32_t>p
                    p += step
                    c += 1
                    if c == TILE:
                        gather_tile(cols, width, tile, k, TILE)
                        k += TILE
                        c = 0
            gather_tile(cols, width, tile, k, c)
    finally:
        free(cols)
    return out
