# Arguments: whatever exports a buffer of the right shape, or ValueError; TypeError for what is no buffer at all.

cdef enum:
    ADDRESSES = 40  # octets of the key of a peer, see dissect()
    WORDS = 10  # of 4 octets


cdef const uint8_t[::1] octets(object given):
    """Any contiguous buffer of octets."""
    if given is None:
        raise TypeError("None is not a buffer")
    try:
        return given
    except BufferError as error:
        raise ValueError(str(error)) from None


cdef uint8_t[::1] writable(object given):
    """octets() that may be written."""
    if given is None:
        raise TypeError("None is not a buffer")
    try:
        return given
    except BufferError as error:
        raise ValueError(str(error)) from None


cdef const int32_t[::1] numbers(object given):
    """int32[n], contiguous and aligned."""
    cdef const int32_t[::1] view
    if given is None:
        raise TypeError("None is not an array")
    try:
        view = given
    except BufferError as error:
        raise ValueError(str(error)) from None
    if view.shape[0] and <uintptr_t>&view[0] & 3:
        raise ValueError("numbers are not aligned")
    return view


cdef const int32_t[:, :] table(object given):
    """int32[rows, n] of contiguous, aligned rows."""
    cdef const int32_t[:, :] view
    if given is None:
        raise TypeError("None is not an array")
    try:
        view = given
    except BufferError as error:
        raise ValueError(str(error)) from None
    if view.shape[0] and view.shape[1]:
        if (view.shape[1] > 1 and view.strides[1] != 4) or view.strides[0] & 3 or <uintptr_t>&view[0, 0] & 3:
            raise ValueError("rows of numbers are not contiguous")
    return view


cdef const uint8_t[:, ::1] keys_of(object given):
    """uint8[k, 40], contiguous."""
    cdef const uint8_t[:, ::1] view
    if given is None:
        raise TypeError("None is not an array")
    try:
        view = given
    except BufferError as error:
        raise ValueError(str(error)) from None
    if view.shape[1] != ADDRESSES:
        raise ValueError(f"keys of {view.shape[1]} octets")
    return view


cdef int check_spans(const uint8_t[::1] wire, const int32_t[::1] starts, const int32_t[::1] ends) except -1:
    cdef Py_ssize_t i, total = wire.shape[0]
    if starts.shape[0] != ends.shape[0]:
        raise ValueError(f"{starts.shape[0]} starts but {ends.shape[0]} ends")
    for i in range(starts.shape[0]):
        if not 0 <= starts[i] <= ends[i] <= total:
            raise IndexError(f"span {i} ({starts[i]}..{ends[i]}) is not inside {total} octets")
    return 0


cdef int check_offsets(const int32_t[::1] offsets, Py_ssize_t total) except -1:
    cdef Py_ssize_t k, n = offsets.shape[0] - 1
    cdef bint wrong = False
    if n < 0:
        raise ValueError("no offsets")
    cdef const int32_t *p = &offsets[0]
    with nogil:
        for k in range(n):
            wrong |= p[k] > p[k + 1]
    if wrong or p[0] < 0 or p[n] > total:
        raise IndexError(f"offsets {p[0]}..{p[n]} do not ascend inside {total} octets")
    return 0
