//! What the documentation lists, and what there is: keys of scenarios, lines of plans, options of commands, oracles. Both are read from
//! the tree, so that whoever adds one learns which row is missing.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ExprTuple, Fields, ItemFn, ItemStruct, Lit, Pat, PatTuple, Type};

/// Words, sorted.
pub type Words = BTreeSet<String>;

/// Every struct that serde reads, by name: its fields with what is written between the angle brackets of their types.
#[derive(Default)]
struct Structs(BTreeMap<String, Vec<Field>>);

struct Field {
    name: String,
    /// Every identifier in its type.
    types: Vec<String>,
    flat: bool,
}

fn derives(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().filter(|a| a.path().is_ident("derive")).any(|a| has_word(a, name))
}

fn has_word(attribute: &Attribute, word: &str) -> bool {
    let Ok(list) = attribute.meta.require_list() else { return false };
    words_of(list.tokens.clone()).0.iter().any(|ident| ident == word)
}

/// The identifiers and the string literals of tokens, groups included.
fn words_of(tokens: TokenStream) -> (Vec<String>, Vec<String>) {
    let (mut idents, mut texts) = (Vec::new(), Vec::new());
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => {
                let (more, others) = words_of(group.stream());
                idents.extend(more);
                texts.extend(others);
            }
            TokenTree::Ident(ident) => idents.push(ident.to_string()),
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    texts.push(text.value());
                }
            }
            TokenTree::Punct(_) => {}
        }
    }
    (idents, texts)
}

fn types_of(ty: &Type) -> Vec<String> {
    struct Idents(Vec<String>);
    impl Visit<'_> for Idents {
        fn visit_ident(&mut self, ident: &proc_macro2::Ident) {
            self.0.push(ident.to_string());
        }
    }
    let mut idents = Idents(Vec::new());
    idents.visit_type(ty);
    idents.0
}

impl Visit<'_> for Structs {
    fn visit_item_struct(&mut self, item: &ItemStruct) {
        let Fields::Named(fields) = &item.fields else { return };
        if !derives(&item.attrs, "Deserialize") {
            return;
        }
        let field = |field: &syn::Field| {
            let name = field.ident.as_ref()?.to_string();
            let serde =
                |word| field.attrs.iter().any(|a| a.path().is_ident("serde") && has_word(a, word));
            let flat = serde("flatten");
            Some(Field { name, types: types_of(&field.ty), flat })
        };
        let fields = fields.named.iter().filter_map(field).collect();
        self.0.insert(item.ident.to_string(), fields);
    }
}

impl Structs {
    /// Types that a key of ours may have. Others are tables of the daemon's file, which another document lists.
    const PLAIN: &[&str] = &["Option", "Spanned", "Vec", "String", "BTreeMap", "bool", "RawExit"];

    fn keys(&self, name: &str, prefix: &str, keys: &mut Words) {
        for field in self.0.get(name).into_iter().flatten() {
            let key = format!("{prefix}{}", field.name);
            if let Some(inner) = field.types.iter().find(|ty| self.0.contains_key(*ty)) {
                let inside = if field.flat { prefix.to_owned() } else { format!("{key}.") };
                self.keys(inner, &inside, keys);
            } else if field
                .types
                .iter()
                .all(|ty| Self::PLAIN.contains(&ty.as_str()) || is_number(ty))
            {
                keys.insert(key);
            }
        }
    }
}

fn is_number(ty: &str) -> bool {
    matches!(ty.as_bytes(), [b'i' | b'u' | b'f', b'0'..=b'9', ..] | b"usize")
}

fn parsed(text: &str) -> syn::File {
    syn::parse_file(text).expect("a file of the tree compiles")
}

/// The keys that serde reads into `root`, a struct of one of these texts, as `host.nic.burst`.
pub fn keys_in_code(texts: &[String], root: &str) -> Words {
    let mut structs = Structs::default();
    texts.iter().for_each(|text| structs.visit_file(&parsed(text)));
    let mut keys = Words::new();
    structs.keys(root, "", &mut keys);
    keys
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The cells of the rows of every table whose first column is headed `head`.
fn rows<'a>(markdown: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let mut inside = false;
    let mut rows = Vec::new();
    for line in markdown.lines() {
        let Some(row) = line.strip_prefix('|').and_then(|line| line.trim_end().strip_suffix('|'))
        else {
            inside = false;
            continue;
        };
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if inside && !cells[0].starts_with("---") {
            rows.push(cells);
        } else if cells[0] == head {
            inside = true;
        }
    }
    rows
}

/// The keys of the tables headed `key`. The first cell has the first key of a row whole, and of the others the last part; a key with a
/// star stands for those that the second cell names.
pub fn keys_in_docs(markdown: &str) -> Words {
    let mut keys = Words::new();
    for cells in rows(markdown, "key") {
        let mut prefix = "";
        for (index, key) in quoted(cells[0]).enumerate() {
            if index == 0 {
                prefix = key.rsplit_once('.').map_or("", |(prefix, _)| prefix);
            }
            let whole = if key.contains('.') || prefix.is_empty() {
                key.to_owned()
            } else {
                format!("{prefix}.{key}")
            };
            if whole.contains('*') {
                let named = cells.get(1).into_iter().flat_map(|cell| quoted(cell));
                keys.extend(named.map(|name| whole.replace('*', name)));
            } else {
                keys.insert(whole);
            }
        }
    }
    keys
}

