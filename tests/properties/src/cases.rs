//! How many cases a property tries.

use proptest::test_runner::Config;

/// Getter: `usual` cases, or what `PROPTEST_CASES` says.
pub fn cases(usual: u32) -> Config {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = Config::default();
    Config { cases: if asked { default.cases } else { usual }, ..default }
}
