//! What the shared library exports.

use std::collections::BTreeSet;
use std::process::Command;

use causeway_abi::header::Header;
use causeway_abi::toolchain::{root, run, shared_library};

fn tool(name: &str, arguments: &[&str]) -> String {
    let library = shared_library().unwrap_or_else(|e| panic!("{e:#}")).join("libmachnet.so.0");
    let output = run(Command::new(name).args(arguments).arg(library));
    let output = output.unwrap_or_else(|e| panic!("{e:#}"));
    String::from_utf8(output.stdout).expect("symbol names are text")
}

#[test]
fn the_shared_library_exports_the_declared_functions_with_their_version_and_nothing_else() {
    let names = |header: &str| -> Vec<String> {
        let text = std::fs::read_to_string(root().join("capi/include").join(header));
        Header::parse(&text.expect("the header")).prototypes().keys().cloned().collect()
    };
    let own = names("machnet.h");
    // Each of these has the symbol that its declaration gives it, so that it is never taken for one of ours.
    let upstream = names("upstream/machnet.h");
    assert!(own.len() > 20 && upstream.len() == 10, "{own:?} {upstream:?}");
    let upstream = upstream.iter().map(|n| n.replacen("machnet_", "machnet_upstream_", 1));
    let declared: BTreeSet<_> =
        own.into_iter().chain(upstream).map(|name| format!("{name}@@MACHNET_0")).collect();
    let listed = tool("nm", &["-D", "--defined-only"]);
    let exported: BTreeSet<_> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .filter(|&name| name != "MACHNET_0")
        .map(str::to_owned)
        .collect();
    assert_eq!(exported, declared);
}

/// Contract: build_shim.sh
#[test]
fn the_shared_library_has_its_soname_and_the_link_for_the_linker() {
    assert!(tool("readelf", &["-d"]).contains("Library soname: [libmachnet.so.0]"));
    let directory = shared_library().unwrap_or_else(|e| panic!("{e:#}"));
    let link = std::fs::read_link(directory.join("libmachnet.so")).expect("a link");
    assert_eq!(link.to_str(), Some("libmachnet.so.0"));
}
