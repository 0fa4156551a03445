//! Purpose: Trivy's JSON report (schema version 2), as far as it is needed; the rest is skipped while it is read.

use serde::Deserialize;

use super::{Finding, Scan, Severity};

/// The report.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TrivyReport {
    /// Version of the form; 2 since 2021.
    pub schema_version: Option<u32>,
    metadata: Option<Metadata>,
    results: Option<Vec<Target>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Metadata {
    #[serde(rename = "OS")]
    os: Option<System>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct System {
    family: String,
    name: String,
    #[serde(rename = "EOSL")]
    end_of_life: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Target {
    target: String,
    class: String,
    vulnerabilities: Option<Vec<Vulnerability>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Vulnerability {
    #[serde(rename = "VulnerabilityID")]
    id: String,
    pkg_name: String,
    pkg_path: String,
    installed_version: String,
    fixed_version: String,
    severity: String,
    title: String,
    #[serde(rename = "PrimaryURL")]
    url: String,
}

impl TrivyReport {
    /// The scan in our own form.
    #[must_use]
    pub fn scan(self) -> Scan {
        let system = self.metadata.and_then(|metadata| metadata.os).filter(|os| !os.family.is_empty());
        let results = self.results.unwrap_or_default();
        let examined = results.iter().any(|target| matches!(target.class.as_str(), "os-pkgs" | "lang-pkgs"));
        let findings = results.into_iter().flat_map(|target| {
            let place = target.target;
            target.vulnerabilities.into_iter().flatten().map(move |found| finding(found, &place))
        });
        Scan {
            findings: findings.collect(),
            end_of_life: system.as_ref().is_some_and(|os| os.end_of_life),
            system: system.map(|os| format!("{} {}", os.family, os.name).trim().to_owned()),
            examined,
        }
        .tidy()
    }
}

fn finding(found: Vulnerability, target: &str) -> Finding {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Finding {
        severity: Severity::of_scanner(&found.severity),
        id: found.id,
        package: found.pkg_name,
        installed: found.installed_version,
        fixed: given(found.fixed_version),
        place: given(found.pkg_path).unwrap_or_else(|| target.to_owned()),
        title: found.title,
        url: given(found.url),
    }
}
