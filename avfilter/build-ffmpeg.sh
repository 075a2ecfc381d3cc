#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Build FFmpeg with the sora source.
#
#   build-ffmpeg.sh [--mode libavfilter|static] [--full | --small] [--prefix DIR] [--src DIR | --apt VERSION]
#                   [--cache DIR] [--jobs N]
#
#   --mode    libavfilter: a drop-in for the FFmpeg that is installed, to DIR/lib/sora-ffmpeg, with wrappers
#             DIR/bin/sora-ffmpeg, sora-ffprobe and sora-ffplay (the default)
#             static: programs of their own, DIR/bin/ffmpeg and DIR/bin/ffprobe, with FFmpeg's libraries inside
#   --full    with every external library that the installed FFmpeg has and whose -dev package is here
#   --small   only what tests/avfilter uses
#   --prefix  where to install, and where libsora is looked for first; default: /usr/local
#   --src     an unpacked FFmpeg tree, 5.1 to 9.0 (copied, not changed); for a drop-in exactly the installed version
#   --apt     the source of this version ("7.1", or a package's "7:7.1.5-0+deb13u1") from this Debian, the next or sid;
#             default: of the libavfilter that is installed
#   --cache   where sources and build trees are kept; default: .cache/ffmpeg
#
# The system's apt configuration and its FFmpeg stay as they are.  Exit status 3: the source is not to be had.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mode=libavfilter choice=usual prefix=/usr/local src='' version='' cache=$PWD/.cache/ffmpeg jobs=$(nproc)
fail() { echo "build-ffmpeg.sh: $*" >&2; exit 1; }
while [ $# -gt 0 ]; do
    case $1 in
    --full|--small) choice=${1#--}; shift; continue ;;
    --help) sed -n '3,22s/^# \{0,1\}//p' "$0"; exit 0 ;;
    esac
    [ $# -ge 2 ] || fail "$1: no such option, or its value is missing; see --help"
    case $1 in
    --mode)   mode=$2 ;;
    --prefix) prefix=$2 ;;
    --src)    src=$2 ;;
    --apt)    version=$2 ;;
    --cache)  cache=$2 ;;
    --jobs)   jobs=$2 ;;
    *)        fail "unknown option '$1'; see --help" ;;
    esac
    shift 2
done
case $mode in libavfilter|static) ;; *) fail "--mode is '$mode', wanted libavfilter or static" ;; esac
mkdir -p "$cache" "$prefix"
cache=$(cd "$cache" && pwd)
prefix=$(cd "$prefix" && pwd)
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
pkg-config --exists libsora ||
    fail "libsora not found by pkg-config: install it (make install), or set PKG_CONFIG_PATH to the folder of libsora.pc"
sora=$(pkg-config --variable=libdir libsora)

# ---- The source ----

archive() { ls "$cache"/ffmpeg_$1.orig.tar.?z 2>/dev/null | sort -V | tail -n 1; }

