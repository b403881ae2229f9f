#!/bin/sh
# The mechanical proof that core is sans-IO: builds tests/importfree, a static library that runs Engine::step, links it
# with nothing at all and prints what it lacks. Only an allocator and mem* may be missing: no clock, no file, no socket,
# no thread, no unwinder.
#
# The crate is its own workspace (its panic handler cannot live beside std, and other members' features must not reach
# it), with a copy of the workspace's lockfile, and builds into its own target directory. Needs cargo, cc and nm; stable Rust.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}/importfree
cp "$here/../../Cargo.lock" "$here/Cargo.lock"
cargo build --quiet --release --offline --manifest-path "$here/Cargo.toml" --target-dir "$target"
cc -shared -nostdlib -Wl,--gc-sections,-u,causeway_importfree_step \
    -o "$target/importfree.so" "$target/release/libcauseway_importfree.a"
nm -D --defined-only "$target/importfree.so" | grep -q ' T causeway_importfree_step$' || {
    echo "importfree: the exported function is not in the library" >&2
    exit 1
}
imports=$(nm -D --undefined-only "$target/importfree.so" | awk '{ print $2 }')
count=0
for symbol in $imports; do
    case $symbol in
        causeway_alloc | causeway_free | memcpy | memmove | memset | memcmp | bcmp) count=$((count + 1)) ;;
        *)
            echo "importfree: core imports $symbol" >&2
            exit 1
            ;;
    esac
done
[ "$count" -gt 0 ] || {
    echo "importfree: no import at all, not even the allocator: the check looks at the wrong file" >&2
    exit 1
}
echo "importfree: core imports the allocator and mem* only:" $imports
