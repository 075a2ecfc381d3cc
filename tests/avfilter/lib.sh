# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by the tests of the wrappers for FFmpeg.  $F ffmpeg, $P ffprobe, $S sora; a scratch folder is the current one.
# Each check prints "ok NAME", "FAIL NAME: what was seen" or "skip NAME".
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../wait.sh"
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export FFMPEG_FORCE_NOCOLOR=1 AV_LOG_FORCE_NOCOLOR=1
T=model=test

# is NAME WANTED FOUND
is() {
    if [ "$2" = "$3" ]; then echo "ok $1"; else printf 'FAIL %s: wanted\n%s\nfound\n%s\n' "$1" "$2" "$3"; fi
}
# has NAME TEXT FOUND
has() {
    case $3 in *"$2"*) echo "ok $1" ;; *) printf 'FAIL %s: wanted something with "%s", found\n%s\n' "$1" "$2" "$3" ;; esac
}
# within NAME SECONDS FOUND-SECONDS
within() { is "$1: $3 s" yes "$(awk "BEGIN {print ($3 <= $2 ? \"yes\" : \"more than $2 s\")}")"; }
now() { date +%s.%N; }
since() { awk "BEGIN {printf \"%.2f\", $(now) - $1}"; }
lavfi() { "$F" -nostdin -v error -f lavfi -i "$@" 2>&1; }
complex() { "$F" -nostdin -v error -filter_complex "$@" 2>&1; }
lines() { grep -vc '^#'; }
