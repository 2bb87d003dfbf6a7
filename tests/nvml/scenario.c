/* What the library plays, read from a file at nvmlInit. */
#include "mock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

scenario_t scenario;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void apply(const char *key, int a, int b) {
    card_t *c = &scenario.cards[a];
    if (!strcmp(key, "cards")) scenario.count = a;
    else if (!strcmp(key, "init")) scenario.init_code = a;
    else if (!strcmp(key, "init_hang")) scenario.init_hang = a;
    else if (!strcmp(key, "one_lock")) scenario.one_lock = a;
    else if (!strcmp(key, "xid")) { scenario.xid_card = a; scenario.xid_code = b; }
    else if (!strcmp(key, "throttle")) c->throttle = 1;
    else if (!strcmp(key, "ecc")) c->ecc = 1;
    else if (!strcmp(key, "lost")) c->lost = 1;
    else if (!strcmp(key, "found")) c->found_after = b;
    else if (!strcmp(key, "hang")) c->hang = b;
    else if (!strcmp(key, "hang_list")) c->hang_list = b;
    else if (!strcmp(key, "denied")) c->denied = 1;
    else if (!strcmp(key, "mig")) c->mig = b;
    else if (!strcmp(key, "mig_later")) c->mig_later = b;
    else if (!strcmp(key, "process")) c->pid = b;
    else if (!strcmp(key, "quiet")) c->quiet = 1;
    else if (!strcmp(key, "blank")) c->blank = 1;
    else if (!strcmp(key, "event_lost")) c->event_lost = 1;
    else { fprintf(stderr, "scenario: unknown key %s\n", key); abort(); }
}

/* Read once: a second nvmlInit finds the driver as it is, as on a node. */
void load_scenario(void) {
    static int loaded;
    const char *path = getenv("CARDKEEPER_NVML_SCENARIO");
    char key[32], line[128];
    int a, b, i;
    FILE *file;
    if (loaded++) return;
    scenario.count = 8;
    scenario.xid_card = -1;
    scenario.started_at = seconds();
    for (i = 0; i < MAX; i++) scenario.cards[i].index = i;
    scenario.cards[0].pid = (int)getpid();
    if (!path || !(file = fopen(path, "r"))) return;
    while (fgets(line, sizeof line, file)) {
        a = b = 0;
        if (sscanf(line, "%31s %d %d", key, &a, &b) >= 2 && a >= 0 && a < MAX) apply(key, a, b);
    }
    fclose(file);
}

double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void take_time(int *left) {
    int wait = *left;
    *left = 0;
    if (!wait) return;
    if (scenario.one_lock) pthread_mutex_lock(&lock);
    sleep((unsigned)wait);
    if (scenario.one_lock) pthread_mutex_unlock(&lock);
}

int alive(card_t *c) {
    if (scenario.one_lock) {
        pthread_mutex_lock(&lock);
        pthread_mutex_unlock(&lock);
    }
    if (!scenario.started) return UNINITIALIZED;
    if (c->lost && !(c->found_after && seconds() - scenario.started_at > c->found_after)) return LOST;
    return OK;
}

int whole(card_t *c) {
    int code = alive(c);
    return code ? code : c->is_slice ? NOT_SUPPORTED : OK;
}

int slices_of(card_t *c) {
    return c->mig_later && seconds() - scenario.started_at > 1.5 ? c->mig_later : c->mig;
}
