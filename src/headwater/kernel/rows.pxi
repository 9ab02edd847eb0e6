# Rows of Python objects: the one loop that makes objects, because a dict for each record is what people ask for.

cdef extern from "Python.h":
    ctypedef struct PyObject
    int PyObject_GetBuffer(object, Py_buffer *, int) except -1
    void PyBuffer_Release(Py_buffer *)
    enum: PyBUF_C_CONTIGUOUS
    object PyDict_Copy(object)
    int PyDict_SetItem(object, object, object) except -1
    object PyLong_FromUnsignedLongLong(unsigned long long)
    object PyLong_FromLongLong(long long)
    object PyUnicode_FromStringAndSize(const char *, Py_ssize_t)
    PyObject *PyList_GetItem(object, Py_ssize_t) except NULL
    PyObject *PyTuple_GetItem(object, Py_ssize_t) except NULL

cdef enum Cells:
    OBJECTS, UNSIGNED1, UNSIGNED2, UNSIGNED4, UNSIGNED8, SIGNED1, SIGNED2, SIGNED4, SIGNED8, DOTTED

cdef struct Source:
    Cells kind
    const uint8_t *values
    bint is_open
    Py_buffer buffer

cdef dict CELLS = {
    ("u", 1): UNSIGNED1, ("u", 2): UNSIGNED2, ("u", 4): UNSIGNED4, ("u", 8): UNSIGNED8,
    ("i", 1): SIGNED1, ("i", 2): SIGNED2, ("i", 4): SIGNED4, ("i", 8): SIGNED8,
}
cdef char[256][4] NUMBERS  # "0." … "255.", what follows the point has no meaning
cdef uint8_t[256] DIGITS


cdef int write_numbers() except -1:
    cdef int i, j
    for i in range(256):
        text = str(i).encode() + b"..."
        DIGITS[i] = <uint8_t>(len(text) - 3)
        for j in range(4):
            NUMBERS[i][j] = text[j]
    return 0


write_numbers()


cdef inline object dotted_quad(uint32_t address):
    cdef char[20] text
    cdef int shift, octet, p = 0
    for shift in range(24, -1, -8):
        octet = address >> shift & 255
        memcpy(text + p, NUMBERS[octet], 4)
        p += DIGITS[octet] + 1
    return PyUnicode_FromStringAndSize(text, p - 1)


@cython.internal
cdef class DictRows:
    """Iterator of dicts()."""

    cdef Source *sources
    cdef tuple names
    cdef list columns
    cdef object empty
    cdef Py_ssize_t row, count, width

    def __cinit__(self, tuple names not None, columns not None, dotted not None):
        cdef Py_ssize_t i
        self.names = names
        self.columns = list(columns)
        self.empty = dict.fromkeys(names)
        as_text = list(dotted)
        self.width = len(names)
        if self.width != len(self.columns) or self.width != len(as_text):
            raise ValueError(f"{self.width} names for {len(self.columns)} columns")
        self.sources = <Source *>calloc(self.width + 1, sizeof(Source))
        if self.sources == NULL:
            raise MemoryError(f"{self.width} columns")
        self.count = len(self.columns[0]) if self.width else 0
        for i in range(self.width):
            self.open(&self.sources[i], self.columns[i], as_text[i])

    cdef int open(self, Source *x, object column, bint as_text) except -1:
        if len(column) != self.count:
            raise ValueError(f"columns of {self.count} and of {len(column)} rows")
        if type(column) is list:
            return 0
        if type(column) is not ndarray:  # a mask, say, would be overlooked
            raise TypeError(f"a column that is a {type(column).__name__}")
        kind = CELLS.get((column.dtype.kind, column.dtype.itemsize))
        if column.ndim != 1 or kind is None or not column.dtype.isnative or (as_text and kind != UNSIGNED4):
            raise ValueError(f"a column of {column.dtype}")
        if not column.flags.c_contiguous or not column.flags.aligned:
            raise ValueError("numbers are not contiguous and aligned")
        PyObject_GetBuffer(column, &x.buffer, PyBUF_C_CONTIGUOUS)
        x.is_open = True
        x.values = <const uint8_t *>x.buffer.buf
        x.kind = DOTTED if as_text else kind
        return 0

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.sources != NULL:
            for i in range(self.width):
                if self.sources[i].is_open:
                    PyBuffer_Release(&self.sources[i].buffer)
            free(self.sources)

    def __iter__(self):
        return self

    def __next__(self):
        cdef Py_ssize_t i, k = self.row
        cdef Source *x
        if k >= self.count:
            raise StopIteration
        self.row += 1
        made = PyDict_Copy(self.empty)  # a copy has its final size, and the keys in their places
        for i in range(self.width):
            x = &self.sources[i]
            if x.kind == UNSIGNED8:
                cell = PyLong_FromUnsignedLongLong((<const uint64_t *>x.values)[k])
            elif x.kind == UNSIGNED4:
                cell = PyLong_FromUnsignedLongLong((<const uint32_t *>x.values)[k])
            elif x.kind == DOTTED:
                cell = dotted_quad((<const uint32_t *>x.values)[k])
            elif x.kind == UNSIGNED2:
                cell = PyLong_FromUnsignedLongLong((<const uint16_t *>x.values)[k])
            elif x.kind == UNSIGNED1:
                cell = PyLong_FromUnsignedLongLong(x.values[k])
            elif x.kind == OBJECTS:
                cell = <object>PyList_GetItem(self.columns[i], k)
            elif x.kind == SIGNED8:
                cell = PyLong_FromLongLong((<const int64_t *>x.values)[k])
            elif x.kind == SIGNED4:
                cell = PyLong_FromLongLong((<const int32_t *>x.values)[k])
            elif x.kind == SIGNED2:
                cell = PyLong_FromLongLong((<const int16_t *>x.values)[k])
            else:
                cell = PyLong_FromLongLong((<const int8_t *>x.values)[k])
            PyDict_SetItem(made, <object>PyTuple_GetItem(self.names, i), cell)
        return made


def dicts(names, columns, dotted):
    """Iterate over one dict per row of columns that are lists, or arrays of integers.

    dotted: per column, whether its uint32 are IPv4 addresses that are wanted as text.
    """
    return DictRows(names, columns, dotted)
