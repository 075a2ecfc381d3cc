/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Model "test": the stand-in with which programs around the library are tested.  No weights, no arithmetic worth the name;
   delays and faults on request, as "test/step-delay=200/fail=decode". */
#ifndef SR_TEST_MODEL_H
#define SR_TEST_MODEL_H

#include "base/base.h"

enum sr_test_fault { SR_TEST_NO_FAULT, SR_TEST_FAIL_LOAD, SR_TEST_FAIL_TEXT, SR_TEST_FAIL_STEP, SR_TEST_FAIL_DECODE };

struct sr_test_knobs {
    int width, height;              /* size=320x180: native */
    int rate;                       /* rate=16 */
    int frames;                     /* frames=33: length when none is asked for */
    int steps;                      /* steps=4 */
    int chunk_frames;               /* chunk-frames=8 */
    int step_delay_ms, load_delay_ms, text_delay_ms, decode_delay_ms;  /* decode-delay: for each frame */
    int fail_chunk;                 /* fail-chunk=0: of fail=step, fail=decode and nan */
    enum sr_test_fault fail;        /* fail=load, text, step, decode */
    int ignore_cancel, nan;         /* ignore-cancel=1, nan=1 */
    int streams;                    /* streams=1; 0: one chunk is the whole clip */
    int fixed_size;                 /* fixed-size=1: makes its native size alone, which is scaled to what is asked for */
};

/* "test" or "test/knob=value/..." */
bool sr_test_is(const char *model);
sora_result sr_test_parse(struct sr_test_knobs *k, const char *model, sora_error *err);

/* Pass the time of some work; SORA_ERR_CANCELLED as soon as cancel is set. */
sora_result sr_test_work(const struct sr_test_knobs *k, int ms, const struct sr_cancel *cancel, sora_error *err);

/* rgb [3, h, w] 0..1: frame n of a pattern whose colours and shape come from the prompt and the seed, whose stripes are as
   strong as guidance, and whose place comes from n alone, so that a change of prompt does not jump. */
void sr_test_frame(float *rgb, int w, int h, const char *prompt, uint64_t seed, float guidance, int64_t n);

#endif
