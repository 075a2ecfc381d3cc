/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GCC's OpenMP lets a thread that waits for the others spin for some milliseconds, as if each had a core of its own.
 * Beside an encoder or a player one of them is now and then without a core, and the other burns its own meanwhile, at
 * every one of the hundreds of barriers of a step: pocket with two threads was then ten times slower than with one.
 * A library cannot set OMP_WAIT_POLICY, which is read before it is loaded.  But where a process has more OpenMP threads
 * than there are CPUs, libgomp spins a thousandth of that.  So there is one team more, which sleeps: together with the
 * second thread of any session it is one thread too many.
 */
#include <omp.h>
#include <pthread.h>
#include <stdbool.h>

#include "tensor/omp_wait.h"

static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;      /* held while the team is made or ended */
static int users;
static pthread_t team;
static bool made;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static bool end;

static void *sleep_together(void *arg)
{
    const int cpus = omp_get_num_procs();

#pragma omp parallel num_threads(cpus)
    {
        pthread_mutex_lock(&lock);
        while (!end) pthread_cond_wait(&ended, &lock);
        pthread_mutex_unlock(&lock);
    }
    return arg;
}

void sr_omp_wait_get(void)
{
    pthread_mutex_lock(&users_lock);
    if (users++ == 0) {
        end = false;
        made = pthread_create(&team, NULL, sleep_together, NULL) == 0;
    }
    pthread_mutex_unlock(&users_lock);
}

void sr_omp_wait_put(void)
{
    pthread_mutex_lock(&users_lock);
    if (--users == 0 && made) {
        pthread_mutex_lock(&lock);
        end = true;
        pthread_cond_broadcast(&ended);
        pthread_mutex_unlock(&lock);
        pthread_join(team, NULL);
    }
    pthread_mutex_unlock(&users_lock);
}
