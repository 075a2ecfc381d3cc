#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The sora source in one FFmpeg: checks.sh FFMPEG FFPROBE SORA [FFPLAY]
set -u
F=${3:+$1} P=${2-} S=${3:?usage: checks.sh FFMPEG FFPROBE SORA [FFPLAY]} play=${4-}
. "$(dirname "$0")/lib.sh"
lavfi=$("$F" -version | sed -n 's/^libavfilter *\([0-9]*\)\..*/\1/p')      # 8: FFmpeg 5.1, 9: 6.0 and 6.1 ...
frames() { lavfi "$1" -f framecrc - | lines; }
chunks() { grep -c '\] chunk [0-9]*, from frame' "$1"; }

# ---- What it is ----

"$F" -hide_banner -h filter=sora >help 2>/dev/null
is "listed as a source without flags" 1 "$("$F" -hide_banner -filters 2>/dev/null | grep -cE '^ \.\.C? +sora +\|->V ')"   # C: until 8
is "every option has a description" "" "$(grep '^  *[a-z]' help | grep -vE '^  *(sora|none)' | grep -vE '[.A-Z]{11} [a-zA-Z0-9]')"
is "only the prompt may change at run time" "prompt p" "$(awk '/^   [a-z]/ && $3 ~ /T/ {print $1}' help | xargs)"
is "every option of the library is here" "" "$(
    "$S" generate --help | sed -n 's/^  *\(-., \)*--\([a-z-]*\).*/\2/p' | grep -vxE 'help|version|verbose|quiet|progress|threads|noise|text|latents|save-text|save-latents|save-frames|output|format|container' |
        tr - _ | sort >library
    awk '/^   [a-z]/ {print $1}' help | sort >filter
    comm -23 library filter)"
is "the manual has every option" "" "$(
    sed -n '1,/^@subsection Commands/s/^@item //p' "$here/../../avfilter/doc/sora.texi" | tr -d ' ' | tr ',' '\n' | grep -vxE 'auto|euler|unipc|renoise|f32|bf16|int8' | sort >manual
    diff manual filter)"

# ---- Size, length, time ----

lavfi "sora=prompt='a red balloon':$T:size=512x320:rate=24:duration=5" -c:v libx264 -preset ultrafast -y a.mp4 >out
is "size, rate and duration arrive" "512,320,24/1,5.000000,120" "$(
    "$P" -v error -count_frames -show_entries stream=width,height,nb_read_frames,r_frame_rate,duration -of csv=p=0 a.mp4)"
is "duration counts as the test sources do" "0 1 12 24 25" "$(
    for d in 0 0.01 0.5 1 1.01; do frames "sora=prompt=a:$T:rate=24:d=$d"; done | xargs)"
is "duration 0 is no error" 0 "$(lavfi "sora=prompt=a:$T:d=0" -f null - >/dev/null; echo $?)"
lavfi "sora=prompt=a:$T:rate=24000/1001:d=10" -f framecrc - >crc
is "24000/1001: exact time base" "#tb 0: 1001/24000" "$(grep '^#tb' crc)"
is "24000/1001: no gap in timestamps" "0..239 240" "$(grep -v '^#' crc | awk -F', *' '$2 != $3 || $4 != 1 || $3 != n {bad = 1} {n++; last = $3}
    END {print bad ? "gap" : "0.." last, n}')"
is "-t ends it" 12 "$(lavfi "sora=prompt=a:$T:rate=24:frames=0" -t 0.5 -f framecrc - | lines)"
is "-frames ends an endless stream" 0 "$(lavfi "sora=prompt=a:$T:frames=0" -frames:v 3 -f null - >/dev/null; echo $?)"
is "an end is passed on: concat of two sources" 48 "$(complex \
    "sora=prompt=a:$T:rate=24:d=1[x];sora=prompt=b:$T:rate=24:d=1[y];[x][y]concat" -f framecrc - | lines)"
is "ffprobe sees format and rates" "stream|pix_fmt=yuv420p|r_frame_rate=24/1|time_base=1/24" "$(
    "$P" -v error -f lavfi -i "sora=prompt=a:$T:rate=24" -show_entries stream=pix_fmt,time_base,r_frame_rate -of compact)"
