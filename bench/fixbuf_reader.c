/* libfixbuf 2 reading the benchmark's shapes, as its documentation ("How-To Use libfixbuf with a Data Buffer") says.
 *
 * Every record is decoded by fBufNext into a C struct through an internal template whose fields have the struct's
 * types (reduced-size counters and flags widen), lists through internal templates of their own; then every number is
 * added up, so that nothing can be skipped. In its favour: the whole of the data is handed over at once, in automatic
 * mode; strings stay where they are in the message (libfixbuf points at them) and only their length is read, except
 * when checking; nothing is kept; UTF-8 is not validated, as libfixbuf never does; lists are cleared by the functions
 * of their kind and not by a walk over the template.
 * A shape of several templates (S2) asks which one is next, as fBufNextCollectionTemplate is for.
 */
#include "fixbuf.h"

enum { EDGE4_ID = 260, EDGE6_ID, STATISTICS_ID, INTERFACE_ID };
enum { YAF_ID = 0xB000, TCP_ID = 0xC003, DNS_ID = 0xCE00, QUERY_ID = 0xCF00, CERT = 6871 };

struct tcp {
    uint32_t sequence, reverse_sequence;
    uint16_t initial, all;
    uint8_t reverse_initial, reverse_all, padding[2];
};
struct query {
    fbVarfield_t name;
    uint32_t ttl;
    uint16_t type, id;
    uint8_t response, authoritative, code, section, padding[4];
};
struct dns { fbSubTemplateList_t queries; };
struct yaf {
    struct flow flow;
    uint64_t reverse_octets, reverse_packets;
    uint32_t reverse_delta;
    uint16_t initial;
    uint8_t padding[2];
    fbBasicList_t agents;
    fbSubTemplateMultiList_t more;
};
struct edge {
    uint64_t octets, packets, start, end;
    uint32_t ingress, egress, source_as, destination_as;
    uint16_t source_port, destination_port, tcp_flags;
    uint8_t protocol, service, reason, source_prefix, destination_prefix, padding[1];
    uint32_t a, b, c;  /* addresses, next hop; or flow label in a */
    uint8_t six[3][16];
};
#define EDGE                                                                                                           \
    {"octetDeltaCount", 8, 0}, {"packetDeltaCount", 8, 0}, {"flowStartMilliseconds", 8, 0},                            \
        {"flowEndMilliseconds", 8, 0}, {"ingressInterface", 4, 0}, {"egressInterface", 4, 0},                          \
        {"bgpSourceAsNumber", 4, 0}, {"bgpDestinationAsNumber", 4, 0}, {"sourceTransportPort", 2, 0},                  \
        {"destinationTransportPort", 2, 0}, {"tcpControlBits", 2, 0}, {"protocolIdentifier", 1, 0},                    \
        {"ipClassOfService", 1, 0}, {"flowEndReason", 1, 0}
struct statistics { uint64_t messages, octets, flows; uint32_t process; uint8_t padding[4]; };
struct interface { fbVarfield_t name, description; uint32_t index; uint8_t padding[4]; };

static fbInfoElementSpec_t tcp_spec[] = {
    {"tcpSequenceNumber", 4, 0}, {"reverseTcpSequenceNumber", 4, 0}, {"initialTCPFlags", 2, 0},
    {"unionTCPFlags", 2, 0}, {"reverseInitialTCPFlags", 1, 0}, {"reverseUnionTCPFlags", 1, 0},
    {"paddingOctets", 2, 1}, FB_IESPEC_NULL};
static fbInfoElementSpec_t query_spec[] = {
    {"dnsQName", 0, 0}, {"dnsTTL", 4, 0}, {"dnsQRType", 2, 0}, {"dnsID", 2, 0}, {"dnsQueryResponse", 1, 0},
    {"dnsAuthoritative", 1, 0}, {"dnsNXDomain", 1, 0}, {"dnsRRSection", 1, 0}, {"paddingOctets", 4, 1},
    FB_IESPEC_NULL};
static fbInfoElementSpec_t dns_spec[] = {{"subTemplateList", 0, 0}, FB_IESPEC_NULL};
static fbInfoElementSpec_t yaf_spec[] = {
    FLOW, {"reverseOctetDeltaCount", 8, 0}, {"reversePacketDeltaCount", 8, 0},
    {"reverseFlowDeltaMilliseconds", 4, 0}, {"initialTCPFlags", 2, 0}, {"paddingOctets", 2, 1}, {"basicList", 0, 0},
    {"subTemplateMultiList", 0, 0}, FB_IESPEC_NULL};
static fbInfoElementSpec_t edge4_spec[] = {
    EDGE, {"sourceIPv4PrefixLength", 1, 0}, {"destinationIPv4PrefixLength", 1, 0}, {"paddingOctets", 1, 1},
    {"sourceIPv4Address", 4, 0}, {"destinationIPv4Address", 4, 0}, {"ipNextHopIPv4Address", 4, 0}, FB_IESPEC_NULL};
