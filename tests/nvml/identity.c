/* Start and end, versions, and what a card is. */
#include "mock.h"

#include <stdio.h>
#include <string.h>

int nvmlInit_v2(void) {
    load_scenario();
    if (scenario.init_code) return scenario.init_code;
    take_time(&scenario.init_hang);
    scenario.started = 1;
    return OK;
}
int nvmlInitWithFlags(unsigned flags) { (void)flags; return nvmlInit_v2(); }
int nvmlShutdown(void) { scenario.started = 0; return OK; }
const char *nvmlErrorString(int code) {
    switch (code) {
    case OK: return "Success";
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case TIMEOUT: return "Timeout";
    case LOST: return "GPU is lost";
    default: return "Unknown Error";
    }
}
int nvmlSystemGetDriverVersion(char *out, unsigned n) { snprintf(out, n, "580.0-mock"); return OK; }
int nvmlSystemGetNVMLVersion(char *out, unsigned n) { snprintf(out, n, "13.580.0-mock"); return OK; }
int nvmlSystemGetCudaDriverVersion_v2(int *out) { *out = 13000; return OK; }
int nvmlDeviceGetCount_v2(unsigned *out) {
    *out = (unsigned)scenario.count;
    return scenario.started ? OK : UNINITIALIZED;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, card_t **out) {
    if (index >= (unsigned)scenario.count) return INVALID;
    *out = &scenario.cards[index];
    return OK;
}
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
int nvmlDeviceGetCudaComputeCapability(card_t *c, int *major, int *minor) { WHOLE(c); *major = 9; *minor = 0; return OK; }

typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;
int nvmlDeviceGetPciInfo_v3(card_t *c, pci_t *out) {
    WHOLE(c);
    memset(out, 0, sizeof *out);
    snprintf(out->bus_id, sizeof out->bus_id, "00000000:%02X:00.0", 0x1b + c->index);
    return OK;
}
int nvmlDeviceGetMaxPcieLinkGeneration(card_t *c, unsigned *out) { WHOLE(c); *out = 5; return OK; }
int nvmlDeviceGetMaxPcieLinkWidth(card_t *c, unsigned *out) { WHOLE(c); *out = 16; return OK; }
int nvmlDeviceGetMaxClockInfo(card_t *c, int kind, unsigned *out) { WHOLE(c); *out = kind == 1 ? 1980 : 2619; return OK; }
