//! What the shared library exports.

use std::collections::BTreeSet;
use std::process::Command;

use causeway_abi::header::Header;
use causeway_abi::snapshot::{self, Difference};
use causeway_abi::toolchain::{root, run, shared_library};

fn tool(name: &str, arguments: &[&str]) -> String {
    let library = shared_library().unwrap_or_else(|e| panic!("{e:#}")).join("libmachnet.so.0");
    let output = run(Command::new(name).args(arguments).arg(library));
    let output = output.unwrap_or_else(|e| panic!("{e:#}"));
    String::from_utf8(output.stdout).expect("symbol names are text")
}

fn header(name: &str) -> String {
    std::fs::read_to_string(root().join("capi/include").join(name)).expect("the header")
}

/// The symbol of a function that upstream/machnet.h declares.
fn upstream_symbol(name: &str) -> String {
    name.replacen("machnet_", "machnet_upstream_", 1)
}

#[test]
fn the_shared_library_exports_the_declared_functions_with_their_version_and_nothing_else() {
    let names = |header: &str| -> Vec<String> {
        Header::parse(&self::header(header)).prototypes().keys().cloned().collect()
    };
    let own = names("machnet.h");
    // Each of these has the symbol that its declaration gives it, so that it is never taken for one of ours.
    let upstream = names("upstream/machnet.h");
    assert!(own.len() > 20 && upstream.len() == 10, "{own:?} {upstream:?}");
    let upstream = upstream.iter().map(|name| upstream_symbol(name));
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

#[test]
fn the_shared_library_keeps_what_it_promised() {
    const SONAME: &str = "libmachnet.so.0";
    let path = root().join("tests/abi").join(format!("{SONAME}.symbols"));
    let mut prototypes = snapshot::prototypes(&header("machnet.h"), str::to_owned);
    prototypes.extend(snapshot::prototypes(&header("upstream/machnet.h"), upstream_symbol));
    let now = snapshot::lines(&tool("nm", &["-D", "--defined-only"]), &prototypes);
    let promised = snapshot::parse(&std::fs::read_to_string(&path).unwrap_or_default());
    let Difference { broken, added } = Difference::between(&promised, &now);
    let broken = broken.join("\n");
    assert!(
        broken.is_empty(),
        "{SONAME} breaks what it promised; programs that use it need another soname (docs/abi-policy.md):\n{broken}"
    );
    if std::env::var_os("UPDATE_SYMBOLS").is_some() {
        std::fs::write(&path, snapshot::write(SONAME, &now)).expect("the tree is writable");
        return;
    }
    let added = added.join("\n");
    assert!(
        added.is_empty(),
        "{SONAME} has more than tests/abi/{SONAME}.symbols says. If it is to be kept for ever, \
         UPDATE_SYMBOLS=1 cargo test -p causeway-abi --test symbols writes it down:\n{added}"
    );
}
