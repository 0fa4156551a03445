//! Purpose: the rules at work, on every occasion.

use proptest::prelude::*;

use super::*;

const SHA: &str = "abc1234567890abcdef1234567890abcdef12345";

fn context(occasion: Occasion) -> TagContext {
    TagContext {
        occasion,
        default_branch: Some("main".into()),
        sha: SHA.parse().unwrap(),
        version: None,
        environment: None,
        date: jiff::civil::date(2025, 3, 1),
        keep: Keep::default(),
    }
}

fn branch(name: &str) -> Occasion {
    Occasion::Ref(GitRef::Branch(name.into()))
}

fn tag(name: &str) -> TagContext {
    let mut context = context(Occasion::Ref(GitRef::Tag(name.into())));
    context.version = Version::of_tag(name).ok();
    context
}

fn pull_request(number: u64, head: &str) -> Occasion {
    Occasion::PullRequest { number, head: Some(head.into()) }
}

/// The one name, then all tags.
fn named(rules: &[&str], context: &TagContext) -> Result<String, TagError> {
    let rules = read_rules(rules.iter().copied()).unwrap();
    let plan = plan(&rules, context)?;
    let tags: Vec<&str> = plan.tags.iter().map(TagName::as_str).collect();
    Ok(format!("{} of {}", plan.tag, tags.join(" ")))
}

fn by_default(context: &TagContext) -> String {
    named(&DEFAULT_RULES, context).unwrap()
}

#[test]
fn default_rules_name_every_occasion() {
    let cases = [
        (context(pull_request(42, "main")), "pr-42-abc1234 of pr-42-abc1234"),
        (context(Occasion::Schedule(Some("main".into()))), "nightly-2025-03-01 of nightly-2025-03-01"),
        (tag("v1.2.3"), "v1.2.3 of v1.2.3 1.2"),
        (tag("1.2.3"), "v1.2.3 of v1.2.3 1.2"),
        (tag("v1.2.3-rc.1"), "v1.2.3-rc.1 of v1.2.3-rc.1"),
        (tag("v2"), "v2 of v2"),
        (context(branch("main")), "sha-abc1234 of latest sha-abc1234"),
        (context(branch("dev")), "sha-abc1234 of dev sha-abc1234"),
        (context(branch("development")), "sha-abc1234 of dev sha-abc1234"),
        (
            context(branch("feature/Add_New-Feature")),
            "feature-add-new-feature-abc1234 of feature-add-new-feature-abc1234",
        ),
        (context(branch("feature/fix-#123")), "feature-fix-123-abc1234 of feature-fix-123-abc1234"),
    ];
    for (context, expected) in cases {
        assert_eq!(by_default(&context), expected, "{}", context.occasion);
    }
}

#[test]
fn the_most_specific_class_applies_and_always_joins() {
    let rules = ["branch: b-{sha7}", "branch(release/*): r-{sha7}", "default_branch: d-{sha7}", "always: a-{sha7}"];
    let of = |name| named(&rules, &context(branch(name))).unwrap();
    assert_eq!(of("main"), "d-abc1234 of d-abc1234 a-abc1234");
    assert_eq!(of("release/1"), "r-abc1234 of r-abc1234 a-abc1234");
    assert_eq!(of("x"), "b-abc1234 of b-abc1234 a-abc1234");
    assert_eq!(named(&rules, &tag("v1.0.0")).unwrap(), "a-abc1234 of a-abc1234");
}

#[test]
fn rules_of_one_class_add_up_and_tags_are_named_once() {
    let rules = ["branch: x, {branch}", "branch: {branch}, y"];
    assert_eq!(named(&rules, &context(branch("f"))).unwrap(), "f of x f y");
}

#[test]
fn a_pull_request_never_passes_for_its_head_branch() {
    let rules = ["default_branch: latest", "branch(dev): dev", "branch: {branch}"];
    for head in ["main", "dev", "x"] {
        let error = named(&rules, &context(pull_request(7, head))).unwrap_err();
        assert_eq!(error, TagError::NoRule("pull request #7".into()));
    }
    assert_eq!(named(&["pull_request: {branch}"], &context(pull_request(7, "Fix/It"))).unwrap(), "fix-it of fix-it");
}

#[test]
fn a_scheduled_run_without_a_rule_is_a_run_of_its_branch() {
    let scheduled = context(Occasion::Schedule(Some("main".into())));
    assert_eq!(named(&["default_branch: latest"], &scheduled).unwrap(), "latest of latest");
}

#[test]
fn the_one_name_is_the_most_specific_that_does_not_move() {
    let main = context(branch("main"));
    let rules = ["default_branch: latest, {branch}, sha-{sha7}, {branch}-{sha7}, sha-{sha}"];
    assert!(named(&rules, &main).unwrap().starts_with("main-abc1234 of "));
    assert!(named(&["branch: x-{sha7}, sha-{sha}"], &main).unwrap().starts_with(&format!("sha-{SHA} of ")));
    let release = tag("v1.2.3");
    assert!(named(&["tag: latest, v{version}", "always: sha-{sha}"], &release).unwrap().starts_with("v1.2.3 of "));
    assert_eq!(named(&["always: latest, edge"], &main).unwrap(), "latest of latest edge");
}

