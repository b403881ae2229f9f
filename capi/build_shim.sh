#!/bin/sh
# Builds libmachnet.so.0, the shared library that programs using machnet.h link against, and the link
# libmachnet.so that -lmachnet finds.
#
#   capi/build_shim.sh [OUTPUT_DIRECTORY]       default: <cargo target directory>/shim
#
# PROFILE chooses the cargo profile (default: release), CC the C compiler driver that links (default: cc).
#
# rustc hands the linker a version script of its own for a cdylib, and a linker takes one only: so the library
# is linked here, from the static library, with the versions of machnet/machnet.map.
set -eu

capi=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
profile=${PROFILE:-release}
cc=${CC:-cc}

cd "$capi/.."
cargo build --quiet --package causeway-machnet --lib --profile "$profile"
target=${CARGO_TARGET_DIR:-$capi/../target}
# Cargo calls the directory of its `dev` profile `debug`.
case $profile in
  dev) built=$target/debug ;;
  *) built=$target/$profile ;;
esac

out=${1:-$target/shim}
mkdir -p "$out"
out=$(CDPATH= cd -- "$out" && pwd)
built=$(CDPATH= cd -- "$built" && pwd)

# Written beside the old library and renamed over it: a program that has it mapped keeps what it has.
new=$out/.libmachnet.so.0.$$
trap 'rm -f "$new"' EXIT
"$cc" -shared -o "$new" \
  -Wl,-soname,libmachnet.so.0 \
  -Wl,--version-script="$capi/machnet/machnet.map" \
  -Wl,--whole-archive "$built/libmachnet.a" -Wl,--no-whole-archive \
  -Wl,--gc-sections -Wl,--no-undefined -Wl,-z,relro,-z,now \
  -lgcc_s -lpthread -ldl -lm -lc
mv -f "$new" "$out/libmachnet.so.0"
ln -sf libmachnet.so.0 "$out/libmachnet.so"

echo "$out/libmachnet.so.0"
