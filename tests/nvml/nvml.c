/* A small libnvidia-ml.so.1 for tests: unmodified nvidia-ml-py runs on it.
 *
 * The scenario is a file of lines "key value" named by CARDKEEPER_NVML_SCENARIO:
 *   cards N            how many cards (default 8)
 *   throttle I         card I reports HW thermal slowdown
 *   ecc I              card I has uncorrected errors and a pending remap
 *   xid I CODE         one XID on card I from the event set
 *   lost I             card I answers GPU_IS_LOST
 *   hang I SECONDS     the first fast call on card I takes that long
 *   denied I           card I answers NO_PERMISSION for power
 *   mig I N            card I has MIG on with N slices
 * Built with -DOLD_DRIVER, the _v3 process calls, memory v2 and field values are not there at all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OK 0
#define UNINITIALIZED 1
#define INVALID 2
#define NOT_SUPPORTED 3
#define NO_PERMISSION 4
#define NOT_FOUND 6
#define TOO_SMALL 7
#define TIMEOUT 10
#define LOST 15
#define MAX 64

typedef struct card {
    int index, throttle, ecc, lost, hang, denied, mig, parent;
    int is_slice;
} card_t;

static card_t cards[MAX];
static card_t slices[MAX];
static int count = 8, xid_card = -1, xid_code = 0, started = 0;

static void load(void) {
    const char *path = getenv("CARDKEEPER_NVML_SCENARIO");
    char key[32];
    int a, b, n;
    char line[128];
    FILE *file;
    memset(cards, 0, sizeof cards);
    memset(slices, 0, sizeof slices);
    count = 8;
    xid_card = -1;
    if (path && (file = fopen(path, "r"))) {
        while (fgets(line, sizeof line, file)) {
            a = b = 0;
            n = sscanf(line, "%31s %d %d", key, &a, &b);
            if (n < 2 || a < 0 || a >= MAX) continue;
            if (!strcmp(key, "cards")) count = a;
            else if (!strcmp(key, "throttle")) cards[a].throttle = 1;
            else if (!strcmp(key, "ecc")) cards[a].ecc = 1;
            else if (!strcmp(key, "lost")) cards[a].lost = 1;
            else if (!strcmp(key, "hang")) cards[a].hang = b;
            else if (!strcmp(key, "denied")) cards[a].denied = 1;
            else if (!strcmp(key, "mig")) cards[a].mig = b;
            else if (!strcmp(key, "xid")) { xid_card = a; xid_code = b; }
        }
        fclose(file);
    }
    for (a = 0; a < MAX; a++) cards[a].index = a;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int nvmlInit_v2(void) { load(); started = 1; return OK; }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return nvmlInit_v2(); }
int nvmlShutdown(void) { started = 0; return OK; }
const char *nvmlErrorString(int code) { return code == LOST ? "GPU is lost" : code == NOT_SUPPORTED ? "Not Supported" : "Error"; }
int nvmlSystemGetDriverVersion(char *out, unsigned n) { snprintf(out, n, "580.0-mock"); return OK; }
int nvmlSystemGetNVMLVersion(char *out, unsigned n) { snprintf(out, n, "13.580.0-mock"); return OK; }
int nvmlSystemGetCudaDriverVersion_v2(int *out) { *out = 13000; return OK; }
int nvmlDeviceGetCount_v2(unsigned *out) { *out = (unsigned)count; return started ? OK : UNINITIALIZED; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, card_t **out) {
    if (index >= (unsigned)count) return INVALID;
    *out = &cards[index];
    return OK;
}

#define ALIVE(c) do { if ((c)->lost && !(c)->is_slice) return LOST; } while (0)
#define WHOLE(c) do { ALIVE(c); if ((c)->is_slice) return NOT_SUPPORTED; } while (0)

int nvmlDeviceGetUUID(card_t *c, char *out, unsigned n) {
    if (c->is_slice) snprintf(out, n, "MIG-mock-%d-%d", c->parent, c->index);
    else snprintf(out, n, "GPU-mock-%d", c->index);
    return OK;
}
int nvmlDeviceGetName(card_t *c, char *out, unsigned n) {
    snprintf(out, n, c->is_slice ? "Mock MIG 1g.10gb" : "Mock H100 80GB");
    return OK;
}
int nvmlDeviceGetSerial(card_t *c, char *out, unsigned n) { WHOLE(c); snprintf(out, n, "S%04d", c->index); return OK; }
int nvmlDeviceGetMinorNumber(card_t *c, unsigned *out) { WHOLE(c); *out = (unsigned)c->index; return OK; }
int nvmlDeviceGetArchitecture(card_t *c, unsigned *out) { (void)c; *out = 9; return OK; }

typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;
int nvmlDeviceGetPciInfo_v3(card_t *c, pci_t *out) {
    WHOLE(c);
    memset(out, 0, sizeof *out);
    snprintf(out->bus_id, sizeof out->bus_id, "00000000:%02X:00.0", 0x1b + c->index);
    return OK;
}

typedef struct { unsigned gpu, memory; } utilization_t;
int nvmlDeviceGetUtilizationRates(card_t *c, utilization_t *out) {
    WHOLE(c);
    if (c->mig) return NOT_SUPPORTED;
    if (c->hang) { int wait = c->hang; c->hang = 0; sleep((unsigned)wait); }
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
int nvmlDeviceGetEnforcedPowerLimit(card_t *c, unsigned *out) { WHOLE(c); *out = 700000; return OK; }
int nvmlDeviceGetTotalEnergyConsumption(card_t *c, unsigned long long *out) {
    WHOLE(c);
    *out = (unsigned long long)(seconds() * 612345.0);
    return OK;
}
int nvmlDeviceGetTemperature(card_t *c, int sensor, unsigned *out) { WHOLE(c); (void)sensor; *out = 64; return OK; }
int nvmlDeviceGetClockInfo(card_t *c, int kind, unsigned *out) { WHOLE(c); *out = kind == 1 ? 1980 : 2619; return OK; }
int nvmlDeviceGetMaxClockInfo(card_t *c, int kind, unsigned *out) { return nvmlDeviceGetClockInfo(c, kind, out); }
int nvmlDeviceGetCurrentClocksThrottleReasons(card_t *c, unsigned long long *out) {
    WHOLE(c);
    *out = c->throttle ? 0x48 : 0;
    return OK;
}
#ifndef OLD_DRIVER
int nvmlDeviceGetCurrentClocksEventReasons(card_t *c, unsigned long long *out) {
    return nvmlDeviceGetCurrentClocksThrottleReasons(c, out);
}
#endif
int nvmlDeviceGetPerformanceState(card_t *c, int *out) { WHOLE(c); *out = 0; return OK; }
int nvmlDeviceGetPcieThroughput(card_t *c, int counter, unsigned *out) { WHOLE(c); *out = 1000u * (unsigned)(counter + 1); return OK; }
int nvmlDeviceGetTotalEccErrors(card_t *c, int kind, int span, unsigned long long *out) {
    WHOLE(c);
    (void)span;
    *out = c->ecc ? (kind ? 2 : 40) : 0;
    return OK;
}
int nvmlDeviceGetRemappedRows(card_t *c, unsigned *a, unsigned *b, unsigned *pending, unsigned *failed) {
    WHOLE(c);
    *a = 0;
    *b = *pending = (unsigned)c->ecc;
    *failed = 0;
    return OK;
}
int nvmlDeviceGetPersistenceMode(card_t *c, int *out) { WHOLE(c); *out = 1; return OK; }
int nvmlDeviceGetComputeMode(card_t *c, int *out) { WHOLE(c); *out = 0; return OK; }
int nvmlDeviceGetCurrPcieLinkWidth(card_t *c, unsigned *out) { WHOLE(c); *out = 16; return OK; }
int nvmlDeviceGetCurrPcieLinkGeneration(card_t *c, unsigned *out) { WHOLE(c); *out = 5; return OK; }

#ifndef OLD_DRIVER
/* pynvml hands these structs on as it gets them, so a caller that forgets byref passes them by value. */
typedef struct {
    unsigned version;
    unsigned long long unc_parity, unc_secded, cor, v_unc_parity, v_unc_secded, v_cor, l2, sm, pcie, mcu, other;
    unsigned exceeded;
} sram_t;
int nvmlDeviceGetSramEccErrorStatus(card_t *c, sram_t *out) {
    WHOLE(c);
    if (out->version != (sizeof *out | 1u << 24)) return 25;
    out->unc_parity = 1;
    out->unc_secded = (unsigned long long)c->ecc;
    out->exceeded = (unsigned)c->ecc;
    return OK;
}
typedef struct { unsigned version; unsigned char uuid[16]; int status; unsigned clique, state, mask; } fabric_t;
int nvmlDeviceGetGpuFabricInfoV(card_t *c, fabric_t *out) {
    WHOLE(c);
    out->state = 3;
    return OK;
}
#endif

