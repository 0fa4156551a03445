//! Purpose: go.mod files as people write them, before and after.

use proptest::prelude::*;

use super::*;

const SHA: &str = "abc1234567890abcdef1234567890abcdef12345";
const MODULE: &str = "github.com/acme/gateway";
const PSEUDO: &str = "v0.0.0-20250301080000-abc123456789";

fn point(text: &str, module: &str) -> Result<Edited, GoModuleError> {
    let time = "2025-03-01T10:00:00+02:00".parse().unwrap();
    point_at(text, &module.parse().unwrap(), &SHA.parse().unwrap(), time)
}

#[test]
fn pseudo_versions_follow_the_major_version_of_the_path() {
    for (path, version) in [
        ("github.com/acme/gateway", "v0.0.0-20250301080000-abc123456789"),
        ("github.com/acme/gateway/v5", "v5.0.0-20250301080000-abc123456789"),
        ("github.com/acme/v5/gateway", "v0.0.0-20250301080000-abc123456789"),
        ("github.com/acme/vault", "v0.0.0-20250301080000-abc123456789"),
        ("gopkg.in/yaml.v3", "v3.0.0-20250301080000-abc123456789"),
        ("gopkg.in/acme/x.v1", "v1.0.0-20250301080000-abc123456789"),
        ("gopkg.in/x.v2-unstable", "v2.0.0-20250301080000-abc123456789"),
    ] {
        let time = "2025-03-01T08:00:00Z".parse().unwrap();
        let module: ModulePath = path.parse().unwrap();
        assert_eq!(module.pseudo_version(&SHA.parse().unwrap(), time), version, "{path}");
    }
}

#[test]
fn module_paths_have_a_grammar() {
    let errors = ["", "gateway", "Github.com/x", "github.com//x", "github.com/x/", "github.com/x y", "github.com/.x"]
        .into_iter()
        .chain(["github.com/x.", "github.com/x/v1", "github.com/x/v0", "github.com/x/v02", "gopkg.in/yaml", "-a.b/c"])
        .map(|path| path.parse::<ModulePath>().unwrap_err().to_string());
    insta::assert_snapshot!(errors.collect::<Vec<_>>().join("\n"));
}

/// Every form of a require, and everything that must stay as it is.
const FORMS: &str = r#"// The module.
module github.com/acme/dashboard // not github.com/acme/gateway v1.0.0

go 1.24

require github.com/acme/gateway v1.2.3 // indirect; keep
require	"github.com/acme/gateway"   `v1.2.3`//tight

require (
	github.com/acme/gateway-tools v1.2.3
	// github.com/acme/gateway v1.2.3
	github.com/acme/gateway/v2 v2.0.0

	github.com/acme/gateway v1.2.3-rc.1+incompatible // indirect
) // end

exclude github.com/acme/gateway v1.2.3
replace github.com/acme/gateway v1.0.0 => ../gateway
replace(
    github.com/acme/gateway => github.com/eve/gateway/v3 v3.1.0
    github.com/other/thing => ../thing
)
retract [v1.0.0, v1.1.0]
"#;

#[test]
fn every_form_is_found_and_nothing_else_is_touched() {
    let edited = point(FORMS, MODULE).unwrap();
    let lines: Vec<(usize, Directive)> = edited.changes.iter().map(|change| (change.line, change.directive)).collect();
    let require = Directive::Require;
    assert_eq!(lines, [(6, require), (7, require), (14, require), (20, Directive::Replace)]);
    insta::assert_snapshot!(edited.text);
}

#[test]
fn line_ends_and_a_missing_last_one_stay() {
    let edited = point("module x.y/z\r\n\r\nrequire github.com/acme/gateway v1.0.0\r\n", MODULE).unwrap();
    assert_eq!(edited.text, format!("module x.y/z\r\n\r\nrequire github.com/acme/gateway {PSEUDO}\r\n"));
    let edited = point("require github.com/acme/gateway v1.0.0", MODULE).unwrap();
    assert_eq!(edited.text, format!("require github.com/acme/gateway {PSEUDO}"));
}

#[test]
fn a_folder_in_the_modules_place_is_an_error_that_says_so() {
    for replace in ["replace github.com/acme/gateway => ../gateway", "replace (\n github.com/acme/gateway => ./x\n)"] {
        let error = point(&format!("require github.com/acme/gateway v1.0.0\n{replace}\n"), MODULE).unwrap_err();
        assert!(matches!(error, GoModuleError::LocalReplace { .. }), "{error}");
    }
}

#[test]
fn a_module_that_is_not_required_is_an_error_with_the_other_major_version() {
    let error = |text| point(text, MODULE).unwrap_err().to_string();
    assert_eq!(error("module x.y/z\n"), "go.mod does not require github.com/acme/gateway");
    assert_eq!(
        error("require github.com/acme/gateway/v5 v5.0.1\n"),
        "go.mod does not require github.com/acme/gateway, but github.com/acme/gateway/v5"
    );
    assert_eq!(
        error("replace github.com/acme/gateway => github.com/eve/gateway v1.0.0\n"),
        "go.mod does not require github.com/acme/gateway"
    );
}

/// Lines that may stand around the one that is edited, alone or in a block.
fn noise() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[ \t]{0,3}// \\PC{0,30}",
        "[ \t]{0,3}",
        "\t[a-z]{1,5}\\.[a-z]{1,3}/[a-z]{1,9}[ \t]{1,3}v[0-9]\\.[0-9]\\.[0-9]( // indirect)?",
    ];
    proptest::collection::vec(line, 0..6).prop_map(|lines| lines.iter().map(|line| format!("{line}\n")).collect())
}

proptest! {
    #[test]
    fn only_the_version_changes(
        before in noise(), inside in noise(), after in noise(), block in any::<bool>(),
        gap in "[ \t]{1,4}", version in "v[0-9]{1,3}\\.[0-9]\\.[0-9](-[a-z]{1,4}\\.[0-9])?", comment in "( ?// \\PC{0,20})?",
    ) {
        let comments: String = before.lines().filter(|line| line.trim().is_empty() || line.trim().starts_with("//"))
            .map(|line| format!("{line}\n")).collect();
        let with = |version: &str| match block {
            true => format!("{comments}require (\n{inside}\tgithub.com/acme/gateway{gap}{version}{comment}\n{after})\n"),
            false => format!("{comments}require{gap}github.com/acme/gateway{gap}{version}{comment}\n"),
        };
        let edited = point(&with(&version), MODULE).unwrap();
        prop_assert_eq!(&edited.text, &with(PSEUDO));
        prop_assert_eq!(&edited.changes.len(), &1);
        let again = point(&edited.text, MODULE).unwrap();
        prop_assert_eq!(again.text, edited.text);
    }

    #[test]
    fn any_text_is_read(text in "(require|replace|module|\\(|\\)|=>|\"|`|//|github.com/acme/gateway|v1.0.0|\\PC|[ \t\r\n]){0,40}") {
        if let Ok(edited) = point(&text, MODULE) {
            prop_assert!(!edited.changes.is_empty());
            prop_assert_eq!(edited.text.lines().count(), text.lines().count());
        }
    }
}
