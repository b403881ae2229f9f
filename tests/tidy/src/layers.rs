//! Arrows between crates only go down.

/// Each crate and the crates of the house that it may depend on (development dependencies aside).
const MAY_USE: &[(&str, &[&str])] = &[
    ("core/checksum", &[]),
    ("core", &["causeway-checksum"]),
    ("backends", &["causeway-core", "causeway-checksum"]),
    ("capi/channel", &["causeway-core", "causeway-checksum"]),
    ("capi/client", &["causeway-channel", "causeway-core", "causeway-checksum"]),
    (
        "capi/server",
        &["causeway-backends", "causeway-channel", "causeway-checksum", "causeway-core"],
    ),
    ("capi/machnet", &["causeway-client"]),
    (
        "sim",
        &[
            "causeway-backends",
            "causeway-channel",
            "causeway-checksum",
            "causeway-client",
            "causeway-core",
            "causeway-server",
        ],
    ),
    ("sim/vtime", &[]),
    ("tests/conformance", &["causeway-core"]),
    ("tests/properties", &["causeway-core"]),
    ("tests/packetdrill", &["causeway-conformance", "causeway-core"]),
];

/// Which house crates the manifest `text` of the crate at `path` names in `[dependencies]` against the rule.
pub fn forbidden_dependencies(path: &str, text: &str) -> Vec<String> {
    let Some((_, allowed)) = MAY_USE.iter().find(|(p, _)| *p == path) else { return Vec::new() };
    let mut section = "";
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
            continue;
        }
        let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
        let counts = section.ends_with("dependencies]") && !section.contains("dev-dependencies");
        if counts && name.starts_with("causeway") && !allowed.contains(&name) {
            found.push(name.to_owned());
        }
    }
    found
}