/* MIG */
int nvmlDeviceGetMigMode(card_t *c, unsigned *now, unsigned *next) { WHOLE(c); *now = *next = c->mig > 0; return OK; }
int nvmlDeviceGetMaxMigDeviceCount(card_t *c, unsigned *out) { WHOLE(c); *out = 7; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(card_t *c, unsigned place, card_t **out) {
    static int next = 0;
    int i;
    WHOLE(c);
    if ((int)place >= c->mig) return NOT_FOUND;
    for (i = 0; i < MAX; i++)
        if (slices[i].is_slice && slices[i].parent == c->index && slices[i].index == (int)place) { *out = &slices[i]; return OK; }
    i = next++ % MAX;
    slices[i].is_slice = 1;
    slices[i].parent = c->index;
    slices[i].index = (int)place;
    *out = &slices[i];
    return OK;
}
int nvmlDeviceGetGpuInstanceId(card_t *c, unsigned *out) { if (!c->is_slice) return NOT_SUPPORTED; *out = (unsigned)c->index + 1; return OK; }

/* Processes */
typedef struct { unsigned pid; unsigned long long used; unsigned gi, ci; } process_t;
static int list(card_t *c, unsigned *n, process_t *out) {
    WHOLE(c);
    if (c->index != 0) { *n = 0; return OK; }
    if (*n < 1 || !out) { *n = 1; return TOO_SMALL; }
    *n = 1;
    out[0].pid = (unsigned)getpid();
    out[0].used = 10ULL << 30;
    out[0].gi = out[0].ci = 0xffffffffu;
    return OK;
}
static int none(card_t *c, unsigned *n, process_t *out) { WHOLE(c); (void)out; *n = 0; return OK; }
int nvmlDeviceGetComputeRunningProcesses_v2(card_t *c, unsigned *n, process_t *out) { return list(c, n, out); }
int nvmlDeviceGetGraphicsRunningProcesses_v2(card_t *c, unsigned *n, process_t *out) { return none(c, n, out); }
#ifndef OLD_DRIVER
int nvmlDeviceGetComputeRunningProcesses_v3(card_t *c, unsigned *n, process_t *out) { return list(c, n, out); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(card_t *c, unsigned *n, process_t *out) { return none(c, n, out); }

typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory2_t;
int nvmlDeviceGetMemoryInfo_v2(card_t *c, memory2_t *out) {
    ALIVE(c);
    if (out->version != (sizeof *out | 2u << 24)) return 25;
    out->total = 80ULL << 30;
    out->reserved = 1ULL << 28;
    out->used = 10ULL << 30;
    out->free = out->total - out->used - out->reserved;
    return OK;
}

typedef union { double d; unsigned ui; unsigned long ul; unsigned long long ull; long long sll; int si; unsigned short us; } value_t;
typedef struct { unsigned field, scope; long long at, latency; int type, code; value_t value; } field_t;
int nvmlDeviceGetFieldValues(card_t *c, int n, field_t *rows) {
    int i;
    WHOLE(c);
    for (i = 0; i < n; i++) {
        rows[i].type = 3;
        rows[i].code = OK;
        switch (rows[i].field) {
        case 186: if (c->denied) rows[i].code = NO_PERMISSION; else rows[i].value.ull = 615000; break;
        case 82: rows[i].value.ull = 78; break;
        case 197: case 198: rows[i].value.ull = (unsigned long long)(seconds() * 1e6); break;
        case 138: case 139: rows[i].value.ull = (unsigned long long)(seconds() * 1024.0); break;
        case 74: case 75: case 270: case 271: rows[i].value.ull = c->throttle ? 5000000000ULL : 0; break;
        case 94: case 173: case 180: case 38: case 52: case 59: rows[i].value.ull = 0; break;
        case 230: rows[i].value.ull = c->ecc ? 1 : 0; break;
        default: rows[i].code = NOT_SUPPORTED;
        }
    }
    return OK;
}
#endif

/* Events */
typedef struct { card_t *device; unsigned long long kind, data; unsigned gi, ci; } event_t;
static int set_here;
int nvmlEventSetCreate(void **out) { *out = &set_here; return OK; }
int nvmlEventSetFree(void *set) { (void)set; return OK; }
int nvmlDeviceGetSupportedEventTypes(card_t *c, unsigned long long *out) { WHOLE(c); *out = 0x8; return OK; }
int nvmlDeviceRegisterEvents(card_t *c, unsigned long long kinds, void *set) { (void)kinds; (void)set; WHOLE(c); return OK; }
int nvmlEventSetWait_v2(void *set, event_t *out, unsigned timeout_ms) {
    (void)set;
    if (xid_card >= 0) {
        memset(out, 0, sizeof *out);
        out->device = &cards[xid_card];
        out->kind = 0x8;
        out->data = (unsigned long long)xid_code;
        xid_card = -1;
        return OK;
    }
    usleep(timeout_ms * 1000);
    return TIMEOUT;
}
