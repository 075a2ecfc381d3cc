#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs what a document shows: each ```sh block as it stands, each ```c block compiled by the line under it.
# A block behind the comment <!-- not run: why --> is left out.   readme.sh PREFIX [DOCUMENT]: where libsora is installed
set -u
prefix=${1:?usage: readme.sh PREFIX [DOCUMENT]}
readme=$PWD/${2:-README.md}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export PATH="$prefix/bin:$PATH" GST_PLUGIN_PATH="$prefix/lib/gstreamer-1.0" PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
export LD_LIBRARY_PATH="$prefix/lib" GST_REGISTRY="$dir/registry"

awk -v RS='\n' '
    /^<!-- not run:/ { skip = 1; next }
    /^```(sh|c)$/ && !inside { inside = 1; if (!skip) file = sprintf("%02d.%s", ++n, substr($0, 4)); else file = ""; skip = 0; next }
    /^```$/ && inside { inside = 0; next }
    inside && file { print > file }
    !inside && NF { skip = 0 }' "$readme"

for f in [0-9][0-9].*; do
    [ -f "$f" ] || { echo "FAIL $readme has no examples"; exit 1; }
    title=$(head -n 1 "$f" | cut -c 1-90)
    case $f in
    *.c) cp "$f" example.c; echo "ok $f: $(wc -l <"$f") lines of C, compiled below"; continue ;;
    esac
    if timeout 300 sh -e "$f" >out 2>&1 </dev/null; then
        echo "ok $title"
    else
        echo "FAIL $title: exit status $?"
        tail -n 5 out
    fi
done
for v in *.mp4 *.mkv *.y4m; do
    [ -f "$v" ] || continue
    frames=$(ffprobe -v error -count_frames -select_streams v -show_entries stream=nb_read_frames -of csv=p=0 "$v" 2>&1)
    case $frames in
    '' | 0 | *[!0-9]*) echo "FAIL $v: $frames frames" ;;
    *) echo "ok $v: $frames frames" ;;
    esac
done
