//! Purpose: "did you mean".

/// The candidate nearest to `name`, when it is near enough to be what was meant.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let best = candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    let allowed = (name.chars().count() / 3).max(1);
    (best.0 <= allowed).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_typing_errors_and_nothing_far() {
        assert_eq!(nearest("deplyo", ["deploy", "tags"]), Some("deploy"));
        assert_eq!(nearest("Cluster_", ["cluster", "service"]), Some("cluster"));
        assert_eq!(nearest("x", ["deploy", "tags"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
