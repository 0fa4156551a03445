//! Purpose: in which order services start.

use std::collections::{BTreeMap, BTreeSet};

use super::Service;

/// Why there is no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// A service that does not exist.
    #[error("services.{service}.depends_on names '{missing}', which is no service; there are {known}")]
    Unknown {
        /// Who depends.
        service: String,
        /// On whom.
        missing: String,
        /// Services that there are.
        known: String,
    },
    /// A circle.
    #[error("services depend on each other in a circle: {}", .0.join(" → "))]
    Circle(Vec<String>),
}

/// Services, each after all that it depends on; by name where that leaves a choice.
///
/// # Errors
/// [`OrderError`].
pub fn start_order(services: &BTreeMap<String, Service>) -> Result<Vec<String>, OrderError> {
    for (name, service) in services {
        if let Some(missing) = service.depends_on.keys().find(|other| !services.contains_key(*other)) {
            let known = services.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(OrderError::Unknown { service: name.clone(), missing: missing.clone(), known });
        }
    }
    let mut order: Vec<String> = Vec::new();
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    while order.len() < services.len() {
        let next = services.iter().find(|(name, service)| {
            !placed.contains(name.as_str()) && service.depends_on.keys().all(|other| placed.contains(other.as_str()))
        });
        let Some((name, _)) = next else {
            return Err(OrderError::Circle(circle(services, &placed)));
        };
        placed.insert(name);
        order.push(name.clone());
    }
    Ok(order)
}

/// Follows dependencies among what could not be placed until a service comes again.
fn circle(services: &BTreeMap<String, Service>, placed: &BTreeSet<&str>) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    let mut at = services.keys().find(|name| !placed.contains(name.as_str()));
    while let Some(name) = at {
        if let Some(first) = path.iter().position(|seen| seen == name) {
            path.drain(..first);
            path.push(name.clone());
            break;
        }
        path.push(name.clone());
        at = services[name].depends_on.keys().find(|other| !placed.contains(other.as_str()));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::Condition;
    use super::*;

    fn services(dependencies: &[(&str, &[&str])]) -> BTreeMap<String, Service> {
        let service = |on: &[&str]| Service {
            depends_on: on.iter().map(|name| ((*name).to_owned(), Condition::Started)).collect(),
            ..Service::default()
        };
        dependencies.iter().map(|(name, on)| ((*name).to_owned(), service(on))).collect()
    }

    #[test]
    fn dependencies_go_first() {
        let services = services(&[("a", &["c"]), ("b", &[]), ("c", &["b"])]);
        assert_eq!(start_order(&services).unwrap(), ["b", "c", "a"]);
    }

    #[test]
    fn a_circle_is_shown() {
        let found = start_order(&services(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])])).unwrap_err();
        assert_eq!(found.to_string(), "services depend on each other in a circle: b → c → b");
        let found = start_order(&services(&[("a", &["a"])])).unwrap_err();
        assert_eq!(found.to_string(), "services depend on each other in a circle: a → a");
        let found = start_order(&services(&[("a", &["x"])])).unwrap_err();
        assert_eq!(found.to_string(), "services.a.depends_on names 'x', which is no service; there are a");
    }

    proptest::proptest! {
        #[test]
        fn every_order_keeps_every_dependency(edges in proptest::collection::vec((0..9_usize, 0..9_usize), 0..20)) {
            let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
            let mut all: BTreeMap<String, Service> = services(&names.map(|name| (name, &[][..])));
            for (from, to) in edges {
                all.get_mut(names[from]).unwrap().depends_on.insert(names[to].to_owned(), Condition::Started);
            }
            match start_order(&all) {
                Ok(order) => {
                    proptest::prop_assert_eq!(order.len(), all.len());
                    let place = |name: &String| order.iter().position(|placed| placed == name).unwrap();
                    for (name, service) in &all {
                        for on in service.depends_on.keys() {
                            proptest::prop_assert!(place(on) < place(name));
                        }
                    }
                }
                Err(OrderError::Circle(circle)) => {
                    proptest::prop_assert_eq!(circle.first(), circle.last());
                    for pair in circle.windows(2) {
                        proptest::prop_assert!(all[&pair[0]].depends_on.contains_key(&pair[1]));
                    }
                }
                Err(error) => proptest::prop_assert!(false, "{}", error),
            }
        }
    }
}
