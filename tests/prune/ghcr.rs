//! Purpose: packages of GitHub's registry: the default policy, evidence, listings that shift, undo.

use serde_json::json;

use super::world::github::actions::Run;
use super::world::github::packages::Shift;
use super::world::github::{Pull, TOKEN};
use super::world::images::{INDEX, MANIFEST};
use super::{
    APP, DAY, HOUR, applying, image, index, manifest, plan_of, planned, shelf, start, step, whole, with_snapshot,
};
use crate::support::Outcome;
use crate::world::{Skin, World};

/// What Charon's registry looks like: every kind of tag, old and young.
fn charon(world: &World) {
    index(world, "latest", 40 * DAY);
    index(world, "v1.2.3", 90 * DAY);
    image(world, "1.2.2", 200 * DAY);
    image(world, "dev", 40 * DAY);
    index(world, "pr-7-aaaaaaa", 3 * DAY);
    image(world, "pr-8-bbbbbbb", 30 * HOUR);
    image(world, "feature-x-ccccccc", 8 * DAY);
    image(world, "feature-y-ddddddd", 6 * DAY);
    image(world, "sha-eeeeeee", 31 * DAY);
    image(world, "fffffff", 29 * DAY);
    image(world, "nightly-2026-01-01", 8 * DAY);
    image(world, "mine", 400 * DAY);
}

#[test]
fn the_default_policy_is_charons_matrix() {
    let world = start();
    charon(&world);
    let before = shelf(&world);
    let outcome = step(&world).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.report());
    assert_eq!(outcome.output("reason"), "dry-run");
    let plan = planned(&outcome);
    let tags: Vec<&str> = plan.iter().map(String::as_str).filter(|name| !name.starts_with("sha256:")).collect();
    assert_eq!(tags, ["feature-x-ccccccc", "nightly-2026-01-01", "pr-7-aaaaaaa", "sha-eeeeeee"]);
    // The index of the pull request takes its two platforms along.
    assert_eq!(plan.len(), 6);
    insta::assert_snapshot!(outcome.report());
    assert_eq!(shelf(&world), before);
    world.finish();
}

#[test]
fn an_apply_is_undone_by_a_restore_and_a_second_finds_nothing() {
    let world = start();
    charon(&world);
    let before = shelf(&world);
    let outcome = applying(&world).run();
    outcome.succeeded();
    assert_eq!((outcome.output("planned"), outcome.output("deleted"), outcome.output("failed")), ("6", "6", "0"));
    assert_eq!(whole(&world), before.len() - 6);
    let writes = world.take_writes();
    assert_eq!(writes.len(), 6);
    let second = with_snapshot(applying(&world), &outcome).run();
    second.succeeded();
    assert_eq!((second.output("planned"), second.output("reason")), ("0", "nothing-to-delete"));
    // What was read once is not read again: every read counts as a download.
    let manifests = |world: &World| {
        world
            .calls(Skin::Registry)
            .iter()
            .filter(|call| call.starts_with("GET") && call.contains("/manifests/sha256:"))
            .count()
    };
    let read = manifests(&world);
    let third = with_snapshot(applying(&world), &second).run();
    third.succeeded();
    assert_eq!(manifests(&world), read);
    let restore = step(&world).inputs(&[("operation", "restore"), ("dry_run", "false")]);
    let restored = with_snapshot(restore, &third).run();
    restored.succeeded();
    assert_eq!(restored.output("deleted"), "6");
    assert_eq!(shelf(&world), before);
    world.explain_writes();
    world.finish();
}

fn run(world: &World, status: &str, sha: &str) {
    let started = world.state().clock.now();
    let mut run = Run::ended("push", "main", sha, "success", started, std::time::Duration::from_secs(1));
    run.status = status.into();
    run.conclusion = None;
    world.state().github.actions(APP).add(run);
}

#[test]
fn what_is_in_use_stays_by_number_head_and_merge_commit() {
    let world = start();
    let (head, merge, running) = (
        "1111111".repeat(6)[..40].to_owned(),
        "2222222".repeat(6)[..40].to_owned(),
        "3333333".repeat(6)[..40].to_owned(),
    );
    image(&world, "latest", DAY);
    for tag in ["pr-5", "pr-5-0000000", "feature-x-1111111", "sha-2222222", "sha-3333333", "feature-in-work"] {
        image(&world, tag, 90 * DAY);
    }
    image(&world, "pr-6-9999999", 90 * DAY);
    {
        let mut state = world.state();
        let pull = Pull {
            head_ref: "feature/In_Work".into(),
            head_sha: head,
            base_ref: "main".into(),
            merge_sha: merge,
            head_repository: None,
            ..Pull::default()
        };
        state.github.repository(APP).pulls.insert(5, pull);
        let closed = Pull { state: "closed".into(), head_sha: "9".repeat(40), ..Pull::default() };
        state.github.repository(APP).pulls.insert(6, closed);
    }
    run(&world, "in_progress", &running);
    let outcome = step(&world).run();
    assert_eq!(planned(&outcome), ["pr-6-9999999"], "{}", outcome.report());
    assert_eq!(outcome.output("in_use"), "6");
    let without = step(&world).input("in_use", "none").run();
    assert_eq!(planned(&without).len(), 7);
    world.finish();
}

