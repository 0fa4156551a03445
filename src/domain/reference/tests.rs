//! Purpose: which texts name an image, held against the reference grammar.

use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn name(text: &str) -> ImageName {
    text.parse().unwrap()
}

#[test]
fn reads_registry_repository_tag_and_digest() {
    let text = format!("localhost:5000/team/app:v1@{DIGEST}");
    let image: ImageRef = text.parse().unwrap();
    assert_eq!((image.registry(), image.repository()), ("localhost:5000", "team/app"));
    assert_eq!(image.tag().unwrap().as_str(), "v1");
    assert_eq!(image.manifest(), DIGEST);
    assert_eq!(image.to_string(), text);
}

#[test]
fn a_name_without_registry_means_docker_hub_and_is_shown_as_written() {
    assert_eq!(name("acme/app").registry(), "docker.io");
    assert_eq!(name("app").repository(), "library/app");
    assert_eq!(name("app").to_string(), "app");
    assert_eq!(name("app"), name("docker.io/library/app"));
    assert_eq!("app:5000".parse::<ImageRef>().unwrap().manifest(), "5000");
}

#[test]
fn never_guesses() {
    let image = |text: &str| text.parse::<ImageRef>().unwrap_err();
    assert_eq!(image("ghcr.io/acme/app"), ReferenceError::Untagged("ghcr.io/acme/app".into()));
    for registry in ["localhost:5000", "test.example:5000", "ghcr.io"] {
        assert_eq!(image(registry), ReferenceError::OnlyRegistry(registry.into()));
    }
    for text in ["", "/", "a b", "ghcr.io/", "ghcr.io//a", "app:", "app@", "app@sha256:12", "a/-b", "app:v1:v2"] {
        assert!(text.parse::<ImageRef>().is_err(), "{text:?}");
    }
}

#[test]
fn a_name_is_only_a_name() {
    let only = |text: &str| text.parse::<ImageName>().unwrap_err();
    for tagged in ["ghcr.io/acme/app:v1".to_owned(), format!("acme/app@{DIGEST}")] {
        assert_eq!(only(&tagged), ReferenceError::Tagged(tagged));
    }
    for upper in ["registry.example/Acme/app", "Acme/app"] {
        assert_eq!(only(upper), ReferenceError::UpperCase(upper.into()));
    }
    assert_eq!(only("https://ghcr.io/acme/app"), ReferenceError::Address("https://ghcr.io/acme/app".into()));
}

#[test]
fn lower_cases_hosts_and_owners_on_ghcr() {
    let image: ImageRef = "GHCR.io/TykTechnologies/Tyk:Sha-ABC".parse().unwrap();
    assert_eq!(image.to_string(), "ghcr.io/tyktechnologies/tyk:Sha-ABC");
    assert_eq!(name("Registry.Example:5000/app").to_string(), "registry.example:5000/app");
}

#[test]
fn knows_the_kinds_of_registries() {
    let ecr = |account: &str, region: &str| RegistryKind::Ecr { account: account.into(), region: region.into() };
    let kind = |host: &str| name(&format!("{host}/app")).kind();
    assert_eq!(kind("123456789012.dkr.ecr.eu-central-1.amazonaws.com"), ecr("123456789012", "eu-central-1"));
    assert_eq!(kind("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"), ecr("123456789012", "cn-north-1"));
    assert_eq!(kind("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com"), ecr("123456789012", "us-east-1"));
    assert_eq!(kind("123456789012.dkr-ecr.us-east-1.on.aws"), ecr("123456789012", "us-east-1"));
    assert_eq!(kind("ghcr.io"), RegistryKind::Ghcr);
    for other in ["12.dkr.ecr.eu-central-1.amazonaws.com", "123456789012.dkr.ecr.evil.example", "a.ghcr.io"] {
        assert_eq!(kind(other), RegistryKind::Other, "{other}");
    }
}

#[test]
fn knows_loopback() {
    for local in ["localhost/app", "localhost:5000/app", "127.0.0.1:5000/app", "127.9.9.9/app"] {
        assert!(name(local).is_loopback(), "{local}");
    }
    for remote in ["ghcr.io/app", "10.0.0.1:5000/app", "localhost.example/app", "app"] {
        assert!(!name(remote).is_loopback(), "{remote}");
    }
}

proptest! {
    /// The reference implementation's port accepts the same texts and reads the same parts.
    #[test]
    fn agrees_with_the_regular_expression(text in r"([a-z0-9.\[\]:-]{1,12}/)?[a-z0-9._/-]{1,16}(:[A-Za-z0-9._-]{0,8})?(@sha256:[0-9a-f]{64})?") {
        let theirs = text.parse::<oci_spec::distribution::Reference>();
        match (parse(&text), theirs) {
            (Ok(ours), Ok(theirs)) => {
                prop_assert_eq!(ours.registry(), theirs.registry());
                prop_assert_eq!(ours.repository(), theirs.repository());
                prop_assert_eq!(ours.digest().map(Digest::as_str), theirs.digest());
            }
            (Err(ReferenceError::Grammar { .. } | ReferenceError::Address(_)), Err(_)) => {}
            (Err(ReferenceError::OnlyRegistry(_)), _) => {}
            // Ports and addresses are checked as numbers here, as text there.
            (Err(ReferenceError::Grammar { reason, .. }), Ok(_)) if reason.starts_with("the registry") => {}
            (ours, theirs) => prop_assert!(false, "{text}: {ours:?} and {theirs:?}"),
        }
    }
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_the_same(text in "([a-z]{1,8}(\\.[a-z]{2,5})?(:[0-9]{2,4})?/)?[a-z0-9]{1,9}(/[a-z0-9._-]{1,9}){0,2}(:[A-Za-z0-9_.-]{1,20})?") {
        if let Ok(image) = text.parse::<ImageRef>() {
            prop_assert_eq!(image.to_string(), text.clone());
            prop_assert_eq!(image.to_string().parse::<ImageRef>().unwrap(), image);
        }
        if let Ok(name) = text.parse::<ImageName>() {
            prop_assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn never_panics(text in "\\PC{0,40}") {
        let _ = text.parse::<ImageRef>();
        let _ = text.parse::<ImageName>();
    }
}
