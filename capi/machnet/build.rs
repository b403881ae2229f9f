//! Gives the shared library that cargo links its soname. The versioned one is linked by `capi/build_shim.sh`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libmachnet.so.0");
}
