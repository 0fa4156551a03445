//! Purpose: the built-in ladder and a nine-row one, row by row, with every question counted.

use super::*;

const SHA: &str = "abc1234567890abcdef1234567890abcdef12345";

fn facts() -> Facts {
    Facts {
        event: EventKind::PullRequest,
        image: Some("registry.example/dashboard".parse().unwrap()),
        companion: Presence::Present,
        commit_sha: Some(SHA.parse().unwrap()),
        merge_sha: None,
        head_ref: Some("feature/x".into()),
        base_ref: Some("master".into()),
        pull_request: Some(42),
        use_branch: None,
        image_override: None,
        forced: false,
        keep: Keep::default(),
    }
}

/// The outside world: what exists in it.
#[derive(Default)]
struct World {
    branches: Vec<&'static str>,
    images: Vec<&'static str>,
    companion_pull: Option<u64>,
    changed: Vec<&'static str>,
}

impl World {
    fn answer(&self, question: &Question) -> Answer {
        let presence = |there| {
            if there { Presence::Present } else { Presence::Absent }
        };
        match question.clone() {
            Question::Branch(name) => {
                let there = self.branches.contains(&name.as_str());
                Answer::Branch(name, presence(there))
            }
            Question::Image(image) => {
                let there = self.images.contains(&image.manifest());
                Answer::Image(image, presence(there))
            }
            Question::DefaultBranch => Answer::DefaultBranch("trunk".into()),
            Question::CompanionPullRequest(branch) => Answer::CompanionPullRequest(branch, self.companion_pull),
            Question::ChangedPaths => Answer::ChangedPaths(self.changed.iter().map(|&path| path.into()).collect()),
        }
    }
}

fn short(question: &Question) -> String {
    match question {
        Question::Branch(name) => format!("branch {name}"),
        Question::Image(image) => format!("image {}", image.manifest()),
        Question::DefaultBranch => "default branch".into(),
        Question::CompanionPullRequest(branch) => format!("pull request of {branch}"),
        Question::ChangedPaths => "changed paths".into(),
    }
}

/// Walks to the end; gives the outcome on one line, and all questions in order.
fn walk(rules: &[Rule], facts: &Facts, world: &World) -> (String, Vec<String>) {
    let mut walk = Walk::new(rules, facts);
    let mut asked = Vec::new();
    loop {
        match walk.step().unwrap() {
            Step::Ask(question) => {
                assert!(!asked.contains(&short(&question)), "asked twice: {question:?}");
                asked.push(short(&question));
                walk.learn(world.answer(&question));
            }
            Step::Done(done) => {
                let image = done.image.unwrap_or_else(|| "-".into()).replace("registry.example/dashboard", "");
                let build = if done.needs_build { "build" } else { "use" };
                let branch = done.branch.unwrap_or_else(|| "-".into());
                return (format!("{} {image} {build} {branch}", done.strategy), asked);
            }
        }
    }
}

/// One row: what is given, what exists, what comes out, what may be asked.
type Row<'a> = (&'a str, Facts, World, String, Vec<&'a str>);

