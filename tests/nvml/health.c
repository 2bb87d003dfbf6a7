/* What tells whether a card is well: the slow tier. */
#include "mock.h"

#include <string.h>

int nvmlDeviceGetEnforcedPowerLimit(card_t *c, unsigned *out) { WHOLE(c); *out = 700000; return OK; }
int nvmlDeviceGetFanSpeed(card_t *c, unsigned *out) { (void)out; WHOLE(c); return NOT_SUPPORTED; }
int nvmlDeviceGetTotalEccErrors(card_t *c, int kind, int span, unsigned long long *out) {
    WHOLE(c);
    *out = c->ecc ? (kind ? 2 : 40) + (span ? 100 : 0) : 0;
    return OK;
}
int nvmlDeviceGetEccMode(card_t *c, int *now, int *next) { WHOLE(c); *now = *next = 1; return OK; }
int nvmlDeviceGetRemappedRows(card_t *c, unsigned *a, unsigned *b, unsigned *pending, unsigned *failed) {
    WHOLE(c);
    *a = *failed = 0;
    *b = *pending = (unsigned)c->ecc;
    return OK;
}
int nvmlDeviceGetRetiredPagesPendingStatus(card_t *c, int *out) { (void)out; WHOLE(c); return NOT_SUPPORTED; }
int nvmlDeviceGetPersistenceMode(card_t *c, int *out) { WHOLE(c); *out = 1; return OK; }
int nvmlDeviceGetComputeMode(card_t *c, int *out) { WHOLE(c); *out = 0; return OK; }
int nvmlDeviceGetCurrPcieLinkWidth(card_t *c, unsigned *out) { WHOLE(c); *out = 16; return OK; }
int nvmlDeviceGetCurrPcieLinkGeneration(card_t *c, unsigned *out) { WHOLE(c); *out = 5; return OK; }
int nvmlDeviceGetPcieReplayCounter(card_t *c, unsigned *out) { WHOLE(c); *out = 6; return OK; }
int nvmlDeviceGetNvLinkState(card_t *c, unsigned link, int *out) {
    WHOLE(c);
    if (link >= 18) return INVALID;
    *out = link != 17; /* one link is down */
    return OK;
}

#ifndef OLD_DRIVER
typedef struct { unsigned version; int margin; } margin_t;
int nvmlDeviceGetMarginTemperature(card_t *c, margin_t *out) {
    WHOLE(c);
    if (out->version != (sizeof *out | 1u << 24)) return BAD_VERSION;
    out->margin = 23;
    return OK;
}

/* pynvml hands the next two structs on as they are: a caller that forgets to pass a pointer dies here. */
typedef struct { unsigned version; unsigned long long parity, sec_ded, rest[9]; unsigned over; } sram_t;
int nvmlDeviceGetSramEccErrorStatus(card_t *c, sram_t *out) {
    WHOLE(c);
    if (out->version != (sizeof *out | 1u << 24)) return BAD_VERSION;
    memset(out->rest, 0, sizeof out->rest);
    out->parity = c->ecc ? 3 : 0;
    out->sec_ded = c->ecc ? 4 : 0;
    out->over = (unsigned)c->ecc;
    return OK;
}

typedef struct { unsigned version; unsigned char cluster[16]; int status; unsigned clique; unsigned char state; unsigned health; } fabric_t;
int nvmlDeviceGetGpuFabricInfoV(card_t *c, fabric_t *out) {
    WHOLE(c);
    if (out->version != (sizeof *out | 2u << 24)) return BAD_VERSION;
    out->state = 3; /* completed */
    return OK;
}
#endif
