//! What all files of `tests/campaigns` add up to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::record::{Record, name_of};
use super::words::Seeds;

/// The campaigns of one commit, in order of seeds.
type Campaigns = BTreeMap<String, Vec<Record>>;

/// Reads and judges every file of a directory; none, if there is no such directory.
///
/// # Errors
/// A file is none of a complete campaign or has another's name, or two of one commit have a seed in common.
fn campaigns(directory: &Path) -> Result<Campaigns> {
    let mut campaigns = Campaigns::new();
    if !directory.exists() {
        return Ok(campaigns);
    }
    let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "json")) {
        let judge = || {
            let record = Record::parse(&fs::read_to_string(path)?)?;
            record.is_whole()?;
            let name = name_of(&record.commit, &record.range()?);
            ensure!(path.file_name().is_some_and(|n| n == name.as_str()), "its name is not {name}");
            Ok(record)
        };
        let record = judge().with_context(|| path.display().to_string())?;
        campaigns.entry(record.commit.clone()).or_default().push(record);
    }
    for records in campaigns.values_mut() {
        let mut keyed = std::mem::take(records)
            .into_iter()
            .map(|record| Ok((record.range()?.0.start, record)))
            .collect::<Result<Vec<_>>>()?;
        keyed.sort_by_key(|(start, _)| *start);
        *records = keyed.into_iter().map(|(_, record)| record).collect();
        for pair in records.windows(2) {
            let [first, second] = [pair[0].range()?, pair[1].range()?];
            let commit = &pair[0].commit;
            let apart = first.0.end <= second.0.start;
            ensure!(apart, "{commit}: the campaigns {first} and {second} overlap");
        }
    }
    Ok(campaigns)
}

/// Whether a campaign of these seeds has none in common with what the commit has.
///
/// # Errors
/// It has, or a file of the directory is wrong.
pub fn would_fit(directory: &Path, commit: &str, seeds: &Seeds) -> Result<()> {
    for record in campaigns(directory)?.get(commit).into_iter().flatten() {
        let Seeds(range) = record.range()?;
        if range.start < seeds.0.end && seeds.0.start < range.end {
            bail!("the seeds {} of this commit were run: {seeds} overlaps them", record.range);
        }
    }
    Ok(())
}

/// How many numbers are in at least one of the ranges.
fn distinct(mut ranges: Vec<Range<u64>>) -> u64 {
    ranges.sort_by_key(|range| range.start);
    let (mut count, mut end) = (0, 0);
    for range in ranges {
        let from = range.start.max(end);
        count += range.end.saturating_sub(from);
        end = end.max(range.end);
    }
    count
}