fn check(rules: &[Rule], rows: Vec<Row<'_>>) {
    for (name, facts, world, outcome, questions) in rows {
        assert_eq!(
            walk(rules, &facts, &world),
            (outcome, questions.iter().map(ToString::to_string).collect()),
            "{name}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table is read as a whole")]
fn the_built_in_ladder_row_by_row() {
    let sha = format!(":sha-{SHA}");
    let image_question = format!("image sha-{SHA}");
    let sha_image: &'static str = "sha-abc1234567890abcdef1234567890abcdef12345";
    let with = |change: fn(&mut Facts)| {
        let mut facts = facts();
        change(&mut facts);
        facts
    };
    let rows: Vec<Row<'_>> = vec![
        (
            "an image was given",
            with(|facts| facts.image_override = Some("other.example/any".into())),
            World::default(),
            "override other.example/any use -".into(),
            vec![],
        ),
        (
            "a build was asked for",
            with(|facts| facts.forced = true),
            World::default(),
            format!("forced-build {sha} build master"),
            vec![],
        ),
        (
            "a build of a given branch was asked for",
            with(|facts| (facts.forced, facts.use_branch) = (true, Some("fix".into()))),
            World::default(),
            format!("forced-build {sha} build fix"),
            vec![],
        ),
        (
            "the companion has the branch, and its image exists",
            facts(),
            World { branches: vec!["feature/x"], images: vec!["feature-x"], ..World::default() },
            "existing-branch :feature-x use feature/x".into(),
            vec!["branch feature/x", "image feature-x"],
        ),
        (
            "the companion has the given branch, and its image exists",
            with(|facts| facts.use_branch = Some("fix/y".into())),
            World { branches: vec!["fix/y"], images: vec!["fix-y"], ..World::default() },
            "existing-branch :fix-y use fix/y".into(),
            vec!["branch fix/y", "image fix-y"],
        ),
        (
            "the companion has the branch, but no image of it",
            facts(),
            World { branches: vec!["feature/x"], images: vec![sha_image], ..World::default() },
            format!("build-from-branch {sha} build feature/x"),
            vec!["branch feature/x", "image feature-x"],
        ),
        (
            "no such branch, but the commit's image exists",
            facts(),
            World { images: vec![sha_image, "feature-x"], ..World::default() },
            format!("existing-image {sha} use -"),
            vec!["branch feature/x", &image_question],
        ),
        (
            "nothing exists, the companion has the base branch",
            facts(),
            World { branches: vec!["master"], ..World::default() },
            format!("build-required {sha} build master"),
            vec!["branch feature/x", &image_question, "branch master"],
        ),
        (
            "nothing exists, nor has the companion the base branch",
            facts(),
            World::default(),
            format!("build-required {sha} build trunk"),
            vec!["branch feature/x", &image_question, "branch master", "default branch"],
        ),
        (
            "there is no companion",
            with(|facts| facts.companion = Presence::Absent),
            World::default(),
            format!("build-required {sha} build -"),
            vec![&image_question],
        ),
    ];
    check(&built_in(), rows);
}

const NINE_ROWS: &str = r#"
rules:
  - strategy: gromit-default
    if: { not: { base: master }, base_exists: false }
  - strategy: release-branch-match
    if: { not: { base: master }, image_exists: ":{base_ref}" }
    image: ":{base_ref}"
    branch: "{base_ref}"
  - strategy: build-from-base-branch
    if: { not: { base: master }, pull_request: true }
    image: ":tyk-{pull_request}"
    needs_build: true
    branch: "{base_ref}"
  - strategy: gromit-default
    if: { not: { base: master } }
  - strategy: analytics-pr-image
    if: { pull_request: true, head_exists: true, image_exists: ":pr-{companion_pull_request}" }
    image: ":pr-{companion_pull_request}"
    branch: "{head_ref}"
  - strategy: build-from-branch
    if: { pull_request: true, head_exists: true }
    image: ":tyk-{pull_request}"
    needs_build: true
    branch: "{head_ref}"
  - strategy: build-required
    if: { changed: [pkg, apidef, lib, "*/config.go"] }
    image: ":tyk-{pull_request}"
    needs_build: true
    branch: "{base_ref}"
  - strategy: reuse-pr-image
    if: { image_exists: ":tyk-{pull_request}" }
    image: ":tyk-{pull_request}"
  - strategy: gromit-default
"#;

