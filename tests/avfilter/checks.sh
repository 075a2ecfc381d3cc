#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The sora source in an installed FFmpeg: checks.sh PREFIX, where PREFIX/bin has sora, sora-ffmpeg and sora-ffprobe.
# Prints "ok NAME", "FAIL NAME: what was seen" or "skip NAME" for each check.
set -u
prefix=${1:?usage: checks.sh PREFIX}
F=$prefix/bin/sora-ffmpeg P=$prefix/bin/sora-ffprobe S=$prefix/bin/sora
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
T=model=test

# is NAME WANTED FOUND
is() {
    if [ "$2" = "$3" ]; then echo "ok $1"; else printf 'FAIL %s: wanted\n%s\nfound\n%s\n' "$1" "$2" "$3"; fi
}
# has NAME TEXT FOUND
has() {
    case $3 in *"$2"*) echo "ok $1" ;; *) printf 'FAIL %s: wanted something with "%s", found\n%s\n' "$1" "$2" "$3" ;; esac
}
lavfi() { "$F" -nostdin -v error -f lavfi -i "$@" 2>&1; }
frames() { lavfi "$1" -f framecrc - | grep -vc '^#'; }

has "listed as a source without flags" "..C sora              |->V" "$("$F" -hide_banner -filters 2>/dev/null | grep ' sora ')"
is "every option has a description" "" "$("$F" -hide_banner -h filter=sora 2>/dev/null | grep '^   [a-z]' | grep -v '> *[.A-Z]* [a-z]')"
is "only the prompt may change at run time" "prompt p" \
    "$("$F" -hide_banner -h filter=sora 2>/dev/null | awk '/^   [a-z]/ && $3 ~ /T/ {print $1}' | xargs)"

# the same names and defaults as the library's own table
is "every option of the library is here" "" "$(
    "$S" generate --help | sed -n 's/^  *\(-., \)*--\([a-z-]*\).*/\2/p' |
        grep -vxE 'help|version|verbose|quiet|progress|threads|noise|text|latents|save-text|save-latents|save-frames|output|format' |
        tr - _ | sort >library
    "$F" -hide_banner -h filter=sora 2>/dev/null | awk '/^   [a-z]/ {print $1}' | sort >filter
    comm -23 library filter)"

lavfi "sora=prompt='a red balloon':$T:size=512x320:rate=24:duration=5" -c:v libx264 -preset ultrafast -y a.mp4 >out
is "size, rate and duration arrive" "512,320,24/1,5.000000,120" "$(
    "$P" -v error -count_frames -show_entries stream=width,height,nb_read_frames,r_frame_rate,duration -of csv=p=0 a.mp4)"
is "duration counts as the test sources do" "0 1 12 24 25" "$(
    for d in 0 0.01 0.5 1 1.01; do frames "sora=prompt=a:$T:rate=24:d=$d"; done | xargs)"
lavfi "sora=prompt=a:$T:rate=24000/1001:d=10" -f framecrc - >crc
is "24000/1001: exact time base" "#tb 0: 1001/24000" "$(grep '^#tb' crc)"
is "24000/1001: no gap in timestamps" "0..239 240" "$(grep -v '^#' crc | awk -F', *' '$2 != $3 || $4 != 1 {bad = 1} {n++; last = $3}
    END {print bad ? "gap" : "0.." last, n}')"
is "-t ends it" 12 "$(lavfi "sora=prompt=a:$T:rate=24:frames=0" -t 0.5 -f framecrc - | grep -vc '^#')"
is "-frames ends an endless stream" 0 "$(lavfi "sora=prompt=a:$T:frames=0" -frames:v 3 -f null - >/dev/null; echo $?)"
is "concat of two sources" 48 "$("$F" -nostdin -v error -filter_complex \
    "sora=prompt=a:$T:rate=24:d=1[x];sora=prompt=b:$T:rate=24:d=1[y];[x][y]concat" -f framecrc - 2>&1 | grep -vc '^#')"
is "equal seeds, equal frames" 1 "$("$F" -nostdin -v error -f lavfi -i "sora=prompt=a:$T:seed=1:d=1" -f lavfi -i "sora=prompt=a:$T:seed=1:d=1" \
    -map 0 -map 1 -f streamhash - | cut -d = -f 2 | sort -u | wc -l)"
is "other seed, other frames" 2 "$(for s in 1 2; do lavfi "sora=prompt=a:$T:seed=$s:d=1" -f md5 -; done | sort -u | wc -l)"
is "frames do not depend on threads" 1 "$(for t in 1 2; do lavfi "sora=prompt=a:$T:d=1:threads=$t" -f md5 -; done | sort -u | wc -l)"
is "ffprobe sees format and rates" "stream|pix_fmt=yuv420p|r_frame_rate=24/1|time_base=1/24" "$(
    "$P" -v error -f lavfi -i "sora=prompt=a:$T:rate=24" -show_entries stream=pix_fmt,time_base,r_frame_rate -of compact)"