# The distribution's source, by a private copy of its package lists with deb-src in place of deb; then the next Debians.
fetch() {
    lists=$cache/apt keys=/usr/share/keyrings/debian-archive-keyring.gpg
    mkdir -p "$lists/sources" "$lists/lists/partial" "$lists/cache/archives/partial"
    rm -f "$lists"/sources/*
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -f "$f" ] && grep -qs debian "$f" && sed 's/^Types:.*/Types: deb-src/' "$f" >"$lists/sources/${f##*/}"
    done
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$f" ] && grep -E '^deb .*debian' "$f" | sed 's/^deb /deb-src /' >"$lists/sources/${f##*/}"
    done
    try "$1" && return 0
    mirror=$(cat "$lists"/sources/* | grep -oE 'https?://[^ ]*/debian/?( |$)' | head -n 1)
    for suite in trixie sid; do
        [ -n "$mirror" ] && [ -f "$keys" ] || break
        printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$mirror" $suite $keys \
            >"$lists/sources/$suite.sources"
        try "$1" && return 0
    done
    echo "build-ffmpeg.sh: no source package of FFmpeg $1 can be had by apt-get; unpack that version and give --src" >&2
    exit 3
}

# A full package version, or the newest that begins with the upstream version.
try() {
    set -- "$1" -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$lists/sources" -o "APT::Sandbox::User=" \
        -o "Dir::State::lists=$lists/lists" -o "Dir::Cache=$lists/cache"
    wanted=$1
    shift
    apt-get -qq "$@" update >"$lists/out" 2>&1 || return 1
    found=$(apt-cache "$@" showsrc ffmpeg 2>/dev/null | sed -n 's/^Version: //p' | sort -Vu |
        grep -E "^([0-9]+:)?$(printf %s "$wanted" | sed 's/[.+]/\\&/g')([.-]|$)" | tail -n 1)
    [ -n "$found" ] && (cd "$cache" && apt-get -qq "$@" source --tar-only --download-only "ffmpeg=$found" >"$lists/out" 2>&1)
}

if [ -n "$src" ]; then
    upstream=$(cat "$src/RELEASE" 2>/dev/null) || fail "$src: no FFmpeg tree (it has no file RELEASE)"
else
    [ -n "$version" ] ||
        version=$(dpkg-query -W -f '${source:Version}\n' 'libavfilter[0-9]*' 2>/dev/null | grep . | head -n 1)
    [ -n "$version" ] || fail "no libavfilter package is installed: install ffmpeg, or give --apt or --src"
    upstream=${version#*:}
    upstream=${upstream%%-*}
    case $upstream in *.*.*) ;; *) upstream="$upstream*" ;; esac
    [ -n "$(archive "$upstream")" ] || fetch "$version"
    tar=$(archive "$upstream")
    [ -n "$tar" ] || fail "apt-get brought no ffmpeg_$upstream.orig.tar.xz"
    upstream=${tar##*/ffmpeg_}
    upstream=${upstream%.orig.tar.*}
fi

# ---- Configure: what goes in ----

# with NAME:PKGCONFIG...: --enable-NAME where this FFmpeg knows it and the library is here
with() {
    for l in "$@"; do
        grep -q "^    ${l%%:*}\$" "$tree/configure" && pkg-config --exists "${l#*:}" && echo "--enable-${l%%:*}"
    done
    :
}

# The installed FFmpeg's external libraries, as far as this configure would find them: by pkg-config, or by their header.
full() {
    for l in $(ffmpeg -hide_banner -buildconf 2>/dev/null | sed -n 's/^ *--enable-\([a-z0-9-]*\)$/\1/p'); do
        test=$(sed -n "/^enabled $l  *&&/,/[^|\\\\]\$/p" "$tree/configure")
        pc=$(echo "$test" | sed -n "s/.*_pkg_config $l \"\{0,1\}\([A-Za-z0-9._+-]*\).*/\1/p" | head -n 1)
        header=$(echo "$test" | grep -oE '[A-Za-z0-9_/+-]+\.h' | head -n 1)
        if { [ -n "$pc" ] && pkg-config --exists "$pc"; } ||
            { [ -n "$header" ] && echo "#include <$header>" | cc -E - >/dev/null 2>&1; }; then
            echo "--enable-$l"
        fi
    done
}

# What the checks use; quicker to compile, slower to run.
small() {
    filters=sora,null,anull,format,aformat,scale,aresample,trim,atrim,setpts,sendcmd,metadata,concat,color,testsrc2,sine
    filters=$filters,overlay,movie,split,alphamerge,colorkey,setparams,drawtext,loop,fps
    echo --disable-everything --optflags=-O1 --enable-filter=$filters
    [ $mode = static ] || return 0
    echo --enable-indev=lavfi --enable-protocol=file,pipe,tcp,http,rtmp --enable-parser=h264,aac \
        --enable-bsf=h264_mp4toannexb,aac_adtstoasc,extract_extradata \
        --enable-encoder=rawvideo,wrapped_avframe,libx264,aac,pcm_s16le --enable-decoder=rawvideo,wrapped_avframe,h264,aac \
        --enable-demuxer=rawvideo,mov,matroska,hls,mpegts,yuv4mpegpipe,concat,flv,live_flv \
        --enable-muxer=null,framecrc,framemd5,md5,streamhash,rawvideo,mp4,matroska,hls,mpegts,flv,rtp
}

# One build tree for each version, kind, patch and place of libsora: a kept tree only compiles the filter again and links.
key=$({ cat "$here/gen-patch.py"; sed -n '/^# ---- Configure/,/^# ---- Build/p' "$0"; echo "$prefix $sora"; [ $choice != full ] || dpkg-query -W '*-dev'; } |
    cksum | cut -d ' ' -f 1)
tree=$cache/ffmpeg-$upstream-$mode-$choice-$key
if [ ! -f "$tree/configured" ]; then
    rm -rf "$tree"
    mkdir "$tree"
    if [ -n "$src" ]; then cp -r "$src/." "$tree"; else tar xf "$tar" -C "$tree" --strip-components=1; fi
    "$here/gen-patch.py" "$tree"
    libs=$(with libfreetype:freetype2 libharfbuzz:harfbuzz libfontconfig:fontconfig libfribidi:fribidi)
    case $choice in
    small) libs="$libs $(small)" ;;
    usual) libs="$libs $(with libass:libass libzimg:zimg)" ;;
    full)  libs="$libs $(full)" ;;
    esac
    case $mode in
    libavfilter)
        [ $choice = small ] || libs="--disable-everything --enable-filters $libs"
        libs="$libs --enable-shared --disable-static --disable-programs --disable-network" ;;
    static)
        libs="$libs $(with libx264:x264 zlib:zlib) --disable-ffplay --disable-debug" ;;
    esac
    command -v nasm >/dev/null && [ $choice != small ] || libs="$libs --disable-x86asm"
    while :; do
        # shellcheck disable=SC2086
        (cd "$tree" && ./configure --prefix="$prefix" --enable-gpl --enable-version3 --disable-doc --disable-autodetect \
            $libs --enable-libsora --extra-ldsoflags="-Wl,-rpath,$sora" --extra-ldexeflags="-Wl,-rpath,$sora" \
            >configure.out 2>&1) && break
        # "ERROR: zimg >= 2.7.0 not found using pkg-config": go on without it, where only --full asked for it
        name=$(sed -n 's/^ERROR: \([A-Za-z0-9_+-]*\).*/\1/p' "$tree/configure.out" | head -n 1)
        less=$(echo "$libs" | tr ' ' '\n' | grep -vxE -e "--enable-(lib)?$name")
        [ $choice = full ] && [ -n "$name" ] && [ "$(echo "$less" | wc -w)" -lt "$(echo "$libs" | wc -w)" ] || {
            grep -A 2 '^ERROR' "$tree/configure.out" >&2
            fail "FFmpeg's configure failed; see $tree/ffbuild/config.log"
        }
        echo "build-ffmpeg.sh: without $name: FFmpeg $upstream's configure does not take the one that is installed" >&2
        libs=$(echo "$less" | tr '\n' ' ')
    done
    touch "$tree/configured"
