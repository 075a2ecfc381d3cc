/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the two halves of the T5 encoders. */
#ifndef SR_T5_H
#define SR_T5_H

#include "text/text.h"

/* Finds out which of the two sets of names the file has; we ask for those of the transformers package. */
void sr_t5_names(struct sr_weights *w);
int sr_t5_bucket(int64_t distance, int64_t buckets, int64_t max_distance);

#endif