static fbInfoElementSpec_t edge6_spec[] = {
    EDGE, {"sourceIPv6PrefixLength", 1, 0}, {"destinationIPv6PrefixLength", 1, 0}, {"paddingOctets", 1, 1},
    {"flowLabelIPv6", 4, 0}, {"paddingOctets", 8, 1}, {"sourceIPv6Address", 16, 0}, {"destinationIPv6Address", 16, 0},
    {"ipNextHopIPv6Address", 16, 0}, FB_IESPEC_NULL};
static fbInfoElementSpec_t statistics_spec[] = {
    {"exportedMessageTotalCount", 8, 0}, {"exportedOctetTotalCount", 8, 0}, {"exportedFlowRecordTotalCount", 8, 0},
    {"exportingProcessId", 4, 0}, {"paddingOctets", 4, 1}, FB_IESPEC_NULL};
static fbInfoElementSpec_t interface_spec[] = {
    {"interfaceName", 0, 0}, {"interfaceDescription", 0, 0}, {"ingressInterface", 4, 0}, {"paddingOctets", 4, 1},
    FB_IESPEC_NULL};
static fbInfoElement_t cert[] = {
    FB_IE_INIT_FULL("initialTCPFlags", CERT, 14, 2, FB_IE_F_ENDIAN | FB_IE_F_REVERSIBLE, 0, 0, FB_UINT_16, NULL),
    FB_IE_INIT_FULL("unionTCPFlags", CERT, 15, 2, FB_IE_F_ENDIAN | FB_IE_F_REVERSIBLE, 0, 0, FB_UINT_16, NULL),
    FB_IE_INIT_FULL("reverseFlowDeltaMilliseconds", CERT, 21, 4, FB_IE_F_ENDIAN, 0, 0, FB_UINT_32, NULL),
    FB_IE_INIT_FULL("httpUserAgent", CERT, 111, FB_IE_VARLEN, 0, 0, 0, FB_STRING, NULL),
    FB_IE_INIT_FULL("dnsQueryResponse", CERT, 174, 1, 0, 0, 0, FB_UINT_8, NULL),
    FB_IE_INIT_FULL("dnsQRType", CERT, 175, 2, FB_IE_F_ENDIAN, 0, 0, FB_UINT_16, NULL),
    FB_IE_INIT_FULL("dnsAuthoritative", CERT, 176, 1, 0, 0, 0, FB_UINT_8, NULL),
    FB_IE_INIT_FULL("dnsNXDomain", CERT, 177, 1, 0, 0, 0, FB_UINT_8, NULL),
    FB_IE_INIT_FULL("dnsRRSection", CERT, 178, 1, 0, 0, 0, FB_UINT_8, NULL),
    FB_IE_INIT_FULL("dnsQName", CERT, 179, FB_IE_VARLEN, 0, 0, 0, FB_STRING, NULL),
    FB_IE_INIT_FULL("dnsTTL", CERT, 199, 4, FB_IE_F_ENDIAN, 0, 0, FB_UINT_32, NULL),
    FB_IE_INIT_FULL("dnsID", CERT, 226, 2, FB_IE_F_ENDIAN, 0, 0, FB_UINT_16, NULL),
    FB_IE_NULL};
static const struct { uint16_t id; fbInfoElementSpec_t *spec; size_t size; } templates[] = {
    {FLOW_ID, flow_spec, sizeof(struct flow)},          {STRINGS_ID, strings_spec, sizeof(struct strings)},
    {EDGE4_ID, edge4_spec, offsetof(struct edge, six)}, {EDGE6_ID, edge6_spec, sizeof(struct edge)},
    {STATISTICS_ID, statistics_spec, sizeof(struct statistics)},
    {INTERFACE_ID, interface_spec, sizeof(struct interface)},
    {YAF_ID, yaf_spec, sizeof(struct yaf)},             {TCP_ID, tcp_spec, sizeof(struct tcp)},
    {DNS_ID, dns_spec, sizeof(struct dns)},             {QUERY_ID, query_spec, sizeof(struct query)},
};
static fbInfoModel_t *model;
static uint16_t only; /* the one template of top-level records, 0 if there are several */

static inline void add_edge(const struct edge *r) {
    sums.octets += r->octets;
    sums.values += r->octets + r->packets + r->start + r->end + r->ingress + r->egress + r->source_as +
                   r->destination_as + r->source_port + r->destination_port + r->tcp_flags + r->protocol + r->service +
                   r->reason + r->source_prefix + r->destination_prefix;
}

static inline uint64_t halves(const uint8_t *p) {
    uint64_t v[2];
    memcpy(v, p, 16);
    return GUINT64_FROM_BE(v[0]) + GUINT64_FROM_BE(v[1]);
}