fi

# ---- Build and install ----

cmp -s "$here/vsrc_sora.c" "$tree/libavfilter/vsrc_sora.c" || cp "$here/vsrc_sora.c" "$tree/libavfilter/"
major=$(cat "$tree/libavfilter/version_major.h" "$tree/libavfilter/version.h" 2>/dev/null |
    sed -n 's/^#define LIBAVFILTER_VERSION_MAJOR *//p' | head -n 1)
lib=libavfilter.so.$major
case $mode in libavfilter) goals=libavfilter/$lib ;; static) goals="ffmpeg ffprobe" ;; esac
# shellcheck disable=SC2086
make -C "$tree" -j"$jobs" $goals >"$tree/make.out" 2>&1 ||
    { grep -E 'error|Error' "$tree/make.out" | head -n 5 >&2; fail "make failed; see $tree/make.out"; }
if grep -n 'vsrc_sora.c.*warning' "$tree/make.out" >&2; then fail "the filter compiles with warnings"; fi

# put FILE NAME: programs that run keep the old file
put() {
    mkdir -p "${2%/*}"
    cp "$1" "$2.new"
    strip --strip-unneeded "$2.new"
    mv "$2.new" "$2"
}
if [ $mode = static ]; then
    for p in ffmpeg ffprobe; do put "$tree/$p" "$prefix/bin/$p"; done
    echo "built $prefix/bin/ffmpeg and ffprobe, FFmpeg $upstream"
else
    put "$tree/libavfilter/$lib" "$prefix/lib/sora-ffmpeg/$lib"
    mkdir -p "$prefix/bin"
    sed -e "s|@UPSTREAM@|$upstream|" -e "s|@LIBDIR@|$prefix/lib/sora-ffmpeg|" "$here/sora-ffmpeg.in" >"$prefix/bin/sora-ffmpeg"
    chmod +x "$prefix/bin/sora-ffmpeg"
    for p in ffprobe ffplay; do ln -sf sora-ffmpeg "$prefix/bin/sora-$p"; done
    echo "built $prefix/lib/sora-ffmpeg/$lib for FFmpeg $upstream; run it as $prefix/bin/sora-ffmpeg"
fi
