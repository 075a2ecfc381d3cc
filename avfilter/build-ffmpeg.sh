#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Build FFmpeg's libavfilter with the sora source, as a drop-in for the FFmpeg that is installed.
#
#   build-ffmpeg.sh [--prefix DIR] [--src DIR | --apt VERSION] [--cache DIR] [--jobs N]
#
#   --prefix  where libsora is installed; the drop-in goes to DIR/lib/sora-ffmpeg, the wrapper to DIR/bin/sora-ffmpeg
#   --src     an unpacked FFmpeg tree of exactly the installed version (copied, not changed)
#   --apt     the distribution's source package of this version; default: of the libavfilter that is installed
#   --cache   where sources and build trees are kept; default: .cache/ffmpeg
#
# The system's apt configuration and its FFmpeg stay as they are.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
prefix=/usr/local src= version= cache=$PWD/.cache/ffmpeg jobs=$(nproc)
fail() { echo "build-ffmpeg.sh: $*" >&2; exit 1; }
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || fail "$1 needs a value"
    case $1 in
    --prefix) prefix=$2 ;;
    --src)    src=$2 ;;
    --apt)    version=$2 ;;
    --cache)  cache=$2 ;;
    --jobs)   jobs=$2 ;;
    --mode)   [ "$2" = libavfilter ] || fail "--mode is '$2', wanted libavfilter" ;;
    *)        fail "unknown option '$1'" ;;
    esac
    shift 2
done
mkdir -p "$cache" "$prefix"
cache=$(cd "$cache" && pwd)
prefix=$(cd "$prefix" && pwd)
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
pkg-config --exists libsora ||
    fail "libsora not found by pkg-config: install it first (make install), or set PKG_CONFIG_PATH to the folder of libsora.pc"

# The distribution's source, by a private copy of its package lists with deb in place of deb-src.
fetch() {
    lists=$cache/apt
    mkdir -p "$lists/sources" "$lists/lists/partial" "$lists/cache/archives/partial"
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -f "$f" ] && grep -qs 'debian' "$f" && sed 's/^Types:.*/Types: deb-src/' "$f" >"$lists/sources/${f##*/}"
    done
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$f" ] && grep -E '^deb .*debian' "$f" | sed 's/^deb /deb-src /' >"$lists/sources/${f##*/}"
    done
    set -- -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$lists/sources" -o "APT::Sandbox::User=" \
        -o "Dir::State::lists=$lists/lists" -o "Dir::Cache=$lists/cache"
    apt-get -qq "$@" update || fail "apt-get cannot read the lists of source packages"
    (cd "$cache" && apt-get -qq "$@" source --download-only "ffmpeg=$version") ||
        fail "apt-get has no source package ffmpeg=$version; unpack that version yourself and give --src"
}

if [ -n "$src" ]; then
    upstream=$(cat "$src/RELEASE" 2>/dev/null) || fail "$src: no FFmpeg tree (it has no file RELEASE)"
else
    [ -n "$version" ] ||
        version=$(dpkg-query -W -f '${source:Version}\n' libavfilter8 libavfilter9 libavfilter10 2>/dev/null | head -n 1)
    [ -n "$version" ] || fail "no libavfilter package is installed: install ffmpeg, or give --src"
    upstream=${version#*:}
    upstream=${upstream%%-*}
fi

# One build tree for each version, patch and place of libsora: a kept tree only compiles the filter again and links.
key=$(cat "$here/gen-patch.py" "$0" | cksum | cut -d ' ' -f 1)-$(echo "$prefix" | cksum | cut -d ' ' -f 1)
tree=$cache/ffmpeg-$upstream-$key
if [ ! -f "$tree/configured" ]; then
    rm -rf "$tree"
    if [ -n "$src" ]; then
        cp -r "$src" "$tree"
    else
        ls "$cache"/ffmpeg_"$upstream".orig.tar.* >/dev/null 2>&1 || fetch
        mkdir "$tree"
        tar xf "$(ls "$cache"/ffmpeg_"$upstream".orig.tar.?z | head -n 1)" -C "$tree" --strip-components=1
    fi
    "$here/gen-patch.py" "$tree"
    cp "$here/vsrc_sora.c" "$tree/libavfilter/"
    libs=
    for l in libfreetype:freetype2 libfontconfig:fontconfig libfribidi:fribidi libass:libass libzimg:zimg; do
        pkg-config --exists "${l#*:}" && libs="$libs --enable-${l%%:*}"
    done
    # shellcheck disable=SC2086
    (cd "$tree" && ./configure --prefix="$prefix" --enable-gpl --enable-version3 --enable-shared --disable-static \
        --disable-programs --disable-doc --disable-network --disable-autodetect --disable-everything --enable-filters \
        $libs --enable-libsora --extra-ldsoflags="-Wl,-rpath,$prefix/lib" $(command -v nasm >/dev/null || echo --disable-x86asm) \
        >configure.out 2>&1) || { tail -n 5 "$tree/configure.out" >&2; fail "FFmpeg's configure failed; see $tree/ffbuild/config.log"; }
    touch "$tree/configured"
fi
cmp -s "$here/vsrc_sora.c" "$tree/libavfilter/vsrc_sora.c" || cp "$here/vsrc_sora.c" "$tree/libavfilter/"
major=$(sed -n 's/^#define LIBAVFILTER_VERSION_MAJOR *//p' "$tree/libavfilter/version_major.h" "$tree/libavfilter/version.h" 2>/dev/null | head -n 1)
lib=libavfilter.so.$major
make -C "$tree" -j"$jobs" "libavfilter/$lib" >"$tree/make.out" 2>&1 ||
    { grep -E 'error|Error' "$tree/make.out" | head -n 5 >&2; fail "make failed; see $tree/make.out"; }
if grep -n 'vsrc_sora.c.*warning' "$tree/make.out" >&2; then fail "the filter compiles with warnings"; fi

mkdir -p "$prefix/lib/sora-ffmpeg" "$prefix/bin"
cp "$tree/libavfilter/$lib" "$prefix/lib/sora-ffmpeg/$lib.new"
strip --strip-unneeded "$prefix/lib/sora-ffmpeg/$lib.new"
mv "$prefix/lib/sora-ffmpeg/$lib.new" "$prefix/lib/sora-ffmpeg/$lib"
sed -e "s|@UPSTREAM@|$upstream|" -e "s|@LIBDIR@|$prefix/lib|" "$here/sora-ffmpeg.in" >"$prefix/bin/sora-ffmpeg"
chmod +x "$prefix/bin/sora-ffmpeg"
for p in ffprobe ffplay; do ln -sf sora-ffmpeg "$prefix/bin/sora-$p"; done
echo "built $prefix/lib/sora-ffmpeg/$lib for FFmpeg $upstream; run it as $prefix/bin/sora-ffmpeg"
