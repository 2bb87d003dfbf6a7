/* The event set. XIDs from before a card was registered are lost, and so they are here. */
#include "mock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { int registered[MAX]; int freed; } set_t;
typedef struct { card_t *device; unsigned long long kind, data; unsigned gpu_instance, compute_instance; } event_t;

int nvmlEventSetCreate(set_t **out) { *out = calloc(1, sizeof **out); return OK; }
int nvmlEventSetFree(set_t *set) { set->freed = 1; return OK; } /* kept, so that a use after it is told from one before */
int nvmlDeviceGetSupportedEventTypes(card_t *c, unsigned long long *out) { WHOLE(c); *out = 0x8; return OK; }
int nvmlDeviceRegisterEvents(card_t *c, unsigned long long kinds, set_t *set) {
    WHOLE(c);
    if (kinds != 0x8) return INVALID;
    set->registered[c->index] = 1;
    return OK;
}
int nvmlEventSetWait_v2(set_t *set, event_t *out, unsigned timeout_ms) {
    int i;
    if (set->freed) abort(); /* the driver would have crashed the process or worse */
    for (i = 0; i < MAX; i++)
        if (scenario.cards[i].event_lost && set->registered[i]) { scenario.cards[i].event_lost = 0; return LOST; }
    if (scenario.xid_card >= 0 && set->registered[scenario.xid_card]) {
        memset(out, 0, sizeof *out);
        out->device = &scenario.cards[scenario.xid_card];
        out->kind = 0x8;
        out->data = (unsigned long long)scenario.xid_code;
        scenario.xid_card = -1;
        return OK;
    }
    usleep(timeout_ms * 1000);
    if (set->freed) abort();
    return TIMEOUT;
}
