/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Comparing arrays of floats: on failure both sides are printed where they differ most.  And main(). */
#ifndef NEAR_H
#define NEAR_H

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* sqrt(sum (got - want)^2 / sum want^2) */
static inline double rel_l2(const float *got, const float *want, size_t n)
{
    double d = 0, w = 0;

    for (size_t i = 0; i < n; i++) {
        d += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        w += (double)want[i] * want[i];
    }
    return w > 0 ? sqrt(d / w) : sqrt(d);
}

#define assert_near(got, want, n, tolerance)                                                                           \
    do {                                                                                                               \
        size_t worst_ = 0;                                                                                             \
        double most_ = -1;                                                                                             \
        for (size_t i_ = 0; i_ < (size_t)(n); i_++) {                                                                  \
            const double d_ = fabs((double)(got)[i_] - (double)(want)[i_]);                                            \
            if (!(d_ <= most_)) most_ = d_, worst_ = i_;                                                               \
            if (isnan(d_)) break;                                                                                      \
        }                                                                                                              \
        ck_assert_msg(most_ <= (tolerance), "%s[%zu] = %.9g, %s has %.9g: off by %.3g, allowed %.3g", #got, worst_,    \
                      (double)(got)[worst_], #want, (double)(want)[worst_], most_, (double)(tolerance));               \
    } while (0)

#define assert_rel_l2(got, want, n, tolerance)                                                                         \
    do {                                                                                                               \
        const double e_ = rel_l2(got, want, n);                                                                        \
        ck_assert_msg(e_ <= (tolerance), "%s against %s: relative L2 error %.3g, allowed %.3g", #got, #want, e_,       \
                      (double)(tolerance));                                                                            \
    } while (0)

/* Built with sanitizers, which take time, and keep what was freed. */
static inline bool sanitized(void)
{
    return getenv("SANITIZE") && *getenv("SANITIZE");
}

/* The main() of a test program: all its cases in one suite. */
#define RUN_TESTS(name, ...) RUN_TESTS_IN(name, NULL, NULL, __VA_ARGS__)

/* Each of them between setup() and teardown(). */
#define RUN_TESTS_IN(name, setup, teardown, ...)                                                                       \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        Suite *s_ = suite_create(name);                                                                                \
        TCase *c_ = tcase_create(name);                                                                                \
        SRunner *r_ = srunner_create(s_);                                                                              \
        int failed_;                                                                                                   \
        const TTest *const tests_[] = { __VA_ARGS__ };                                                                 \
        tcase_add_checked_fixture(c_, setup, teardown);                                                                \
        for (size_t i_ = 0; i_ < sizeof tests_ / sizeof *tests_; i_++) tcase_add_test(c_, tests_[i_]);                 \
        suite_add_tcase(s_, c_);                                                                                       \
        srunner_run_all(r_, CK_ENV);                                                                                   \
        failed_ = srunner_ntests_failed(r_);                                                                           \
        srunner_free(r_);                                                                                              \
        return failed_ != 0;                                                                                           \
    }

#endif
