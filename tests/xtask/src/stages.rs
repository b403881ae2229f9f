//! The stages of the gate, in their order, each with its time and its count of tests.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::counts::Counts;
use crate::fuzz;
use crate::run::{command, read, root, run, run_and_read, target_dir};
use crate::setup;

type Run = fn() -> Result<Counts>;

struct Stage {
    name: &'static str,
    what: &'static str,
    run: Run,
}

const STAGES: &[Stage] = &[
    Stage {
        name: "setup",
        what: "install what is missing",
        run: || setup::everything().map(|()| Counts::default()),
    },
    Stage { name: "lint", what: "rustfmt, clippy, rustdoc without a warning", run: lint },
    Stage {
        name: "test",
        what: "unit, property, snapshot, ABI and interop tests of the workspace",
        run: test_workspace,
    },
    Stage {
        name: "sim",
        what: "the same with optimisation, debug assertions and overflow checks",
        run: test_sim_profile,
    },
    Stage {
        name: "loom",
        what: "every interleaving of the channel's rings and doorbell",
        run: loom,
    },
    Stage {
        name: "asan",
        what: "the unsafe islands under AddressSanitizer",
        run: address_sanitizer,
    },
    Stage {
        name: "importfree",
        what: "core's undefined symbols are the allocator's and mem*",
        run: import_free,
    },
    Stage {
        name: "unprivileged",
        what: "interop as an ordinary user inside unshare -Urn",
        run: unprivileged,
    },
    Stage {
        name: "matrix",
        what: "our stack and the kernel over a faulty link: each two values meet in a cell",
        run: matrix_pairwise,
    },
    Stage {
        name: "demo",
        what: "the main job twice and as a debug build, equal hashes; the capture opens in Wireshark",
        run: demo,
    },
    Stage {
        name: "bite",
        what: "six planted bugs, drawn by the commit's hash, make their tests fail; none is in the release binary",
        run: bite,
    },
    Stage {
        name: "swarm",
        what: "20,000 seeds twice, equal hashes; debug as release; regressions; canaries; six planted bugs are found",
        run: crate::swarm::stage,
    },
    Stage { name: "bench", what: "instruction ratios that gate", run: bench },
    Stage { name: "fuzz", what: "each fuzz target for 30 s", run: || fuzz_stage(30) },
];

const LONG: &[Stage] = &[
    Stage {
        name: "bite-full",
        what: "every planted bug makes its tests fail",
        run: || Ok(Counts { passed: crate::bite::run(None, None)?.into(), ..Counts::default() }),
    },
    Stage {
        name: "bite-swarm",
        what: "the simulator finds every planted bug of docs/planted.md, and makes what it finds small",
        run: || {
            crate::swarm::bite(None, None, true).map(|()| Counts { passed: 1, ..Counts::default() })
        },
    },
    Stage {
        name: "reach",
        what: "a campaign reaches every mark and every transition that docs/reached.md does not list",
        run: || Ok(Counts { passed: crate::swarm::reach(None)?, ..Counts::default() }),
    },
    Stage {
        name: "regressions",
        what: "each planted bug that a regression case names is found by it again",
        run: regressions,
    },
    Stage { name: "properties-long", what: "each property with 4,000 cases", run: properties },
    Stage {
        name: "kills",
        what: "10,000 applications are killed at drawn moments, and nothing is left of them",
        run: kills,
    },
    Stage { name: "fuzz-long", what: "each fuzz target for 10 minutes", run: || fuzz_stage(600) },
    Stage {
        name: "matrix-full",
        what: "every cell of the matrix; goes on where it was stopped",
        run: matrix_full,
    },
    Stage {
        name: "goodput",
        what: "with 1 % loss we reach 0.9 times what the kernel reaches",
        run: goodput,
    },
    Stage { name: "coverage", what: "enough lines of TCP are reached by scripts", run: coverage },
];

/// Prints the stages.
pub fn list() {
    for stage in STAGES {
        println!("{:<13} {}", stage.name, stage.what);
    }
    for stage in LONG {
        println!("{:<13} {} (only `full`)", stage.name, stage.what);
    }
}