static void add_dns(fbSubTemplateMultiListEntry_t *entry, int check) {
    struct dns *d = NULL;
    while ((d = fbSubTemplateMultiListEntryNextDataPtr(entry, d))) {
        struct query *q = NULL;
        sums.inner++;
        while ((q = fbSubTemplateListGetNextPtr(&d->queries, q))) {
            sums.inner++;
            sums.values += q->ttl + q->type + q->id + q->response + q->authoritative + q->code + q->section;
            add_string(&q->name, check);
        }
        fbSubTemplateListClear(&d->queries);
    }
}

static inline void add_yaf(struct yaf *r, int check) {
    add_flow(&r->flow);
    sums.values += r->reverse_octets + r->reverse_packets + r->reverse_delta + r->initial;
    fbVarfield_t *agent = NULL;
    while ((agent = fbBasicListGetNextPtr(&r->agents, agent))) {
        sums.inner++;
        add_string(agent, check);
    }
    fbBasicListClear(&r->agents);
    fbSubTemplateMultiListEntry_t *entry = NULL;
    while ((entry = fbSubTemplateMultiListGetNextEntry(&r->more, entry))) {
        if (entry->tmplID == DNS_ID) {
            add_dns(entry, check);
            continue;
        }
        struct tcp *t = NULL;
        while ((t = fbSubTemplateMultiListEntryNextDataPtr(entry, t))) {
            sums.inner++;
            sums.values += (uint64_t)t->sequence + t->reverse_sequence + t->initial + t->all + t->reverse_initial +
                           t->reverse_all;
        }
    }
    fbSubTemplateMultiListClear(&r->more);
}

static inline void add(uint16_t id, void *record, int check) {
    sums.records++;
    switch (id) {
    case FLOW_ID: add_flow(record); break;
    case STRINGS_ID: add_strings(record, check); break;
    case EDGE4_ID: {
        const struct edge *r = record;
        add_edge(r);
        sums.values += (uint64_t)r->a + r->b + r->c;
        break;
    }
    case EDGE6_ID: {
        const struct edge *r = record;
        add_edge(r);
        sums.values += r->a + halves(r->six[0]) + halves(r->six[1]) + halves(r->six[2]);
        break;
    }
    case STATISTICS_ID: {
        const struct statistics *r = record;
        sums.values += r->messages + r->octets + r->flows + r->process;
        break;
    }
    case INTERFACE_ID: {
        const struct interface *r = record;
        sums.values += r->index;
        add_string(&r->name, check);
        add_string(&r->description, check);
        break;
    }
    case YAF_ID: add_yaf(record, check); break;
    default: die("a record of an unknown template");
    }
}

static fBuf_t *reader(void) {
    GError *error = NULL;
    fbSession_t *session = fbSessionAlloc(model);
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) {
        fbTemplate_t *t = fbTemplateAlloc(model);
        if (!fbTemplateAppendSpecArray(t, templates[i].spec, UINT32_MAX, &error)) fail(error);
        if (fbTemplateGetIELenOfMemBuffer(t) != templates[i].size) die("a struct differs from its template");
        if (!fbSessionAddTemplate(session, TRUE, templates[i].id, t, &error)) fail(error);
        fbSessionAddTemplatePair(session, templates[i].id, templates[i].id);
    }
    return fBufAllocForCollection(session, NULL);
}

static void pass(const uint8_t *data, size_t size, int check, struct totals *totals) {
    GError *error = NULL;
    union { struct strings s; struct yaf y; struct edge e; struct statistics t; struct interface i; } record;
    fBuf_t *buffer = reader();
    uint16_t id = only, set = 0;
    memset(&sums, 0, sizeof sums);
    memset(&record, 0, sizeof record);
    fBufSetBuffer(buffer, (uint8_t *)data, size);
    for (;;) {
        size_t length = sizeof record;
        if (!only && !fBufNextCollectionTemplate(buffer, &id, &error)) break;
        if (id != set && !fBufSetInternalTemplate(buffer, set = id, &error)) fail(error);
        if (!fBufNext(buffer, (uint8_t *)&record, &length, &error)) break;
        add(id, &record, check);
    }
    if (!g_error_matches(error, FB_ERROR_DOMAIN, FB_ERROR_BUFSZ) || fBufRemaining(buffer)) fail(error);
    g_clear_error(&error);
    fBufFree(buffer);
    sums.records += totals->records;
    *totals = sums;
}

static void prepare(const char *shape) {
    model = fbInfoModelAlloc();
    fbInfoModelAddElementArray(model, cert);
    only = !strncmp(shape, "S3", 2) ? STRINGS_ID : !strncmp(shape, "S4", 2) ? YAF_ID : !strcmp(shape, "S2") ? 0 : FLOW_ID;
}