"$P" -f lavfi -i "sora=prompt=a:model=test/chunk-frames=1" >out 2>log
is "probing takes one frame" 1 "$(chunks log)"
is "ffprobe counts every frame" 24 "$("$P" -v error -count_frames -f lavfi -i "sora=prompt=a:model=test/step-delay=20:rate=24:d=1" \
    -show_entries stream=nb_read_frames -of csv=p=0)"
if [ -n "$play" ]; then
    is "ffplay plays it to the end" 0 "$(SDL_VIDEODRIVER=dummy SDL_AUDIODRIVER=dummy timeout 60 "$play" -v error -autoexit \
        -f lavfi "sora=prompt=a:$T:d=1" >out 2>&1; echo $?)"
else
    echo "skip ffplay plays it to the end: none was built"
fi

# ---- The same frames ----

is "equal seeds, equal frames" 1 "$("$F" -nostdin -v error -f lavfi -i "sora=prompt=a:$T:seed=1:d=1" -f lavfi -i "sora=prompt=a:$T:seed=1:d=1" \
    -map 0 -map 1 -f streamhash - | cut -d = -f 2 | sort -u | wc -l)"
is "other seed, other frames" 2 "$(for s in 1 2; do lavfi "sora=prompt=a:$T:seed=$s:d=1" -f md5 -; done | sort -u | wc -l)"
is "frames do not depend on threads" 1 "$(for t in 1 2; do lavfi "sora=prompt=a:$T:d=1:threads=$t" -f md5 -; done | sort -u | wc -l)"
for f in yuv420p:yuv420p yuv444p:yuv444p yuv420p10:yuv420p10le; do     # so they are equal in every version
    is "the library's own bytes: ${f%:*}" "$("$S" generate -q -m test -p a -s 64x48 --frames 3 --format "${f%:*}" -o - |
        "$F" -v error -f yuv4mpegpipe -i pipe:0 -c:v copy -f framemd5 - | grep -v '^#' )" "$(
        lavfi "sora=prompt=a:$T:size=64x48:frames=3,format=${f#*:}" -f framemd5 - | grep -v '^#')"
done
for f in yuv420p yuv422p yuv444p yuv420p10le yuv422p10le yuv444p10le gbrp gbrp10le gbrp16le rgb24; do
    "$F" -nostdin -v debug -filter_complex "sora=prompt=a:$T:frames=1,format=$f" -f rawvideo -y frame >/dev/null 2>log
    is "straight from the library: $f" "0 $(case $f in rgb24|gbrp) echo 172800 ;; yuv420p) echo 86400 ;; yuv422p) echo 115200 ;; yuv444p) echo 172800 ;;
        yuv420p10le) echo 172800 ;; yuv422p10le) echo 230400 ;; *) echo 345600 ;; esac)" "$(grep -c auto_scale log) $(stat -c %s frame)"
done
complex "sora=prompt=a:$T:d=1" -c:v libx264 -preset ultrafast -y o.mp4
tags() { "$P" -v error -show_entries stream=color_range,color_space,color_transfer,color_primaries -of csv=p=0 "$@" 2>&1; }
is "colour tags arrive, -filter_complex" "tv,bt709,bt709,bt709" "$(tags o.mp4)"
lavfi "sora=prompt=a:$T:d=0.1" -c:v libx264 -y o.mp4
if [ "$lavfi" -ge 9 ]; then
    is "colour tags arrive, -f lavfi" "tv,bt709,bt709,bt709" "$(tags o.mp4)"
else
    is "5.1's device loses the tags, as the manual says" "unknown,unknown,unknown,unknown" "$(tags o.mp4)"
    lavfi "sora=prompt=a:$T:d=0.1" -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv -c:v libx264 -y o.mp4
    is "and output options bring them back" "tv,bt709,bt709,bt709" "$(tags o.mp4)"
fi

# ---- Words: metadata, lines, commands ----

lavfi "sora=prompt=a cat:$T:seed=5:d=0.1,metadata=print:file=-" -f null - >out
has "metadata names the prompt" "lavfi.sora.prompt=a cat" "$(cat out)"
has "metadata names the seed" "lavfi.sora.seed=5" "$(cat out)"
printf 'sora=prompt=a:%s:rate=24:d=1' "$T" >graph
"$F" -nostdin -nostats -progress - -f lavfi -i "$(cat graph)" -f null - >out 2>log
is "-progress ends at 1 s, in some versions at the last frame's time" "progress=end" "$(grep -E '^(out_time|progress)=' out | tail -n 2 |
    xargs | sed 's/^out_time=00:00:0\(1.000000\|0.958333\) //')"
