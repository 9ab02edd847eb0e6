/* The line protocol of a party written in C, and what the parties share.
 *
 * usage: PROGRAM SHAPE FILE
 * The file is read into memory, then commands come on standard input:
 *   check        one pass that also adds everything up      -> the totals of shapes.py as one JSON object
 *   run SECONDS  passes over the data until SECONDS of CPU  -> {"cpu": seconds, "records": all records of all passes}
 */
#ifndef WORKER_H
#define WORKER_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct totals {
    uint64_t records, octets, values, text, letters, inner;
};

/* Each program defines these. `pass` decodes all of the data once and counts records; only with `check` does it also
 * fill the other totals. Malformed data is fatal: the benchmark has none. */
static void prepare(const char *shape);
static void pass(const uint8_t *data, size_t size, int check, struct totals *totals);

static void die(const char *reason) {
    fprintf(stderr, "%s\n", reason);
    exit(1);
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline uint64_t letters(const uint8_t *p, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += p[i];
    return sum;
}

int main(int argc, char **argv) {
    if (argc != 3) die("usage: PROGRAM SHAPE FILE");
    FILE *file = fopen(argv[2], "rb");
    if (!file || fseek(file, 0, SEEK_END)) die("cannot open the file");
    size_t size = (size_t)ftell(file);
    uint8_t *data = malloc(size ? size : 1);
    rewind(file);
    if (!data || fread(data, 1, size, file) != size) die("cannot read the file");
    fclose(file);
    prepare(argv[1]);
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        struct totals t = {0};
        if (!strncmp(line, "run ", 4)) {
            double seconds = atof(line + 4), begin = cpu_seconds(), spent;
            do pass(data, size, 0, &t);
            while ((spent = cpu_seconds() - begin) < seconds);
            printf("{\"cpu\": %.9f, \"records\": %" PRIu64 "}\n", spent, t.records);
        } else {
            pass(data, size, 1, &t);
            printf("{\"records\": %" PRIu64 ", \"octets\": %" PRIu64 ", \"values\": %" PRIu64 ", \"text\": %" PRIu64
                   ", \"letters\": %" PRIu64 ", \"inner\": %" PRIu64 "}\n",
                   t.records, t.octets, t.values, t.text, t.letters, t.inner);
        }
        fflush(stdout);
    }
    return 0;
}

#endif
