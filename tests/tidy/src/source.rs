//! Rules that one Rust file can break by itself.

use std::fmt;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::arms;

/// Longest file, tests included.
pub const FILE_LINES_MAX: usize = 800;
/// Longest function, from `fn` to its closing brace.
pub const FUNCTION_LINES_MAX: usize = 70;

/// Paths below which `unsafe` may be written. Everything else forbids it.
const UNSAFE_ALLOWED: &[&str] = &[
    "backends/",
    "capi/channel/",
    "capi/machnet/",
    "core/checksum/",
    "sim/src/loader",
    "sim/vtime/",
    // A counting allocator and test programs are test code, never linked into the product.
    "core/tests/",
    "capi/server/tests/",
    "tests/bench/",
    "tests/importfree/",
    "tests/interop/",
    "tests/abi/",
    "tests/packetdrill/",
];

/// Paths that may name errno values: where errors become errno, and where the operating system is called.
const ERRNO_ALLOWED: &[&str] = &[
    "capi/machnet/",
    "backends/",
    "capi/channel/",
    "capi/client/",
    "capi/server/",
    "capi/sidecar/",
    "sim/",
    "tests/",
];

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// File, from the root of the repository.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Measures the Rust file `path` (from the root of the repository) with the content `text`.
pub fn check_source(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut report =
        |line: usize, what: String| findings.push(Finding { path: path.to_owned(), line, what });
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() > FILE_LINES_MAX {
        report(1, format!("{} lines, at most {FILE_LINES_MAX}: split the concept", lines.len()));
    }
    for (number, line) in lines.iter().enumerate() {
        check_errno(path, number + 1, line, &mut report);
    }
    match syn::parse_file(text) {
        Err(error) => report(error.span().start().line, format!("does not parse: {error}")),
        Ok(file) => {
            let mut visitor = Visitor { path, lines: &lines, report: &mut report, in_test: false };
            if is_integration_test(path) {
                visitor.in_test = true;
            }
            visitor.visit_file(&file);
            check_crate_root(path, text, &mut report);
        }
    }
    findings
}

fn is_integration_test(path: &str) -> bool {
    path.contains("/tests/")
        || path.starts_with("tests/")
        || path.contains("/examples/")
        || path.ends_with("tests.rs")
}

fn check_errno(path: &str, number: usize, line: &str, report: &mut impl FnMut(usize, String)) {
    // What is looked for is written down here.
    let here = path.starts_with("tests/tidy/");
    if !here && line.contains("libc::E") && !ERRNO_ALLOWED.iter().any(|p| path.starts_with(p)) {
        report(number, "errno is made in capi, in one place".to_owned());
    }
}

fn check_crate_root(path: &str, text: &str, report: &mut impl FnMut(usize, String)) {
    let wanted: &[&str] = match path {
        "core/src/lib.rs" => &["#![no_std]", "#![forbid(unsafe_code)]", "#![deny(missing_docs)]"],
        "capi/client/src/lib.rs" | "capi/server/src/lib.rs" | "capi/sidecar/src/main.rs" => {
            &["#![forbid(unsafe_code)]"]
        }
        _ => &[],
    };
    for attribute in wanted {
        if !text.contains(attribute) {
            report(1, format!("the crate root must say `{attribute}`"));
        }
    }
}

struct Visitor<'a, F: FnMut(usize, String)> {
    path: &'a str,
    lines: &'a [&'a str],
    report: &'a mut F,
    in_test: bool,
}

impl<F: FnMut(usize, String)> Visitor<'_, F> {
    fn function(&mut self, signature: &syn::Signature, span: proc_macro2::Span) {
        let name = &signature.ident;
        if name.to_string().starts_with("get_") && !foreign(signature) {
            let line = name.span().start().line;
            (self.report)(line, format!("`{name}`: a getter is named after what it gives"));
        }
        if let Some(token) = &signature.unsafety {
            self.unsafe_allowed(token.span.start().line);
        }
        let lines = span.end().line - name.span().start().line + 1;
        if lines > FUNCTION_LINES_MAX {
            (self.report)(
                name.span().start().line,
                format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}"),
            );
        }
    }

    fn unsafe_allowed(&mut self, line: usize) {
        if !UNSAFE_ALLOWED.iter().any(|p| self.path.starts_with(p)) {
            (self.report)(line, "`unsafe` is not allowed in this part of the tree".to_owned());
        }
    }

    fn unsafe_at(&mut self, line: usize) {
        self.unsafe_allowed(line);
        // The comment stands on the same line or directly above, possibly over several lines and attributes.
        let above = self.lines[..line].iter().rev().skip(1).take(12).take_while(|l| {
            let l = l.trim_start();
            l.starts_with("//") || l.starts_with("#[") || l.ends_with('=') || l.ends_with('(')
        });
        let mut near = std::iter::once(&self.lines[line - 1]).chain(above);
        if !near.any(|l| l.contains("SAFETY:")) {
            (self.report)(
                line,
                "`unsafe` without a `// SAFETY:` comment directly above".to_owned(),
            );
        }
    }
}

/// The name is not ours to choose: C's, or that of the standard library's tables.
fn foreign(signature: &syn::Signature) -> bool {
    signature.abi.is_some() || signature.ident == "get_mut"
}

fn is_test_attribute(attribute: &syn::Attribute) -> bool {
    let path = attribute.path();
    path.is_ident("test")
        || (path.is_ident("cfg")
            && attribute.parse_args::<syn::Meta>().is_ok_and(|m| match m {
                syn::Meta::Path(p) => p.is_ident("test"),
                syn::Meta::List(l) => {
                    l.tokens.to_string().split([',', ' ', '(']).any(|t| t == "test")
                }
                syn::Meta::NameValue(_) => false,
            }))
}

impl<'ast, F: FnMut(usize, String)> Visit<'ast> for Visitor<'_, F> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, item.span());
        let ignored = item.attrs.iter().find(|a| a.path().is_ident("ignore"));
        if let Some(attribute) = ignored {
            (self.report)(
                attribute.span().start().line,
                "an ignored test is a skipped test".to_owned(),
            );
        }
        let outer = self.in_test;
        self.in_test |= item.attrs.iter().any(is_test_attribute);
        visit::visit_item_fn(self, item);
        self.in_test = outer;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, item.span());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig, item.span());
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_match(&mut self, item: &'ast syn::ExprMatch) {
        if !self.in_test
            && let Some((line, name)) = arms::of_match(item)
        {
            (self.report)(line, format!("a `_` arm on `{name}`: name the variants"));
        }
        visit::visit_expr_match(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let outer = self.in_test;
        self.in_test |= item.attrs.iter().any(is_test_attribute);
        visit::visit_item_mod(self, item);
        self.in_test = outer;
    }

    fn visit_expr_unsafe(&mut self, item: &'ast syn::ExprUnsafe) {
        self.unsafe_at(item.unsafe_token.span.start().line);
        visit::visit_expr_unsafe(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some(token) = &item.unsafety {
            self.unsafe_at(token.span.start().line);
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let line = call.method.span().start().line;
        if !self.in_test && call.method == "unwrap" && call.args.is_empty() {
            (self.report)(
                line,
                "`unwrap` outside tests: say the invariant with `expect`, or handle it".to_owned(),
            );
        }
        visit::visit_expr_method_call(self, call);
    }
}
