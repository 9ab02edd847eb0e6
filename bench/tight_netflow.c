/* Hand-written decoders of the captures S5 and S6 (captures.py): the yardstick, as tight.c is for IPFIX.
 *
 * The same job as headwater's, with the templates compiled in:
 * - framing: every record of the pcap file against the data, Ethernet type, IPv4 version, header and total length,
 *   fragments, protocol, UDP length, each against what encloses it;
 * - sessions: exporter found by addresses and ports in a hash table, sequence number against its running count (v9:
 *   datagrams, v5: flows); export time, uptime, sequence, domain, arrival, exporter and offset of each packet into
 *   arrays;
 * - v9: id and length of every FlowSet, whole records only, a rest shorter than a record is padding; v5: the count
 *   against the length; every field of every record into a column of its own, of the column type of its element
 *   (counters are 4 octets on the wire and 64 bits in their columns, v5 interfaces and AS numbers 2 and 32 bits);
 * - the data is taken in windows of at most 4 MiB; the columns of a window are written over those of the last one.
 * What it does not do: learn templates (template FlowSets are stepped over), more than one domain of an exporter, other
 * link layers, reassembly, tell what is wrong with malformed data (it stops), or run on a big-endian machine.
 */
#include "columns.h"

enum { WINDOW = 4 << 20, FLOW_ID = 256, SAMPLER_ID = 257, PCAP_HEAD = 24, RECORD_HEAD = 16, ETHERNET = 14 };

#define FLOW9(X)                                                                                                       \
    X(uint32_t, source, 32, 0) X(uint32_t, destination, 32, 4) X(uint32_t, next_hop, 32, 8)                            \
    X(uint32_t, ingress, 32, 12) X(uint32_t, egress, 32, 16) X(uint64_t, packets, 32, 20) X(uint64_t, octets, 32, 24)  \
    X(uint32_t, start, 32, 28) X(uint32_t, end, 32, 32) X(uint16_t, source_port, 16, 36)                               \
    X(uint16_t, destination_port, 16, 38) X(uint16_t, tcp_flags, 8, 40) X(uint8_t, protocol, 8, 41)                    \
    X(uint8_t, service, 8, 42) X(uint32_t, source_as, 32, 43) X(uint32_t, destination_as, 32, 47)                      \
    X(uint8_t, source_prefix, 8, 51) X(uint8_t, destination_prefix, 8, 52) X(uint8_t, direction, 8, 53)                \
    X(uint8_t, sampler, 8, 54)
#define FLOW5(X)                                                                                                       \
    X(uint32_t, source, 32, 0) X(uint32_t, destination, 32, 4) X(uint32_t, next_hop, 32, 8)                            \
    X(uint32_t, ingress, 16, 12) X(uint32_t, egress, 16, 14) X(uint64_t, packets, 32, 16) X(uint64_t, octets, 32, 20)  \
    X(uint32_t, start, 32, 24) X(uint32_t, end, 32, 28) X(uint16_t, source_port, 16, 32)                               \
    X(uint16_t, destination_port, 16, 34) X(uint16_t, tcp_flags, 8, 37) X(uint8_t, protocol, 8, 38)                    \
    X(uint8_t, service, 8, 39) X(uint32_t, source_as, 16, 40) X(uint32_t, destination_as, 16, 42)                      \
    X(uint8_t, source_prefix, 8, 44) X(uint8_t, destination_prefix, 8, 45)
#define SAMPLER(X)                                                                                                     \
    X(uint32_t, system, 32, 0) X(uint8_t, id, 8, 4) X(uint8_t, mode, 8, 5) X(uint32_t, interval, 32, 6)
enum { FLOW9_SIZE = 55, FLOW5_SIZE = 48, SAMPLER_SIZE = 10, HEAD9 = 20, HEAD5 = 24 };

TABLE(flow9, FLOW9)
TABLE(flow5, FLOW5)
TABLE(sampler, SAMPLER)

static inline uint32_t little32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }

/* Exporters by addresses and ports; slots of a hash table of which at most half is used. */
enum { SLOTS = 256 };
struct exporter { uint64_t addresses; uint32_t ports, domain, expected, known; };
static struct exporter exporters[SLOTS];
static size_t exporter_count;
static struct {
    size_t n;
    uint32_t *export_time, *uptime, *sequence, *domain, *exporter;
    uint64_t *arrival, *offset;
} packets;

static inline struct exporter *exporter_of(const uint8_t *addresses, const uint8_t *ports) {
    uint64_t pair;
    uint32_t both;
    memcpy(&pair, addresses, 8);
    memcpy(&both, ports, 4);
    uint64_t hash = (pair ^ (uint64_t)both << 21) * 0x9E3779B97F4A7C15u;
    for (size_t slot = hash >> 56;; slot = (slot + 1) % SLOTS) {
        struct exporter *e = &exporters[slot];
        if (e->known && e->addresses == pair && e->ports == both) return e;
        if (e->known) continue;
        if (++exporter_count > SLOTS / 2) die("too many exporters");
        *e = (struct exporter){.addresses = pair, .ports = both};
        return e;
    }
}

static inline void follow(struct exporter *e, uint32_t domain, uint32_t sequence, uint32_t count) {
    if (e->known && e->domain != domain) die("another domain of an exporter");
    if (e->known && e->expected != sequence) die("lost packets");
    e->known = 1;
    e->domain = domain;
    e->expected = sequence + count;
}

static inline void flow9_set(const uint8_t *p, const uint8_t *end) {
    const struct flow9 t = flow9; /* a copy, so that the pointers stay in registers */
    size_t n = t.n;
    for (; end - p >= FLOW9_SIZE; p += FLOW9_SIZE) decode_flow9(t, p, n++);
    flow9.n = n;
}

