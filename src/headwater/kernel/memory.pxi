# Memory of results. Fresh pages cost five times what filling them does, so blocks that nobody uses any more are kept
# for the next results: at most POOL_BYTES, oldest out first, guarded by the GIL.

cdef enum:
    LINE = 64  # arrays start on cache lines, as Arrow likes them
    POOL_SLOTS = 32
    POOL_LEAST = 1 << 14  # smaller blocks are left to malloc, which is quick with them
    POOL_BYTES = 1 << 26

cdef struct Block:
    uint8_t *memory
    size_t capacity

cdef Block pool[POOL_SLOTS]
cdef Py_ssize_t pooled = 0
cdef size_t pooled_bytes = 0


cdef Block unpool(Py_ssize_t i) noexcept:
    """Take block i out of the pool."""
    global pooled, pooled_bytes
    cdef Block block = pool[i]
    pooled -= 1
    pooled_bytes -= block.capacity
    memmove(&pool[i], &pool[i] + 1, (pooled - i) * sizeof(Block))
    return block


cdef Block take(size_t size) noexcept:
    """A block of at least `size` octets; its memory is NULL if there is none."""
    cdef Py_ssize_t i, best = -1
    cdef Block block
    cdef size_t step = 1
    if size >= POOL_LEAST:
        for i in range(pooled):
            if size <= pool[i].capacity <= 2 * size and (best < 0 or pool[i].capacity < pool[best].capacity):
                best = i
        if best >= 0:
            return unpool(best)
        while step * 8 <= size:  # up to an eighth of leeway: the next result differs a little and shall fit as well
            step *= 2
        size = (size + step - 1) & ~(step - 1)
    block.memory = <uint8_t *>malloc(size)
    block.capacity = size
    return block


cdef void give(Block block) noexcept:
    global pooled, pooled_bytes
    if not POOL_LEAST <= block.capacity <= POOL_BYTES:
        free(block.memory)
        return
    while pooled == POOL_SLOTS or pooled_bytes + block.capacity > POOL_BYTES:
        free(unpool(0).memory)
    pool[pooled] = block
    pooled += 1
    pooled_bytes += block.capacity


@cython.internal
cdef class Slab:
    """Memory of the arrays of one result, which keep it alive."""

    cdef Block block
    cdef uint8_t *first
    cdef Py_ssize_t size, used

    def __cinit__(self, Py_ssize_t size):
        self.block = take(size + LINE)
        if self.block.memory == NULL:
            raise MemoryError(f"{size} octets for one result")
        self.first = <uint8_t *>((<uintptr_t>self.block.memory + LINE - 1) & ~<uintptr_t>(LINE - 1))
        self.size = size
        hw_close(self.block.memory, self.block.capacity)

    def __dealloc__(self):
        hw_open(self.block.memory, self.block.capacity)
        give(self.block)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.first, self.size, 0, flags)

    cdef uint8_t *claim(self, Py_ssize_t size) except NULL:
        """Memory for the next array."""
        cdef Py_ssize_t at = self.used
        self.used += room(size)
        if self.used > self.size:
            raise MemoryError("a result of more arrays than it has memory for")
        hw_open(self.first + at, size)
        return self.first + at

    cdef object array(self, Py_ssize_t count, object dtype, Py_ssize_t itemsize, void *where, Py_ssize_t slack=0):
        """The next array; *where becomes the address of its items, which `slack` octets of no meaning follow."""
        cdef uint8_t *p = self.claim(count * itemsize + slack)
        (<void **>where)[0] = p
        return ndarray(count, dtype, self, p - self.first)

    cdef object matrix(self, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t capacity, int32_t *p):
        """The first `columns` of `capacity` columns of int32 that were claimed at p."""
        return ndarray((rows, columns), INT32, self, <uint8_t *>p - self.first, (4 * capacity, 4))


cdef inline Py_ssize_t room(Py_ssize_t size) noexcept nogil:
    """What an array of `size` octets takes in a slab."""
    return (size + LINE - 1) & ~<Py_ssize_t>(LINE - 1)
