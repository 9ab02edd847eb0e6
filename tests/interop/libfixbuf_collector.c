/* A collector made with libfixbuf: libfixbuf_collector tcp|udp HOST PORT N prints a line for each of N records. */
#include <fixbuf/public.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INTERNAL = 0x1234 };

/* libfixbuf lays out a record as its template's fields one after another. */
struct record {
    uint64_t octets;
    uint32_t source;
    uint16_t port, padding;
    fbVarfield_t application;
    fbBasicList_t numbers;
    fbSubTemplateList_t interfaces;
};
static fbInfoElementSpec_t spec[] = {
    {"octetDeltaCount", 8, 0}, {"sourceIPv4Address", 4, 0}, {"sourceTransportPort", 2, 0}, {"paddingOctets", 2, 1},
    {"applicationName", 0, 0}, {"basicList", 0, 0}, {"subTemplateList", 0, 0}, FB_IESPEC_NULL};

static void fail(GError *error) {
    fprintf(stderr, "%s\n", error ? error->message : "libfixbuf failed without a reason");
    exit(1);
}

static void print(struct record *r) {
    printf("%" PRIu64 " %u %u %.*s", r->octets, r->source, r->port, (int)r->application.len, r->application.buf);
    for (uint16_t *number = NULL; (number = fbBasicListGetNextPtr(&r->numbers, number));) printf(" %u", *number);
    for (uint8_t *p = NULL; (p = fbSubTemplateListGetNextPtr(&r->interfaces, p));) {
        fbVarfield_t name; /* of the external template: interfaceName, then ingressInterface */
        uint32_t index;
        memcpy(&name, p, sizeof name);
        memcpy(&index, p + sizeof name, sizeof index);
        printf(" %.*s=%u", (int)name.len, name.buf, index);
    }
    printf("\n");
    fbBasicListClear(&r->numbers);
    fbSubTemplateListClear(&r->interfaces);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    GError *error = NULL;
    fbInfoModel_t *model = fbInfoModelAlloc();
    fbSession_t *session = fbSessionAlloc(model);
    fbTemplate_t *template = fbTemplateAlloc(model);
    fbConnSpec_t place = {.transport = strcmp(argv[1], "tcp") ? FB_UDP : FB_TCP, .host = argv[2], .svc = argv[3]};
    if (!fbTemplateAppendSpecArray(template, spec, UINT32_MAX, &error)) fail(error);
    if (!fbSessionAddTemplate(session, TRUE, INTERNAL, template, &error)) fail(error);
    fbListener_t *listener = fbListenerAlloc(&place, session, NULL, NULL, &error);
    if (!listener) fail(error);
    printf("ready\n");
    fflush(stdout);
    fBuf_t *buffer = fbListenerWait(listener, &error);
    if (!buffer || !fBufSetInternalTemplate(buffer, INTERNAL, &error)) fail(error);
    for (long left = atol(argv[4]); left > 0;) {
        struct record r;
        size_t length = sizeof r;
        memset(&r, 0, sizeof r);
        if (fBufNext(buffer, (uint8_t *)&r, &length, &error)) {
            print(&r);
            left--;
        } else if (g_error_matches(error, FB_ERROR_DOMAIN, FB_ERROR_EOM)) {
            g_clear_error(&error);
        } else {
            fail(error);
        }
    }
    return 0;
}
