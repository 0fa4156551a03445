//! Purpose: `check`: formatting, validation and a scan, all three even when the first one fails.

use super::inputs::{FailOn, Outputs, Settings};
use super::tools::Tools;
use super::{Story, failed, init};
use crate::commands::run::Run;
use crate::domain::markdown::{Markdown, code, escaped};
use crate::domain::report::render::{Origin, Reports, counted};
use crate::domain::report::sarif::{self, Findings, Level};
use crate::domain::report::{clean, shortened};
use crate::domain::terraform::{Diagnostic, Validation, scanner_arguments};
use crate::runner::{Annotation, Failure, Kind};

/// Files and diagnostics that are listed.
const LISTED: usize = 50;

/// What `fmt -check` ends with when files are not formatted.
const UNFORMATTED: i64 = 3;

pub(super) async fn check(
    settings: &Settings,
    tools: &Tools<'_>,
    run: &Run,
    story: &mut Story,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    let unformatted = format(settings, tools, run).await?;
    outputs.formatted = Some(unformatted.is_empty());
    init(settings, tools, run).await?;
    let validation = validate(settings, tools, run).await?;
    outputs.valid = Some(validation.valid);
    let findings = scan(settings, tools, run).await?;
    outputs.findings = findings.as_ref().map(Findings::total);
    annotate(settings, &validation, run);
    tell(settings, &unformatted, &validation, findings.as_ref(), story, run);
    let verdict = judge(settings, &unformatted, &validation, findings.as_ref());
    outputs.passed = Some(verdict.is_ok());
    story.verdict = verdict.err();
    Ok(())
}

/// Names of files that `fmt` would change.
async fn format(settings: &Settings, tools: &Tools<'_>, run: &Run) -> Result<Vec<String>, Failure> {
    let group = run.log.group("Formatting");
    let arguments = ["fmt", "-check", "-recursive", "-no-color", "-list=true"];
    let (ended, list) = tools.told(&settings.image, &arguments).await?;
    let list = String::from_utf8_lossy(&list);
    list.lines().for_each(|line| run.log.foreign(line));
    drop(group);
    match ended.code {
        0 => Ok(Vec::new()),
        UNFORMATTED => Ok(list.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()),
        _ => Err(failed("fmt", &settings.image, &ended)),
    }
}

async fn validate(settings: &Settings, tools: &Tools<'_>, run: &Run) -> Result<Validation, Failure> {
    let group = run.log.group("Validation");
    let (ended, json) = tools.told(&settings.image, &["validate", "-json", "-no-color"]).await?;
    let validation: Validation = serde_json::from_slice(&json)
        .map_err(|source| failed("validate", &settings.image, &ended).caused_by(source))?;
    for diagnostic in validation.diagnostics.iter().take(LISTED) {
        run.log.foreign(format!("{}: {}{}", diagnostic.severity, diagnostic.summary, place(settings, diagnostic)));
    }
    drop(group);
    Ok(validation)
}

fn place(settings: &Settings, diagnostic: &Diagnostic) -> String {
    let Some(range) = &diagnostic.range else {
        return String::new();
    };
    format!(" ({}:{})", path(settings, &range.filename), range.start.line)
}

fn path(settings: &Settings, name: &str) -> String {
    if settings.directory.is_empty() { name.to_owned() } else { format!("{}/{name}", settings.directory) }
}

async fn scan(settings: &Settings, tools: &Tools<'_>, run: &Run) -> Result<Option<Findings>, Failure> {
    let Some(scanner) = &settings.scanner else {
        return Ok(None);
    };
    let group = run.log.group("Security scan");
    tools.provide(scanner).await?;
    let mut arguments = scanner_arguments(scanner).to_vec();
    arguments.push(".");
    let (ended, written) = tools.told(scanner, &arguments).await?;
    drop(group);
    // A scan that did not end well found nothing out; it is not the same as finding nothing.
    if ended.code != 0 {
        return Err(failed("the scan", scanner, &ended));
    }
    let mut findings = Findings::default();
    sarif::read(written.as_slice(), &mut findings).map_err(|error| {
        Failure::new(Kind::Work, "scan-failed", "Scan failed", format!("the output of {scanner} cannot be used"))
            .hint("Use an image of Trivy or tfsec that writes SARIF to its standard output.")
            .caused_by(error)
    })?;
    if let Some(tool) = findings.failed_tools.first() {
        let message = format!("the scanner {tool} says that it did not finish");
        return Err(Failure::new(Kind::Work, "scan-failed", "Scan failed", message));
    }
    // The scanner saw the working directory as its root.
    for finding in findings.kept.iter_mut().flat_map(|level| &mut level.kept) {
        let file = finding.file.as_mut().filter(|file| !file.starts_with('/'));
        if let Some(file) = file {
            *file = path(settings, file.trim_start_matches("./"));
        }
    }
    Ok(Some(findings))
}

