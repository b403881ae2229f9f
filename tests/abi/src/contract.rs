//! From the facts of the reference to where each is declared, implemented and tested.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::header::Header;
use crate::toolchain::root;

/// Directories whose tests may prove an item.
const TEST_DIRECTORIES: [&str; 3] = ["tests/abi", "tests/interop", "capi/machnet"];
/// Where the functions are implemented.
const CODE_DIRECTORY: &str = "capi/machnet/src";
/// What a test's comment says in front of the items it proves.
const TAG: &str = "Contract:";

/// What sort of fact a line of the reference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A type's name.
    Type,
    /// A function; the fact is its prototype.
    Function,
    /// A parameter of a function.
    Parameter,
    /// A value that a function returns.
    Return,
    /// Something that the reference says about a function.
    Note,
    /// An example program.
    Program,
    /// A build step.
    Build,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Function => "function",
            Self::Parameter => "parameter",
            Self::Return => "return",
            Self::Note => "note",
            Self::Program => "program",
            Self::Build => "build",
        }
    }

    const ALL: [Self; 7] = [
        Self::Type,
        Self::Function,
        Self::Parameter,
        Self::Return,
        Self::Note,
        Self::Program,
        Self::Build,
    ];
}

/// One fact of the reference.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Its sort.
    pub kind: Kind,
    /// Its name: `FUNCTION` or `FUNCTION.DETAIL`.
    pub item: String,
    /// The fact itself.
    pub text: String,
    /// What the header says where it says this.
    pub needle: String,
}

impl Fact {
    fn function(&self) -> &str {
        self.item.split('.').next().unwrap_or(&self.item)
    }
}

/// Output: the facts in a reference file's text.
pub fn facts(text: &str) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let columns: Vec<_> = line.split('|').map(str::trim).collect();
        let [kind, item, text, needle] = columns[..] else {
            bail!("line {}: four columns, not {}", index + 1, columns.len());
        };
        let kind = Kind::ALL.into_iter().find(|k| k.name() == kind);
        let kind = kind.with_context(|| format!("line {}: unknown kind", index + 1))?;
        let (item, text, needle) = (item.to_owned(), text.to_owned(), needle.to_owned());
        facts.push(Fact { kind, item, text, needle });
    }
    Ok(facts)
}

/// The map, and what is missing in it.
#[derive(Debug)]
pub struct Contract {
    /// The text of `CONTRACT.md`.
    pub markdown: String,
    /// One line for each place that does not exist.
    pub gaps: Vec<String>,
}

/// Output: the contract of `machnet.h` in the tree as it is.
pub fn machnet() -> Result<Contract> {
    let read = |path: &str| {
        std::fs::read_to_string(root().join(path)).with_context(|| format!("reading {path}"))
    };
    let facts = facts(&read("tests/abi/reference/machnet.txt")?)?;
    let header = Header::parse(&read("capi/include/machnet.h")?);
    let code = sources(CODE_DIRECTORY)?;
    let mut tests = BTreeMap::new();
    for directory in TEST_DIRECTORIES {
        tests.extend(sources(directory)?);
    }
    let proofs = proofs(&tests);
    let mut gaps = unknown_proofs(&proofs, &facts);
    let mut markdown = String::from(HEAD);
    for fact in &facts {
        let declared = declared(fact, &header);
        let implemented = implemented(fact, &code);
        let proven = proofs.get(&fact.item).map(|places| places.join("<br>"));
        for (place, what) in
            [(&declared, "declared"), (&implemented, "implemented"), (&proven, "tested")]
        {
            if place.is_none() {
                gaps.push(format!(
                    "{} {} ({}) is not {what}",
                    fact.kind.name(),
                    fact.item,
                    fact.text
                ));
            }
        }
        let cell = |place: Option<String>| place.unwrap_or_else(|| "**missing**".to_owned());
        writeln!(
            markdown,
            "| {} | `{}` | {} | {} | {} |",
            fact.kind.name(),
            fact.item,
            cell(declared),
            cell(implemented),
            cell(proven)
        )?;
    }
    Ok(Contract { markdown, gaps })
}

const HEAD: &str = "\
# The contract of machnet.h

Generated from `reference/machnet.txt`; written anew by `UPDATE_CONTRACT=1 cargo test -p causeway-abi --test contract`.
Each fact of the reference, where the header says it, where the code does it, and which tests prove it.

| kind | item | header | code | tests |
|---|---|---|---|---|
";

fn declared(fact: &Fact, header: &Header) -> Option<String> {
    let comment = header.prototypes().get(fact.function()).map_or(1, |p| p.comment);
    let line = match fact.kind {
        Kind::Type => header.find(&format!(" {};", fact.item), 1),
        Kind::Function => {
            header.prototypes().get(&fact.item).filter(|p| p.text == fact.text).map(|p| p.line)
        }
        Kind::Parameter => {
            let (function, parameter) = fact.item.split_once('.')?;
            header.parameter(function, parameter)
        }
        Kind::Return => header.find(&fact.needle, comment),
        Kind::Note | Kind::Program | Kind::Build => header.find(&fact.needle, 1),
    }?;
    Some(format!("machnet.h:{line}"))
}

fn implemented(fact: &Fact, code: &BTreeMap<String, String>) -> Option<String> {
    let needle = match fact.kind {
        Kind::Program | Kind::Build => return file_named(&fact.item),
        Kind::Type => match fact.item.as_str() {
            // In Rust the flow is the struct without C's suffix, the id a plain number.
            "MachnetMsgId_t" => "msg_id: *mut u64".to_owned(),
            name => format!("pub struct {}", name.trim_end_matches("_t")),
        },
        Kind::Function | Kind::Parameter | Kind::Return | Kind::Note => {
            format!("fn {}(", fact.function())
        }
    };
    code.iter().find_map(|(path, text)| {
        let line = text.lines().position(|line| line.contains(&needle))?;
        Some(format!("{path}:{}", line + 1))
    })
}

fn file_named(name: &str) -> Option<String> {
    let candidates = [format!("capi/{name}"), format!("capi/examples/{name}")];
    candidates.into_iter().find(|path| root().join(path).is_file())
}

/// Item to the places of the tests that name it.
fn proofs(tests: &BTreeMap<String, String>) -> BTreeMap<String, Vec<String>> {
    let mut proofs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in tests {
        for (index, line) in text.lines().enumerate() {
            let comment = line.trim_start();
            let Some((before, items)) = comment.split_once(TAG) else { continue };
            if !matches!(before.trim(), "//" | "///" | "/*") {
                continue;
            }
            for item in items.trim_end_matches("*/").split(',') {
                let place = format!("{path}:{}", index + 1);
                proofs.entry(item.trim().to_owned()).or_default().push(place);
            }
        }
    }
    proofs
}

fn unknown_proofs(proofs: &BTreeMap<String, Vec<String>>, facts: &[Fact]) -> Vec<String> {
    let known = |item: &&String| !facts.iter().any(|fact| &&fact.item == item);
    let unknown = proofs.keys().filter(known);
    unknown
        .map(|item| format!("{item} at {} is no item of the reference", proofs[item].join(", ")))
        .collect()
}

/// Path (from the root) to text, of every Rust and C source under `directory`.
fn sources(directory: &str) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root().join(directory)];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if is_source(&path) {
                let name = path.strip_prefix(root())?.to_string_lossy().into_owned();
                found.insert(name, std::fs::read_to_string(&path)?);
            }
        }
    }
    Ok(found)
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "rs" || e == "c")
}
