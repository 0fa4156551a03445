//! Purpose: ECR's answers about a scan, basic and enhanced (ECR API reference, `DescribeImageScanFindings`).

use serde_json::Value;

use super::{Finding, Scan, Severity};

/// Where a scan of ECR stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EcrState {
    /// There are findings, or definitely none.
    Ready,
    /// It is under way.
    Pending,
    /// It will give no result; the reason in a few words, and ECR's own.
    Never {
        /// ECR's word, `UNSUPPORTED_IMAGE`.
        status: String,
        /// ECR's explanation.
        description: String,
    },
}

/// What was learned of a scan, page by page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrScan {
    /// Where it stands, as the first page says.
    pub state: EcrState,
    /// When a basic scan ended, in seconds since 1970.
    pub completed_at: Option<i64>,
    scan: Scan,
}

impl EcrScan {
    /// Reads the first page; `None` when it is not what the API promises.
    #[must_use]
    pub fn of(page: &Value) -> Option<Self> {
        let status = page["imageScanStatus"]["status"].as_str()?;
        let state = match status {
            // `ACTIVE` is the enhanced scanner's "complete": it goes on looking for what becomes known later.
            "COMPLETE" | "ACTIVE" => EcrState::Ready,
            "IN_PROGRESS" | "PENDING" => EcrState::Pending,
            // FAILED, UNSUPPORTED_IMAGE, SCAN_ELIGIBILITY_EXPIRED, FINDINGS_UNAVAILABLE, LIMIT_EXCEEDED, and what comes.
            other => EcrState::Never {
                status: other.to_owned(),
                description: page["imageScanStatus"]["description"].as_str().unwrap_or_default().to_owned(),
            },
        };
        #[expect(clippy::cast_possible_truncation, reason = "seconds of this era fit")]
        let completed_at = page["imageScanFindings"]["imageScanCompletedAt"].as_f64().map(|at| at as i64);
        let mut scan = Self { state, completed_at, scan: Scan { examined: true, ..Scan::default() } };
        scan.add(page);
        Some(scan)
    }

    /// Takes the findings of another page; how many there are now.
    pub fn add(&mut self, page: &Value) -> usize {
        let findings = &page["imageScanFindings"];
        let list = |name: &str| findings[name].as_array().into_iter().flatten();
        self.scan.findings.extend(list("findings").map(basic));
        self.scan.findings.extend(list("enhancedFindings").filter(|found| is_open(found)).map(enhanced));
        self.scan.findings.len()
    }

    /// The scan in our own form.
    #[must_use]
    pub fn scan(self) -> Scan {
        self.scan.tidy()
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A suppression of Inspector's is somebody's decision there; ours are in the ignore file, where they have reasons.
fn is_open(found: &Value) -> bool {
    found["status"].as_str() != Some("CLOSED")
}

fn basic(found: &Value) -> Finding {
    let attribute = |key: &str| {
        let mut all = found["attributes"].as_array().into_iter().flatten();
        all.find(|attribute| attribute["key"] == key).and_then(|attribute| text(&attribute["value"]))
    };
    Finding {
        severity: Severity::of_scanner(found["severity"].as_str().unwrap_or_default()),
        id: text(&found["name"]).unwrap_or_default(),
        package: attribute("package_name").unwrap_or_default(),
        installed: attribute("package_version").unwrap_or_default(),
        fixed: attribute("fixed_in_versions").or_else(|| attribute("patched_in_version")),
        place: "system packages".to_owned(),
        title: text(&found["description"]).unwrap_or_default(),
        url: text(&found["uri"]),
    }
}

fn enhanced(found: &Value) -> Finding {
    let details = &found["packageVulnerabilityDetails"];
    let packages: Vec<&Value> = details["vulnerablePackages"].as_array().into_iter().flatten().collect();
    let joined = |name: &str| {
        let mut all: Vec<&str> = packages.iter().filter_map(|package| package[name].as_str()).collect();
        all.dedup();
        Some(all.join(", ")).filter(|text| !text.is_empty())
    };
    // `NotAvailable` stands where a version would (Inspector API reference, `VulnerablePackage`).
    let fixed = joined("fixedInVersion").filter(|text| !text.split(", ").all(|version| version == "NotAvailable"));
    Finding {
        severity: Severity::of_scanner(found["severity"].as_str().unwrap_or_default()),
        id: text(&details["vulnerabilityId"]).or_else(|| text(&found["title"])).unwrap_or_default(),
        package: joined("name").unwrap_or_default(),
        installed: joined("version").unwrap_or_default(),
        fixed: fixed.filter(|_| found["fixAvailable"].as_str() != Some("NO")),
        place: joined("filePath").or_else(|| joined("packageManager")).unwrap_or_default(),
        title: text(&found["title"]).unwrap_or_default(),
        url: text(&details["sourceUrl"]),
    }
}
