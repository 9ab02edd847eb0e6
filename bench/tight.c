/* Hand-written decoders of the benchmark's shapes: the yardstick, as fast as plain C for known templates goes.
 *
 * The same job as headwater's, with the templates compiled in:
 * - messages: version, length against the data, sequence number against the running count, export time, sequence and
 *   domain into arrays; sets: id, length against the message; records: whole ones only, a rest shorter than a record
 *   is padding; strings and lists: every length against what encloses it, 1- and 3-octet prefixes;
 * - every field of every record into a column of its own, in native byte order and of the column type of its element
 *   (tcpControlBits is one octet on the wire and 16 bits in its column, reduced counters are 64 bits);
 *   strings into offsets + data; a list into offsets over its parents + the columns of its records, at both depths;
 * - strings are checked to be UTF-8, 32 octets at a time while they are ASCII; ill-formed ones are marked;
 * - the data is taken in windows of at most 4 MiB of whole messages (headwater: 8 MiB); the columns of a window are
 *   written over those of the last one, so they are warm.
 * What it does not do: learn templates (template sets are stepped over), keep more than one observation domain,
 * tell what is wrong with malformed data (it stops), free anything, or run on a big-endian machine.
 */
#include "columns.h"

enum { WINDOW = 4 << 20, FLOW_ID = 256, STRINGS_ID, EDGE4_ID = 260, EDGE6_ID, STATISTICS_ID, INTERFACE_ID };
enum { YAF_ID = 0xB000, TCP_ID = 0xC003, DNS_ID = 0xCE00, QUERY_ID = 0xCF00, AGENT = 111, CERT = 6871 };

#define FLOW(X)                                                                                                        \
    X(uint32_t, source, 32, 0) X(uint32_t, destination, 32, 4) X(uint16_t, source_port, 16, 8)                         \
    X(uint16_t, destination_port, 16, 10) X(uint8_t, protocol, 8, 12) X(uint16_t, tcp_flags, 8, 13)                    \
    X(uint64_t, octets, 64, 14) X(uint64_t, packets, 64, 22) X(uint64_t, start, 64, 30) X(uint64_t, end, 64, 38)       \
    X(uint32_t, ingress, 32, 46) X(uint32_t, egress, 32, 50)
#define BIFLOW(X)                                                                                                      \
    X(uint64_t, reverse_octets, 64, 54) X(uint64_t, reverse_packets, 64, 62) X(uint32_t, reverse_delta, 32, 70)        \
    X(uint16_t, initial_flags, 8, 74)
#define TCP(X)                                                                                                         \
    X(uint32_t, sequence, 32, 0) X(uint16_t, initial, 8, 4) X(uint16_t, all, 8, 5) X(uint32_t, reverse_sequence, 32, 6) \
    X(uint8_t, reverse_initial, 8, 10) X(uint8_t, reverse_all, 8, 11)
#define QUERY(X)                                                                                                       \
    X(uint32_t, ttl, 32, 0) X(uint16_t, type, 16, 4) X(uint16_t, id, 16, 6) X(uint8_t, response, 8, 8)                 \
    X(uint8_t, authoritative, 8, 9) X(uint8_t, code, 8, 10) X(uint8_t, section, 8, 11)
#define TAIL(X, at)                                                                                                    \
    X(uint32_t, ingress, 32, at) X(uint32_t, egress, 32, at + 4) X(uint64_t, packets, 32, at + 8)                      \
    X(uint64_t, octets, 32, at + 12) X(uint64_t, start, 64, at + 16) X(uint64_t, end, 64, at + 24)                     \
    X(uint16_t, source_port, 16, at + 32) X(uint16_t, destination_port, 16, at + 34) X(uint16_t, tcp_flags, 8, at + 36) \
    X(uint8_t, protocol, 8, at + 37) X(uint8_t, service, 8, at + 38) X(uint8_t, reason, 8, at + 39)                    \
    X(uint32_t, source_as, 32, at + 40) X(uint32_t, destination_as, 32, at + 44)                                       \
    X(uint8_t, source_prefix, 8, at + 48) X(uint8_t, destination_prefix, 8, at + 49)
#define EDGE4(X)                                                                                                       \
    X(uint32_t, source, 32, 0) X(uint32_t, destination, 32, 4) X(uint32_t, next_hop, 32, 8) TAIL(X, 12)
