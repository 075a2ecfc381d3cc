#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The program in a pipe: what ffmpeg takes from it as rate, size and colours, in each container.
. "$SRCDIR/tests/cli/lib.sh"
command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null || { echo "no ffmpeg"; exit 77; }
show="color_range,color_space,color_transfer,color_primaries,chroma_location,r_frame_rate,nb_read_frames"
probe() { ffprobe -v error -count_frames -show_entries stream=$show -of csv=p=0 "$@"; }
g="$SORA generate -q -m test -p a --frames 5 -s 32x16 -r 24000/1001 -o -"

# Y4M says range and chroma site; the matrix is for the reader to say
$g | probe - >out;                                       says out "tv,unknown,unknown,unknown,left,24000/1001,5"
$g | ffmpeg -nostdin -v error -colorspace bt709 -color_primaries bt709 -color_trc bt709 -i - -c:v libx264 -y y.mp4 2>err
probe y.mp4 >out;                                        says out "tv,bt709,bt709,bt709,left,24000/1001,5"
"$SORA" generate -q -m test -p a --frames 5 -s 32x16 -r 24000/1001 -o direct.mp4
probe direct.mp4 >out;                                   says out "tv,bt709,bt709,bt709,left,24000/1001,5"
$g --container matroska | probe - >out;                  says out "tv,bt709,bt709,bt709,left,24000/1001,5"
$g --container nut | probe - >out;                       has out ",24000/1001,5"
for c in matroska nut; do
    $g --container $c | ffmpeg -nostdin -v error -i - -f framemd5 - 2>err | grep -v '^#' | sed 's/.*, //' >$c
    $g | ffmpeg -nostdin -v error -i - -f framemd5 - 2>err | grep -v '^#' | sed 's/.*, //' | diff - $c >out || fail "$c: other pixels"
done

# a reader that leaves ends it as every filter, 141, within seconds and without a word
("$SORA" generate -q -m test -p a --frames 0 -o - --container matroska 2>err; echo $? >status) | head -c 100000 >out
says status 141; empty err
status 2 "$SORA" generate -m test -p a -o - --container avi;         has err "y4m|matroska|nut"
status 2 "$SORA" generate -m test -p a -o a.mp4 --container nut;     has err "wanted -o -"
finish