/// `cargo xtask test`.
///
/// # Errors
/// At the first stage that fails.
pub fn test(only: &[String]) -> Result<()> {
    for name in only {
        ensure!(
            STAGES.iter().any(|s| s.name == name),
            "there is no stage `{name}`: see `cargo xtask stages`"
        );
    }
    let chosen: Vec<&Stage> =
        STAGES.iter().filter(|s| only.is_empty() || only.iter().any(|o| o == s.name)).collect();
    let mut rows = Vec::new();
    let mut total = Counts::default();
    for stage in chosen {
        let (row, counts) = perform(stage)?;
        rows.push(row);
        total.add(counts);
    }
    close(&rows, total);
    Ok(())
}

/// `cargo xtask full`: remembers in the target directory which stages this commit has passed.
///
/// # Errors
/// At the first stage that fails; the next call goes on there.
pub fn full() -> Result<()> {
    let commit = commit()?;
    let clean = read(command(&["git", "status", "--porcelain"]))?.is_empty();
    ensure!(clean, "the tree has uncommitted changes: a result belongs to a commit");
    let directory = target_dir().join("full").join(&commit);
    fs::create_dir_all(&directory)?;
    let mut rows = vec![format!("commit {commit}")];
    let mut total = Counts::default();
    for stage in STAGES.iter().chain(LONG) {
        let record = directory.join(stage.name);
        if let Ok(text) = fs::read_to_string(&record) {
            let mut numbers = text.lines();
            let passed = numbers
                .next()
                .and_then(|n| n.parse().ok())
                .context("a damaged record in target/full")?;
            total.add(Counts { passed, ..Counts::default() });
            rows.push(format!("{} (before)", numbers.next().unwrap_or(stage.name)));
            continue;
        }
        let (row, counts) = perform(stage)?;
        fs::write(&record, format!("{}\n{row}\n", counts.passed))?;
        rows.push(row);
        total.add(counts);
    }
    close(&rows, total);
    Ok(())
}

fn commit() -> Result<String> {
    Ok(read(command(&["git", "rev-parse", "HEAD"]))?.trim().to_owned())
}

fn perform(stage: &Stage) -> Result<(String, Counts)> {
    println!("\n===== {}: {}", stage.name, stage.what);
    let start = Instant::now();
    setup::room_on_disk()?;
    let counts = (stage.run)().with_context(|| format!("stage `{}`", stage.name))?;
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    Ok((format!("{:<13} {minutes:>6.2} min {:>6} tests", stage.name, counts.passed), counts))
}

fn close(rows: &[String], total: Counts) {
    println!("\n===== stages");
    for row in rows {
        println!("{row}");
    }
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
}

fn cargo_test(stage: &str, words: &[&str]) -> Result<Counts> {
    let mut test = command(&["cargo", "test"]);
    test.args(words);
    draw_cases(&mut test)?;
    Counts::read(&run_and_read(test)?).demand(stage)
}

/// The cases of the properties are drawn by the commit's hash: another commit tries others, and one commit's result can be had again.
fn draw_cases(test: &mut Command) -> Result<()> {
    const SEED: &str = "PROPTEST_RNG_SEED";
    if std::env::var_os(SEED).is_none() {
        let seed = commit_seed()?.to_string();
        println!("+ export {SEED}={seed}");
        test.env(SEED, seed);
    }
    Ok(())
}

/// The commit's first digits, as a number.
fn commit_seed() -> Result<u64> {
    let commit = commit()?;
    let digits = commit.get(..8).context("a commit's hash")?;
    Ok(u64::from_str_radix(digits, 16)?)
}

/// Arguments that mean every crate but the fuzz targets, which only a fuzzer links.
const EVERYTHING: &[&str] = &["--workspace", "--exclude", "causeway-fuzz"];

fn lint() -> Result<Counts> {
    run(command(&["cargo", "fmt", "--all", "--check"]))?;
    let mut clippy = command(&["cargo", "clippy"]);
    clippy.args(EVERYTHING).args(["--all-targets", "--", "-D", "warnings"]);
    run(clippy)?;
    let mut doc = command(&["cargo", "doc", "--no-deps", "--document-private-items"]);
    doc.args(EVERYTHING).env("RUSTDOCFLAGS", "-D warnings");
    run(doc)?;
    Ok(Counts::default())
}

