/* A small libnvidia-ml.so.1 for tests: unmodified nvidia-ml-py runs on it. Its cards are called "Mock ...".
 *
 * The scenario is a file of lines "key value ..." named by CARDKEEPER_NVML_SCENARIO; I is a card's index:
 *   cards N              how many cards (default 8)
 *   init CODE            nvmlInit answers CODE (9 driver not loaded, 18 library and driver differ)
 *   init_hang SECONDS    the first nvmlInit takes that long
 *   throttle I           HW thermal slowdown
 *   ecc I                uncorrected errors and a pending remap
 *   xid I CODE           one XID from the event set
 *   event_lost I         the event set's first wait answers GPU_IS_LOST; an XID comes from the next set only
 *   lost I               every call answers GPU_IS_LOST
 *   found I SECONDS      a lost card answers again that long after nvmlInit
 *   hang I SECONDS       the first utilisation call takes that long
 *   hang_list I SECONDS  the first process list takes that long
 *   one_lock 1           calls wait for one another, as behind one lock of the driver
 *   denied I             NO_PERMISSION for power
 *   mig I N              MIG is on with N slices
 *   mig_later I N        MIG is turned on with N slices 1.5 s after nvmlInit
 *   process I PID        PID works on the card (by default card 0 holds the calling process)
 *   quiet I              process utilisation succeeds with no rows, a quirk of some drivers
 *   blank I              floating-point readings are NaN
 * Built with -DOLD_DRIVER, what came after driver 470 is not there at all: _v3 process calls, memory v2, field values,
 * GPM, event reasons by their new name, SRAM status, fabric.
 */
#ifndef MOCK_H
#define MOCK_H

#define OK 0
#define UNINITIALIZED 1
#define INVALID 2
#define NOT_SUPPORTED 3
#define NO_PERMISSION 4
#define NOT_FOUND 6
#define TOO_SMALL 7
#define TIMEOUT 10
#define LOST 15
#define BAD_VERSION 25
#define MAX 64

typedef struct card {
    int index, throttle, ecc, lost, hang, hang_list, denied, mig, mig_later, found_after, quiet, blank, event_lost, pid;
    int is_slice, parent;
} card_t;

typedef struct scenario {
    card_t cards[MAX], slices[MAX];
    int count, xid_card, xid_code, init_code, init_hang, one_lock, started;
    double started_at;
} scenario_t;

extern scenario_t scenario;

void load_scenario(void);
double seconds(void);
void take_time(int *left);   /* sleeps *left seconds once, holding the one lock where there is one */
int alive(card_t *c);        /* OK, or what a call on this card answers instead of a value */
int whole(card_t *c);        /* the same for calls that slices do not have */
int slices_of(card_t *c);    /* how many slices the card has now */

#define ALIVE(c) do { int code_ = alive(c); if (code_) return code_; } while (0)
#define WHOLE(c) do { int code_ = whole(c); if (code_) return code_; } while (0)

#endif
