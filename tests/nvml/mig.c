/* Slices of a card. */
#include "mock.h"

int nvmlDeviceGetMigMode(card_t *c, unsigned *now, unsigned *next) {
    WHOLE(c);
    *now = *next = slices_of(c) > 0;
    return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(card_t *c, unsigned *out) { WHOLE(c); *out = 7; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(card_t *c, unsigned place, card_t **out) {
    card_t *slice = &scenario.slices[(c->index * 8 + (int)place) % MAX];
    WHOLE(c);
    if ((int)place >= slices_of(c)) return NOT_FOUND;
    slice->is_slice = 1;
    slice->parent = c->index;
    slice->index = (int)place;
    *out = slice;
    return OK;
}
int nvmlDeviceGetGpuInstanceId(card_t *c, unsigned *out) {
    if (!c->is_slice) return NOT_SUPPORTED;
    *out = (unsigned)c->index + 1;
    return OK;
}
