//! Purpose: reading the subset out of YAML: what the file as a whole must be.

use std::collections::{BTreeMap, BTreeSet};

use super::file::{File, NetworkFile, VolumeFile};
use super::service::{Reader, is_name};
use super::shape::{Keys, Names};
use super::{ComposeError, Project, ProjectNetwork, interpolate, start_order};

/// Knows the variables that a file may name.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads a compose file; `lookup` knows the variables that it may name, `images` replace services' images.
///
/// # Errors
/// [`ComposeError`], the first that is found.
pub fn read(text: &str, images: &BTreeMap<String, String>, lookup: Lookup<'_>) -> Result<Project, ComposeError> {
    let Keys(file): Keys<File> = serde_yaml::from_str(text).map_err(|error| ComposeError::of_parser(&error))?;
    project(file, images, lookup).map_err(|error| error.located(text))
}

fn project(file: File, images: &BTreeMap<String, String>, lookup: Lookup<'_>) -> Result<Project, ComposeError> {
    let files = file.services.map(|Names(services)| services).unwrap_or_default();
    if files.is_empty() {
        return Err(ComposeError::value("services", "there is none"));
    }
    if let Some(unknown) = images.keys().find(|name| !files.contains_key(*name)) {
        let known = files.keys().cloned().collect::<Vec<_>>().join(", ");
        let message = format!("names '{unknown}', which is no service; there are {known}");
        return Err(ComposeError::value("images", message));
    }
    let mut volumes = volumes(file.volumes)?;
    let mut networks = BTreeMap::new();
    for (name, network) in file.networks.map(|Names(networks)| networks).unwrap_or_default() {
        let network = network.map(|Keys(network)| network).unwrap_or_default();
        networks.insert(name.clone(), project_network(&name, &network, lookup)?);
    }
    let mut services = BTreeMap::new();
    for (name, Keys(service)) in &files {
        let path = format!("services.{name}");
        if !is_name(name) {
            return Err(ComposeError::value(&path, "is no service's name; use letters, digits, - _ ."));
        }
        let reader = Reader { name, lookup, others: &files };
        let service = reader.service(service, images.get(name))?;
        for used in &service.volumes {
            if used.is_anonymous {
                volumes.insert(used.name.clone());
            } else if !volumes.contains(&used.name) {
                let message = format!("names the volume '{}', which is not below the top-level key volumes", used.name);
                return Err(ComposeError::value(&format!("{path}.volumes"), message));
            }
        }
        if let Some(unknown) = service.networks.keys().find(|used| *used != "default" && !networks.contains_key(*used))
        {
            let message = format!("names '{unknown}', which is not below the top-level key networks");
            return Err(ComposeError::value(&format!("{path}.networks"), message));
        }
        services.insert(name.clone(), service);
    }
    start_order(&services)?;
    Ok(Project { services, volumes: volumes.into_iter().collect(), networks })
}

fn volumes(declared: Option<Names<Option<Keys<VolumeFile>>>>) -> Result<BTreeSet<String>, ComposeError> {
    let mut names = BTreeSet::new();
    for (name, volume) in declared.map(|Names(volumes)| volumes).unwrap_or_default() {
        let driver = volume.and_then(|Keys(volume)| volume.driver);
        if let Some(driver) = driver.filter(|driver| driver.0 != "local") {
            let message = format!("is '{}'; only local volumes can be made here", driver.0);
            return Err(ComposeError::value(&format!("volumes.{name}.driver"), message));
        }
        names.insert(name);
    }
    Ok(names)
}

fn project_network(name: &str, network: &NetworkFile, lookup: Lookup<'_>) -> Result<ProjectNetwork, ComposeError> {
    if let Some(driver) = network.driver.as_ref().filter(|driver| driver.0 != "bridge") {
        let message = format!("is '{}'; only bridge networks can be made here", driver.0);
        return Err(ComposeError::value(&format!("networks.{name}.driver"), message));
    }
    let path = format!("networks.{name}.name");
    let given = network.name.as_ref().map(|given| interpolate(&given.0, lookup)).transpose();
    let given = given.map_err(|message| ComposeError::value(&path, message))?;
    match (network.external.unwrap_or_default(), given) {
        (true, given) => Ok(ProjectNetwork::External(given.unwrap_or_else(|| name.to_owned()))),
        (false, None) => Ok(ProjectNetwork::Own),
        (false, Some(_)) => Err(ComposeError::value(&path, "is for external networks only")),
    }
}
