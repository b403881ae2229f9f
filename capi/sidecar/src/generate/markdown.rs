//! The markdown that the documentation is written in, as a man page: headings, paragraphs, bullets, fenced blocks, and tables of keys.

/// What the lines before belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Nothing: a paragraph begins.
    Between,
    /// A paragraph or a bullet.
    Text,
    /// A fenced block.
    Fenced,
    /// A table whose head was read.
    Table,
}

/// The page called `name` of section 5 with what `text` says; its first heading becomes the description's.
pub fn man_page(name: &str, title: &str, text: &str) -> String {
    let mut page = format!(
        ".TH {name} 5 \"\" \"causeway {}\"\n.SH NAME\n{name} \\- {title}\n",
        crate::version::VERSION
    );
    let mut part = Part::Between;
    for line in text.lines() {
        part = add(&mut page, part, line);
    }
    page
}

fn add(page: &mut String, part: Part, line: &str) -> Part {
    if line.trim_start().starts_with("```") {
        page.push_str(if part == Part::Fenced { ".fi\n.RE\n" } else { ".PP\n.RS 4\n.nf\n" });
        return if part == Part::Fenced { Part::Between } else { Part::Fenced };
    }
    if part == Part::Fenced {
        put(page, &escaped(line));
        return Part::Fenced;
    }
    if let Some(row) = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) {
        return table(page, part, row);
    }
    if let Some(heading) = line.strip_prefix("### ") {
        put_macro(page, ".SS", heading);
    } else if let Some(heading) = line.strip_prefix("## ") {
        put_macro(page, ".SH", heading);
    } else if line.starts_with("# ") {
        page.push_str(".SH DESCRIPTION\n");
    } else if let Some(bullet) = line.strip_prefix("* ") {
        page.push_str(".IP \\(bu 2\n");
        put(page, &inline(bullet));
        return Part::Text;
    } else if !line.trim().is_empty() {
        if part != Part::Text {
            page.push_str(".PP\n");
        }
        put(page, &inline(line.trim()));
        return Part::Text;
    }
    Part::Between
}

/// A row: the key with its example, then what it means and its default.
fn table(page: &mut String, part: Part, row: &str) -> Part {
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let [key, example, default, meaning] = cells[..] else { return Part::Table };
    if part != Part::Table || key.starts_with("---") {
        return Part::Table;
    }
    page.push_str(".TP\n");
    put(page, &format!("{} = {}", inline(key), escaped(&example.replace('`', ""))));
    put(page, &inline(meaning));
    let default = if default.is_empty() {
        "Must be given.".to_owned()
    } else {
        format!("Default: {}.", inline(default))
    };
    put(page, &default);
    Part::Table
}

/// A heading, of one argument.
fn put_macro(page: &mut String, name: &str, heading: &str) {
    let heading = escaped(&heading.replace('`', "")).replace('"', "\\(dq");
    page.push_str(&format!("{name} \"{heading}\"\n"));
}

/// A line of text, which no request begins.
fn put(page: &mut String, line: &str) {
    if line.starts_with(['.', '\'']) {
        page.push_str("\\&");
    }
    page.push_str(line);
    page.push('\n');
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// Text with code and strong words in bold, and links as what they say.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for (index, piece) in text.split('`').enumerate() {
        if index % 2 == 1 {
            out.push_str(&format!("\\fB{}\\fR", escaped(piece)));
            continue;
        }
        for (index, piece) in piece.split("**").enumerate() {
            let plain = escaped(&without_links(piece));
            if index % 2 == 1 {
                out.push_str(&format!("\\fB{plain}\\fR"));
            } else {
                out.push_str(&plain);
            }
        }
    }
    out
}

/// `[text](address)` as `text`.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        out.push_str(before);
        let parts = link.split_once("](").and_then(|(said, after)| {
            let (_, after) = after.split_once(')')?;
            Some((said, after))
        });
        match parts {
            Some((said, after)) => {
                out.push_str(said);
                rest = after;
            }
            None => {
                out.push('[');
                rest = link;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> String {
        let page = man_page("x", "y", text);
        page.split_once("x \\- y\n").expect("the name").1.to_owned()
    }

    #[test]
    fn headings_paragraphs_bullets_and_blocks_become_their_macros() {
        let text = "# Title\n\nOne `--flag` and [two](x.md).\nStill **one**.\n\n## `[daemon]`\n\n* a\n\n```toml\n.x = \"\\\"\n\ny\n```\nend\n";
        let expected = ".SH DESCRIPTION\n.PP\nOne \\fB\\-\\-flag\\fR and two.\nStill \\fBone\\fR.\n.SH \"[daemon]\"\n\
            .IP \\(bu 2\na\n.PP\n.RS 4\n.nf\n\\&.x = \"\\e\"\n\ny\n.fi\n.RE\n.PP\nend\n";
        assert_eq!(body(text), expected);
    }

    #[test]
    fn a_row_is_its_key_with_an_example_its_meaning_and_its_default() {
        let text = "| key | example | default | meaning |\n|---|---|---|---|\n| `a` | `\"b\"` |  | What `a` is. |\n| `c` | `1` | `2` | Of c. |\n";
        let expected = ".TP\n\\fBa\\fR = \"b\"\nWhat \\fBa\\fR is.\nMust be given.\n\
            .TP\n\\fBc\\fR = 1\nOf c.\nDefault: \\fB2\\fR.\n";
        assert_eq!(body(text), expected);
    }
}
