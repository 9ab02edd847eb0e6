/* Exporters: send prepared Messages over and over, at a rate, and say how much that was.
 *
 * usage: sender FILE udp|tcp PORT RECORDS_PER_SECOND SECONDS CPU      (rate 0 = as fast as possible)
 * FILE: for each Message its exporter, records and length (uint32, this machine's order), then its octets.
 * All Messages are sent once, then those with records again and again; sequence numbers are counted on by exporter.
 * Each exporter has an address of its own (127.1.0.1 and on), and all the same port; over TCP there is one exporter.
 * One line of JSON on standard output: what the kernel has taken. Standard input is waited for at the start.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, LONGEST = 60 };

struct message {
    uint32_t exporter, records, length;
    uint8_t *octets;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct message *messages;
static size_t count;
static uint32_t *sequence; /* by exporter */

static void load(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) die(path);
    size_t size = (size_t)ftell(file);
    uint8_t *data = malloc(size + 1);
    rewind(file);
    if (!data || fread(data, 1, size, file) != size) die(path);
    fclose(file);
    uint32_t exporters = 0;
    messages = calloc(size / 28 + 1, sizeof *messages); /* three numbers and a Message header at least */
    if (!messages) die("messages");
    for (size_t at = 0; at + 12 <= size;) {
        struct message *m = &messages[count++];
        memcpy(m, data + at, 12);
        m->octets = data + at + 12;
        at += 12 + m->length;
        if (m->exporter >= exporters) exporters = m->exporter + 1;
    }
    sequence = calloc(exporters, sizeof *sequence);
    if (!sequence || !count) die("exporters");
}

/* The next Message to send, with the sequence number that it has now. */
static struct message *next(void) {
    static size_t at, is_again;
    struct message *m;
    do {
        if (at == count) at = 0, is_again = 1;
        m = &messages[at++];
    } while (is_again && !m->records);
    uint32_t number = htonl(sequence[m->exporter]);
    memcpy(m->octets + 8, &number, 4);
    sequence[m->exporter] += m->records;
    return m;
}

static struct mmsghdr headers[BATCH];
static struct iovec parts[BATCH];
static struct message *batch[BATCH];
static union {
    struct cmsghdr header;
    uint8_t octets[CMSG_SPACE(sizeof(struct in_pktinfo))];
} control[BATCH];

static void prepare(int i, struct message *m) {
    struct in_pktinfo from = {.ipi_spec_dst.s_addr = htonl(0x7f010001 + m->exporter)};
    batch[i] = m;
    parts[i] = (struct iovec){m->octets, m->length};
    headers[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1, .msg_control = &control[i],
                                         .msg_controllen = sizeof control[i]};
    control[i].header = (struct cmsghdr){CMSG_LEN(sizeof from), IPPROTO_IP, IP_PKTINFO};
    memcpy(CMSG_DATA(&control[i].header), &from, sizeof from);
}

int main(int argc, char **argv) {
    if (argc != 7) return fprintf(stderr, "usage: sender FILE udp|tcp PORT RECORDS_PER_SECOND SECONDS CPU\n"), 2;
    int is_tcp = !strcmp(argv[2], "tcp");
    double rate = atof(argv[4]), seconds = atof(argv[5]);
    if (seconds > LONGEST) seconds = LONGEST;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(atoi(argv[6]), &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
    load(argv[1]);

    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0), yes = 1;
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    if (is_tcp) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    printf("ready\n");
    fflush(stdout);
    getchar();

    uint64_t sent = 0, records = 0, octets = 0, failed = 0;
    double begin = now(), spent;
    while ((spent = now() - begin) < seconds) {
        if (rate > 0 && (double)records > rate * spent) {
            nanosleep(&(struct timespec){0, 50000}, NULL);
            continue;
        }
        for (int i = 0; i < BATCH; i++) prepare(i, next());
        for (int done = 0; done < BATCH;) {
            int n;
            if (is_tcp) {
                size_t left = 0;
                for (int i = 0; i < BATCH; i++) left += parts[i].iov_len;
                struct iovec *part = parts;
                for (int rest = BATCH; left;) {
                    ssize_t taken = writev(fd, part, rest);
                    if (taken < 0) die("writev");
                    left -= (size_t)taken;
                    for (; rest && (size_t)taken >= part->iov_len; rest--) taken -= (ssize_t)(part++)->iov_len;
                    if (rest) part->iov_base = (uint8_t *)part->iov_base + taken, part->iov_len -= (size_t)taken;
                }
                n = BATCH;
            } else {
                n = sendmmsg(fd, headers + done, (unsigned)(BATCH - done), 0);
            }
            if (n < 0) {
                if (errno != ECONNREFUSED && errno != EAGAIN && errno != ENOBUFS && errno != EINTR) die("sendmmsg");
                failed++;
                continue;
            }
            for (int end = done + n; done < end; done++) {
                sent++;
                records += batch[done]->records;
                octets += batch[done]->length;
            }
        }
    }
    printf("{\"datagrams\": %lu, \"records\": %lu, \"octets\": %lu, \"failed\": %lu, \"seconds\": %.3f}\n",
           (unsigned long)sent, (unsigned long)records, (unsigned long)octets, (unsigned long)failed, now() - begin);
    return 0;
}
