# Rows of Python objects to columns: the inverse of rows.pxi.

cdef extern from "Python.h":
    # with borrowed references: counting them costs as much as looking at the numbers does
    PyObject *PyDict_GetItemWithError(PyObject *, PyObject *) except? NULL
    PyObject *borrowed_of_list "PyList_GetItem"(PyObject *, Py_ssize_t)
    PyObject *borrowed_of_tuple "PyTuple_GetItem"(PyObject *, Py_ssize_t)
    int PyDict_Check(PyObject *)
    int PyTuple_Check(PyObject *)
    Py_ssize_t PyTuple_Size(PyObject *)
    PyObject *PyErr_Occurred()
    void PyErr_Clear()
    int PyLong_CheckExact(PyObject *)
    unsigned long long PyLong_AsUnsignedLongLong(PyObject *)
    long long PyLong_AsLongLongAndOverflow(PyObject *, int *)
    int PyFloat_CheckExact(PyObject *)
    double PyFloat_AsDouble(PyObject *)

cdef frozenset NUMBERS_IN_ROWS = frozenset(("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"))

cdef enum Number:
    ANYTHING, WHOLE, NEGATIVE_TOO, REAL

cdef struct Gathered:
    Number kind
    int item
    long long least, most  # of what is no more than 63 bits
    PyObject *key  # in a dict
    uint8_t *values


cdef inline bint put_number(Gathered *x, PyObject *value, Py_ssize_t k) noexcept:
    """Store a value in its column; False if it is not of the kind or does not fit."""
    cdef unsigned long long whole
    cdef long long either
    cdef double real
    cdef float single
    cdef int overflow = 0
    if value == NULL:
        return False
    if x.kind == REAL:
        if not PyFloat_CheckExact(value):
            return False
        real = PyFloat_AsDouble(value)
        if x.item == 4:
            single = <float>real
            if single != real and real == real:
                return False
            memcpy(x.values + k * 4, &single, 4)
        else:
            memcpy(x.values + k * 8, &real, 8)
        return True
    if not PyLong_CheckExact(value):
        return False
    either = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow:
        if overflow < 0 or x.kind != WHOLE or x.item != 8:
            return False
        whole = PyLong_AsUnsignedLongLong(value)
        if whole == <unsigned long long>-1 and PyErr_Occurred() != NULL:
            PyErr_Clear()
            return False
        (<uint64_t *>x.values)[k] = whole
        return True
    if not x.least <= either <= x.most:
        return False
    if x.item == 8:
        (<int64_t *>x.values)[k] = either
    elif x.item == 4:
        (<int32_t *>x.values)[k] = <int32_t>either
    elif x.item == 2:
        (<int16_t *>x.values)[k] = <int16_t>either
    else:
        (<int8_t *>x.values)[k] = <int8_t>either
    return True


cdef inline PyObject *cell_of(PyObject *row, PyObject *key, Py_ssize_t f) except? NULL:
    """A cell of a dict, NULL where it has no such key, or of a tuple."""
    return borrowed_of_tuple(row, f) if key == NULL else PyDict_GetItemWithError(row, key)


def gather_rows(rows, keys, dtypes):
    """Columns of rows -> for each dtype an array, or a list of the objects where not all are numbers that fit it.

    rows: list of dicts, or of tuples if keys is None. keys: the names of the columns; a dict without one has None.
    dtypes: one for each column, a native integer or float; None = the objects are wanted. True and False are no
    numbers here.
    """
    cdef list given = list(rows), wanted = list(dtypes), columns = []
    cdef tuple names = keys
    cdef Py_ssize_t i, f, n = len(given), width = len(wanted)
    cdef uint8_t[::1] octets
    cdef Gathered *x
    cdef PyObject *key
    cdef PyObject *cell
    cdef PyObject *row_at
    if names is not None and len(names) != width:
        raise ValueError(f"{len(names)} keys for {width} columns")
    cdef Gathered *cols = <Gathered *>calloc(width + 1, sizeof(Gathered))
    if cols == NULL:
        raise MemoryError(f"{width} columns")
    try:
        for f in range(width):
            if wanted[f] is None:
                columns.append(None)
                continue
            dtype = dtype_of(wanted[f])
            if dtype.kind + str(dtype.itemsize) not in NUMBERS_IN_ROWS or not dtype.isnative:
                raise ValueError(f"a column of {dtype}")
            values = np.empty(n, dtype)
            columns.append(values)
            x = &cols[f]
            x.kind = WHOLE if dtype.kind == "u" else NEGATIVE_TOO if dtype.kind == "i" else REAL
            x.item = dtype.itemsize
            x.key = NULL if names is None else borrowed_of_tuple(<PyObject *>names, f)
            x.least = 0 if x.kind == WHOLE else -1 - (INT64_MAX >> (64 - 8 * x.item))
            x.most = INT64_MAX >> (64 - 8 * x.item - (x.kind == WHOLE and x.item < 8))
            if n:
                octets = values.view(UINT8)
                x.values = &octets[0]
        for i in range(n):  # the objects of a row were mostly made together, so they lie together
            row_at = borrowed_of_list(<PyObject *>given, i)
            if names is None:
                if not PyTuple_Check(row_at):
                    raise TypeError(f"row {i} is no tuple")
                if PyTuple_Size(row_at) != width:
                    raise ValueError(f"row {i} has {len(given[i])} values, not {width}")
            elif not PyDict_Check(row_at):
                raise TypeError(f"row {i} is no dict")
            for f in range(width):
                x = &cols[f]
                if x.kind == ANYTHING:
                    continue
                if names is None:
                    cell = borrowed_of_tuple(row_at, f)
                else:
                    cell = PyDict_GetItemWithError(row_at, x.key)
                if not put_number(x, cell, i):
                    x.kind = ANYTHING
                    columns[f] = None
    finally:
        free(cols)
    for f in range(width):
        if columns[f] is None:
            key = NULL if names is None else borrowed_of_tuple(<PyObject *>names, f)
            objects = []
            for row in given:
                cell = cell_of(<PyObject *>row, key, f)
                objects.append(None if cell == NULL else <object>cell)
            columns[f] = objects
    return columns