fn annotate(settings: &Settings, validation: &Validation, run: &Run) {
    for diagnostic in validation.diagnostics.iter().take(9) {
        let location = diagnostic.range.as_ref().map(|range| (path(settings, &range.filename), range.start.line));
        let message = shortened(&clean(&diagnostic.detail), 500);
        let message = if message.is_empty() { diagnostic.summary.clone() } else { message };
        let annotation = Annotation { title: shortened(&clean(&diagnostic.summary), 200), message, location };
        if diagnostic.severity == "error" { run.log.error(&annotation) } else { run.log.warning(&annotation) }
    }
}

fn tell(
    settings: &Settings,
    unformatted: &[String],
    validation: &Validation,
    findings: Option<&Findings>,
    story: &mut Story,
    run: &Run,
) {
    let sign = |good: bool| if good { "✅" } else { "❌" };
    let files = u64::try_from(unformatted.len()).unwrap_or(u64::MAX);
    let errors = u64::try_from(validation.diagnostics.iter().filter(|found| found.severity == "error").count());
    let mut lines = vec![
        match files {
            0 => "✅ **Formatting:** as `fmt` would have it".to_owned(),
            files => format!("❌ **Formatting:** {} to be formatted", counted(files, "file")),
        },
        match validation.valid {
            true => "✅ **Validation:** valid".to_owned(),
            false => format!("❌ **Validation:** {}", counted(errors.unwrap_or(0), "error")),
        },
    ];
    lines.push(match findings {
        Some(findings) if findings.total() == 0 => "✅ **Security:** no findings".to_owned(),
        Some(findings) => {
            let errors = findings.count(Level::Error);
            let found = counted(findings.total(), "finding");
            format!("{} **Security:** {found}, {errors} of level error", sign(errors == 0))
        }
        None => "⏭️ **Security:** not scanned".to_owned(),
    });
    story.lines = lines;
    if !unformatted.is_empty() {
        let list = unformatted.iter().take(LISTED).map(|name| code(&path(settings, name)));
        let section = Markdown::new().heading(4, "Files to be formatted").bullets(list);
        story.sections.push(section.raw("Run `terraform fmt -recursive` and commit.").into_string());
    }
    if !validation.diagnostics.is_empty() {
        let rows = validation.diagnostics.iter().take(LISTED).map(|found| {
            let at =
                found.range.as_ref().map(|range| format!("{}:{}", path(settings, &range.filename), range.start.line));
            vec![
                escaped(&found.severity),
                at.map(|at| code(&at)).unwrap_or_default(),
                escaped(&shortened(&clean(&found.summary), 200)),
            ]
        });
        story
            .sections
            .push(Markdown::new().heading(4, "Validation").table(&["Severity", "Where", "What"], rows).into_string());
    }
    if let Some(findings) = findings.filter(|findings| findings.total() > 0) {
        let reports = Reports { findings: Some(findings.clone()), ..Reports::default() };
        let origin = story.origin(run);
        story
            .sections
            .extend(reports.sections("Scan", &Origin { commit: None, run_url: None, ..origin }).into_iter().skip(1));
    }
}

fn judge(
    settings: &Settings,
    unformatted: &[String],
    validation: &Validation,
    findings: Option<&Findings>,
) -> Result<(), Failure> {
    if !settings.fail_on.contains(&FailOn::Findings) {
        return Ok(());
    }
    let errors = findings.map_or(0, |findings| findings.count(Level::Error));
    let mut said = Vec::new();
    let mut hints = Vec::new();
    if !validation.valid {
        said.push(format!("the configuration in {} is not valid", settings.shown_directory()));
        hints.push("The job summary lists the errors with file and line.");
    }
    if !unformatted.is_empty() {
        said.push(match unformatted.len() {
            1 => "1 file is not formatted".to_owned(),
            count => format!("{count} files are not formatted"),
        });
        hints.push("Run `terraform fmt -recursive` and commit.");
    }
    if errors > 0 {
        said.push(format!("the scan has {} of level error", counted(errors, "finding")));
        hints.push("Mend them, or suppress them where the scanner reads suppressions.");
    }
    if said.is_empty() {
        return Ok(());
    }
    let failure = Failure::new(Kind::Gate, "findings", "Check failed", said.join(", "));
    Err(hints.into_iter().fold(failure, Failure::hint))
}
