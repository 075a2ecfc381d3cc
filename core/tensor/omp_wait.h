/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How threads of OpenMP wait for each other: spinning where they have the CPUs to themselves, asleep elsewhere. */
#ifndef SR_OMP_WAIT_H
#define SR_OMP_WAIT_H

#include <stdbool.h>

/* From the first get to the last put they sleep, unless passes show that they may spin; any thread.  Where it cannot be
   done nothing changes. */
void sr_omp_wait_get(void);
void sr_omp_wait_put(void);

/* A long computation with many barriers, between begin and end, by the thread that runs its parallel regions of `threads`
   threads: what is seen in it decides how the next one waits. */
struct sr_omp_pass {
    int threads;
    bool spins;
    double wall_s, cpu_s;
    long preempted;
};
void sr_omp_pass_begin(struct sr_omp_pass *p, int threads);
void sr_omp_pass_end(const struct sr_omp_pass *p);
bool sr_omp_spins(void);

#endif
