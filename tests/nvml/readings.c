/* What changes every second: the fast and medium tiers. */
#include "mock.h"

#include <math.h>
#include <stdlib.h>

typedef struct { unsigned gpu, memory; } utilization_t;
int nvmlDeviceGetUtilizationRates(card_t *c, utilization_t *out) {
    WHOLE(c);
    if (slices_of(c)) return NOT_SUPPORTED;
    take_time(&c->hang);
    out->gpu = 50 + (unsigned)c->index % 50;
    out->memory = 30;
    return OK;
}

typedef struct { unsigned long long total, free, used; } memory_t;
int nvmlDeviceGetMemoryInfo(card_t *c, memory_t *out) {
    ALIVE(c);
    out->total = 80ULL << 30;
    out->used = (10ULL << 30) + (1ULL << 28);
    out->free = out->total - out->used;
    return OK;
}

int nvmlDeviceGetPowerUsage(card_t *c, unsigned *out) {
    WHOLE(c);
    if (c->denied) return NO_PERMISSION;
    *out = 612345;
    return OK;
}
int nvmlDeviceGetTotalEnergyConsumption(card_t *c, unsigned long long *out) {
    WHOLE(c);
    *out = (unsigned long long)(seconds() * 612345.0);
    return OK;
}
int nvmlDeviceGetTemperature(card_t *c, int sensor, unsigned *out) { WHOLE(c); (void)sensor; *out = 64; return OK; }
int nvmlDeviceGetClockInfo(card_t *c, int kind, unsigned *out) { WHOLE(c); *out = kind == 1 ? 1755 : 2619; return OK; }
int nvmlDeviceGetCurrentClocksThrottleReasons(card_t *c, unsigned long long *out) {
    WHOLE(c);
    *out = c->throttle ? 0x48 : 0;
    return OK;
}
int nvmlDeviceGetPerformanceState(card_t *c, int *out) { WHOLE(c); *out = 0; return OK; }
int nvmlDeviceGetPcieThroughput(card_t *c, int counter, unsigned *out) {
    WHOLE(c);
    *out = 1000u * (unsigned)(counter + 1);
    return OK;
}

static int engine(card_t *c, unsigned value, unsigned *share, unsigned *period_us) {
    WHOLE(c);
    if (slices_of(c)) return NOT_SUPPORTED;
    *share = value;
    *period_us = 167000;
    return OK;
}
int nvmlDeviceGetEncoderUtilization(card_t *c, unsigned *share, unsigned *us) { return engine(c, 11, share, us); }
int nvmlDeviceGetDecoderUtilization(card_t *c, unsigned *share, unsigned *us) { return engine(c, 12, share, us); }

#ifndef OLD_DRIVER
int nvmlDeviceGetJpgUtilization(card_t *c, unsigned *share, unsigned *us) { return engine(c, 13, share, us); }
int nvmlDeviceGetOfaUtilization(card_t *c, unsigned *share, unsigned *us) { return engine(c, 14, share, us); }
int nvmlDeviceGetCurrentClocksEventReasons(card_t *c, unsigned long long *out) {
    return nvmlDeviceGetCurrentClocksThrottleReasons(c, out);
}

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory2_t;
int nvmlDeviceGetMemoryInfo_v2(card_t *c, memory2_t *out) {
    ALIVE(c);
    if (out->version != (sizeof *out | 2u << 24)) return BAD_VERSION;
    out->total = 80ULL << 30;
    out->reserved = 1ULL << 28;
    out->used = 10ULL << 30;
    out->free = out->total - out->used - out->reserved;
    return OK;
}

typedef union { double d; unsigned ui; unsigned long ul; unsigned long long ull; long long sll; int si; unsigned short us; } value_t;
typedef struct { unsigned field, scope; long long at, latency; int type, code; value_t value; } field_t;

enum { DOUBLE = 0, UNSIGNED_INT = 1, UNSIGNED_LONG_LONG = 3 };

static void fill(card_t *c, field_t *row) {
    row->type = UNSIGNED_LONG_LONG;
    row->code = OK;
    switch (row->field) {
    case 186:
        row->type = UNSIGNED_INT;
        row->value.ui = 615000;
        if (c->denied) row->code = NO_PERMISSION;
        break;
    case 82:
        row->type = c->blank ? DOUBLE : UNSIGNED_INT;
        if (c->blank) row->value.d = NAN;
        else row->value.ui = 78;
        break;
    case 197: case 198: row->value.ull = (unsigned long long)(seconds() * 1e6); break;
    case 138: case 139:
        row->value.ull = (unsigned long long)(seconds() * 1024.0);
        if (row->scope != 0xffffffffu) row->code = INVALID; /* all links were asked for */
        break;
    case 74: case 75: case 270: case 271: row->value.ull = c->throttle ? 5000000000ULL : 0; break;
    case 94: row->value.ull = 7; break;
    case 173: row->value.ull = 9; break;
    case 180: row->value.ull = 0; break;
    case 230: row->value.ull = c->ecc ? 1 : 0; break;
    case 38: case 52: row->value.ull = 0; break;
    default: row->code = NOT_SUPPORTED;
    }
}
int nvmlDeviceGetFieldValues(card_t *c, int n, field_t *rows) {
    int i;
    WHOLE(c);
    for (i = 0; i < n; i++) fill(c, &rows[i]);
    return OK;
}

/* GPM: a sample is where its card stood; slices are asked by their card and instance. */
typedef struct { card_t *card; int instance; } gpm_sample_t;
typedef struct { unsigned id; int code; double value; const char *names[3]; } gpm_metric_t;
typedef struct { unsigned version, count; gpm_sample_t *one, *two; gpm_metric_t metrics[]; } gpm_get_t;
typedef struct { unsigned version, supported; } gpm_support_t;

int nvmlGpmQueryDeviceSupport(card_t *c, gpm_support_t *out) {
    WHOLE(c);
    if (out->version != 1) return BAD_VERSION;
    out->supported = 1;
    return OK;
}
int nvmlGpmSampleAlloc(gpm_sample_t **out) { *out = calloc(1, sizeof **out); return OK; }
int nvmlGpmSampleFree(gpm_sample_t *sample) { free(sample); return OK; }
int nvmlGpmSampleGet(card_t *c, gpm_sample_t *sample) {
    WHOLE(c);
    sample->card = c;
    sample->instance = -1;
    return OK;
}
int nvmlGpmMigSampleGet(card_t *c, unsigned instance, gpm_sample_t *sample) {
    WHOLE(c);
    if (!slices_of(c)) return NOT_SUPPORTED;
    sample->card = c;
    sample->instance = (int)instance;
    return OK;
}
int nvmlGpmMetricsGet(gpm_get_t *asked) {
    unsigned i;
    if (asked->version != 1 || asked->one->card != asked->two->card) return INVALID;
    for (i = 0; i < asked->count; i++) {
        asked->metrics[i].code = OK;
        asked->metrics[i].value = asked->one->card->blank ? NAN : 10.0 * asked->metrics[i].id + asked->one->instance + 1;
    }
    return OK;
}
#endif
