/* Columns of the hand-written decoders: a table is its fields, each written from the wire into an array of its own.
 *
 * FIELDS(X) holds one line per field: X(column type, name, bits on the wire, offset in the record).
 */
#ifndef COLUMNS_H
#define COLUMNS_H

#include "worker.h"

typedef struct { uint64_t half[2]; } address; /* 16 octets in wire order */

static inline uint8_t get8(const uint8_t *p) { return *p; }
static inline uint16_t get16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return __builtin_bswap16(v); }
static inline uint32_t get32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return __builtin_bswap32(v); }
static inline uint64_t get64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return __builtin_bswap64(v); }
static inline address get128(const uint8_t *p) { address v; memcpy(&v, p, 16); return v; }
static inline uint64_t sum_address(address v) { return __builtin_bswap64(v.half[0]) + __builtin_bswap64(v.half[1]); }
#define sum_of(v) _Generic((v), address: sum_address, default: sum_integer)(v)
static inline uint64_t sum_integer(uint64_t v) { return v; }

#define MEMBER(type, name, bits, at) type *name;
#define ALLOCATE(type, name, bits, at) t->name = column(capacity * sizeof(type));
#define DECODE(type, name, bits, at) t.name[n] = get##bits(p + (at));
#define SUM(type, name, bits, at) for (size_t i = 0; i < t->n; i++) sum += sum_of(t->name[i]);
#define TABLE(name, FIELDS)                                                                                            \
    struct name { size_t n; FIELDS(MEMBER) };                                                                          \
    static void allocate_##name(struct name *t, size_t capacity) { FIELDS(ALLOCATE) }                                  \
    static inline void decode_##name(const struct name t, const uint8_t *p, size_t n) { FIELDS(DECODE) }               \
    static uint64_t sum_##name(const struct name *t) { uint64_t sum = 0; FIELDS(SUM) return sum; }                     \
    static struct name name;

static void *column(size_t size) {
    static size_t stagger; /* the columns advance together: keep them off one another's cache sets */
    stagger = (stagger + 1088) & 4095;
    char *memory = malloc(size + 8192);
    if (!memory) die("out of memory");
    memset(memory, 1, size + 8192);
    return memory + (stagger & ~(size_t)63);
}

#endif