is "a line for each chunk" 3 "$(chunks log)"
has "a line before the first" "] test, 320x180, 24/1 fps, 24 frames, 4 steps, seed 0, f32, " "$(grep -B 1 'chunk 0,' log)"
"$F" -nostdin -v verbose -filter_complex_threads 2 -filter_complex "sora=prompt=a:$T:d=0.1" -f null - 2>log
has "threads: of the graph" "f32, 2 threads" "$(cat log)"
lavfi "sora=prompt=a:$T:d=0.1:threads=1" -v info -f null - >log
has "threads: the generic option" "f32, 1 threads" "$(cat log)"
lavfi "sora=prompt=a:$T:d=0.1" -v info -f null - >log
is "threads: no more than there are cores" yes "$(awk -v n="$(nproc)" '/f32, [0-9]* threads/ {sub(/.*f32, /, ""); print ($1 <= n ? "yes" : $0)}' log)"
lavfi "sora=prompt=a:$T:seed=-1:d=0.1,metadata=print:file=meta" -v info -f null - >log
is "a drawn seed is logged" "$(sed -n 's/^lavfi.sora.seed=//p' meta | head -n 1)" "$(sed -n 's/.*seed \(-*[0-9]*\), .*/\1/p' log)"

complex "sora=prompt=a:$T:rate=24:frames=0,trim=duration=3" -f framemd5 - >without
"$F" -nostdin -v info -filter_complex "sora@s=prompt=a:$T:rate=24:frames=0,sendcmd=c='1.0 sora@s prompt bb',trim=duration=3" -f framemd5 - >with 2>log
grep -v '^#' without | head -n 24 >w24
is "a new prompt leaves the frames before it" "" "$(grep -v '^#' with | head -n 24 | diff - w24 | head -n 3)"
is "a new prompt shows" 1 "$(cmp -s with without; echo $?)"
has "a new prompt is logged" "prompt 'bb'" "$(cat log)"
lavfi "sora@s=prompt=a:$T:rate=24:frames=0,sendcmd=c='0.5 sora@s p cc',trim=duration=3,metadata=print:file=-" -f null - >out
has "a new prompt inside -f lavfi" "lavfi.sora.prompt=cc" "$(cat out)"
complex "sora@s=prompt=a:$T:rate=24:d=3,sendcmd=c='0.5 sora@s seed 4'" -f framemd5 - >with
is "another option cannot change" "" "$(grep -v '^#' without | diff - with | grep '^<' | head -n 3)"
echo "0.5 sora@s prompt '';" >commands
"$F" -nostdin -v error -filter_complex "sora@s=prompt=a:$T:rate=24:d=3,sendcmd=f=commands" -f framemd5 - >with 2>log
has "an empty prompt is refused" "prompt: it is empty" "$(cat log)"
is "an empty prompt keeps the old one" "" "$(grep -v '^#' without | diff - with | grep '^<' | head -n 3)"
has "a schedule in the prompt" "lavfi.sora.prompt=stormy sea" "$(
    lavfi "sora=prompt='@0 calm sea @0.5 stormy sea':$T:frames=0,trim=duration=2,metadata=print:file=-" -f null -)"

# ---- What is wrong is said, with the name of the thing ----

