/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/rope_vec.h"
