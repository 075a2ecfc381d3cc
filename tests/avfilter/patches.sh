#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# avfilter/patches and upstream against what gen-patch.py makes of FFmpeg's sources: patches.sh CACHE, the folder where
# build-ffmpeg.sh keeps them.  A version whose source is not there is skipped.
set -u
cache=${1:?usage: patches.sh CACHE}
avfilter=$(cd "$(dirname "$0")/../../avfilter" && pwd)
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
touched="configure Changelog doc/*.texi doc/texi2pod.pl libavfilter/Makefile libavfilter/allfilters.c libavfilter/version.h"

# same NAME WANTED-FILE FOUND-FILE
same() { if diff "$2" "$3" >"$dir/diff"; then echo "ok $1"; else echo "FAIL $1:"; head -n 20 "$dir/diff"; fi; }
# ok NAME COMMAND...
ok() {
    name=$1; shift
    if "$@" >"$dir/out" 2>&1; then echo "ok $name"; else echo "FAIL $name:"; head -n 20 "$dir/out"; fi
}
without_places() { sed 's/^@@ .*/@@/' "$1"; }           # a minor release moves the lines

for version in 5.1 6.0 6.1 7.0 7.1 8.0 8.1 9.0; do
    tar=$(ls "$cache"/ffmpeg_$version*.orig.tar.?z 2>/dev/null | sort -V | tail -n 1)
    case $version in 5.1|6.0) patch=5.1 ;; 6.1|7.?) patch=6.1 ;; 8.0) patch=8.0 ;; *) patch=8.1 ;; esac
    if [ -z "$tar" ]; then
        echo "skip the patch for $version: its source is not there"
        continue
    fi
    tree=$dir/$version
    mkdir "$tree"
    (set -f; tar xf "$tar" -C "$tree" --strip-components=1 --wildcards $(printf '*/%s ' $touched)) || exit 1
    ok "$version: the patch applies" patch -d "$tree" -p1 --dry-run -i "$avfilter/patches/ffmpeg-$patch.patch"
    case $version in 5.1|7.1|9.0)                       # what the committed ones were made from
        "$avfilter/gen-patch.py" --diff "$tree" >"$dir/new"
        without_places "$dir/new" >"$dir/made"
        without_places "$avfilter/patches/ffmpeg-$patch.patch" >"$dir/kept"
        same "$version: the patch is what gen-patch.py makes" "$dir/kept" "$dir/made"
    esac
    if [ $version = 9.0 ]; then
        # the hunks of Changelog and version.h are for the development branch alone
        ok "upstream: the rest applies to 9.0" sh -c "cd '$tree' && git init -q . && git apply --check \
            --exclude=Changelog --exclude=libavfilter/version.h '$avfilter'/upstream/0001-*.patch"
    fi
    : >"$tree/doc/config.texi"                          # configure's
    "$avfilter/gen-patch.py" "$tree" && cp -r "$tree" "$tree.twice" && "$avfilter/gen-patch.py" "$tree.twice"
    ok "$version: FFmpeg's manual has the section" sh -c "cd '$tree' && perl doc/texi2pod.pl -Dconfig-all=yes -Dconfig-not-all=no \
        -Idoc doc/ffmpeg-filters.texi | grep '^=head2 sora\$'"
    ok "$version: registering twice changes nothing" diff -r "$tree" "$tree.twice"
done

# added FILE: the lines that the upstream patch adds to it
added() { awk -v file="+++ b/$1" '/^\+\+\+ /{on = $0 == file; next} /^--- |^--$/{on = 0} on && /^\+/{print substr($0, 2)}' "$avfilter"/upstream/0001-*.patch; }
added libavfilter/vsrc_sora.c >"$dir/committed"
"$avfilter/gen-patch.py" --plain >"$dir/plain"
same "upstream: the filter is the present one" "$dir/plain" "$dir/committed"
added doc/filters.texi >"$dir/committed"
same "upstream: the manual is the present one" "$avfilter/doc/sora.texi" "$dir/committed"
ok "upstream: a line for the Changelog and a new minor version" sh -c "grep -q '^+- sora ' '$avfilter'/upstream/0001-*.patch &&
    grep -q '^+#define LIBAVFILTER_VERSION_MINOR' '$avfilter'/upstream/0001-*.patch"
ok "upstream: nothing of older releases" sh -c "! grep -nE 'SORA_HAS|internal\.h\"$' '$dir/plain' | grep -v libavutil/internal.h"
ok "upstream: no tabs, no trailing blanks" sh -c "! grep -nP '\t|[ ]+\$' '$dir/plain' '$avfilter/doc/sora.texi'"
