/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "try_weights.h"

int main(int argc, char **argv)
{
    return fuzz_main(argc, argv, "pth", 3000, try_weights);
}
