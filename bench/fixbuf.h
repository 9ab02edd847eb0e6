/* The flows of the benchmark as structs for libfixbuf, which its reader and its writer share. */
#ifndef FIXBUF_H
#define FIXBUF_H

#include "worker.h"

#include <fixbuf/public.h>

enum { FLOW_ID = 256, STRINGS_ID };

/* libfixbuf lays out a record as its template's fields one after another: padding must be a field (or not arise). */
struct flow {
    uint64_t octets, packets, start, end;
    uint32_t source, destination, ingress, egress;
    uint16_t source_port, destination_port, tcp_flags;
    uint8_t protocol, padding;
};
#define FLOW                                                                                                           \
    {"octetDeltaCount", 8, 0}, {"packetDeltaCount", 8, 0}, {"flowStartMilliseconds", 8, 0},                            \
        {"flowEndMilliseconds", 8, 0}, {"sourceIPv4Address", 4, 0}, {"destinationIPv4Address", 4, 0},                  \
        {"ingressInterface", 4, 0}, {"egressInterface", 4, 0}, {"sourceTransportPort", 2, 0},                          \
        {"destinationTransportPort", 2, 0}, {"tcpControlBits", 2, 0}, {"protocolIdentifier", 1, 0},                    \
        {"paddingOctets", 1, 1}
struct strings { struct flow flow; fbVarfield_t user, target; };

static fbInfoElementSpec_t flow_spec[] = {FLOW, FB_IESPEC_NULL};
static fbInfoElementSpec_t strings_spec[] = {FLOW, {"userName", 0, 0}, {"httpRequestTarget", 0, 0}, FB_IESPEC_NULL};

static struct totals sums;

static void fail(GError *error) { die(error ? error->message : "libfixbuf failed without a reason"); }

static inline void add_string(const fbVarfield_t *s, int check) {
    sums.text += s->len;
    if (check) sums.letters += letters(s->buf, s->len);
}

static inline void add_flow(const struct flow *r) {
    sums.octets += r->octets;
    sums.values += r->octets + r->packets + r->start + r->end + r->source + r->destination + r->ingress + r->egress +
                   r->source_port + r->destination_port + r->tcp_flags + r->protocol;
}

static inline void add_strings(const struct strings *r, int check) {
    add_flow(&r->flow);
    add_string(&r->user, check);
    add_string(&r->target, check);
}

#endif
