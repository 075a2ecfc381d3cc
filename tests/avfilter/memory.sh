#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The filter's whole life under valgrind: memory.sh FFMPEG, one with the libraries inside.
set -u
F=${1:?usage: memory.sh FFMPEG} P='' S=''
. "$(dirname "$0")/lib.sh"
command -v valgrind >/dev/null || { echo "skip valgrind: it is not installed"; exit 0; }
# life NAME FFMPEG-ARGUMENTS...
life() {
    name=$1; shift
    OMP_NUM_THREADS=2 valgrind -q --leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect \
        --error-exitcode=99 "$F" -nostdin -v error "$@" >out 2>log
    status=$?
    if [ $status = 99 ]; then
        echo "FAIL valgrind: $name"; grep -v '^\[' log | head -n 30
    elif [ $status = 0 ] || [ "${fails-}" = 1 ]; then
        echo "ok valgrind: $name"
    else
        echo "FAIL valgrind: $name: exit status $status"; head -n 10 log
    fi
}
small="model=test/size=64x64/chunk-frames=2:rate=8"
life "to the end" -f lavfi -i "sora=prompt=a:$small:d=0.5" -f null -
life "an early end, in the middle of a chunk" -f lavfi -i "sora=prompt=a:model=test/size=64x64/decode-delay=300:frames=0" -frames:v 1 -f null -
life "a graph that is parsed twice, a new prompt, RGB" \
    -filter_complex "sora@s=prompt=a:$small:d=1,sendcmd=c='0.2 sora@s prompt b;0.3 sora@s seed 3',format=rgb24" -f null -
fails=1
life "options that are wrong" -f lavfi -i "sora=prompt=a:model=/nonexistent" -f null -
life "a model that fails" -f lavfi -i "sora=prompt=a:model=test/size=64x64/fail=decode" -f null -