fn test_workspace() -> Result<Counts> {
    // Tests drive the shipped binary and libraries as a user builds them.
    run(command(&["cargo", "build", "--release"]))?;
    cargo_test("test", EVERYTHING)
}

fn test_sim_profile() -> Result<Counts> {
    cargo_test(
        "sim",
        &[
            "--profile",
            "sim",
            "-p",
            "causeway-core",
            "-p",
            "causeway-checksum",
            "-p",
            "causeway-sim",
        ],
    )
}

fn properties() -> Result<Counts> {
    let mut test = command(&["cargo", "test", "--profile", "sim", "-p", "causeway-properties"]);
    test.env("PROPTEST_CASES", "4000");
    draw_cases(&mut test)?;
    Counts::read(&run_and_read(test)?).demand("properties-long")
}

fn kills() -> Result<Counts> {
    let mut test = command(&["cargo", "test", "--release", "-p", "causeway", "--test", "kills"]);
    test.args(["--", "--nocapture"]).env("CAUSEWAY_KILLS", "10000");
    test.env("CAUSEWAY_KILLS_SEED", commit_seed()?.to_string());
    Counts::read(&run_and_read(test)?).demand("kills")
}

fn loom() -> Result<Counts> {
    let target = target_dir().join("loom");
    let mut test =
        command(&["cargo", "test", "--release", "-p", "causeway-channel", "--lib", "--target-dir"]);
    test.arg(target).args(["loom_"]).env("RUSTFLAGS", "--cfg loom");
    Counts::read(&run_and_read(test)?).demand("loom")
}

fn address_sanitizer() -> Result<Counts> {
    let target = target_dir().join("asan");
    let mut test = command(&[
        "cargo",
        "+nightly",
        "test",
        "--target",
        "x86_64-unknown-linux-gnu",
        "--lib",
        "--tests",
    ]);
    test.args([
        "-p",
        "causeway-channel",
        "-p",
        "causeway-checksum",
        "-p",
        "causeway-backends",
        "--target-dir",
    ]);
    test.arg(target).env("RUSTFLAGS", "-Zsanitizer=address");
    Counts::read(&run_and_read(test)?).demand("asan")
}

fn import_free() -> Result<Counts> {
    run(command(&["bash", "tests/importfree/check.sh"]))?;
    Ok(Counts { passed: 1, ..Counts::default() })
}

fn unprivileged() -> Result<Counts> {
    Counts::read(&run_and_read(command(&["bash", "tests/interop/unprivileged.sh"]))?)
        .demand("unprivileged")
}

/// Runs of one seed: twice as shipped, once by code compiled otherwise, with debug assertions and overflow checks.
const DEMO_RUNS: &[(&str, &[&str])] =
    &[("first", &["--release"]), ("second", &["--release"]), ("debug", &[])];

/// The seed of the covering array is the commit's, so that in the course of time other cells are run.
fn matrix_pairwise() -> Result<Counts> {
    run_matrix(&["pairwise", "--seed", &commit_seed()?.to_string()])
}

fn matrix_full() -> Result<Counts> {
    let records = target_dir().join("full").join(format!("{}-cells", commit()?));
    let records = records.to_str().context("a path that is text")?;
    run_matrix(&["all", "--jobs", "8", "--bytes", "4194304", "--runs", "5", "--resume", records])
}

fn run_matrix(arguments: &[&str]) -> Result<Counts> {
    crate::bench::build_matrix()?;
    let mut matrix = crate::bench::matrix_command();
    matrix.args(arguments);
    Counts::read(&run_and_read(matrix)?).demand("matrix")
}

