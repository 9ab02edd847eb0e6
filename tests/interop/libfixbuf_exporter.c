/* An exporter made with libfixbuf: libfixbuf_exporter tcp|udp HOST PORT N sends N records with lists in them. */
#include <fixbuf/public.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLOW = 0x1234, INTERFACE = 0x1235 };

struct record {
    uint64_t octets;
    uint32_t source;
    uint16_t port, back;
    fbVarfield_t application;
    fbBasicList_t numbers;
    fbSubTemplateList_t interfaces;
    fbSubTemplateMultiList_t more;
};
static fbInfoElementSpec_t flow[] = {
    {"octetDeltaCount", 8, 0}, {"sourceIPv4Address", 4, 0}, {"sourceTransportPort", 2, 0},
    {"destinationTransportPort", 2, 0}, {"applicationName", 0, 0}, {"basicList", 0, 0}, {"subTemplateList", 0, 0}, {"subTemplateMultiList", 0, 0},
    FB_IESPEC_NULL};
static fbInfoElementSpec_t interface[] = {{"interfaceName", 0, 0}, {"ingressInterface", 4, 0}, FB_IESPEC_NULL};
static char *names[] = {"eth0", "eth1", "eth2"};

static void fail(GError *error) {
    fprintf(stderr, "%s\n", error ? error->message : "libfixbuf failed without a reason");
    exit(1);
}

/* The same template to write from and to send. */
static fbTemplate_t *add(fbSession_t *session, fbInfoModel_t *model, fbInfoElementSpec_t *spec, uint16_t id) {
    GError *error = NULL;
    fbTemplate_t *inside = fbTemplateAlloc(model), *outside = fbTemplateAlloc(model);
    if (!fbTemplateAppendSpecArray(inside, spec, UINT32_MAX, &error)) fail(error);
    if (!fbTemplateAppendSpecArray(outside, spec, UINT32_MAX, &error)) fail(error);
    if (!fbSessionAddTemplate(session, TRUE, id, inside, &error)) fail(error);
    if (!fbSessionAddTemplate(session, FALSE, id, outside, &error)) fail(error);
    return inside;
}

/* libfixbuf lays out a record as its template's fields one after another. */
static void fill(uint8_t *at, int count, int number) {
    for (int k = 0; k < count; k++) {
        fbVarfield_t name = {.len = strlen(names[k]), .buf = (uint8_t *)names[k]};
        uint32_t index = 100 * number + k;
        memcpy(at, &name, sizeof name);
        memcpy(at + sizeof name, &index, sizeof index);
        at += sizeof name + sizeof index;
    }
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    GError *error = NULL;
    fbInfoModel_t *model = fbInfoModelAlloc();
    fbSession_t *session = fbSessionAlloc(model);
    fbSessionSetDomain(session, 77);
    fbTemplate_t *listed = add(session, model, interface, INTERFACE);
    add(session, model, flow, FLOW);
    fbConnSpec_t place = {.transport = strcmp(argv[1], "tcp") ? FB_UDP : FB_TCP, .host = argv[2], .svc = argv[3]};
    fBuf_t *buffer = fBufAllocForExport(session, fbExporterAllocNet(&place));
    if (!fbSessionExportTemplates(session, &error)) fail(error);
    if (!fBufSetInternalTemplate(buffer, FLOW, &error) || !fBufSetExportTemplate(buffer, FLOW, &error)) fail(error);
    const fbInfoElement_t *port = fbInfoModelGetElementByName(model, "sourceTransportPort");
    for (int i = 0, count = atoi(argv[4]); i < count; i++) {
        struct record r;
        char text[32];
        memset(&r, 0, sizeof r);
        r.octets = (1ULL << 40) + i;
        r.source = 0xC0000200 + i % 256;
        r.port = i;
        r.back = 443;
        r.application.len = snprintf(text, sizeof text, "app-%d", i);
        r.application.buf = (uint8_t *)text;
        uint16_t *numbers = fbBasicListInit(&r.numbers, 3, port, i % 4);
        for (int k = 0; k < i % 4; k++) numbers[k] = i + k;
        fill(fbSubTemplateListInit(&r.interfaces, 3, INTERFACE, listed, i % 3), i % 3, i);
        fbSubTemplateMultiListEntry_t *entry = fbSubTemplateMultiListInit(&r.more, 3, 1);
        fill(fbSubTemplateMultiListEntryInit(entry, INTERFACE, listed, 2), 2, 1000 + i);
        if (!fBufAppend(buffer, (uint8_t *)&r, sizeof r, &error)) fail(error);
        fbBasicListClear(&r.numbers);
        fbSubTemplateListClear(&r.interfaces);
        fbSubTemplateMultiListClear(&r.more);
    }
    if (!fBufEmit(buffer, &error)) fail(error);
    fBufFree(buffer);
    return 0;
}
