//! Bugs planted on purpose: a build with `RUSTFLAGS="--cfg planted"` has them, and suffers from the one that is named.

/// Why a bug cannot be planted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlantError {
    /// The build has none.
    #[error(
        "this build has no planted bugs, so that `{0}` cannot be one; build it with RUSTFLAGS=\"--cfg planted\""
    )]
    Clean(String),
    /// There is none of that name.
    #[error("there is no planted bug `{0}`; core/src/planted names them all")]
    Unknown(String),
}

/// Command: from now on the whole process suffers from the bug `id`, and from no other.
///
/// # Errors
/// The build has no planted bugs, or none of that name.
pub fn plant(id: &str) -> Result<(), PlantError> {
    #[cfg(planted)]
    return if causeway_core::planted::plant(id) {
        Ok(())
    } else {
        Err(PlantError::Unknown(id.to_owned()))
    };
    #[cfg(not(planted))]
    Err(PlantError::Clean(id.to_owned()))
}

/// Getter: the marks at rare places and the transitions of the state machines, and how often this process was at each; none in a
/// build without planted bugs, which counts nothing.
pub fn reached() -> Vec<(String, u64)> {
    #[cfg(planted)]
    return causeway_core::reach::counts();
    #[cfg(not(planted))]
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_planted_is_told() {
        // A bug that exists is for the whole process and for good: other tests would suffer.
        let error = plant("no-such-bug").expect_err("there is none").to_string();
        let words = if cfg!(planted) { "there is no planted bug" } else { "--cfg planted" };
        assert!(error.contains(words) && error.contains("no-such-bug"), "{error}");
        assert!(cfg!(planted) || plant("no-paws").is_err());
    }
}
