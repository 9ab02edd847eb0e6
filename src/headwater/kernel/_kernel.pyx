# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True, initializedcheck=False
# cython: auto_pickle=False, autotestdict=False, show_performance_hints=False
"""The loops between wire octets and columns.

Positions are int32 into one octet buffer. Every argument is checked before the first octet is touched, so the worst a
wrong argument can do is raise ValueError (wrong shape, dtype or plan) or IndexError (a position outside the buffer).
Loops that follow lengths found on the wire read through bounds-checked views; only checking, gathering, scattering,
copying and taking packets apart use pointers, all but the first behind a check of every position. No octet of the buffer is trusted a second time,
so a buffer that changes during a call gives nonsense and no more. The GIL is released in the loops; arrays of positions
must not change then.

The arrays of one result share one block of memory: keeping one of them keeps the block.
"""

cimport cython
from libc.stdint cimport INT32_MAX, INT64_MAX, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memmove

from operator import index
from os import urandom

import numpy as np

cdef extern from "Python.h":
    int PyBuffer_FillInfo(Py_buffer *, object, void *, Py_ssize_t, int, int) except -1

cdef extern from *:
    """
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
      #define HW_LITTLE 0
      #define hw_swap2(v) (v)
      #define hw_swap4(v) (v)
      #define hw_swap8(v) (v)
    #else
      #define HW_LITTLE 1
      #if defined(_MSC_VER)
        #include <stdlib.h>
        #define hw_swap2 _byteswap_ushort
        #define hw_swap4 _byteswap_ulong
        #define hw_swap8 _byteswap_uint64
      #else
        #define hw_swap2 __builtin_bswap16
        #define hw_swap4 __builtin_bswap32
        #define hw_swap8 __builtin_bswap64
      #endif
    #endif
    #if defined(__GNUC__)
      #define hw_prefetch(p) __builtin_prefetch(p)
    #else
      #define hw_prefetch(p) ((void)(p))
    #endif
    #if defined(__SANITIZE_ADDRESS__)
      /* A sanitizer build sees the gaps between the arrays of one block, and blocks that nobody uses. */
      #include <sanitizer/asan_interface.h>
      #define hw_close(p, n) __asan_poison_memory_region(p, n)
      #define hw_open(p, n) __asan_unpoison_memory_region(p, n)
    #else
      #define hw_close(p, n) ((void)(p))
      #define hw_open(p, n) ((void)(p))
    #endif
    """
    const bint HW_LITTLE
    uint16_t hw_swap2(uint16_t) nogil
    uint32_t hw_swap4(uint32_t) nogil
    uint64_t hw_swap8(uint64_t) nogil
    void hw_prefetch(const void *) nogil
    void hw_close(void *, size_t) nogil
    void hw_open(void *, size_t) nogil

cdef object ndarray = np.ndarray, dtype_of = np.dtype
cdef object INT32 = np.dtype(np.int32), UINT32 = np.dtype(np.uint32)
cdef object UINT16 = np.dtype(np.uint16), UINT8 = np.dtype(np.uint8)
cdef object BOOL = np.dtype(np.bool_)

include "memory.pxi"
include "arguments.pxi"
include "framing.pxi"
include "fields.pxi"
include "values.pxi"
include "encoding.pxi"
include "rows.pxi"
include "gathering.pxi"
include "packets.pxi"
include "dissection.pxi"
