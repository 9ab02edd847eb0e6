/* libfixbuf 2 writing the benchmark's flows: every record, a C struct, goes through fBufAppend into messages of at most
 * 1,420 octets, which go to memory, with the fields and lengths that the shape has. In its favour: the structs are ready
 * before the clock starts, and so are the session and its templates; every message overwrites the last one.
 * When checking, what has been written is read again.
 */
#include "fixbuf.h"

enum { MTU = 1420 };

#define SENT                                                                                                           \
    {"sourceIPv4Address", 4, 0}, {"destinationIPv4Address", 4, 0}, {"sourceTransportPort", 2, 0},                      \
        {"destinationTransportPort", 2, 0}, {"protocolIdentifier", 1, 0}, {"tcpControlBits", 1, 0},                    \
        {"octetDeltaCount", 8, 0}, {"packetDeltaCount", 8, 0}, {"flowStartMilliseconds", 8, 0},                        \
        {"flowEndMilliseconds", 8, 0}, {"ingressInterface", 4, 0}, {"egressInterface", 4, 0}
static fbInfoElementSpec_t flow_sent[] = {SENT, FB_IESPEC_NULL};
static fbInfoElementSpec_t strings_sent[] = {SENT, {"userName", 0, 0}, {"httpRequestTarget", 0, 0}, FB_IESPEC_NULL};
static fbInfoElementSpec_t *internal, *external;
static uint16_t id;
static size_t record_size, count;
static uint8_t *records, message[65535];
static fBuf_t *out, *again;
static fbExporter_t *exporter;

static fbTemplate_t *template(fbInfoModel_t *model, fbInfoElementSpec_t *spec, uint32_t flags) {
    GError *error = NULL;
    fbTemplate_t *t = fbTemplateAlloc(model);
    if (!fbTemplateAppendSpecArray(t, spec, flags, &error)) fail(error);
    return t;
}

static fbSession_t *session(fbInfoModel_t *model) {
    GError *error = NULL;
    fbSession_t *s = fbSessionAlloc(model);
    if (!fbSessionAddTemplate(s, TRUE, id, template(model, internal, UINT32_MAX), &error)) fail(error);
    return s;
}

static void prepare(const char *shape) {
    int has_strings = !strncmp(shape, "S3", 2);
    id = has_strings ? STRINGS_ID : FLOW_ID;
    internal = has_strings ? strings_spec : flow_spec;
    external = has_strings ? strings_sent : flow_sent;
    record_size = has_strings ? sizeof(struct strings) : sizeof(struct flow);
}

/* The records of the data, and an exporter for them. */
static void load(const uint8_t *data, size_t size) {
    GError *error = NULL;
    fbInfoModel_t *model = fbInfoModelAlloc();
    fBuf_t *in = fBufAllocForCollection(session(model), NULL);
    size_t room = 0;
    fBufSetBuffer(in, (uint8_t *)data, size);
    if (!fBufSetInternalTemplate(in, id, &error)) fail(error);
    for (;;) {
        if (count == room) records = realloc(records, (room = room ? 2 * room : 4096) * record_size);
        size_t length = record_size;
        if (!records) die("no memory");
        if (!fBufNext(in, records + count * record_size, &length, &error)) break;
        count++; /* its strings stay where they are in the data */
    }
    if (!g_error_matches(error, FB_ERROR_DOMAIN, FB_ERROR_BUFSZ) || fBufRemaining(in)) fail(error);
    g_clear_error(&error);
    again = in;
    fbSession_t *s = session(model);
    fbSessionSetDomain(s, 7);
    if (!fbSessionAddTemplate(s, FALSE, id, template(model, external, UINT32_MAX), &error)) fail(error);
    out = fBufAllocForExport(s, exporter = fbExporterAllocBuffer(message, MTU));
    if (!fbSessionExportTemplates(s, &error)) fail(error);
    if (!fBufSetInternalTemplate(out, id, &error) || !fBufSetExportTemplate(out, id, &error)) fail(error);
}

static void emit(int check) {
    GError *error = NULL;
    union { struct flow flow; struct strings strings; } record;
    if (!fBufEmit(out, &error)) fail(error);
    if (!check) return;
    fBufSetBuffer(again, message, fbExporterGetMsgLen(exporter));
    for (size_t length = sizeof record; fBufNext(again, (uint8_t *)&record, &length, &error); length = sizeof record) {
        sums.records++;
        id == FLOW_ID ? add_flow(&record.flow) : add_strings(&record.strings, check);
    }
    if (!g_error_matches(error, FB_ERROR_DOMAIN, FB_ERROR_BUFSZ)) fail(error);
    g_clear_error(&error);
}

static void pass(const uint8_t *data, size_t size, int check, struct totals *totals) {
    GError *error = NULL;
    if (!out) load(data, size);
    memset(&sums, 0, sizeof sums);
    fBufSetAutomaticMode(out, FALSE);
    for (size_t i = 0; i < count; i++) {
        if (fBufAppend(out, records + i * record_size, record_size, &error)) continue;
        if (!g_error_matches(error, FB_ERROR_DOMAIN, FB_ERROR_EOM)) fail(error);
        g_clear_error(&error);
        emit(check);
        i--;
    }
    emit(check);
    if (!check) sums.records = totals->records + count;
    *totals = sums;
}