/// Output: a line a commit, and one for each seed that failed then; and one for all.
///
/// # Errors
/// Those of a file that is wrong.
pub fn read(directory: &Path) -> Result<String> {
    let mut text = String::new();
    let (mut all, mut runs, mut failed, mut frames, mut cpu) = (Vec::new(), 0, 0, 0, 0.0);
    for (commit, records) in &campaigns(directory)? {
        let mut ranges = Vec::new();
        let (mut commit_failed, mut commit_frames) = (0, 0);
        for record in records {
            ranges.push(record.range()?.0);
            commit_failed += record.failures.len();
            commit_frames += record.frames;
            cpu += record.cpu_seconds;
        }
        let seeds = distinct(ranges.clone());
        writeln!(text, "{commit}: {seeds} seeds, {commit_failed} failed, {commit_frames} frames")?;
        for failed in records.iter().flat_map(|record| &record.failures) {
            writeln!(text, "  {}", failed.line())?;
        }
        runs += seeds;
        failed += commit_failed;
        frames += commit_frames;
        all.extend(ranges);
    }
    let numbers = distinct(all);
    let hours = cpu / 3_600.0;
    writeln!(
        text,
        "in all: {runs} seeds of a commit, {numbers} distinct numbers, {failed} failed, {frames} frames, {hours:.1} CPU hours"
    )?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::root;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    struct Directory(std::path::PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let name = format!("causeway-campaigns-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("it can be made");
            Self(path)
        }

        /// A campaign with one failure for each 1,000 seeds.
        fn add(&self, commit: &str, from: u64, to: u64) -> &Self {
            self.write(&name_of(commit, &Seeds(from..to)), &text(commit, from, to))
        }

        fn write(&self, name: &str, text: &str) -> &Self {
            fs::write(self.0.join(name), text).expect("it can be written");
            self
        }

        fn error(&self) -> String {
            format!("{:#}", read(&self.0).expect_err("it is wrong"))
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).expect("it is ours");
        }
    }

    fn text(commit: &str, from: u64, to: u64) -> String {
        let failure =
            |i| format!(r#"{{"seed":{},"signature":"O1.x","words":"w"}}"#, from + 1_000 * i);
        let failures: Vec<String> = (0..(to - from) / 1_000).map(failure).collect();
        format!(
            r#"{{"seeds":{},"failures":[{}],"frames":{},"cpu_seconds":360.0,"hash":"0123456789abcdef",
               "commit":"{commit}","range":"{from}..{to}","shard":"0/1","complete":true}}"#,
            to - from,
            failures.join(","),
            10 * (to - from)
        )
    }

    #[test]
    fn seeds_are_counted_per_commit_and_in_all() {
        let directory = Directory::new("counted");
        directory.add(A, 0, 1_000).add(A, 1_000, 1_500).add(B, 500, 2_000);
        let text = read(&directory.0).expect("they are right");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("{A}: 1500 seeds, 1 failed, 15000 frames"));
        let again = "again: cargo run --profile sim --bin causeway -- sim run --seed 0";
        assert_eq!(lines[1], format!("  O1.x: seed 0, w; {again}"));
        assert_eq!(lines[2], format!("{B}: 1500 seeds, 1 failed, 15000 frames"));
        assert!(lines[3].starts_with("  O1.x: seed 500, w; again: "), "{text}");
        let all = "in all: 3000 seeds of a commit, 2000 distinct numbers, 2 failed, 30000 frames, 0.3 CPU hours";
        assert_eq!(lines[4..], [all]);
    }

    #[test]
    fn ranges_of_one_commit_that_overlap_are_refused() {
        let directory = Directory::new("overlap");
        directory.add(A, 0, 1_000).add(A, 999, 1_500);
        let error = directory.error();
        assert!(error.contains("the campaigns 0..1000 and 999..1500 overlap"), "{error}");
    }

    #[test]
    fn a_new_campaign_must_not_overlap_either() {
        let directory = Directory::new("fits");
        directory.add(A, 100, 200);
        let fits = |commit, seeds| would_fit(&directory.0, commit, &Seeds(seeds)).is_ok();
        assert!(fits(A, 0..100) && fits(A, 200..300) && fits(B, 0..1_000));
        assert!(!fits(A, 0..101) && !fits(A, 199..300) && !fits(A, 120..130));
    }

    #[test]
    fn what_is_not_complete_or_has_another_name_is_refused() {
        let whole = text(A, 0, 1_000);
        let name = name_of(A, &Seeds(0..1_000));
        let wrong = [
            (name.as_str(), whole.replace("true", "false"), "not complete"),
            (&name, whole.replace("\"seeds\":1000", "\"seeds\":999"), "not complete: 999 of 1000"),
            (&name, whole.replace("0/1", "0/2+1/2"), "not complete"),
            (&name, whole.replace("0123", "xyz"), "16 hex digits"),
            (&name, whole.replace("\"seed\":0", "\"seed\":1000"), "not of its range"),
            (&name, whole.replace("0..1000", "0-1000"), "give two numbers"),
            (&name, whole.replace("frames", "framez"), "no results of a campaign"),
            ("other.json", whole.clone(), "its name is not aaaaaaaaaaaa-0-1000.json"),
        ];
        for (name, text, expected) in &wrong {
            let directory = Directory::new("wrong");
            let error = directory.write(name, text).error();
            assert!(error.contains(expected), "{error}: without {expected:?}");
        }
    }

    #[test]
    fn the_campaigns_of_the_tree_add_up() {
        let text = read(&root().join(super::super::DIRECTORY)).expect("every file is right");
        assert!(text.ends_with(" CPU hours\n"), "{text}");
    }
}
