//! From the programs of a scenario to guests of its world.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::build::TrialError;
use super::excuse::ProgramExcuses;
use super::roster::Roster;
use crate::guest::Program;
use crate::process::{Captured, Output, ProcessConfig, find_preload};
use crate::scenario::{ProgramKind, ProgramOutput, ProgramSpec, Scenario};
use crate::world::{HostId, World};

/// A program that is a function: what it returns is its exit status.
type Body = Arc<dyn Fn() -> i32 + Send + Sync>;

/// The programs that whoever runs the scenario has given, by name.
#[derive(Clone, Default)]
pub(super) struct Closures(BTreeMap<String, Body>);

impl Closures {
    /// Command: the program of this name is `body`; of two the later one counts.
    pub(super) fn insert(&mut self, name: &str, body: impl Fn() -> i32 + Send + Sync + 'static) {
        self.0.insert(name.to_owned(), Arc::new(body));
    }

    /// Those that no program of the scenario is.
    fn unknown(&self, scenario: &Scenario) -> Option<&str> {
        let is_one = |name: &str| {
            let mut programs = scenario.programs.iter();
            programs.any(|one| one.name == name && one.kind == ProgramKind::Closure)
        };
        self.0.keys().map(String::as_str).find(|name| !is_one(name))
    }
}

impl fmt::Debug for Closures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Command: adds the programs to their hosts. Returns what watches them.
pub(super) fn add_programs(
    world: &mut World,
    scenario: &Scenario,
    closures: &Closures,
    excuses: ProgramExcuses,
) -> Result<Roster, TrialError> {
    if let Some(name) = closures.unknown(scenario) {
        let cause = "the scenario has no program of this name whose kind is closure".to_owned();
        return Err(TrialError::Program { name: name.to_owned(), cause });
    }
    let mut all = Vec::with_capacity(scenario.programs.len());
    for spec in &scenario.programs {
        let fail = |cause: String| TrialError::Program { name: spec.name.clone(), cause };
        let captured = match spec.output {
            ProgramOutput::Captured => Some(Captured::new().map_err(|e| fail(e.to_string()))?),
            ProgramOutput::Inherited | ProgramOutput::Discarded => None,
        };
        let run = Run::new(spec, closures, captured.as_ref()).map_err(fail)?;
        let (host, at) = (HostId(spec.host), spec.starts_at);
        let added = if spec.restart {
            world.add_lasting_guest(host, &spec.name, at, Box::new(move || run.program()))
        } else {
            world.add_guest(host, &spec.name, at, run.program())
        };
        added.map_err(|error| fail(error.to_string()))?;
        all.push(captured);
    }
    Ok(Roster::new(&scenario.programs, all, excuses))
}

/// What is run, as often as its host starts.
enum Run {
    Process(ProcessConfig),
    Object { image: Cow<'static, [u8]>, arguments: Vec<String> },
    Closure(Body),
}

impl Run {
    fn new(
        spec: &ProgramSpec,
        closures: &Closures,
        captured: Option<&Captured>,
    ) -> Result<Self, String> {
        if spec.kind == ProgramKind::Closure {
            let body = closures.0.get(&spec.name).cloned();
            let missing = "its kind is closure, and nobody gave one: Trial::with_program does";
            return body.map(Self::Closure).ok_or_else(|| missing.to_owned());
        }
        if spec.kind == ProgramKind::Object {
            let image = std::fs::read(&spec.command);
            let image = image.map_err(|error| format!("{}: {error}", spec.command.display()))?;
            return Ok(Self::Object { image: image.into(), arguments: spec.arguments.clone() });
        }
        let mut config = ProcessConfig::new(&spec.command, find_preload()?);
        config.arguments.clone_from(&spec.arguments);
        config.environment.clone_from(&spec.environment);
        // The present directory has no name.
        let named = |path: &PathBuf| !path.as_os_str().is_empty();
        config.directory = Some(spec.directory.clone()).filter(named);
        config.libraries.extend(spec.libraries.clone());
        config.output = match (spec.output, captured) {
            (ProgramOutput::Discarded, _) => Output::Discarded,
            (_, Some(captured)) => Output::Captured(captured.clone()),
            (_, None) => Output::Inherited,
        };
        Ok(Self::Process(config))
    }

    fn program(&self) -> Program {
        match self {
            Self::Process(config) => Program::Process(config.clone()),
            Self::Closure(body) => {
                let body = Arc::clone(body);
                Program::Closure(Box::new(move || body()))
            }
            Self::Object { image, arguments } => Program::SharedObject {
                image: image.clone(),
                arguments: arguments.clone(),
                release: None,
            },
        }
    }
}
