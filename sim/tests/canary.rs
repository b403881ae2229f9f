//! Cases that must fail. Where one passes, nothing that the simulator says of other cases is worth anything.

use std::path::Path;

use causeway_sim::plant::plant;
use causeway_sim::trial::{Case, Trial};

/// The signature of what the case breaks.
fn broken(name: &str) -> (Option<String>, Case) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/canary").join(name);
    let text = std::fs::read_to_string(&path).expect("it can be read");
    let case: Case = text.parse().expect("it is a case");
    let trial = Trial::new(name, &case).expect("the scenario is right");
    let outcome = trial.run(Vec::new()).expect("it can be run");
    assert!(outcome.frames > 0, "nothing happens");
    (outcome.violation.map(|violation| violation.signature), case)
}

#[test]
fn the_canaries_fail_as_they_say() {
    let (signature, case) = broken("unfinished.plan");
    assert!(case.failed.is_some());
    assert_eq!(signature, case.failed);
    // Without its bug the second one is a case as any other.
    let (signature, case) = broken("planted.plan");
    assert_eq!(signature, None);
    if cfg!(planted) {
        plant("everything-is-next").expect("there is this bug");
        assert_eq!(broken("planted.plan").0, case.failed);
    }
}