#define EDGE6(X)                                                                                                       \
    X(address, source, 128, 0) X(address, destination, 128, 16) X(address, next_hop, 128, 32) TAIL(X, 48)              \
    X(uint32_t, label, 32, 98)
#define STATISTICS(X)                                                                                                  \
    X(uint32_t, process, 32, 0) X(uint64_t, messages, 64, 4) X(uint64_t, sent, 64, 12) X(uint64_t, flows, 64, 20)
#define INTERFACE(X) X(uint32_t, index, 32, 0)
enum { FLOW_SIZE = 54, BIFLOW_SIZE = 21, TCP_SIZE = 12, QUERY_SIZE = 12, EDGE4_SIZE = 62, EDGE6_SIZE = 102 };
enum { STATISTICS_SIZE = 28, INTERFACE_SIZE = 4 };

TABLE(flow, FLOW)
TABLE(biflow, BIFLOW)
TABLE(tcp, TCP)
TABLE(query, QUERY)
TABLE(edge4, EDGE4)
TABLE(edge6, EDGE6)
TABLE(statistics, STATISTICS)
TABLE(interface, INTERFACE)

/* Arrow's layout: value k is data[offsets[k]] up to data[offsets[k + 1]]; valid is used only after an ill-formed one. */
struct text { size_t n; int32_t *offsets; uint8_t *data, *valid; };
static struct text users, targets, agents, names, interface_names, descriptions;
static int32_t *agent_lists, *tcp_lists, *dns_lists, *query_lists; /* offsets over the parents of each list */
static size_t dns_records;
static struct { size_t n; uint32_t *export_time, *sequence, *domain; } messages;
static uint32_t expected;
static uint64_t lost, ill_formed;

static inline const uint8_t *length_of(const uint8_t *p, const uint8_t *end, size_t *length) {
    if (p >= end) die("a length beyond its record");
    size_t n = *p++;
    if (n == 255) {
        if (end - p < 2) die("a length beyond its record");
        n = get16(p);
        p += 2;
    }
    if (n > (size_t)(end - p)) die("a value beyond its record");
    *length = n;
    return p;
}

static inline const uint8_t *string(struct text *t, const uint8_t *p, const uint8_t *end) {
    size_t length;
    p = length_of(p, end, &length);
    int32_t at = t->offsets[t->n];
    memcpy(t->data + at, p, length);
    t->offsets[++t->n] = at + (int32_t)length;
    return p + length;
}

/* Length of the well-formed character at p, 0 if there is none (Unicode table 3-7). */
static inline size_t character(const uint8_t *p, size_t left) {
    uint8_t a = p[0];
    if (a < 0x80) return 1;
    size_t n = a < 0xC2 ? 0 : a < 0xE0 ? 2 : a < 0xF0 ? 3 : a < 0xF5 ? 4 : 0;
    if (!n || n > left) return 0;
    uint8_t low = a == 0xE0 ? 0xA0 : a == 0xF0 ? 0x90 : 0x80, high = a == 0xED ? 0x9F : a == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high) return 0;
    for (size_t k = 2; k < n; k++)
        if ((p[k] & 0xC0) != 0x80) return 0;
    return n;
}

static int well_formed(const uint8_t *p, size_t size, int *ascii) {
    size_t i = 0, n;
    while (i < size) {
        uint64_t w[4];
        if (i + 32 <= size && (memcpy(w, p + i, 32), !((w[0] | w[1] | w[2] | w[3]) & 0x8080808080808080u))) {
            i += 32;
            continue;
        }
        if (p[i] >= 0x80) *ascii = 0;
        if (!(n = character(p + i, size - i))) return 0;
        i += n;
    }
    return 1;
}

/* If the data as a whole is well-formed and no value begins inside a character, every value is well-formed. */
static void validate(struct text *t) {
    int ascii = 1, good = well_formed(t->data, (size_t)t->offsets[t->n], &ascii);
    if (good && !ascii)
        for (size_t k = 0; k < t->n; k++)
            good &= t->offsets[k] == t->offsets[t->n] || (t->data[t->offsets[k]] & 0xC0) != 0x80;
    if (good) return;
    for (size_t k = 0; k < t->n; k++) {
        t->valid[k] = (uint8_t)well_formed(t->data + t->offsets[k], (size_t)(t->offsets[k + 1] - t->offsets[k]), &ascii);
        ill_formed += !t->valid[k];
    }
}