/// Words with which lines of a plan begin, and kinds of forgeries.
#[derive(Default)]
struct Verbs(Words);

fn literals(pat: &Pat, words: &mut Words) {
    match pat {
        Pat::Lit(lit) => {
            if let Lit::Str(text) = &lit.lit {
                words.insert(text.value());
            }
        }
        Pat::Or(or) => or.cases.iter().for_each(|case| literals(case, words)),
        _ => {}
    }
}

impl Visit<'_> for Verbs {
    /// `("drop", [])`
    fn visit_pat_tuple(&mut self, tuple: &PatTuple) {
        if let [verb, Pat::Slice(_) | Pat::Wild(_)] = tuple.elems.iter().collect::<Vec<_>>()[..] {
            literals(verb, &mut self.0);
        }
        visit::visit_pat_tuple(self, tuple);
    }

    /// `("late", "by")` of what is counted.
    fn visit_item_fn(&mut self, item: &ItemFn) {
        if item.sig.ident == "event_words" {
            struct First<'a>(&'a mut Words);
            impl Visit<'_> for First<'_> {
                fn visit_expr_tuple(&mut self, tuple: &ExprTuple) {
                    if let Some(syn::Expr::Lit(lit)) = tuple.elems.first()
                        && let Lit::Str(text) = &lit.lit
                    {
                        self.0.insert(text.value());
                    }
                }
            }
            First(&mut self.0).visit_item_fn(item);
        }
        visit::visit_item_fn(self, item);
    }
}

/// The words that the parser of plans knows.
pub fn verbs_in_code(texts: &[String]) -> Words {
    let mut verbs = Verbs::default();
    texts.iter().for_each(|text| verbs.visit_file(&parsed(text)));
    verbs.0
}

/// The words between backticks in the tables headed `line`.
pub fn verbs_in_docs(markdown: &str) -> Words {
    let cells = rows(markdown, "line").into_iter().flatten();
    let words = cells.flat_map(quoted).flat_map(str::split_whitespace);
    words.map(str::to_owned).collect()
}

/// The options of clap's structs.
#[derive(Default)]
struct Options(Words);

impl Visit<'_> for Options {
    fn visit_item_struct(&mut self, item: &ItemStruct) {
        if !(derives(&item.attrs, "Args") || derives(&item.attrs, "Parser")) {
            return;
        }
        for field in &item.fields {
            let Some(name) = &field.ident else { continue };
            for attribute in field.attrs.iter().filter(|a| a.path().is_ident("arg")) {
                let Ok(list) = attribute.meta.require_list() else { continue };
                let text = list.tokens.to_string();
                let given = text.split("long = \"").nth(1).and_then(|rest| rest.split('"').next());
                if has_word(attribute, "long") {
                    let name =
                        given.map_or_else(|| name.to_string().replace('_', "-"), str::to_owned);
                    self.0.insert(format!("--{name}"));
                }
            }
        }
    }
}

/// The options that commands take.
pub fn options_in_code(texts: &[String]) -> Words {
    let mut options = Options::default();
    texts.iter().for_each(|text| options.visit_file(&parsed(text)));
    options.0
}

/// The options that tables headed `command` or `option` name.
pub fn options_in_docs(markdown: &str) -> Words {
    let cells = rows(markdown, "command").into_iter().chain(rows(markdown, "option"));
    let words = cells.flat_map(|cells| quoted(cells[0]).collect::<Vec<_>>());
    let words =
        words.flat_map(|text| text.split(|c: char| !(c == '-' || c.is_ascii_alphanumeric())));
    words.filter(|word| word.starts_with("--")).map(str::to_owned).collect()
}

/// Of an id of an oracle in front of a text, the oracle: `O4` of `O4.tcp.checksum`.
fn oracle(text: &str) -> Option<String> {
    let digits = text.strip_prefix('O')?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let rest = &digits[end..];
    let is_id = end > 0 && (rest.is_empty() || rest.starts_with('.'));
    is_id.then(|| text[..=end].to_owned())
}

/// The oracles whose ids are in string literals.
pub fn oracles_in_code(texts: &[String]) -> Words {
    let tokens = |text: &String| text.parse::<TokenStream>().expect("a file of the tree is Rust");
    let literals = texts.iter().flat_map(|text| words_of(tokens(text)).1);
    literals.filter_map(|text| oracle(&text)).collect()
}

/// The oracles in the first cells of the tables headed `id`.
pub fn oracles_in_docs(markdown: &str) -> Words {
    let cells = rows(markdown, "id").into_iter().map(|cells| cells[0]);
    cells.flat_map(|cell| cell.split(", ")).filter_map(oracle).collect()
}
