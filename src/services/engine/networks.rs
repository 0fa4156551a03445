//! Purpose: networks and volumes of an engine, and the container that we run in.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest, VolumeCreateRequest};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptions, ListVolumesOptions, RemoveVolumeOptions};

use super::answer::failed;
use super::spec::endpoint;
use super::{Engine, EngineError};
use crate::domain::container::{Container, own_ids};

impl Engine {
    /// Makes a bridge network and returns its id. Names are unique by our own care: the engine allows doubles.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] when there is one of that name.
    pub async fn create_network(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<String, EngineError> {
        let action = || format!("creating the network {name}");
        if self.network(name).await?.is_some() {
            return Err(EngineError::Conflict {
                action: action(),
                message: "there is a network of that name".to_owned(),
            });
        }
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            labels: Some(labels.clone().into_iter().collect()),
            ..NetworkCreateRequest::default()
        };
        let created = self.docker.create_network(request).await;
        Ok(created.map_err(|error| failed(action(), &format!("network {name}"), error))?.id)
    }

    /// The id of a network by name or id; `None` when the engine definitely has none.
    ///
    /// # Errors
    /// Anything but a definite answer.
    pub async fn network(&self, name: &str) -> Result<Option<String>, EngineError> {
        match self.docker.inspect_network(name, None::<InspectNetworkOptions>).await {
            Ok(found) => Ok(Some(found.id.unwrap_or_default())),
            Err(error) => match failed(format!("looking for the network {name}"), &format!("network {name}"), error) {
                EngineError::NotFound { .. } => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Removes a network. One that is gone is a success.
    ///
    /// # Errors
    /// [`EngineError::Denied`] when containers are in it (the engine says 403), and any other failure.
    pub async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        let removed = self.docker.remove_network(name).await;
        match removed.map_err(|error| failed(format!("removing the network {name}"), name, error)) {
            Err(EngineError::NotFound { .. }) => Ok(()),
            removed => removed,
        }
    }

    /// Puts a container into a network, to be found there by these names too.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when either does not exist.
    pub async fn join(&self, network: &str, container: &str, aliases: &[String]) -> Result<(), EngineError> {
        let request =
            NetworkConnectRequest { container: container.to_owned(), endpoint_config: Some(endpoint(aliases)) };
        let joined = self.docker.connect_network(network, request).await;
        joined.map_err(|error| failed(format!("joining the network {network}"), &format!("network {network}"), error))
    }

    /// Takes a container out of a network. When either is gone already, that is a success.
    ///
    /// # Errors
    /// Any other failure.
    pub async fn leave(&self, network: &str, container: &str) -> Result<(), EngineError> {
        let request = NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
        let left = self.docker.disconnect_network(network, request).await;
        match left.map_err(|error| failed(format!("leaving the network {network}"), network, error)) {
            Err(EngineError::NotFound { .. }) => Ok(()),
            Err(EngineError::Failed { message, .. }) if message.contains("is not connected to") => Ok(()),
            left => left,
        }
    }

    /// Ids of all networks with a label, `key` or `key=value`.
    ///
    /// # Errors
    /// Any failure to list.
    pub async fn networks_with(&self, label: &str) -> Result<Vec<String>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let listed = self.docker.list_networks(Some(ListNetworksOptions { filters: Some(filters) })).await;
        let listed = listed.map_err(|error| failed("listing networks".to_owned(), "networks", error))?;
        Ok(listed.into_iter().filter_map(|network| network.id).collect())
    }

    /// Makes a named volume. One that is there already stays as it is.
    ///
    /// # Errors
    /// Any failure.
    pub async fn create_volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<(), EngineError> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        let created = self.docker.create_volume(request).await;
        created.map(drop).map_err(|error| failed(format!("creating the volume {name}"), name, error))
    }

    /// Removes a volume. One that is gone is a success.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] when a container uses it, and any other failure.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let removed = self.docker.remove_volume(name, None::<RemoveVolumeOptions>).await;
        match removed.map_err(|error| failed(format!("removing the volume {name}"), name, error)) {
            Err(EngineError::NotFound { .. }) => Ok(()),
            removed => removed,
        }
    }

    /// Names of all volumes with a label, `key` or `key=value`.
    ///
    /// # Errors
    /// Any failure to list.
    pub async fn volumes_with(&self, label: &str) -> Result<Vec<String>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let listed = self.docker.list_volumes(Some(ListVolumesOptions { filters: Some(filters) })).await;
        let listed = listed.map_err(|error| failed("listing volumes".to_owned(), "volumes", error))?;
        Ok(listed.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect())
    }

    /// The container that we run in, if it is one of this engine's.
    ///
    /// # Errors
    /// Anything but definite answers.
    pub async fn own_container(&self) -> Result<Option<Container>, EngineError> {
        let read = async |path: &str| tokio::fs::read_to_string(path).await.unwrap_or_default();
        let mountinfo = read("/proc/self/mountinfo").await;
        let cgroup = read("/proc/self/cgroup").await;
        for id in own_ids(&mountinfo, &cgroup, &read("/etc/hostname").await) {
            if let Some(container) = self.container(&id).await? {
                return Ok(Some(container));
            }
        }
        Ok(None)
    }
}