#define FIXED(name, SIZE)                                                                                              \
    static void name##_set(const uint8_t *p, const uint8_t *end) {                                                     \
        const struct name t = name; /* a copy, so that the pointers stay in registers */                               \
        size_t n = t.n;                                                                                                \
        for (; end - p >= SIZE; p += SIZE) decode_##name(t, p, n++);                                                   \
        name.n = n;                                                                                                    \
    }
FIXED(flow, FLOW_SIZE)
FIXED(edge4, EDGE4_SIZE)
FIXED(edge6, EDGE6_SIZE)
FIXED(statistics, STATISTICS_SIZE)
FIXED(tcp, TCP_SIZE)

static void strings_set(const uint8_t *p, const uint8_t *end) {
    const struct flow t = flow;
    size_t n = t.n;
    for (; end - p >= FLOW_SIZE + 2; n++) {
        decode_flow(t, p, n);
        p = string(&users, p + FLOW_SIZE, end);
        p = string(&targets, p, end);
    }
    flow.n = n;
}

static void interface_set(const uint8_t *p, const uint8_t *end) {
    const struct interface t = interface;
    size_t n = t.n;
    for (; end - p >= INTERFACE_SIZE + 2; n++) {
        decode_interface(t, p, n);
        p = string(&interface_names, p + INTERFACE_SIZE, end);
        p = string(&descriptions, p, end);
    }
    interface.n = n;
}

static inline void query_list(const uint8_t *p, const uint8_t *end) {
    if (end - p < 3 || get16(p + 1) != QUERY_ID) die("not a list of questions");
    size_t n = query.n;
    for (p += 3; end - p >= QUERY_SIZE + 1; n++) {
        decode_query(query, p, n);
        p = string(&names, p + QUERY_SIZE, end);
    }
    query.n = n;
}

static inline void multi_list(const uint8_t *p, const uint8_t *end) {
    if (p == end) die("a multilist without a semantic");
    for (p++; end - p >= 4;) {
        size_t id = get16(p), length = get16(p + 2);
        if (length < 4 || length > (size_t)(end - p)) die("an entry beyond its list");
        const uint8_t *q = p + 4, *stop = p + length;
        if (id == TCP_ID) {
            tcp_set(q, stop);
        } else if (id == DNS_ID) {
            while (q < stop) {
                size_t content;
                q = length_of(q, stop, &content);
                query_list(q, q + content);
                q += content;
                query_lists[++dns_records] = (int32_t)query.n;
            }
        } else die("an entry of an unknown template");
        p = stop;
    }
}

static inline void basic_list(const uint8_t *p, const uint8_t *end) {
    if (end - p < 9 || get16(p + 1) != (AGENT | 0x8000) || get16(p + 3) != 65535 || get32(p + 5) != CERT)
        die("not a list of user agents");
    for (p += 9; p < end;) p = string(&agents, p, end);
}

static void yaf_set(const uint8_t *p, const uint8_t *end) {
    const struct flow t = flow;
    const struct biflow b = biflow;
    size_t n = t.n;
    while (end - p >= FLOW_SIZE + BIFLOW_SIZE + 2) {
        size_t length;
        decode_flow(t, p, n);
        decode_biflow(b, p, n);
        p = length_of(p + FLOW_SIZE + BIFLOW_SIZE, end, &length);
        basic_list(p, p + length);
        p = length_of(p + length, end, &length);
        multi_list(p, p + length);
        p += length;
        n++;
        agent_lists[n] = (int32_t)agents.n;
        tcp_lists[n] = (int32_t)tcp.n;
        dns_lists[n] = (int32_t)dns_records;
    }
    flow.n = biflow.n = n;
}

static void data_set(size_t id, const uint8_t *p, const uint8_t *end) {
    switch (id) {
    case FLOW_ID: flow_set(p, end); break;
    case STRINGS_ID: strings_set(p, end); break;
    case EDGE4_ID: edge4_set(p, end); break;
    case EDGE6_ID: edge6_set(p, end); break;
    case STATISTICS_ID: statistics_set(p, end); break;
    case INTERFACE_ID: interface_set(p, end); break;
    case YAF_ID: yaf_set(p, end); break;
    default: die("a set of an unknown template");
    }
}

static inline size_t records(void) { return flow.n + edge4.n + edge6.n + statistics.n + interface.n; }

