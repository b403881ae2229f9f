//! `[[program]]`: somebody's own program on a host, and how it is to end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use causeway_core::time::{Duration, Instant};
use causeway_server::config::ConfigError;
use causeway_server::config::document::{Integer, Source, word};
use serde::Deserialize;
use toml::Spanned;

use super::host::{HostSpec, StackKind};
use super::unique;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProgram {
    name: Spanned<String>,
    host: Spanned<String>,
    kind: Option<Spanned<String>>,
    command: Option<Spanned<String>>,
    #[serde(default)]
    arguments: Vec<Spanned<String>>,
    #[serde(default)]
    environment: BTreeMap<Spanned<String>, Spanned<String>>,
    directory: Option<Spanned<String>>,
    libraries: Option<Spanned<String>>,
    start_ms: Option<Spanned<i128>>,
    exit: Option<Spanned<RawExit>>,
    background: Option<Spanned<bool>>,
    restart: Option<Spanned<bool>>,
    output: Option<Spanned<String>>,
    limit_s: Option<Spanned<i128>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a status, a list of them, or \"any\"")]
enum RawExit {
    One(i64),
    Several(Vec<i64>),
    Word(String),
}

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramKind {
    /// As a process of its own, under virtual time ([`crate::process`]).
    Process,
    /// A shared object whose `main` is called on a thread of the simulator ([`crate::loader`]).
    Object,
    /// A function of whoever runs the scenario ([`crate::trial::Trial::with_program`]), called on a thread of the simulator.
    Closure,
}

/// Statuses with which a program may end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedExit {
    /// Whatever it says.
    Any,
    /// One of these.
    OneOf(Vec<i32>),
}

impl ExpectedExit {
    /// Getter: a program may end so.
    pub fn allows(&self, status: i32) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(statuses) => statuses.contains(&status),
        }
    }
}

impl fmt::Display for ExpectedExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::OneOf(statuses) => {
                let words: Vec<String> = statuses.iter().map(i32::to_string).collect();
                f.write_str(&words.join(" or "))
            }
        }
    }
}

/// What becomes of what a program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramOutput {
    /// It is kept; its end is shown with a failure.
    Captured,
    /// It goes where the simulator's own goes.
    Inherited,
    /// Nothing is kept.
    Discarded,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramSpec {
    /// Its name, unique among programs.
    pub name: String,
    /// Its host, by position.
    pub host: usize,
    /// How it is run.
    pub kind: ProgramKind,
    /// The file; a closure has none.
    pub command: PathBuf,
    /// What stands behind its name.
    pub arguments: Vec<String>,
    /// Variables, by name.
    pub environment: Vec<(String, String)>,
    /// Where it starts.
    pub directory: PathBuf,
    /// Where shared libraries are looked for first.
    pub libraries: Option<PathBuf>,
    /// When it starts.
    pub starts_at: Instant,
    /// How it may end.
    pub exit: ExpectedExit,
    /// Nobody waits for its end.
    pub background: bool,
    /// It is started again when its host comes back from a crash.
    pub restart: bool,
    /// What becomes of what it writes.
    pub output: ProgramOutput,
    /// It is to have ended so long after the last fault, or after its start if that is later.
    pub limit: Duration,
}

const START_MS: Integer = Integer::new("program.start_ms", 0, 0, 86_400_000, "milliseconds");
const LIMIT_S: Integer = Integer::new("program.limit_s", 600, 1, 86_400, "seconds");
/// Most programs of a scenario.
const PROGRAMS_MAX: usize = 256;

/// The programs of a document in `directory`.
pub(super) fn build_all(
    source: &Source<'_>,
    raw: Vec<RawProgram>,
    (hosts, directory): (&[HostSpec], &Path),
    limit: Duration,
) -> Result<Vec<ProgramSpec>, ConfigError> {
    if let Some(beyond) = raw.get(PROGRAMS_MAX) {
        let problem = format!("{} programs are too many", raw.len());
        let advice = format!("give at most {PROGRAMS_MAX}");
        return Err(source.error("program", beyond.name.span(), problem, advice));
    }
    let mut names = BTreeSet::new();
    let build = |raw: RawProgram| Reader { source, directory }.build(raw, hosts, &mut names, limit);
    raw.into_iter().map(build).collect()
}

