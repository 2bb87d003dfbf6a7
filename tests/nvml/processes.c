/* Who works on a card. Lists are asked twice: for their size, then to be filled. */
#include "mock.h"

#include <time.h>

typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process_t;
static int list(card_t *c, unsigned *n, process_t *out) {
    card_t *holder = c->is_slice ? &scenario.cards[c->parent] : c;
    ALIVE(c);
    take_time(&c->hang_list);
    if (!holder->pid || (c->is_slice && c->index)) { *n = 0; return OK; }
    if (*n < 1 || !out) { *n = 1; return TOO_SMALL; }
    *n = 1;
    out[0].pid = (unsigned)holder->pid;
    out[0].used = 10ULL << 30;
    out[0].gpu_instance = out[0].compute_instance = 0xffffffffu;
    return OK;
}
static int none(card_t *c, unsigned *n, process_t *out) { (void)out; ALIVE(c); *n = 0; return OK; }
int nvmlDeviceGetComputeRunningProcesses_v2(card_t *c, unsigned *n, process_t *out) { return list(c, n, out); }
int nvmlDeviceGetGraphicsRunningProcesses_v2(card_t *c, unsigned *n, process_t *out) { return none(c, n, out); }
#ifndef OLD_DRIVER
int nvmlDeviceGetComputeRunningProcesses_v3(card_t *c, unsigned *n, process_t *out) { return list(c, n, out); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(card_t *c, unsigned *n, process_t *out) { return none(c, n, out); }
#endif

typedef struct { unsigned pid; unsigned long long at_us; unsigned sm, memory, encoder, decoder; } share_t;
int nvmlDeviceGetProcessUtilization(card_t *c, share_t *out, unsigned *n, unsigned long long since_us) {
    unsigned long long now_us = (unsigned long long)time(0) * 1000000ULL;
    WHOLE(c);
    if (c->quiet) { *n = 0; return OK; }
    if (!c->pid || now_us <= since_us) return NOT_FOUND;
    if (!out) { *n = 2; return TOO_SMALL; }
    *n = 2;
    out[0] = (share_t){(unsigned)c->pid, now_us, 41, 5, 0, 0};
    out[1] = (share_t){(unsigned)c->pid, now_us + 1, 4000000000u, 5, 0, 0}; /* seen on real drivers: no share at all */
    return OK;
}
