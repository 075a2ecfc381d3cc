#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the filter itself costs for a frame, without the model: cost.sh FFMPEG SORA.  Not a test: it prints CPU times.
#   sora in ffmpeg, less the same frames made by the program into /dev/null, against testsrc2 and color in ffmpeg
set -u
F=${1:?usage: cost.sh FFMPEG SORA} S=${2:?usage: cost.sh FFMPEG SORA} n=500
# cpu COMMAND...: user and system time of the quickest of five, in ms
cpu() {
    for _ in 1 2 3 4 5; do
        python3 - "$@" <<'EOF'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
r = resource.getrusage(resource.RUSAGE_CHILDREN)
print(1000 * (r.ru_utime + r.ru_stime))
EOF
    done | sort -n | head -n 1
}
for size in 320x180 512x288 1280x720; do
    short=$(cpu "$F" -nostdin -f lavfi -i "color=s=$size:r=16:d=0.0625" -f null -)
    color=$(cpu "$F" -nostdin -f lavfi -i "color=s=$size:r=16,trim=end_frame=$n" -f null -)
    test2=$(cpu "$F" -nostdin -f lavfi -i "testsrc2=s=$size:r=16,trim=end_frame=$n" -f null -)
    sora=$(cpu "$F" -nostdin -f lavfi -i "sora=prompt=a:model=test:s=$size:r=16:frames=$n:threads=1" -f null -)
    alone=$(cpu "$S" generate -q -m test -p a -s $size -r 16 --frames $n --threads 1 -o /dev/null)
    echo "$short $color $test2 $sora $alone" | awk -v n=$n -v s=$size '{
        printf "%s, us a frame: color %.0f, testsrc2 %.0f, sora %.0f, of which engine and conversion %.0f\n", s,
               1000 * ($2 - $1) / n, 1000 * ($3 - $1) / n, 1000 * ($4 - $1) / n, 1000 * $5 / n}'
done
