/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pthread.h>

#include "tensor/shared.h"

struct entry {
    struct entry *next;
    struct sr_shared_key key;
    struct sr_packed *p;
    size_t users;
};

/* Two sessions know nothing of each other: what they share can hang on nothing but the process.  The lock is held while
   weights are packed, so that nobody packs the same ones beside us. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *entries;

sora_result sr_shared_get(struct sr_packed **p, const struct sr_shared_key *key, sr_pack_fn *make, void *user,
                          sora_error *err)
{
    struct entry *e;
    sora_result r = SORA_OK;

    *p = NULL;
    if (!key->source) return make(user, p, err);
    pthread_mutex_lock(&lock);
    for (e = entries; e && memcmp(&e->key, key, sizeof *key); e = e->next) {}
    if (e) {
        e->users++;
        *p = e->p;
    } else if (!(e = sr_malloc(sizeof *e))) {
        r = sr_fail_nomem(err, sizeof *e, "weights");
    } else if ((r = make(user, p, err)) < 0) {
        sr_free(e);
    } else {
        *e = (struct entry){ .next = entries, .p = *p, .users = 1 };
        memcpy(&e->key, key, sizeof *key);
        entries = e;
    }
    pthread_mutex_unlock(&lock);
    return r;
}

void sr_shared_put(struct sr_packed **p)
{
    struct entry **at = &entries, *e;

    if (!*p) return;
    pthread_mutex_lock(&lock);
    while (*at && (*at)->p != *p) at = &(*at)->next;
    if ((e = *at) && --e->users > 0) {
        *p = NULL;
    } else if (e) {
        *at = e->next;
        sr_free(e);
    }
    pthread_mutex_unlock(&lock);
    sr_packed_close(p);
}
