//! Commands in backticks: the settings of Linux by their names, nothing else.

/// Getter: the settings that a command makes, in order.
///
/// # Errors
/// One sentence about the first word that is not `sysctl` (or `echo value > /proc/sys/...`).
pub(super) fn settings(command: &str) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    let joined = command.replace("\\\n", " ");
    for part in joined.split(['\n', ';']).flat_map(|part| part.split("&&")) {
        let part = part.trim();
        if part.is_empty() || part.starts_with('#') {
            continue;
        }
        match part.split_whitespace().next() {
            Some("sysctl") => sysctl(part, &mut all)?,
            Some("echo") if part.contains('>') => all.push(echo(part)?),
            _ => {
                return Err(format!(
                    "the command `{part}` is not carried out here: only sysctl is"
                ));
            }
        }
    }
    Ok(all)
}

/// `sysctl -q -w name=value name2="a b"`.
fn sysctl(part: &str, all: &mut Vec<(String, String)>) -> Result<(), String> {
    let words = words(part);
    let mut found = false;
    for word in words.iter().skip(1) {
        if word.starts_with('-') {
            continue;
        }
        if word.starts_with('>') || word.starts_with("2>") {
            break;
        }
        let Some((name, value)) = word.split_once('=') else {
            return Err(format!("`{word}` sets nothing"));
        };
        all.push((name.to_owned(), value.to_owned()));
        found = true;
    }
    if found { Ok(()) } else { Err(format!("`{part}` sets nothing")) }
}

/// `echo value > /proc/sys/name`.
fn echo(part: &str) -> Result<(String, String), String> {
    let (value, path) = part.split_once('>').unwrap_or((part, ""));
    let path = path.trim();
    if !path.starts_with("/proc/sys/") {
        return Err(format!("`{part}` writes no setting"));
    }
    let value =
        words(value).into_iter().skip(1).filter(|w| w != "-n").collect::<Vec<_>>().join(" ");
    Ok((path.to_owned(), value))
}

/// Words as a shell cuts them; quotes hold them together.
fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => word.push(c),
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
            }
            None => word.push(c),
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_in_the_forms_that_scripts_use() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            settings("sysctl -q net.ipv4.tcp_sack=0 net.ipv4.tcp_rmem=\"1 2 3\"; echo 1 > /proc/sys/net/x").unwrap(),
            [pair("net.ipv4.tcp_sack", "0"), pair("net.ipv4.tcp_rmem", "1 2 3"), pair("/proc/sys/net/x", "1")]
        );
    }

    #[test]
    fn every_other_command_is_refused() {
        for command in
            ["../common/defaults.sh", "ip route", "sysctl -q", "sysctl a", "echo 1 > /tmp/x"]
        {
            assert!(settings(command).is_err(), "{command}");
        }
    }
}