static inline void sampler_set(const uint8_t *p, const uint8_t *end) {
    for (; end - p >= SAMPLER_SIZE; p += SAMPLER_SIZE) decode_sampler(sampler, p, sampler.n++);
}

static inline void packet9(const uint8_t *p, const uint8_t *end) {
    for (p += HEAD9; p < end;) {
        if (end - p < 4) die("a torn FlowSet header");
        size_t id = get16(p), length = get16(p + 2);
        if (length < 4 || length > (size_t)(end - p)) die("a FlowSet beyond its packet");
        if (id == FLOW_ID) flow9_set(p + 4, p + length);
        else if (id == SAMPLER_ID) sampler_set(p + 4, p + length);
        else if (id > 1) die("a FlowSet of an unknown template");
        p += length;
    }
}

static inline void packet5(const uint8_t *p, size_t count) {
    const struct flow5 t = flow5;
    p += HEAD5;
    for (size_t i = 0; i < count; i++, p += FLOW5_SIZE) decode_flow5(t, p, t.n + i);
    flow5.n += count;
}

/* One UDP payload p..end; internet: its IPv4 header, of which the addresses are the name of the exporter. */
static inline void payload(const uint8_t *p, const uint8_t *end, const uint8_t *internet, size_t n) {
    struct exporter *e = exporter_of(internet + 12, p - 8);
    packets.export_time[n] = get32(p + 8);
    packets.uptime[n] = get32(p + 4);
    packets.exporter[n] = (uint32_t)(e - exporters);
    if (get16(p) == 9) {
        packets.sequence[n] = get32(p + 12);
        packets.domain[n] = get32(p + 16);
        follow(e, packets.domain[n], packets.sequence[n], 1);
        packet9(p, end);
    } else if (get16(p) == 5 && end - p >= HEAD5) {
        size_t count = get16(p + 2);
        if (HEAD5 + count * FLOW5_SIZE > (size_t)(end - p)) die("a count beyond its packet");
        packets.sequence[n] = get32(p + 16);
        packets.domain[n] = get16(p + 20);
        follow(e, packets.domain[n], packets.sequence[n], (uint32_t)count);
        packet5(p, count);
    } else die("a packet of another version");
}

/* The UDP payload in the frame p..end, the IPv4 header into *internet; *stop is its end. */
static inline const uint8_t *datagram(const uint8_t *p, const uint8_t *end, const uint8_t **internet,
                                      const uint8_t **stop) {
    if (end - p < ETHERNET + 20 + 8 || get16(p + 12) != 0x0800) die("a frame without IPv4");
    p += ETHERNET;
    size_t head = (size_t)(p[0] & 15) * 4, total = get16(p + 2);
    if (p[0] >> 4 != 4 || head < 20 || total > (size_t)(end - p) || head + 8 > total) die("an IPv4 length");
    if (get16(p + 6) & 0x3FFF || p[9] != 17) die("a fragment or no UDP");
    size_t length = get16(p + head + 4);
    if (length < 8 + HEAD9 || length > total - head) die("a UDP length");
    *internet = p;
    *stop = p + head + length;
    return p + head + 8;
}

static void finish(int check, struct totals *t) {
    t->records += flow9.n + flow5.n + sampler.n;
    if (check) {
        t->values += sum_flow9(&flow9) + sum_flow5(&flow5) + sum_sampler(&sampler);
        for (size_t i = 0; i < flow9.n; i++) t->octets += flow9.octets[i];
        for (size_t i = 0; i < flow5.n; i++) t->octets += flow5.octets[i];
    }
    flow9.n = flow5.n = sampler.n = packets.n = 0;
}

static void pass(const uint8_t *data, size_t size, int check, struct totals *t) {
    const uint8_t *p = data + PCAP_HEAD, *end = data + size, *begin = data;
    if (size < PCAP_HEAD || little32(data) != 0xA1B2C3D4 || little32(data + 20) != 1) die("no capture of Ethernet");
    memset(exporters, 0, sizeof exporters);
    exporter_count = 0;
    while (p < end) {
        if (end - p < RECORD_HEAD) die("a torn record header");
        size_t length = little32(p + 8);
        if (length > (size_t)(end - p - RECORD_HEAD) || length < little32(p + 12)) die("a torn or cut frame");
        if ((size_t)(p + RECORD_HEAD + length - begin) > WINDOW) {
            finish(check, t);
            begin = p;
        }
        const uint8_t *internet, *stop, *content;
        content = datagram(p + RECORD_HEAD, p + RECORD_HEAD + length, &internet, &stop);
        packets.arrival[packets.n] = little32(p) * 1000000000ull + little32(p + 4) * 1000ull;
        packets.offset[packets.n] = (uint64_t)(content - data);
        payload(content, stop, internet, packets.n++);
        p += RECORD_HEAD + length;
    }
    finish(check, t);
}

static void prepare(const char *shape) {
    (void)shape; /* the versions of the packets tell */
    allocate_flow9(&flow9, WINDOW / FLOW9_SIZE);
    allocate_flow5(&flow5, WINDOW / FLOW5_SIZE);
    allocate_sampler(&sampler, WINDOW / SAMPLER_SIZE);
    enum { MOST = WINDOW / (RECORD_HEAD + ETHERNET + 20 + 8 + HEAD9) + 1 };
    uint32_t **narrow[] = {&packets.export_time, &packets.uptime, &packets.sequence, &packets.domain,
                           &packets.exporter};
    for (int i = 0; i < 5; i++) *narrow[i] = column(MOST * sizeof(uint32_t));
    packets.arrival = column(MOST * sizeof(uint64_t));
    packets.offset = column(MOST * sizeof(uint64_t));
}