static void message(const uint8_t *p, const uint8_t *end) {
    size_t before = records();
    messages.export_time[messages.n] = get32(p + 4);
    messages.sequence[messages.n] = get32(p + 8);
    messages.domain[messages.n] = get32(p + 12);
    lost += get32(p + 8) - expected;
    expected = messages.sequence[messages.n++];
    for (p += 16; p < end;) {
        if (end - p < 4) die("a torn set header");
        size_t id = get16(p), length = get16(p + 2);
        if (length < 4 || length > (size_t)(end - p)) die("a set beyond its message");
        if (id > 255) data_set(id, p + 4, p + length);
        p += length;
    }
    expected += (uint32_t)(records() - before);
}

static struct text *const texts[] = {&users, &targets, &agents, &names, &interface_names, &descriptions};
enum { TEXTS = sizeof texts / sizeof *texts };

static void finish(int check, struct totals *t) {
    for (int i = 0; i < TEXTS; i++) validate(texts[i]);
    t->records += records();
    if (!check) return;
    t->inner += agents.n + tcp.n + dns_records + query.n;
    t->values += sum_flow(&flow) + sum_biflow(&biflow) + sum_tcp(&tcp) + sum_query(&query) + sum_edge4(&edge4) +
                 sum_edge6(&edge6) + sum_statistics(&statistics) + sum_interface(&interface);
    for (size_t i = 0; i < flow.n; i++) t->octets += flow.octets[i];
    for (size_t i = 0; i < edge4.n; i++) t->octets += edge4.octets[i];
    for (size_t i = 0; i < edge6.n; i++) t->octets += edge6.octets[i];
    for (int i = 0; i < TEXTS; i++) {
        t->text += (uint64_t)texts[i]->offsets[texts[i]->n];
        t->letters += letters(texts[i]->data, (size_t)texts[i]->offsets[texts[i]->n]);
    }
    if (flow.n && biflow.n && (size_t)agent_lists[flow.n] + (size_t)tcp_lists[flow.n] + (size_t)query_lists[dns_records]
                                  != agents.n + tcp.n + query.n) die("list offsets do not add up");
}

static void restart(void) {
    flow.n = biflow.n = tcp.n = query.n = edge4.n = edge6.n = statistics.n = interface.n = 0;
    for (int i = 0; i < TEXTS; i++) texts[i]->n = 0;
    dns_records = messages.n = 0;
}

static void pass(const uint8_t *data, size_t size, int check, struct totals *t) {
    const uint8_t *p = data, *end = data + size, *begin = data;
    expected = 0;
    lost = ill_formed = 0;
    restart();
    while (p < end) {
        size_t length = end - p < 16 ? 0 : get16(p + 2);
        if (length < 16 || get16(p) != 10 || length > (size_t)(end - p)) die("a torn message");
        if ((size_t)(p + length - begin) > WINDOW) {
            finish(check, t);
            restart();
            begin = p;
        }
        message(p, p + length);
        p += length;
    }
    finish(check, t);
    if (lost || ill_formed) die("lost messages or ill-formed text");
}

static void prepare(const char *shape) {
    (void)shape; /* the template ids tell */
    allocate_flow(&flow, WINDOW / FLOW_SIZE);
    allocate_biflow(&biflow, WINDOW / (FLOW_SIZE + BIFLOW_SIZE));
    allocate_tcp(&tcp, WINDOW / TCP_SIZE);
    allocate_query(&query, WINDOW / QUERY_SIZE);
    allocate_edge4(&edge4, WINDOW / EDGE4_SIZE);
    allocate_edge6(&edge6, WINDOW / EDGE6_SIZE);
    allocate_statistics(&statistics, WINDOW / STATISTICS_SIZE);
    allocate_interface(&interface, WINDOW / INTERFACE_SIZE);
    for (int i = 0; i < TEXTS; i++) {
        texts[i]->offsets = column((WINDOW + 1) * sizeof(int32_t));
        texts[i]->offsets[0] = 0;
        texts[i]->data = column(WINDOW);
        texts[i]->valid = column(WINDOW);
    }
    int32_t **lists[] = {&agent_lists, &tcp_lists, &dns_lists, &query_lists};
    for (int i = 0; i < 4; i++) {
        *lists[i] = column((WINDOW / 4 + 1) * sizeof(int32_t));
        **lists[i] = 0;
    }
    messages.export_time = column(WINDOW / 16 * sizeof(uint32_t));
    messages.sequence = column(WINDOW / 16 * sizeof(uint32_t));
    messages.domain = column(WINDOW / 16 * sizeof(uint32_t));
}
