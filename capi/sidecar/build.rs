//! Puts the functions of `machnet.h` into the binary's dynamic symbol table: the C programs that the simulator loads
//! into this process look for them there.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=machnet_*");
}
