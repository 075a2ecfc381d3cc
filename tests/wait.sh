# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by the shell tests.

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
    n=$(($1 * 10)); shift
    while [ $n -gt 0 ]; do "$@" && return; n=$((n - 1)); sleep 0.1; done
    return 1
}
