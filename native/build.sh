#!/bin/sh
# Builds native/linux-ARCH.node with a plain C compiler; needs no node-gyp, no Python and no libuv headers.
#   sh native/build.sh                        for this machine
#   CC=aarch64-linux-gnu-gcc ARCH=arm64 sh native/build.sh
#   EXTRA="-fsanitize=address -g" OUT=/some/file.node sh native/build.sh
set -eu
cd "$(dirname "$0")"
CC=${CC:-cc}
ARCH=${ARCH:-$(case $(uname -m) in x86_64) echo x64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac)}
OUT=${OUT:-linux-$ARCH.node}
HEADERS=../node_modules/node-api-headers/include
command -v "$CC" >/dev/null || { echo "no C compiler '$CC': install gcc (Debian: apt install gcc libc6-dev)" >&2; exit 1; }
[ -f $HEADERS/node_api.h ] || { echo "node-api-headers is missing: run npm ci first" >&2; exit 1; }
# -nostdlib: no DT_NEEDED and no symbol versions, so glibc and musl can both load the file.
# shellcheck disable=SC2086
"$CC" -std=gnu11 -O2 -fPIC -shared -nostdlib -fvisibility=hidden -fno-stack-protector -U_FORTIFY_SOURCE \
  -Wall -Wextra -Werror -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--build-id=none -s \
  -DNAPI_VERSION=8 -I $HEADERS ${EXTRA:-} -o "$OUT" sallyport.c
echo "built $OUT ($(wc -c <"$OUT") bytes)"
