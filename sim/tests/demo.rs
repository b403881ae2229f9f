//! The demo's two legs without the C programs, small: what it promises whatever is printed.

use causeway_sim::demo::{DemoOptions, DemoReport, run};

fn demo(seed: u64, stream_bytes: u64) -> DemoReport {
    let options = DemoOptions { seed, out_dir: None, stream_bytes, programs: None };
    run(&options, |_| {}).expect("every byte arrives")
}

#[test]
fn a_stream_crosses_a_lossy_reordering_link_with_every_byte_right() {
    let report = demo(1, 2 << 20);
    let lossy = &report.legs[0];
    let figure = |name: &str| {
        let found = lossy.figures.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("{name} is shown")).1.clone()
    };
    assert_eq!(figure("TCP stream, every byte verified"), "2.0 MiB");
    assert_ne!(figure("... dropped by faults"), "0", "the link did lose frames");
    assert_ne!(figure("TCP retransmissions"), "0");
}

#[test]
fn one_seed_gives_one_state_hash_and_another_seed_another() {
    let first = demo(1, 1 << 20);
    assert_eq!(first.state_hash, demo(1, 1 << 20).state_hash);
    assert_ne!(first.state_hash, demo(2, 1 << 20).state_hash);
}

#[test]
fn the_clean_link_is_used_to_at_least_98_percent_in_steady_state() {
    let report = demo(3, 16 << 20);
    let clean = &report.legs[1];
    let ratio = clean.steady_ratio.expect("it carried a stream");
    assert!((0.98..1.001).contains(&ratio), "{ratio}: {:?}", clean.formula);
    let again = clean.figures.iter().find(|(name, _)| name == "TCP retransmissions");
    assert_eq!(again.expect("it is shown").1, "0", "nothing is lost on a clean link");
}

#[test]
fn the_files_are_written_and_are_what_they_claim() {
    let dir = std::env::temp_dir().join(format!("causeway-demo-{}", std::process::id()));
    let options =
        DemoOptions { seed: 1, out_dir: Some(dir.clone()), stream_bytes: 1 << 20, programs: None };
    let report = run(&options, |_| {}).expect("every byte arrives");
    assert_eq!(report.files, [dir.join("demo.pcapng"), dir.join("demo.html")]);
    let capture = std::fs::read(&report.files[0]).expect("it was written");
    assert_eq!(capture[..4], 0x0a0d_0d0a_u32.to_le_bytes());
    let page = std::fs::read_to_string(&report.files[1]).expect("it was written");
    assert!(page.contains(&format!("{:016x}", report.state_hash)));
    let table = report.to_string();
    assert!(table.contains("seed 1, state hash") && table.contains("1448 / (8 preamble"));
    std::fs::remove_dir_all(&dir).expect("it is ours");
}