#[test]
#[expect(clippy::too_many_lines, reason = "a table is read as a whole")]
fn nine_rows_of_a_config_row_by_row() {
    let ladder: Ladder = serde_yaml::from_str(NINE_ROWS).unwrap();
    let release = || Facts { base_ref: Some("release-5.3".into()), ..facts() };
    let push = |base: &str| Facts {
        event: EventKind::Push,
        base_ref: Some(base.into()),
        head_ref: Some(base.into()),
        pull_request: None,
        ..facts()
    };
    let rows: Vec<Row<'_>> = vec![
        ("1", release(), World::default(), "gromit-default - use -".into(), vec!["branch release-5.3"]),
        (
            "2",
            release(),
            World { branches: vec!["release-5.3"], images: vec!["release-5.3"], ..World::default() },
            "release-branch-match :release-5.3 use release-5.3".into(),
            vec!["branch release-5.3", "image release-5.3"],
        ),
        (
            "3",
            release(),
            World { branches: vec!["release-5.3"], ..World::default() },
            "build-from-base-branch :tyk-42 build release-5.3".into(),
            vec!["branch release-5.3", "image release-5.3"],
        ),
        (
            "4",
            push("release-5.3"),
            World { branches: vec!["release-5.3"], ..World::default() },
            "gromit-default - use -".into(),
            vec!["branch release-5.3", "image release-5.3"],
        ),
        (
            "5",
            facts(),
            World { branches: vec!["feature/x"], images: vec!["pr-7"], companion_pull: Some(7), ..World::default() },
            "analytics-pr-image :pr-7 use feature/x".into(),
            vec!["branch feature/x", "pull request of feature/x", "image pr-7"],
        ),
        (
            "6, no image",
            facts(),
            World { branches: vec!["feature/x"], companion_pull: Some(7), ..World::default() },
            "build-from-branch :tyk-42 build feature/x".into(),
            vec!["branch feature/x", "pull request of feature/x", "image pr-7"],
        ),
        (
            "6, no pull request",
            facts(),
            World { branches: vec!["feature/x"], images: vec!["pr-7"], ..World::default() },
            "build-from-branch :tyk-42 build feature/x".into(),
            vec!["branch feature/x", "pull request of feature/x"],
        ),
        (
            "7",
            facts(),
            World { changed: vec!["README.md", "pkg/x/y.go"], images: vec!["tyk-42"], ..World::default() },
            "build-required :tyk-42 build master".into(),
            vec!["branch feature/x", "changed paths"],
        ),
        (
            "8",
            facts(),
            World { changed: vec!["pkgs/x.go", "config.go"], images: vec!["tyk-42"], ..World::default() },
            "reuse-pr-image :tyk-42 use -".into(),
            vec!["branch feature/x", "changed paths", "image tyk-42"],
        ),
        (
            "9",
            facts(),
            World::default(),
            "gromit-default - use -".into(),
            vec!["branch feature/x", "changed paths", "image tyk-42"],
        ),
        ("9, a push to master asks nothing", push("master"), World::default(), "gromit-default - use -".into(), vec![]),
    ];
    check(&ladder.rules, rows);
}

#[test]
fn conditions_nest_and_ask_only_what_can_matter() {
    let ladder: Ladder = serde_yaml::from_str(
        r#"
rules:
  - strategy: first
    if: { any: [{ image_exists: ":a" }, { event: [push, "pull_*"] }] }
  - strategy: never
"#,
    )
    .unwrap();
    assert_eq!(walk(&ladder.rules, &facts(), &World::default()), ("first - use -".into(), vec![]));
    let ladder: Ladder = serde_yaml::from_str(
        r#"
rules:
  - strategy: first
    if: { image_exists: ":a", all: [{ head: "main" }] }
  - strategy: second
    if: { any: [{ image_exists: ":a" }, { image_exists: "other.example/x:b" }] }
    branch: ["{use_branch}", "dev?", "{default_branch}"]
"#,
    )
    .unwrap();
    let world = World { images: vec!["b"], branches: vec!["dev"], ..World::default() };
    let asked = ["image a", "image b", "branch dev"].map(str::to_owned).to_vec();
    assert_eq!(walk(&ladder.rules, &facts(), &world), ("second - use dev".into(), asked));
}

#[test]
fn a_tag_that_cannot_be_is_not_asked_for() {
    let ladder: Ladder =
        serde_yaml::from_str("rules: [{strategy: a, if: {image_exists: ':{head_ref}'}}, {strategy: b}]").unwrap();
    assert_eq!(walk(&ladder.rules, &facts(), &World::default()), ("b - use -".into(), vec![]));
}

#[test]
fn says_why_there_is_no_answer() {
    let error = |rules: &[Rule], facts: &Facts| Walk::new(rules, facts).step().unwrap_err().to_string();
    let read = |text: &str| serde_yaml::from_str::<Ladder>(text).unwrap().rules;
    let mut forced = Facts { forced: true, ..facts() };
    let mut errors = vec![error(&[], &facts()), error(&read("rules: [{strategy: a, image: ':{head_ref}'}]"), &facts())];
    forced.image = None;
    errors.push(error(&built_in(), &forced));
    forced.commit_sha = None;
    errors.push(error(&built_in(), &forced));
    let wrong = |text: &str| serde_yaml::from_str::<Ladder>(text).unwrap_err().to_string();
    errors.push(wrong("rules: [{strategy: a, image: ':{shaa}'}]"));
    errors.push(wrong("rules: [{strategy: a, image: ':{sha7'}]"));
    errors.push(wrong("rules: [{strategy: a, if: {base: '['}}]"));
    errors.push(wrong("rules: [{strategy: a, if: {bass: x}}]"));
    errors.push(wrong("rules: [{strategy: a, branch: {x: y}}]"));
    errors.push(wrong("rules: [{image: ':a'}]"));
    insta::assert_snapshot!(errors.join("\n"));
}
