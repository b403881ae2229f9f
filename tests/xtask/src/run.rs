//! Running commands: output shown as it comes, and kept where it is read.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The root of the repository: of the checkout that `cargo run` was called in, which need not be the one that this was built in, where
/// several share a target directory.
pub fn root() -> PathBuf {
    let built_in = || PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(built_in, PathBuf::from);
    package.join("../..")
}

/// Where cargo builds.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command in the root of the repository, one word an argument.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(root());
    // `cargo run` sets these for xtask; a nested cargo must not see them.
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "CARGO_MANIFEST_DIR"] {
        command.env_remove(variable);
    }
    command
}

/// Runs a command with its output shown.
///
/// # Errors
/// When it cannot be started or does not end with 0.
pub fn run(mut command: Command) -> Result<()> {
    println!("+ {}", line(&command));
    let status = command.status().with_context(|| format!("cannot run `{}`", line(&command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line(&command));
    }
    Ok(())
}

/// Runs a command with its standard output shown and returned.
///
/// # Errors
/// When it cannot be started or does not end with 0.
pub fn run_and_read(mut command: Command) -> Result<String> {
    println!("+ {}", line(&command));
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{}`", line(&command)))?;
    let pipe = child.stdout.take().context("the pipe was asked for")?;
    let mut text = String::new();
    for output_line in BufReader::new(pipe).split(b'\n') {
        let bytes = output_line?;
        let output_line = String::from_utf8_lossy(&bytes);
        println!("{output_line}");
        text.push_str(&output_line);
        text.push('\n');
    }
    std::io::stdout().flush()?;
    let status = child.wait()?;
    if !status.success() {
        bail!("`{}` ended with {status}", line(&command));
    }
    Ok(text)
}

/// Runs a command silently and returns its standard output.
///
/// # Errors
/// When it cannot be started or does not end with 0; its standard error is in the message.
pub fn read(mut command: Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run `{}`", line(&command)))?;
    if !output.status.success() {
        bail!(
            "`{}` ended with {}\n{}",
            line(&command),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Getter: the executable that the messages of `cargo test --no-run --message-format=json` name last.
///
/// # Errors
/// When they name none.
pub fn executable(messages: &str) -> Result<String> {
    let named = messages
        .lines()
        .rev()
        .find_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next());
    named.map(str::to_owned).context("cargo named no executable")
}

/// True when a program of that name is on the PATH.
pub fn on_path(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

fn line(command: &Command) -> String {
    let mut words = Vec::new();
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={:?}", key.to_string_lossy(), value.to_string_lossy()));
        }
    }
    words.push(command.get_program().to_string_lossy().into_owned());
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    words.join(" ")
}
