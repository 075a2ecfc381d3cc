/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/kernels.h"

void sr_kernels_init(struct sr_kernels *k, unsigned cpu)
{
    sr_kernels_init_c(k);
#if defined(__x86_64__)
    sr_kernels_init_x86(k, cpu);
#endif
}
