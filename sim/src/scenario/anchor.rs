//! `directory`: where the relative paths of a document begin.

use std::path::{Path, PathBuf};

use causeway_server::config::ConfigError;
use causeway_server::config::document::Source;
use toml::Spanned;

/// The directory of a document that lies in `place` and says `given`.
pub(super) fn resolve(
    source: &Source<'_>,
    given: Option<&Spanned<String>>,
    place: &Path,
) -> Result<PathBuf, ConfigError> {
    let Some(given) = given else { return Ok(place.to_owned()) };
    let path = place.join(given.get_ref());
    if path.is_dir() {
        return Ok(path);
    }
    let problem = format!("there is no directory {}", path.display());
    let advice = "name the one where the programs' paths begin";
    Err(source.error("directory", given.span(), problem, advice))
}

/// The document `text` with its directory written in, so that it can lie anywhere. `given` is what it says now.
pub(super) fn anchored(text: &str, given: Option<&Spanned<String>>, directory: &Path) -> String {
    let value = toml::Value::String(directory.display().to_string()).to_string();
    match given {
        Some(given) => {
            let span = given.span();
            format!("{}{value}{}", &text[..span.start], &text[span.end..])
        }
        None => format!("directory = {value}\n{text}"),
    }
}
