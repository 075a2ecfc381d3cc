#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The drop-in libavfilter beside the distribution's: drop-in.sh PREFIX
set -u
prefix=${1:?usage: drop-in.sh PREFIX}
F=$prefix/bin/sora-ffmpeg P='' S=$prefix/bin/sora
. "$(dirname "$0")/lib.sh"
ours=$(ls "$prefix"/lib/sora-ffmpeg/libavfilter.so.*)
theirs=$(ldconfig -p | sed -n "s|.* => \(.*/${ours##*/}\)\$|\1|p" | head -n 1)
symbols() { nm -D --defined-only "$1" | awk '{print $3}' | sort; }
is "exported symbols are the distribution's" "" "$(symbols "$theirs" >a; symbols "$ours" >b; diff a b | head -n 5)"
is "it needs no library in another version" "" "$(needed() { objdump -p "$1" | awk '/NEEDED/ && /libav|libsw|libpostproc/ {print $2}' | sort; }
    needed "$ours" >a; needed "$theirs" >b; comm -23 a b)"
names() { "$1" -hide_banner -filters 2>/dev/null | awk 'NF >= 3 && $3 ~ /->/ {print $2}' | sort; }
names ffmpeg >a
names "$F" >b
is "one more filter than FFmpeg's own" sora "$(comm -13 a b | xargs)"
common=$(comm -12 a b | wc -l)
is "most filters are there: $common of $(wc -l <a)" yes "$([ "$common" -ge 440 ] && echo yes)"
is "the manual's filters are there" "" "$(for f in drawtext overlay colorkey concat sendcmd drawbox sine volume; do grep -qx $f b || echo $f; done)"
# a distribution that has moved on
sed 's/"[0-9.]*" \]/"4.4" ]/; s/FFmpeg [0-9.]*,/FFmpeg 4.4,/' "$F" >sora-ffmpeg
chmod +x sora-ffmpeg
has "the wrapper tells of another version" "built for FFmpeg 4.4, but ffmpeg is" "$(./sora-ffmpeg -version 2>&1)"
is "and is quiet otherwise" "" "$("$F" -version 2>&1 >/dev/null)"
cp "$F" sora-nosuch
has "the wrapper tells of a missing program" "no program nosuch" "$(./sora-nosuch 2>&1)"
if command -v melt >/dev/null; then
    LD_LIBRARY_PATH=$prefix/lib/sora-ffmpeg melt -silent "avformat:lavfi:sora=prompt=a:model=test:d=1" out=9 \
        -consumer avformat:m.mkv f=matroska vcodec=ffv1 an=1 real_time=-1 >log 2>&1
    is "another program: melt opens the source" 10 "$(ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 m.mkv 2>&1)"
else
    echo "skip another program: melt is not installed"
fi