for f in yuv422p yuv444p yuv420p10le yuv422p10le yuv444p10le gbrp gbrp10le gbrp16le rgb24; do
    has "straight from the library: $f" "sora> $f" "$("$F" -nostdin -v debug -filter_complex "sora=prompt=a:$T:d=0.1,format=$f" -f null - 2>&1 |
        sed -n 's/.*Parsed_sora_0.*fmt:\([a-z0-9]*\).*/sora> \1/p; s/.*w:.*fmt:\([a-z0-9]*\).*/sora> \1/p')$(
        "$F" -nostdin -v debug -filter_complex "sora=prompt=a:$T:d=0.1,format=$f" -f null - 2>&1 | grep -c auto_scale | sed "s/^0$/sora> $f/")"
done
"$F" -nostdin -v error -y -filter_complex "sora=prompt=a:$T:d=1" -c:v libx264 -preset ultrafast o.mp4 2>out
is "colour tags arrive in the file" "tv,bt709,bt709,bt709" "$(
    "$P" -v error -show_entries stream=color_range,color_space,color_transfer,color_primaries -of csv=p=0 o.mp4)"
has "metadata names the prompt" "lavfi.sora.prompt=a cat" "$(
    lavfi "sora=prompt=a cat:$T:d=0.1,metadata=print:file=-" -f null -)"
"$F" -nostdin -v error -filter_complex "sora=prompt=a:$T:rate=24:frames=0,trim=duration=3" -f framemd5 - >without 2>&1
"$F" -nostdin -v info -filter_complex "sora@s=prompt=a:$T:rate=24:frames=0,sendcmd=c='1.0 sora@s prompt bb',trim=duration=3" -f framemd5 - >with 2>log
is "a new prompt leaves the frames before it" "" "$(head -n 28 with | diff - "$(head -n 28 without >w28; echo w28)" | head -n 3)"
is "a new prompt shows" 1 "$(cmp -s with without; echo $?)"
has "a new prompt is logged" "prompt 'bb'" "$(cat log)"
has "a schedule in the prompt" "lavfi.sora.prompt=stormy sea" "$(
    lavfi "sora=prompt='@0 calm sea @0.5 stormy sea':$T:frames=0,trim=duration=2,metadata=print:file=-" -f null -)"

wrong() {   # NAME TEXT FILTER
    out=$(lavfi "$3" -f null -)
    status=$?
    has "$1" "$2" "$out"
    [ $status -ne 0 ] || echo "FAIL $1: exit status 0"
}
wrong "no prompt" prompt "sora=$T"
wrong "empty prompt" prompt "sora=prompt=:$T"
wrong "rate 0" rate "sora=prompt=a:$T:rate=0"
wrong "steps 0" steps "sora=prompt=a:$T:steps=0"
wrong "size of nothing" size "sora=prompt=a:$T:size=0x0:frames=-7"
wrong "unknown option" nosuch "sora=prompt=a:$T:nosuch=1"
wrong "no such model" /nonexistent "sora=prompt=a:model=/nonexistent"
wrong "missing prompt file" none.txt "sora=prompt_file=none.txt:$T"
wrong "a model that fails to load" load "sora=prompt=a:model=test/fail=load"
# ffmpeg 5.1 takes a failing device for the end of its input and exits with 0: the line is all there is to see
has "a model that fails to decode" decode "$(lavfi "sora=prompt=a:model=test/fail=decode" -f null -)"
printf "it's: [x], y\n" >p.txt
has "prompt from a file" "lavfi.sora.prompt=it's: [x], y" "$(lavfi "sora=prompt_file=p.txt:$T:d=0.1,metadata=print:file=-" -f null -)"

for text in "it's 5:00, [x]; a\\b" "two  spaces, inside" "50% grey = nice | #1" "日本の海, ночь: «да»" "'''" '\\\'; do
    escaped=$("$S" escape "$text")
    for way in "-f lavfi -i" "-filter_complex"; do
        # shellcheck disable=SC2086
        has "escaped, $way: $text" "lavfi.sora.prompt=$text" "$(
            "$F" -nostdin -v error $way "sora=prompt=$escaped:$T:d=0.1,metadata=print:file=-" -f null - 2>&1)"
    done
done

"$F" -v error -y -f lavfi -i "sora=prompt=a:model=test/step-delay=50/chunk-frames=8:frames=0" -c:v libx264 -preset ultrafast \
    -bf 0 -tune zerolatency -flush_packets 1 i.mkv </dev/null 2>out &
pid=$!
n=0
while [ "$(stat -c %s i.mkv 2>/dev/null || echo 0)" -lt 20000 ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n + 1)); done
kill -INT $pid
wait $pid
is "SIGINT leaves a playable file" "h264" "$("$P" -v error -show_entries stream=codec_name -of csv=p=0 i.mkv 2>&1)"
start=$(date +%s%N)
lavfi "sora=prompt=a:model=test/step-delay=2000:d=10" -frames:v 1 -f null - >/dev/null &
sleep 1; kill -KILL $! 2>/dev/null; wait $! 2>/dev/null
is "an early end does not wait for the chunk in work" 1 "$([ $((($(date +%s%N) - start) / 1000000)) -lt 4000 ] && echo 1)"
