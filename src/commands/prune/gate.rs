//! Purpose: what is said of a plan before anything happens: outputs, plan file, summary, and the budgets that stop it.

use super::collect::Planned;
use super::{Outputs, files, report};
use crate::commands::run::Run;
use crate::contract::values::{Count, Flag};
use crate::domain::retention::{Counts, Listing};
use crate::runner::{Failure, Kind};

/// Tells the plan, then refuses it when it is more than is allowed.
pub(super) fn hold(planned: &Planned, run: &Run, outputs: &mut Outputs) -> Result<(), Failure> {
    fill(planned, outputs);
    for finding in planned.findings.iter().filter(|finding| !finding.is_by_design()) {
        run.log.warn("Policy", finding.to_string());
    }
    report::log(planned, run);
    files::write(run, &planned.settings.plan_file, planned)?;
    outputs.plan = Some(planned.settings.plan_file.to_string_lossy().into_owned());
    run.summary.section(report::section(planned));
    let budget = budget(planned);
    outputs.passed = Some(Flag(budget.is_ok()));
    budget?;
    complete(planned).inspect_err(|_| outputs.passed = Some(Flag(false)))
}

fn fill(planned: &Planned, outputs: &mut Outputs) {
    let mut sum = Counts::default();
    for place in 0..planned.registry.repositories.len() {
        let counts = planned.plan.counts(&planned.registry, place);
        sum.kept += counts.kept;
        sum.protected += counts.protected;
        sum.in_use += counts.in_use;
    }
    outputs.planned = Some(Count(planned.plan.deletions.len() as u64));
    outputs.kept = Some(Count(sum.kept));
    outputs.protected = Some(Count(sum.protected));
    outputs.in_use = Some(Count(sum.in_use));
    outputs.freed_bytes = Some(Count(planned.plan.freed(&planned.registry, |_| true).bytes));
}

/// More than one run may delete is a plan that nobody meant: a pattern too wide, a clock, a listing.
fn budget(planned: &Planned) -> Result<(), Failure> {
    let policy = &planned.settings.policy;
    let refused = |message: String| {
        Failure::new(Kind::Gate, "plan-too-large", "The plan deletes too much", message)
            .hint("Nothing was deleted. Look at the plan; if it is what you mean, raise the limit for one run.")
    };
    let count = planned.plan.deletions.len() as u64;
    if let Some(most) = policy.max_deletes.filter(|most| count > *most) {
        return Err(refused(format!("the plan deletes {count} manifests, and `max_deletes` allows {most}")));
    }
    let Some((place, fraction, counts)) = planned.plan.largest_fraction(&planned.registry) else {
        return Ok(());
    };
    if fraction > policy.max_delete_fraction {
        let name = planned.registry.repositories.get(place).map_or("", |repository| repository.name.as_str());
        return Err(refused(format!(
            "the plan deletes {} of {} manifests of {name} ({:.0} %), and `max_delete_fraction` allows {:.0} %",
            counts.deleted,
            counts.total,
            fraction * 100.0,
            policy.max_delete_fraction * 100.0
        )));
    }
    Ok(())
}

/// A listing that lacks something is no ground to delete on, and that is worth a red step.
fn complete(planned: &Planned) -> Result<(), Failure> {
    let incomplete = planned.registry.repositories.iter().find_map(|repository| match &repository.listing {
        Listing::Incomplete(why) => Some(format!("the listing of {} is incomplete: {why}", repository.name)),
        Listing::Complete => None,
    });
    match incomplete {
        Some(message) => Err(Failure::new(Kind::Upstream, "listing-incomplete", "Listing incomplete", message)
            .hint("Nothing was deleted. GitHub's listings follow changes late; the next run looks again.")),
        None => Ok(()),
    }
}
