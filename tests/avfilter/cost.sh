#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the filter itself costs for a frame, against testsrc2: cost.sh FFMPEG, an ffmpeg_g of build-ffmpeg.sh's tree.
# In instructions, as callgrind counts them: they do not depend on what else the machine does.  Prints, tests nothing.
set -u
F=${1:?usage: cost.sh FFMPEG_G} n=40 size=512x288
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
# count FUNCTION GRAPH: thousands of instructions in it and what it calls, for a frame
count() {
    [ -f "$dir/$(echo "$2" | cksum)" ] ||
        valgrind -q --tool=callgrind --callgrind-out-file="$dir/$(echo "$2" | cksum)" "$F" -nostdin -v error -f lavfi -i "$2" -f null -
    callgrind_annotate --inclusive=yes "$dir/$(echo "$2" | cksum)" 2>/dev/null |
        awk -v f=":$1 " -v n=$n 'index($0, f) && !done {gsub(",", ""); printf "%.0f", $1 / n / 1000; done = 1}'
}
sora="sora=prompt=a:model=test:s=$size:r=16:frames=$n:threads=1" test2="testsrc2=s=$size:r=16,trim=end_frame=$n"
all=$(count activate "$sora") library=$(count sora_session_next "$sora")
echo "$size, thousand instructions a frame"
echo "sora: $all, of which the library's conversion $library, the filter $((all - library))"
echo "testsrc2: $(count activate "$test2"), of which drawing $(count test2_fill_picture "$test2")"
