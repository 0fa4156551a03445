//! Purpose: the ladder that applies when the config names none (contract, `resolve`).

use super::rules::{Branches, Candidate, Condition, Requirement, Rule};
use super::text::{Placeholder, Text};

use Requirement::{Exists, Known};

/// The built-in ladder.
#[must_use]
pub fn built_in() -> Vec<Rule> {
    let condition = Condition::default;
    let branch = || Some(Text::of("", Placeholder::Branch));
    vec![
        override_rule(),
        build(
            "forced-build",
            Condition { forced: Some(true), ..condition() },
            &[(Placeholder::UseBranch, Known), (Placeholder::BaseRef, Known)],
        ),
        Rule {
            branch: branches(&[(Placeholder::Branch, Known)]),
            ..use_image(
                "existing-branch",
                Condition { branch_exists: branch(), image_exists: Some(by_branch()), ..condition() },
                by_branch(),
            )
        },
        build(
            "build-from-branch",
            Condition { branch_exists: branch(), ..condition() },
            &[(Placeholder::Branch, Known)],
        ),
        use_image("existing-image", Condition { image_exists: Some(by_commit()), ..condition() }, by_commit()),
        build("build-required", condition(), &[(Placeholder::BaseRef, Exists), (Placeholder::DefaultBranch, Known)]),
    ]
}

/// An image that was given is used as it is. Holds for ladders of the config, too, unless they say otherwise.
#[must_use]
pub fn override_rule() -> Rule {
    use_image("override", Condition { overridden: Some(true), ..Condition::default() }, whole_override())
}

fn use_image(strategy: &str, condition: Condition, image: Text) -> Rule {
    Rule { strategy: strategy.to_owned(), condition, image: Some(image), ..Rule::default() }
}

fn build(strategy: &str, condition: Condition, from: &[(Placeholder, Requirement)]) -> Rule {
    Rule { needs_build: true, branch: branches(from), ..use_image(strategy, condition, by_commit()) }
}

fn branches(names: &[(Placeholder, Requirement)]) -> Branches {
    let candidate = |(name, requirement): &(Placeholder, Requirement)| Candidate {
        name: Text::of("", *name),
        requirement: *requirement,
    };
    Branches(names.iter().map(candidate).collect())
}

fn whole_override() -> Text {
    Text::of("", Placeholder::ImageOverride)
}

fn by_commit() -> Text {
    Text::of(":sha-", Placeholder::CommitSha)
}

fn by_branch() -> Text {
    Text::of(":", Placeholder::BranchSlug)
}
