#!/bin/bash
# Fuzz what is compiled under the address and undefined-behaviour sanitizers:
#   fuzz/run.sh SECONDS [--only kernel|receivers|messages|captures] [--seed N …]
# Builds the extensions into build/asan when their sources are newer; those in src/ are left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
seconds="${1:?usage: fuzz/run.sh SECONDS [options of fuzz/kernel.py]}"
shift

flags="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g"
sources=(setup.py fuzz/run.sh src/headwater/kernel/*.p[yx][xi] src/headwater/transport/incoming/*.pyx)
if [[ ! -e build/asan/built || -n "$(find "${sources[@]}" -newer build/asan/built)" ]]; then
    mkdir -p build/asan
    HEADWATER_CFLAGS="$flags" HEADWATER_LDFLAGS="-fsanitize=address,undefined" "$python" setup.py --quiet \
        build_ext --force --build-lib build/asan --build-temp build/asan/objects > build/asan/log 2>&1 || { cat build/asan/log; exit 1; }
    touch build/asan/built
fi

# The leak check would count what the interpreter keeps to its end. Python's own allocator would hide overruns.
export ASAN_OPTIONS="detect_leaks=0:abort_on_error=0:exitcode=99${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
export PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
    exec "$python" fuzz/kernel.py --seconds "$seconds" --extension build/asan --last build/asan/last "$@"
