//! Purpose: the condition `changed`: asked of the API, whatever the number of files, and never guessed.

use super::support::{Landfall, Outcome};
use super::world::github::Pull;
use super::world::{Fault, Skin, World};
use super::{MERGE, SHA, done, failing, pull_request_of, start};

const LADDER: &str = r"
resolve:
  ladders:
    own:
      rules:
        - {strategy: touched, if: {changed: [pkg, '*/special.go']}}
        - {strategy: untouched}
";

/// Pull request 42 of `acme/app`: these files at its head, on top of a base with `pkg/old.go`.
fn changing(files: &[(String, String)], gone: &[&str]) -> World {
    let world = start();
    {
        let mut state = world.state();
        let own = state.github.repository("acme/app");
        let base = own.commit("main", &[("pkg/old.go", "package old\n"), ("docs/a.md", "a\n")]);
        own.branches.insert("topic".into(), base);
        let borrowed: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let head = own.commit("topic", &borrowed);
        let mut commit = own.commits.remove(&head).unwrap();
        commit.files.retain(|name, _| !gone.contains(&name.as_str()));
        own.commits.insert(SHA.into(), commit);
        own.branches.insert("topic".into(), SHA.into());
        // What is on main since does not count.
        own.commit("main", &[("pkg/later.go", "package later\n")]);
        let pull = Pull {
            head_ref: "topic".into(),
            head_sha: SHA.into(),
            head_repository: Some("acme/app".into()),
            base_ref: "main".into(),
            ..Pull::default()
        };
        own.pulls.insert(42, pull);
    }
    world
}

fn one(name: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), "new\n".to_owned())]
}

/// Files that do not matter.
fn many(count: usize) -> Vec<(String, String)> {
    (0..count).map(|number| (format!("docs/{}/{number}.md", number % 7), format!("{number}\n"))).collect()
}

fn asked(world: &World) -> Landfall {
    pull_request_of(world, "topic", "main").input("ladder", "own").file(".github/landfall.yml", LADDER)
}

#[track_caller]
fn decided(world: &World, expected: &str) -> Outcome {
    let outcome = done(asked(world));
    assert_eq!(outcome.output("strategy"), expected, "{}", outcome.report());
    outcome
}

#[test]
fn a_folder_stands_for_all_below_it_and_for_nothing_else() {
    for (file, expected) in [
        ("pkg/new.go", "touched"),
        ("pkg/deep/er/new.go", "touched"),
        ("x/special.go", "touched"),
        ("pkgs/new.go", "untouched"),
        ("x/pkg/new.go", "untouched"),
        ("special.go", "untouched"),
    ] {
        let world = changing(&one(file), &[]);
        decided(&world, expected);
        world.finish();
    }
}

#[test]
fn what_moved_away_or_is_gone_has_changed() {
    let moved = changing(&[("docs/old.go".to_owned(), "package old\n".to_owned())], &["pkg/old.go"]);
    decided(&moved, "touched");
    moved.finish();
    let gone = changing(&one("docs/b.md"), &["pkg/old.go"]);
    decided(&gone, "touched");
    gone.finish();
}

#[test]
fn every_page_is_read() {
    let mut files = many(250);
    let world = changing(&files, &[]);
    decided(&world, "untouched");
    world.finish();
    files.push(("zzz/special.go".to_owned(), "x".to_owned()));
    let world = changing(&files, &[]);
    let outcome = decided(&world, "touched");
    assert!(
        outcome.report().contains("paths changed by pull request #42 at abc1234: 251: docs/"),
        "{}",
        outcome.report()
    );
    assert_eq!(world.calls(Skin::Github).iter().filter(|call| call.contains("/files")).count(), 3);
    world.finish();
}

#[test]
fn what_github_cuts_off_is_found_in_the_trees() {
    let mut files = many(3100);
    let world = changing(&files, &[]);
    decided(&world, "untouched");
    let calls = world.calls(Skin::Github);
    assert!(!calls.iter().any(|call| call.contains("/files")), "{calls:?}");
    assert!(calls.iter().any(|call| call.contains("/git/trees/")), "{calls:?}");
    world.finish();
    files.push(("zzz/special.go".to_owned(), "x".to_owned()));
    let world = changing(&files, &[]);
    decided(&world, "touched");
    world.finish();
}

#[test]
fn another_commit_than_the_head_is_compared() {
    let world = changing(&one("pkg/new.go"), &[]);
    {
        // The branch went on after the commit under test, and took the change back.
        let mut state = world.state();
        let own = state.github.repository("acme/app");
        let mut commit = own.commits[SHA].clone();
        commit.files.remove("pkg/new.go");
        commit.parents = vec![SHA.into()];
        own.commits.insert(MERGE.into(), commit);
        own.branches.insert("topic".into(), MERGE.into());
        own.pulls.get_mut(&42).unwrap().head_sha = MERGE.into();
    }
    decided(&world, "touched");
    world.finish();
}

#[test]
fn a_question_that_is_not_answered_is_no_answer() {
    for (fault, code, reason) in [
        (Fault::on(Skin::Github).path("*/files").status(403), 5, "github-forbidden"),
        (Fault::on(Skin::Github).path("*/files").status(500), 4, "github-unavailable"),
        (Fault::on(Skin::Github).path("*/pulls/42").status(404), 1, "github-not-found"),
    ] {
        let world = changing(&one("pkg/new.go"), &[]);
        world.fault(fault);
        failing(asked(&world), code, reason);
        world.finish();
    }
}
