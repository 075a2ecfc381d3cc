/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads of OpenMP that sleep soon while they wait for each other. */
#ifndef SR_OMP_WAIT_H
#define SR_OMP_WAIT_H

/* From the first get to the last put; any thread.  Where it cannot be done nothing changes. */
void sr_omp_wait_get(void);
void sr_omp_wait_put(void);

#endif
