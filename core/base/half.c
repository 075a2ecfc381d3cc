/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "base/base.h"

float sr_f16_to_f32(uint16_t v)
{
    const float sign = v & 0x8000 ? -1.0f : 1.0f;
    const int exponent = v >> 10 & 31, mantissa = v & 1023;

    if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexpf((float)mantissa, -24);
    return sign * ldexpf((float)(mantissa + 1024), exponent - 25);
}
