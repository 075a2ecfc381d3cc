/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/kernels.h"
#include "kernels/x86/attention.h"

/* Each level overrides the one before. */
void sr_kernels_init_x86(struct sr_kernels *k, unsigned cpu)
{
    if (!(cpu & SR_CPU_AVX2)) return;
    memcpy(k->attention, sr_attention_avx2, sizeof k->attention);

    if (!(cpu & SR_CPU_AVX512)) return;
    memcpy(k->attention, sr_attention_avx512, sizeof k->attention);
    if (cpu & SR_CPU_AVX512_BF16) k->attention[SR_E_BF16] = sr_attention_avx512bf16;
}
