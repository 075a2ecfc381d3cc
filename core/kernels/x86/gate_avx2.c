/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/gate_vec.h"