fn demo() -> Result<Counts> {
    let out = target_dir().join("demo-stage");
    let mut hashes = Vec::new();
    for (turn, profile) in DEMO_RUNS {
        let directory = out.join(turn);
        fs::create_dir_all(&directory)?;
        let mut demo = command(&["cargo", "run", "--quiet"]);
        demo.args(*profile).args(["--", "demo", "--out"]).arg(&directory);
        let text = run_and_read(demo)?;
        let hash = text
            .lines()
            .find(|l| l.to_lowercase().contains("state hash"))
            .context("demo printed no state hash")?;
        hashes.push((*turn, hash.to_owned()));
    }
    ensure!(hashes.iter().all(|(_, h)| *h == hashes[0].1), "one seed, two hashes: {hashes:?}");
    let readme = fs::read_to_string(root().join("README.md"))?;
    let told = readme.contains(&hashes[0].1);
    ensure!(told, "README.md shows another run of the demo: `{}` is not in it", hashes[0].1);
    let capture = out.join("first/demo.pcapng");
    wireshark_accepts(&capture)?;
    ensure!(fs::metadata(out.join("first/demo.html"))?.len() > 1_000, "demo.html is empty");
    Ok(Counts { passed: 5, ..Counts::default() })
}

/// What Wireshark may see in the capture, layer by layer.
const LAYERS: &[&str] =
    &["eth", "ethertype", "arp", "ip", "tcp", "udp", "data", "pkt_comment", "_ws.short"];

/// Reads the whole capture with Wireshark's own reader; any complaint is a failure, and so is a capture whose frames
/// it takes for something else than they are. (A few are: the link damages frames on purpose.)
fn wireshark_accepts(capture: &std::path::Path) -> Result<()> {
    let mut read_all = command(&["tshark", "-n", "-T", "fields", "-e", "frame.protocols", "-r"]);
    read_all.arg(capture);
    let output = read_all.output().context("cannot run tshark")?;
    let complaints: Vec<String> = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter(|l| !l.contains("Running as user \"root\""))
        .map(str::to_owned)
        .collect();
    if !output.status.success() || !complaints.is_empty() {
        bail!("Wireshark does not like {}: {} {complaints:?}", capture.display(), output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let frames = text.lines().count();
    let count = |layer: &str| text.lines().filter(|l| l.split(':').any(|p| p == layer)).count();
    let (tcp, udp, arp) = (count("tcp"), count("udp"), count("arp"));
    let odd: Vec<&str> =
        text.lines().filter(|l| l.split(':').any(|p| !LAYERS.contains(&p))).collect();
    println!(
        "Wireshark: {frames} frames: {tcp} TCP, {udp} UDP, {arp} ARP; {} of another kind",
        odd.len()
    );
    ensure!(tcp > 0 && udp > 0 && arp > 0, "the capture lacks TCP, UDP or ARP");
    ensure!(
        odd.len() * 100 <= frames,
        "Wireshark takes frames for something else: {:?} ...",
        odd.first()
    );
    Ok(())
}

fn bite() -> Result<Counts> {
    crate::bite::absent()?;
    Ok(Counts { passed: crate::bite::run(None, Some(6))?.into(), ..Counts::default() })
}

fn regressions() -> Result<Counts> {
    let mut test =
        command(&["cargo", "test", "-p", "causeway-sim", "--test", "regressions", "--target-dir"]);
    test.arg(target_dir().join("planted")).env("RUSTFLAGS", "--cfg planted");
    Counts::read(&run_and_read(test)?).demand("regressions")
}

fn coverage() -> Result<Counts> {
    crate::coverage::report(false)?;
    Ok(Counts { passed: 1, ..Counts::default() })
}

fn bench() -> Result<Counts> {
    crate::bench::run(crate::bench::Name::Core, false, true)?;
    Ok(Counts { passed: 1, ..Counts::default() })
}

fn goodput() -> Result<Counts> {
    crate::bench::run(crate::bench::Name::Link, false, true)?;
    Ok(Counts { passed: 1, ..Counts::default() })
}

/// In the gate all targets share the processors; in the long run each target has one for itself.
fn fuzz_stage(seconds: u32) -> Result<Counts> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let at_once = if seconds < 60 { usize::MAX } else { cores };
    debug_assert!(root().join("fuzz").is_dir(), "the repository has its fuzz targets");
    Ok(Counts { passed: fuzz::run_targets(seconds, None, at_once)?, ..Counts::default() })
}
