//! For each rule a story that breaks it, and one beside it that does not.

mod opening;
mod passing;
mod story;

use super::RULES;
use story::Story;

/// What happens.
type Tale = fn(&mut Story);

/// The rule that a tale breaks, if it breaks one.
fn broken(tale: Tale) -> Option<String> {
    let mut story = Story::new();
    tale(&mut story);
    story.model.violation().map(|violation| violation.signature.clone())
}

fn stories() -> impl Iterator<Item = &'static (&'static str, Tale, Tale)> {
    opening::STORIES.iter().chain(passing::STORIES)
}

#[test]
fn each_rule_is_broken_by_a_story_and_kept_by_its_twin() {
    for (rule, wrong, right) in stories() {
        assert_eq!(broken(*wrong).as_deref(), Some(*rule));
        assert_eq!(broken(*right), None, "the twin of {rule}");
    }
}

#[test]
fn no_rule_is_without_a_story() {
    for rule in RULES {
        assert!(stories().any(|(id, ..)| *id == rule.id), "{}", rule.id);
        assert!(rule.words.ends_with('.') && !rule.source.is_empty(), "{}", rule.id);
    }
}

#[test]
fn what_is_seen_after_the_end_of_a_run_is_not_judged() {
    let wrong: Tale = |story| {
        story.model.finish();
        story.close(story::A, 9, false, true);
    };
    assert_eq!(broken(wrong), None);
}
