//! Purpose: what happened when, as a Mermaid chart: the phases, and the states and stages of each deployment.

use tokio::time::Instant;

use super::phases::{Phases, tenths};

/// The chart; nothing when there was no phase.
pub(crate) fn chart(phases: &Phases, states: &[(String, Vec<(Instant, String)>)]) -> Option<String> {
    let timed = phases.timed();
    let end = timed.iter().map(|phase| phase.end).fold(0.0, f64::max);
    if timed.is_empty() {
        return None;
    }
    let mut chart = "gantt\n    dateFormat x\n    axisFormat %M:%S\n    section Phases".to_owned();
    for phase in &timed {
        chart.push_str(&bar(phase.name, phase.start, phase.end));
    }
    let Some(zero) = phases.zero() else {
        return Some(chart);
    };
    for (service, states) in states.iter().filter(|(_, states)| !states.is_empty()) {
        chart.push_str(&format!("\n    section {}", plain(service)));
        let starts: Vec<f64> = states.iter().map(|(at, _)| at.duration_since(zero).as_secs_f64()).collect();
        for (index, (_, state)) in states.iter().enumerate() {
            let until = starts.get(index + 1).copied().unwrap_or(end);
            chart.push_str(&bar(&plain(state), starts[index], until.max(starts[index])));
        }
    }
    Some(chart)
}

/// In milliseconds: of `dateFormat X` Mermaid takes ends as seconds and starts as milliseconds, so that all bars begin
/// at 0. The shortest bar still shows.
fn bar(name: &str, start: f64, end: f64) -> String {
    let millis = |seconds: f64| (seconds * 1000.0).round();
    let (from, to) = (millis(start), millis(end).max(millis(start) + 1.0));
    format!("\n    {name} ({} s) : {from}, {to}", tenths(end - start))
}

/// Without what means something to the chart's grammar.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || matches!(c, ' ' | '-' | '_') { c } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_can_break_the_chart() {
        assert_eq!(plain("in progress, stage A:B;#c\n%%"), "in progress  stage A B  c   ");
        assert_eq!(bar("watch", 1.25, 1.3), "\n    watch (0.1 s) : 1250, 1300");
        assert_eq!(chart(&Phases::default(), &[]), None);
    }

    #[test]
    fn stages_stand_below_the_phases() {
        let phases = Phases::default();
        drop(phases.begin("watch"));
        let zero = phases.zero().unwrap();
        let later = zero + std::time::Duration::from_secs(4);
        let states = vec![(zero, "in progress".to_owned()), (later, "stage BAKE_TIME".to_owned())];
        let chart = chart(&phases, &[("web".to_owned(), states)]).unwrap();
        let below = "    section web\n    in progress (4 s) : 0, 4000\n    stage BAKE_TIME (0 s) : 4000, 4001";
        assert!(chart.starts_with("gantt\n    dateFormat x\n") && chart.ends_with(below), "{chart}");
    }
}
