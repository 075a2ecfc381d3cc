/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/kernels.h"

/* Each level overrides the one before. */
void sr_kernels_init_x86(struct sr_kernels *k, unsigned cpu)
{
    if (!(cpu & SR_CPU_AVX2)) return;
}