#[test]
fn evidence_that_cannot_be_had_is_a_failure_and_never_no_evidence() {
    let world = start();
    image(&world, "pr-1", 90 * DAY);
    image(&world, "latest", DAY);
    world.state().github.tokens.get_mut(TOKEN).unwrap().lacks.push("pull-requests".into());
    world.fault(
        crate::world::Fault::on(Skin::Github)
            .path("*/pulls")
            .status(403)
            .error("", "Resource not accessible by integration"),
    );
    let outcome = applying(&world).run();
    outcome.failed(5, "github-forbidden");
    assert!(outcome.report().contains("pull-requests: read"), "{}", outcome.report());
    assert!(world.take_writes().is_empty());
    world.finish();
}

#[test]
fn children_of_what_stays_stay_at_any_depth_and_signatures_follow() {
    let world = start();
    let (inner, parts) = index(&world, "inner", 90 * DAY);
    world.state().images.repository(APP).tags.remove("inner");
    let size = 100;
    let outer = json!({ "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [{ "mediaType": INDEX, "digest": inner, "size": size }] });
    let outer = manifest(&world, INDEX, &outer, Some("v1.0.0"), 90 * DAY);
    let child = image(&world, "pr-9-amd64", 90 * DAY);
    let shared = json!({ "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [{ "mediaType": MANIFEST, "digest": child, "size": size }] });
    manifest(&world, INDEX, &shared, Some("latest"), 3 * DAY);
    let doomed = image(&world, "pr-1", 90 * DAY);
    let about = |subject: &str, tag: Option<&str>| {
        let body = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
            "config": { "mediaType": "x", "digest": subject, "size": 1 },
            "subject": tag.is_none().then(|| json!({ "mediaType": MANIFEST, "digest": subject, "size": 1 })) });
        manifest(&world, MANIFEST, &body, tag, 90 * DAY)
    };
    let (kept_referrer, gone_referrer) = (about(&outer, None), about(&doomed, None));
    let kept_tag = format!("{}.sig", outer.replace(':', "-"));
    let gone_tag = doomed.replace(':', "-");
    let (kept_signature, gone_signature) = (about(&outer, Some(&kept_tag)), about(&doomed, Some(&gone_tag)));
    let outcome = applying(&world).run();
    outcome.succeeded();
    let left = shelf(&world);
    for kept in parts.iter().chain([&inner, &outer, &child, &kept_referrer, &kept_signature]) {
        assert!(left.contains_key(kept), "{kept} is gone:\n{}", outcome.report());
    }
    for gone in [&doomed, &gone_referrer, &gone_signature] {
        assert!(!left.contains_key(gone), "{gone} is left");
    }
    // The image goes before its signatures.
    assert!(world.take_writes()[0].contains(&doomed));
    world.finish();
}

/// More than a page: eighty young indexes over eighty old platforms each shared by nobody.
fn many(world: &World) -> Vec<String> {
    let mut parts = Vec::new();
    for number in 0..60 {
        let (_, of) = index(world, &format!("keep-{number}"), number * HOUR);
        let mut state = world.state();
        for (place, part) in (0..).zip(&of) {
            state.age(APP, part, 20 * DAY + place * HOUR + number);
        }
        parts.extend(of);
    }
    image(world, "pr-1-aaaaaaa", 30 * DAY);
    parts
}

#[test]
fn a_listing_that_shifts_while_it_is_read_costs_nothing_that_is_kept() {
    type Making = fn(&World) -> Shift;
    let shifts: [(&str, Making); 3] = [
        ("push", |_| Shift::Push("pr-2-bbbbbbb".into())),
        ("delete", |world| {
            let state = world.state();
            Shift::Delete(state.images.repositories[APP].tags["keep-0"].clone())
        }),
        ("retag", |world| {
            let state = world.state();
            let old = state.images.repositories[APP].tags["pr-1-aaaaaaa"].clone();
            Shift::Tag("latest".into(), old)
        }),
    ];
    for (name, shift) in shifts {
        for page in [2, 4] {
            let world = start();
            let parts = many(&world);
            let shift = shift(&world);
            world.state().package(APP).shifts.insert(page, shift);
            let outcome = applying(&world).run();
            outcome.succeeded();
            whole(&world);
            let left = shelf(&world);
            let lost = parts.iter().filter(|part| !left.contains_key(*part)).count();
            // The parts of an index that somebody else deleted may be old enough to go, a week later.
            assert!(lost <= if name == "delete" { 2 } else { 0 }, "{name} at page {page}: {lost} lost");
            if name == "retag" {
                assert!(left.values().flatten().any(|tag| tag == "latest"), "{name} at page {page}");
            }
            world.explain_writes();
            world.finish();
        }
    }
}

#[test]
fn what_comes_in_after_the_plan_keeps_what_it_needs() {
    let world = start();
    image(&world, "latest", DAY);
    let old = image(&world, "pr-1", 30 * DAY);
    world.state().images.repository(APP).tags.remove("pr-1");
    let other = image(&world, "pr-2", 30 * DAY);
    // Two looks are two pages; the third is the look before the first deletion.
    world.state().package(APP).shifts.insert(3, Shift::PushIndexOver("pr-3".into(), old.clone()));
    let outcome = applying(&world).run();
    outcome.succeeded();
    let left = shelf(&world);
    assert!(left.contains_key(&old) && !left.contains_key(&other), "{}", outcome.report());
    assert_eq!((outcome.output("planned"), outcome.output("deleted")), ("2", "1"));
    world.explain_writes();
    world.finish();
}

#[test]
fn a_tag_that_moves_to_a_doomed_version_saves_it() {
    let world = start();
    image(&world, "latest", DAY);
    let old = image(&world, "pr-1", 30 * DAY);
    world.state().package(APP).shifts.insert(3, Shift::Tag("v9".into(), old.clone()));
    let outcome = applying(&world).run();
    outcome.succeeded();
    assert!(shelf(&world).contains_key(&old));
    assert!(outcome.report().contains("now also v9"), "{}", outcome.report());
    world.finish();
}

#[test]
fn a_listing_that_lacks_something_is_no_ground_to_delete_on() {
    let world = start();
    let (hidden, _) = index(&world, "v1", 90 * DAY);
    image(&world, "pr-1", 30 * DAY);
    world.state().package(APP).hidden.insert(hidden);
    let outcome = applying(&world).run();
    outcome.failed(4, "listing-incomplete");
    assert!(world.take_writes().is_empty());
    world.finish();
}

#[test]
fn ghosts_are_no_trouble() {
    let world = start();
    image(&world, "latest", DAY);
    let (_, _) = index(&world, "pr-1", 30 * DAY);
    world.state().package(APP).shows_ghosts = true;
    let outcome = applying(&world).run();
    outcome.succeeded();
    assert_eq!(outcome.output("deleted"), "3");
    let again = applying(&world).run();
    again.succeeded();
    assert_eq!(again.output("planned"), "0", "{}", again.report());
    world.explain_writes();
    world.finish();
}

#[test]
fn tags_of_a_version_that_stays_are_listed_and_not_forced() {
    let world = start();
    let digest = image(&world, "latest", 60 * DAY);
    world.state().images.repository(APP).tags.insert("abcdef0".into(), digest.clone());
    let outcome = applying(&world).run();
    outcome.succeeded();
    assert_eq!(shelf(&world)[&digest], ["abcdef0", "latest"]);
    assert_eq!(plan_of(&outcome)["stuck"][0]["tag"], "abcdef0");
    world.finish();
}

#[test]
fn what_the_registry_keeps_by_its_own_rules_is_said_and_no_failure() {
    let world = start();
    image(&world, "latest", DAY);
    let popular = image(&world, "pr-1", 30 * DAY);
    image(&world, "pr-2", 30 * DAY);
    world.state().package(APP).versions.get_mut(&popular).unwrap().downloads = 6000;
    let outcome = applying(&world).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.report());
    assert_eq!((outcome.output("deleted"), outcome.output("retained"), outcome.output("failed")), ("1", "1", "0"));
    assert!(outcome.report().contains("more than 5000 downloads"));
    world.explain_writes();
    world.finish();
}

#[test]
fn without_the_right_to_delete_nothing_is_tried_for_long() {
    let world = start();
    image(&world, "latest", DAY);
    for number in 0..120 {
        image(&world, &format!("pr-{number}"), 30 * DAY);
    }
    world.state().package(APP).no_admin = true;
    let outcome = applying(&world).run();
    outcome.failed(5, "deletion-forbidden");
    assert!(outcome.report().contains("role Admin"), "{}", outcome.report());
    let tried = world.calls(Skin::Github).iter().filter(|call| call.starts_with("DELETE")).count();
    assert!(tried <= 50, "{tried} tried");
    world.finish();
}

#[test]
fn freed_bytes_count_shared_layers_once() {
    let world = start();
    let layer =
        |number: u32, size: u32| json!({ "mediaType": "l", "digest": format!("sha256:{number:064x}"), "size": size });
    let body = |layers: &[serde_json::Value], config| json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": layer(config, 1), "layers": layers });
    manifest(&world, MANIFEST, &body(&[layer(1, 1_000_000)], 10), Some("latest"), DAY);
    let one = body(&[layer(1, 1_000_000), layer(2, 500)], 11);
    let two = body(&[layer(1, 1_000_000), layer(2, 500), layer(3, 70)], 12);
    manifest(&world, MANIFEST, &one, Some("pr-1"), 30 * DAY);
    manifest(&world, MANIFEST, &two, Some("pr-2"), 30 * DAY);
    let outcome: Outcome = step(&world).input("max_delete_fraction", "1").run();
    let own = one.to_string().len() + two.to_string().len();
    assert_eq!(outcome.output("freed_bytes"), (own + 500 + 70 + 2).to_string());
    assert!(plan_of(&outcome)["freed"]["naive"].as_u64().unwrap() > 2_000_000);
    world.finish();
}
