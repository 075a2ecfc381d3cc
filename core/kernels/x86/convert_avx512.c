/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/convert_vec.h"