#[test]
fn a_prerelease_tag_moves_nothing_that_is_stable() {
    let rules = ["tag: v{version}, {major}.{minor}, {major}, latest, {major}-{version}"];
    assert_eq!(named(&rules, &tag("v1.2.3-rc.1")).unwrap(), "1-1.2.3-rc.1 of v1.2.3-rc.1 1-1.2.3-rc.1");
    let error = named(&["tag: latest, {major}"], &tag("v1.2.3-rc.1")).unwrap_err();
    assert!(matches!(error, TagError::NothingLeft { .. }), "{error}");
    let mut main = context(branch("main"));
    main.version = Some("1.2.3-dev".parse().unwrap());
    assert_eq!(named(&["default_branch: latest, {major}.{minor}"], &main).unwrap(), "1.2 of latest 1.2");
}

#[test]
fn every_placeholder_has_its_value() {
    let mut context = tag("v1.2.3+b5");
    context.environment = Some("Production EU".into());
    let rules = ["tag: {sha}, {sha7}-{tag}, {version}_{major}_{minor}, {date}, {env}"];
    assert_eq!(
        named(&rules, &context).unwrap(),
        format!("1.2.3-b5_1_2 of {SHA} abc1234-v1-2-3-b5 1.2.3-b5_1_2 2025-03-01 production-eu")
    );
}

#[test]
fn says_what_a_template_lacks() {
    let main = context(branch("main"));
    let cases = [
        ("always: pr-{number}", main.clone()),
        ("always: v{version}", main.clone()),
        ("always: {tag}", main.clone()),
        ("always: {env}", main),
        ("tag: {branch}", tag("v1.0.0")),
        ("tag: v{version}", tag("nightly")),
        ("branch: {branch}", context(branch("日本"))),
        ("pull_request: {branch}", context(Occasion::PullRequest { number: 1, head: None })),
        ("schedule: x", context(branch("main"))),
    ];
    let errors = cases.map(|(rule, context)| format!("{rule}  →  {}", named(&[rule], &context).unwrap_err()));
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn too_long_without_a_slug_is_an_error() {
    let long = format!("always: {}", "x".repeat(130));
    assert!(matches!(named(&[&long], &context(branch("a"))).unwrap_err(), TagError::TooLong { .. }));
    let full = format!("always: {}{{branch}}", "x".repeat(128));
    assert!(matches!(named(&[&full], &context(branch("a"))).unwrap_err(), TagError::TooLong { .. }));
    let room_for_one = format!("always: {}{{branch}}", "x".repeat(127));
    assert!(named(&[&room_for_one], &context(branch("abc"))).unwrap().ends_with("xa"));
}

#[test]
fn reports_all_wrong_rules_at_once() {
    let errors = read_rules(["latest", "branch: ok", "push: x"]).unwrap_err();
    assert_eq!(errors.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>(), ["latest", "push: x"]);
}

#[test]
fn references_are_every_tag_of_every_image() {
    let rules = read_rules(["branch: a, b"]).unwrap();
    let plan = plan(&rules, &context(branch("x"))).unwrap();
    let images = ["ghcr.io/Acme/app".parse().unwrap(), "localhost:5000/app".parse().unwrap()];
    let references: Vec<String> = plan.references(&images).iter().map(ToString::to_string).collect();
    assert_eq!(
        references,
        ["ghcr.io/acme/app:a", "ghcr.io/acme/app:b", "localhost:5000/app:a", "localhost:5000/app:b"]
    );
}

/// Branch names as git allows them, long ones and strange ones included.
fn branches() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{1,300}", "[a-zA-Z0-9/_.#-]{1,300}", "[-/_.]{0,200}[a-z][-/_.]{0,200}[a-z]?"]
}

proptest! {
    #[test]
    fn any_branch_gives_a_valid_tag(name in branches(), kept in "[._]{0,2}") {
        let mut context = context(branch(&name));
        context.default_branch = None;
        context.keep = kept.parse().unwrap();
        let rules = read_rules(["branch: {branch}-{sha7}"]).unwrap();
        match plan(&rules, &context) {
            Ok(plan) => {
                let tag = plan.tag.as_str();
                prop_assert!(tag.len() <= LONGEST_TAG);
                prop_assert!(tag.ends_with("-abc1234"), "{tag}");
                prop_assert!(!tag.contains("--") && !tag.contains(".-abc1234") && !tag.contains("_-abc1234"), "{tag}");
                prop_assert!(tag.parse::<TagName>().is_ok());
                let whole = Slug::of(&name, &context.keep).unwrap();
                if whole.as_str().len() <= 120 {
                    prop_assert_eq!(tag, format!("{whole}-abc1234"));
                }
            }
            Err(error) => {
                prop_assert!(matches!(error, TagError::Slug { .. }), "{error}");
                prop_assert!(!name.bytes().any(|byte| byte.is_ascii_alphanumeric()));
            }
        }
    }

    #[test]
    fn no_rule_line_panics(line in "\\PC{0,60}", head in "(branch\\([a-z*|\\[{]{0,9}\\)|tag|always): [a-z{}7,-]{0,30}") {
        let _ = line.parse::<Rule>();
        let _ = head.parse::<Rule>();
    }
}