/// Somebody waits for something: else the run would be over before it begins.
pub(super) fn require_work(source: &Source<'_>, raw: &[RawProgram]) -> Result<(), ConfigError> {
    let in_background = |raw: &RawProgram| {
        let given = raw.background.as_ref().filter(|given| *given.get_ref());
        given.map(Spanned::span)
    };
    match raw.iter().map(in_background).collect::<Option<Vec<_>>>().as_deref() {
        Some([first, ..]) => {
            let problem = "nobody waits for any program or flow, and the run is over at once";
            let advice = "leave it out of the program whose end matters";
            Err(source.error("program.background", first.clone(), problem, advice))
        }
        _ => Ok(()),
    }
}

/// Reads one.
struct Reader<'a> {
    source: &'a Source<'a>,
    directory: &'a Path,
}

impl Reader<'_> {
    fn build(
        &self,
        raw: RawProgram,
        hosts: &[HostSpec],
        names: &mut BTreeSet<String>,
        limit: Duration,
    ) -> Result<ProgramSpec, ConfigError> {
        let source = self.source;
        let name = unique(source, "program.name", &raw.name, names)?;
        let host = hosts.iter().position(|host| &host.name == raw.host.get_ref());
        let host = host.ok_or_else(|| {
            let problem = format!("there is no host {:?}", raw.host.get_ref());
            source.error("program.host", raw.host.span(), problem, "name a [[host]]")
        })?;
        if hosts[host].stack != StackKind::Causeway {
            let problem = format!("host {:?} serves no programs", raw.host.get_ref());
            let advice = "name a host that runs Causeway";
            return Err(source.error("program.host", raw.host.span(), problem, advice));
        }
        let kind = self.kind(raw.kind.as_ref())?;
        self.refuse_for_threads(kind, &raw)?;
        let outputs = [
            ("captured", ProgramOutput::Captured),
            ("inherited", ProgramOutput::Inherited),
            ("discarded", ProgramOutput::Discarded),
        ];
        // An object writes where the simulator does: its descriptors are the simulator's.
        let own = if kind == ProgramKind::Process { outputs[0].1 } else { outputs[1].1 };
        let limit = match &raw.limit_s {
            Some(_) => Duration::from_secs(LIMIT_S.check_u64(source, raw.limit_s.as_ref())?),
            None => limit,
        };
        let start = START_MS.check_u64(source, raw.start_ms.as_ref())?;
        Ok(ProgramSpec {
            name,
            host,
            kind,
            command: self.command(kind, &raw)?,
            arguments: self.texts("program.arguments", &raw.arguments)?,
            environment: self.environment(&raw.environment)?,
            directory: match &raw.directory {
                Some(place) => self.place("program.directory", place)?,
                None => self.directory.to_owned(),
            },
            libraries: match &raw.libraries {
                Some(place) => Some(self.place("program.libraries", place)?),
                None => None,
            },
            starts_at: Instant::ZERO + Duration::from_millis(start),
            exit: self.exit(raw.exit.as_ref())?,
            background: raw.background.is_some_and(Spanned::into_inner),
            restart: raw.restart.is_some_and(Spanned::into_inner),
            output: word(source, "program.output", raw.output.as_ref(), own, &outputs)?,
            limit,
        })
    }

    fn kind(&self, given: Option<&Spanned<String>>) -> Result<ProgramKind, ConfigError> {
        if let Some(given) = given.filter(|given| given.get_ref() == "unmodified") {
            let problem =
                "programs that call sockets need the preload library, which does not exist yet";
            let advice = "link the program with libmachnet, and give \"process\"";
            return Err(self.source.error("program.kind", given.span(), problem, advice));
        }
        let kinds = [
            ("process", ProgramKind::Process),
            ("object", ProgramKind::Object),
            ("closure", ProgramKind::Closure),
        ];
        word(self.source, "program.kind", given, ProgramKind::Process, &kinds)
    }

    /// What only a process has, and what a closure has not.
    fn refuse_for_threads(&self, kind: ProgramKind, raw: &RawProgram) -> Result<(), ConfigError> {
        let environment = raw.environment.keys().next().map(Spanned::span);
        let output = raw.output.as_ref().filter(|output| output.get_ref() != "inherited");
        let given: [(&str, Option<Range<usize>>); 4] = [
            ("program.environment", environment),
            ("program.directory", raw.directory.as_ref().map(Spanned::span)),
            ("program.libraries", raw.libraries.as_ref().map(Spanned::span)),
            ("program.output", output.map(Spanned::span)),
        ];
        match given.into_iter().find_map(|(key, span)| Some((key, span?))) {
            Some((key, span)) if kind != ProgramKind::Process => {
                let problem = "what runs in the simulator's process shares what that has";
                let advice = "leave it out, or give kind = \"process\"";
                Err(self.source.error(key, span, problem, advice))
            }
            _ => Ok(()),
        }
    }

    fn exit(&self, given: Option<&Spanned<RawExit>>) -> Result<ExpectedExit, ConfigError> {
        let Some(given) = given else { return Ok(ExpectedExit::OneOf(vec![0])) };
        let statuses = match given.get_ref() {
            RawExit::Word(word) if word == "any" => return Ok(ExpectedExit::Any),
            RawExit::Word(_) => Vec::new(),
            RawExit::One(status) => vec![*status],
            RawExit::Several(statuses) => statuses.clone(),
        };
        let good = |status: &i64| i32::try_from(*status).ok().filter(|one| (0..256).contains(one));
        match statuses.iter().map(good).collect::<Option<Vec<i32>>>() {
            Some(statuses) if !statuses.is_empty() => Ok(ExpectedExit::OneOf(statuses)),
            _ => {
                let advice = "give a status from 0 to 255, a list of them, or \"any\"";
                let problem = "this is no exit status";
                Err(self.source.error("program.exit", given.span(), problem, advice))
            }
        }
    }

    fn texts(&self, key: &str, given: &[Spanned<String>]) -> Result<Vec<String>, ConfigError> {
        given.iter().map(|text| self.text(key, text)).collect()
    }

    /// A text that a program can be given.
    fn text(&self, key: &str, given: &Spanned<String>) -> Result<String, ConfigError> {
        if given.get_ref().contains('\0') {
            let problem = "it has a NUL character, with which a program's texts end";
            return Err(self.source.error(key, given.span(), problem, "leave it out"));
        }
        Ok(given.get_ref().clone())
    }

    fn environment(
        &self,
        given: &BTreeMap<Spanned<String>, Spanned<String>>,
    ) -> Result<Vec<(String, String)>, ConfigError> {
        let key = "program.environment";
        let pair = |(name, value): (&Spanned<String>, &Spanned<String>)| {
            let text = self.text(key, name)?;
            if text.is_empty() || text.contains('=') {
                let problem = format!("{text:?} is no name of a variable");
                return Err(self.source.error(key, name.span(), problem, "give one without ="));
            }
            Ok((text, self.text(key, value)?))
        };
        given.iter().map(pair).collect()
    }

    /// A path from the document's directory.
    fn path(&self, key: &str, given: &Spanned<String>) -> Result<PathBuf, ConfigError> {
        Ok(self.directory.join(self.text(key, given)?))
    }

    fn command(&self, kind: ProgramKind, raw: &RawProgram) -> Result<PathBuf, ConfigError> {
        let arguments = raw.arguments.first().map(|given| ("program.arguments", given.span()));
        let file = raw.command.as_ref().map(|given| ("program.command", given.span()));
        match (kind, file.or(arguments), &raw.command) {
            (ProgramKind::Closure, None, _) => Ok(PathBuf::new()),
            (ProgramKind::Closure, Some((key, span)), _) => {
                let problem = "a closure is no file, and knows what it needs";
                Err(self.source.error(key, span, problem, "leave it out"))
            }
            (_, _, Some(file)) => self.file(file),
            (_, _, None) => {
                let advice = "name the file that is run";
                let span = raw.name.span();
                Err(self.source.error("program.command", span, "it is missing", advice))
            }
        }
    }

    fn file(&self, given: &Spanned<String>) -> Result<PathBuf, ConfigError> {
        let key = "program.command";
        let path = self.path(key, given)?;
        if path.is_file() {
            return Ok(path);
        }
        let problem = format!("there is no file {}", path.display());
        let advice = "build it, or correct the path: it begins where the scenario lies";
        Err(self.source.error(key, given.span(), problem, advice))
    }

    fn place(&self, key: &str, given: &Spanned<String>) -> Result<PathBuf, ConfigError> {
        let path = self.path(key, given)?;
        if path.is_dir() {
            return Ok(path);
        }
        let problem = format!("there is no directory {}", path.display());
        let advice = "make it, or correct the path: it begins where the scenario lies";
        Err(self.source.error(key, given.span(), problem, advice))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scenario;
    use super::*;

    const EXAMPLE: &str = r#"
host = [{ name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24"] }] }]

[[program]]
name = "server"
host = "a"
command = "program.rs"
arguments = ["10.0.0.1", "7"]
environment = { LEVEL = "3" }
directory = ".."
libraries = "."
start_ms = 5
exit = [0, 3]
background = true
restart = true
output = "discarded"
limit_s = 9

[[program]]
name = "client"
host = "a"
command = "/proc/self/exe"
"#;

    fn place() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scenario")
    }

    fn parse(text: &str) -> Result<Scenario, ConfigError> {
        Scenario::parse_in("x.toml", text, &place())
    }

    #[test]
    fn a_program_is_read_as_it_is_written() {
        let programs = parse(EXAMPLE).expect("it is right").programs;
        let server = ProgramSpec {
            name: "server".to_owned(),
            host: 0,
            kind: ProgramKind::Process,
            command: place().join("program.rs"),
            arguments: vec!["10.0.0.1".to_owned(), "7".to_owned()],
            environment: vec![("LEVEL".to_owned(), "3".to_owned())],
            directory: place().join(".."),
            libraries: Some(place().join(".")),
            starts_at: Instant::ZERO + Duration::from_millis(5),
            exit: ExpectedExit::OneOf(vec![0, 3]),
            background: true,
            restart: true,
            output: ProgramOutput::Discarded,
            limit: Duration::from_secs(9),
        };
        assert_eq!(programs[0], server);
        let client = &programs[1];
        assert_eq!(
            (&client.exit, client.limit),
            (&ExpectedExit::OneOf(vec![0]), Duration::from_secs(600))
        );
        assert_eq!((client.background, client.restart), (false, false));
        assert_eq!(
            (client.directory.as_path(), client.output),
            (place().as_path(), ProgramOutput::Captured)
        );
        let any = parse(&EXAMPLE.replace("[0, 3]", "\"any\"")).expect("it is right");
        assert!(any.programs[0].exit.allows(77) && !client.exit.allows(77));
        let limit = parse(&format!("{EXAMPLE}[run]\nlimit_s = 4\n")).expect("it is right");
        assert_eq!(limit.programs[1].limit, Duration::from_secs(4), "that of the run");
    }

    const SERVER: &str = "name = \"server\"";

    /// What is changed in the example, into what, and what is told.
    const WRONG: &[(&str, &str, &str)] = &[
        (SERVER, "name = \"client\"", "20: program.name: \"client\" is the name of something else"),
        ("host = \"a\"", "host = \"b\"", "6: program.host: there is no host \"b\""),
        (
            "name = \"a\", interface",
            "name = \"a\", stack = \"textbook\", interface",
            "6: program.host: host \"a\" serves no programs",
        ),
        ("command = \"program.rs\"", "command = \"no\"", "7: program.command: there is no file "),
        ("command = \"program.rs\"", "command = \".\"", "7: program.command: there is no file "),
        ("[\"10.0.0.1\", \"7\"]", "[\"\\u0000\"]", "8: program.arguments: it has a NUL"),
        ("{ LEVEL = \"3\" }", "{ \"A=B\" = \"3\" }", "9: program.environment: \"A=B\" is no name"),
        (
            "directory = \"..\"",
            "directory = \"no\"",
            "10: program.directory: there is no directory",
        ),
        ("libraries = \".\"", "libraries = \"no\"", "11: program.libraries: there is no directory"),
        ("start_ms = 5", "start_ms = -5", "12: program.start_ms: -5 is out of range"),
        ("[0, 3]", "256", "13: program.exit: this is no exit status"),
        ("[0, 3]", "[]", "13: program.exit: this is no exit status"),
        ("[0, 3]", "\"none\"", "13: program.exit: this is no exit status"),
        ("\"discarded\"", "\"lost\"", "16: program.output: \"lost\" is none of"),
        ("limit_s = 9", "limit_s = 0", "17: program.limit_s: 0 is out of range"),
        (SERVER, "name = \"server\"\nkind = \"song\"", "6: program.kind: \"song\" is none of"),
        (
            SERVER,
            "name = \"server\"\nkind = \"unmodified\"",
            "6: program.kind: programs that call sockets need the preload library, which does not exist yet; \
             link the program with libmachnet",
        ),
        (
            SERVER,
            "name = \"server\"\nkind = \"object\"",
            "10: program.environment: what runs in the simulator's process shares what that has",
        ),
        (
            "command = \"/proc/self/exe\"",
            "kind = \"closure\"\ncommand = \"/proc/self/exe\"",
            "23: program.command: a closure is no file",
        ),
        (
            "command = \"/proc/self/exe\"",
            "kind = \"closure\"\narguments = [\"1\"]",
            "23: program.arguments: a closure is no file",
        ),
        ("command = \"/proc/self/exe\"", "", "20: program.command: it is missing"),
        ("limit_s = 9", "limits = 9", "17: program.limits: unknown key"),
        (
            "command = \"/proc/self/exe\"",
            "command = \"/proc/self/exe\"\nbackground = true",
            "14: program.background: nobody waits for any program or flow",
        ),
    ];

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_key() {
        for (from, to, expected) in WRONG {
            let text = EXAMPLE.replacen(from, to, 1);
            assert_ne!(text, EXAMPLE, "{from}");
            let error = parse(&text).expect_err(to).to_string();
            assert!(error.starts_with(&format!("x.toml:{expected}")), "{error}");
        }
        let nowhere = format!("directory = \"no\"\n{EXAMPLE}");
        let error = parse(&nowhere).expect_err("there is none").to_string();
        assert!(error.starts_with("x.toml:1: directory: there is no directory "), "{error}");
    }

    #[test]
    fn a_closure_has_no_file() {
        let text = EXAMPLE.replace("command = \"/proc/self/exe\"", "kind = \"closure\"");
        let programs = parse(&text).expect("it is right").programs;
        let closure = (ProgramKind::Closure, PathBuf::new(), ProgramOutput::Inherited);
        let ProgramSpec { kind, command, output, .. } = programs[1].clone();
        assert_eq!((kind, command, output), closure);
    }

    #[test]
    fn a_text_with_its_directory_in_it_can_lie_anywhere() {
        let whole = Scenario::anchored(EXAMPLE, &place());
        assert_eq!(whole.split_once('\n').expect("there are lines").1, EXAMPLE);
        let [here, there] =
            [EXAMPLE, &whole].map(|text| parse(text).expect("it is right").programs);
        assert_eq!(here, there);
        assert!(Scenario::parse("x", &whole).is_ok_and(|other| other.programs == here));
        // What is said is kept, and what is whole already stays as it is.
        let given = format!("# one\ndirectory = \"../scenario\" # two\n{EXAMPLE}");
        let moved = Scenario::anchored(&given, &place());
        assert!(
            moved.starts_with("# one\ndirectory = \"/") && moved.contains("\" # two\n"),
            "{moved}"
        );
        assert!(Scenario::parse("x", &moved).is_ok());
        assert_eq!(Scenario::anchored(&moved, Path::new("elsewhere")), moved);
        let without = "host = []\n";
        assert_eq!(Scenario::anchored(without, &place()), without);
    }
}