# wrong NAME TEXT FILTER [STATUS of 6.1 and later]
wrong() {
    out=$(lavfi "$3" -f null -)
    status=$?
    has "$1" "$2" "$out"
    if [ "$lavfi" -ge 9 ] && ! "$F" -version | grep -q '^libavfilter *9\. *[0-9]\.'; then is "$1: exit status" "${4:-234}" $status
    else is "$1: exit status" 1 $status; fi
}
wrong "no prompt" "prompt: none is given" "sora=$T"
wrong "empty prompt" "prompt: it is empty" "sora=prompt=:$T"
wrong "two prompts" "prompt_file" "sora=prompt=a:prompt_file=p:$T"
wrong "rate 0" "rate is '0'" "sora=prompt=a:$T:rate=0"
wrong "steps 0" "steps is 0, wanted 1 to 1000" "sora=prompt=a:$T:steps=0"
wrong "size of nothing" "size" "sora=prompt=a:$T:size=8x8"
wrong "guidance below 1" "guidance: found" "sora=prompt=a:$T:guidance=0.5"
wrong "a sampler that is none" "sampler" "sora=prompt=a:$T:sampler=dpm"
wrong "duration and frames" "Both duration and frames" "sora=prompt=a:$T:d=1:frames=5"
wrong "frames below -1" "frames" "sora=prompt=a:$T:frames=-7" 222
wrong "unknown option" "nosuch" "sora=prompt=a:$T:nosuch=1" 8
wrong "no such model" "/nonexistent" "sora=prompt=a:model=/nonexistent" 254
wrong "missing prompt file" "none.txt" "sora=prompt_file=none.txt:$T" 254
printf 'a\377b' >bad.txt
wrong "a prompt that is no UTF-8" "UTF-8" "sora=prompt_file=bad.txt:$T"
wrong "a model that fails to load" "fails to load" "sora=prompt=a:model=test/fail=load" 183
# ffmpeg 5.1 takes a failing device for the end of its input and exits with 0: the line is all there is to see
has "a model that fails to decode" "fails to decode" "$(lavfi "sora=prompt=a:model=test/fail=decode" -f null -)"
printf "it's: [x], y\n" >p.txt
has "prompt from a file" "lavfi.sora.prompt=it's: [x], y" "$(lavfi "sora=prompt_file=p.txt:$T:d=0.1,metadata=print:file=-" -f null -)"

# ---- Ends ----

# A chunk of 1 s, the second one in work: SIGINT ends at its end, the file plays.  FFmpeg 7.0 goes on where a graph has
# sources alone, testsrc2 too.
if "$F" -version | grep -q '^libavfilter *10\. *[1-3]\.'; then
    echo "skip SIGINT: this FFmpeg ignores it with every source"
else
: >log
"$F" -nostdin -y -filter_complex "sora=prompt=a:model=test/step-delay=250/chunk-frames=8:frames=0" -c:v libx264 -preset ultrafast i.mp4 2>log &
pid=$!
wait_for 20 grep -q 'chunk 1,' log
start=$(now)
kill -INT $pid
wait $pid
is "SIGINT: exit status" 255 $?
within "SIGINT: ends with the chunk in work" 4 "$(since "$start")"
is "SIGINT: the file is playable" yes "$("$P" -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 i.mp4 2>&1 |
    awk '{print ($1 >= 8 ? "yes" : $0)}')"
fi
: >log
"$F" -nostdin -y -filter_complex "sora=prompt=a:model=test/step-delay=20000:frames=0" -f null - 2>log &
pid=$!
wait_for 20 grep -q ' endless' log
sleep 0.5
start=$(now)
for _ in 1 2 3 4; do kill -INT $pid 2>/dev/null; sleep 0.15; done
wait $pid
is "four SIGINTs in a chunk: exit status" 123 $?
within "four SIGINTs in a chunk: at once" 2 "$(since "$start")"

"$F" -nostdin -f lavfi -i "sora=prompt=a:model=test/chunk-frames=8:rate=24:d=0.3334" -f framecrc - >out 2>log
is "a duration ends with its last chunk" "9 2" "$(lines <out) $(chunks log)"
start=$(now)    # the second chunk of 40 s is in work when the program has what it wants
lavfi "sora=prompt=a:model=test/decode-delay=5000/chunk-frames=8" -frames:v 1 -f null - >out
within "an early end does not wait for the chunk in work" 20 "$(since "$start")"

# ---- Elsewhere ----

lavfi "sora=prompt=a:$T:rate=24:d=3" -c:v libx264 -preset ultrafast -g 24 -f hls -hls_time 1 -hls_playlist_type vod -y v.m3u8
is "HLS: every frame" 72 "$("$P" -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 v.m3u8 | head -n 1)"
mkfifo pipe
"$S" generate -q -m test -p a -r 24 --frames 24 -o pipe 2>/dev/null &
is "the program through a FIFO and movie=" 24 "$(lavfi "movie=pipe:format_name=yuv4mpegpipe" -f framecrc - | lines)"
wait
