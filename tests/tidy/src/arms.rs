//! No `_` arm on protocol enums: a new variant must force a look at every place that tells variants apart.
//!
//! Without types it is known only by the patterns whose enum is matched on: a `match` that names a variant of one of
//! them, and has an arm that takes whatever else there is, is found.

use syn::visit::{self, Visit};

/// The enums whose variants are what the protocols distinguish, and what is decided about them. All are closed: none wraps
/// a number from the network, of which there are more than names.
const PROTOCOL_ENUMS: &[&str] = &[
    "AckDue",
    "Complaint",
    "Disposition",
    "EcnMode",
    "EndReason",
    "FlowEvent",
    "FlowState",
    "FlowTimer",
    "Icmpv4Header",
    "Icmpv6Header",
    "Kind",
    "Lookup",
    "NetFlags",
    "News",
    "RetransmitCause",
    "SocketOption",
    "State",
    "TimerReason",
    "Transport",
];

/// The lines of `_` arms in `expression` and below.
pub(crate) fn of_match(expression: &syn::ExprMatch) -> Option<(usize, &'static str)> {
    let mut names = Names { found: None };
    for arm in &expression.arms {
        names.visit_pat(&arm.pat);
    }
    let name = names.found?;
    let wild = expression.arms.iter().find(|arm| takes_all(&arm.pat))?;
    Some((syn::spanned::Spanned::span(&wild.pat).start().line, name))
}

/// A pattern that hides which variants it takes. `Some(_)` and `None` beside each other name what they take.
fn takes_all(pattern: &syn::Pat) -> bool {
    match pattern {
        syn::Pat::Wild(_) => true,
        syn::Pat::Tuple(tuple) => tuple.elems.iter().all(|p| matches!(p, syn::Pat::Wild(_))),
        syn::Pat::Paren(inner) => takes_all(&inner.pat),
        _ => false,
    }
}

/// Looks for a variant of a protocol enum, written with its enum's name.
struct Names {
    found: Option<&'static str>,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter().rev().skip(1);
        if let Some(owner) = segments.next() {
            self.found = self.found.or(PROTOCOL_ENUMS.iter().find(|e| owner.ident == **e).copied());
        }
        visit::visit_path(self, path);
    }
}
