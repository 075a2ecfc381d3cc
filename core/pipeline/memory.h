/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session will need of memory and work, before anything is loaded. */
#ifndef SR_MEMORY_H
#define SR_MEMORY_H

#include "pipeline/diffusion.h"

/* Fills parameters, weight_bytes, types, memory_bytes and flop of the pipeline's info. */
sora_result sr_estimate(struct sr_diffusion *d, sora_error *err);
/* SORA_ERR_NOMEM where the weights alone do not fit into what the system can give. */
sora_result sr_check_memory(const struct sr_diffusion *d, sora_error *err);

#endif
