//! Panics inside a run: caught, and named by their place.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<Caught>> = const { RefCell::new(None) };
}

/// Where and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// `file:line`.
    pub place: String,
    /// What it said.
    pub message: String,
}

/// Command: does `body`; a panic in it is not printed.
pub fn catch<T>(body: impl FnOnce() -> T) -> Result<T, Caught> {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if WATCHED.get() {
                LAST.set(Some(describe(info)));
            } else {
                before(info);
            }
        }));
    });
    WATCHED.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    WATCHED.set(false);
    result.map_err(|_| {
        let unknown = || Caught { place: "unknown".to_owned(), message: String::new() };
        LAST.take().unwrap_or_else(unknown)
    })
}

fn describe(info: &PanicHookInfo<'_>) -> Caught {
    let payload = info.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
    Caught {
        place: place.unwrap_or_default(),
        message: text.unwrap_or("a value that is no text").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_named_by_its_place_and_what_it_said() {
        let caught = catch(|| panic!("seven {}", 8)).expect_err("it panics");
        assert!(caught.place.contains("panic.rs:"), "{}", caught.place);
        assert_eq!(caught.message, "seven 8");
        assert_eq!(catch(|| 5), Ok(5));
    }
}
