//! Purpose: what the inputs set in a task definition.

use super::inputs::Inputs;
use crate::commands::ecs::{Finding, Findings};
use crate::contract::values::Map;
use crate::domain::reference::ImageRef;
use crate::domain::task_definition::{Presence, TaskDefinition, TaskDefinitionError};

/// What is set in a task definition.
#[derive(Debug, Clone, Default)]
pub(super) struct Edits {
    /// Image of a container, of the only one when none is named.
    pub(super) images: Vec<(Option<String>, ImageRef)>,
    containers: Vec<String>,
    environment: Map,
    unset: Vec<String>,
    secrets: Map,
    labels: Map,
}

impl Edits {
    /// Whether there is nothing to set.
    pub(super) fn is_empty(&self) -> bool {
        self.images.is_empty() && !self.has_variables()
    }

    fn has_variables(&self) -> bool {
        !(self.environment.0.is_empty()
            && self.unset.is_empty()
            && self.secrets.0.is_empty()
            && self.labels.0.is_empty())
    }

    /// Sets everything; returns what is worth a warning.
    pub(super) fn apply(&self, definition: &mut TaskDefinition) -> Result<Vec<String>, Vec<TaskDefinitionError>> {
        let (mut warnings, mut errors) = (Vec::new(), Vec::new());
        for (container, image) in &self.images {
            let set = definition.select(container.as_slice()).and_then(|chosen| {
                chosen.iter().try_for_each(|container| definition.set_image(container, &image.to_string()))
            });
            errors.extend(set.err());
        }
        if self.has_variables() {
            match self.set_variables(definition) {
                Ok(more) => warnings.extend(more),
                Err(error) => errors.push(error),
            }
        }
        // The same container may be named for its image and for its variables.
        errors.dedup_by_key(|error| error.to_string());
        if errors.is_empty() { Ok(warnings) } else { Err(errors) }
    }

    fn set_variables(&self, definition: &mut TaskDefinition) -> Result<Vec<String>, TaskDefinitionError> {
        let mut warnings = Vec::new();
        for container in definition.select(&self.containers)? {
            for name in &self.unset {
                if definition.unset_environment(&container, name)? == Presence::Absent {
                    warnings.push(format!("container {container} has no variable {name} to remove"));
                }
            }
            for (name, value) in &self.environment.0 {
                definition.set_environment(&container, name, value)?;
            }
            for (name, from) in &self.secrets.0 {
                definition.set_secret(&container, name, from)?;
            }
            for (key, value) in &self.labels.0 {
                definition.set_label(&container, key, value)?;
            }
        }
        Ok(warnings)
    }

    /// Sets the images of those containers that the definition has: a migration's own definition need not have all.
    pub(super) fn apply_images_found(&self, definition: &mut TaskDefinition) {
        for (container, image) in &self.images {
            if let Ok(chosen) = definition.select(container.as_slice()) {
                for container in chosen {
                    // Chosen among its own containers, so it cannot be missing.
                    let _ = definition.set_image(&container, &image.to_string());
                }
            }
        }
    }
}

/// What the inputs set; nothing when an image is no reference.
pub(super) fn edits(inputs: &Inputs, found: &mut Findings) -> Option<Edits> {
    let images = images(inputs, found);
    let mut containers = inputs.container.clone().unwrap_or_default().0;
    for (container, _) in inputs.images.iter().flat_map(|map| &map.0) {
        if !containers.contains(container) {
            containers.push(container.clone());
        }
    }
    let edits = Edits {
        images: images?,
        containers,
        environment: inputs.environment_variables.clone().unwrap_or_default(),
        unset: inputs.unset_environment_variables.clone().unwrap_or_default().0,
        secrets: inputs.secrets.clone().unwrap_or_default(),
        labels: inputs.labels.clone().unwrap_or_default(),
    };
    if inputs.container.is_some() && edits.is_empty() {
        found.add(Finding::new("container", "is set, but there is no image, variable, secret or label for it"));
    }
    for (name, _) in edits.secrets.0.iter().filter(|(name, _)| edits.environment.get(name).is_some()) {
        found.add(Finding::new("secrets", format!("and environment_variables both set {name}")));
    }
    Some(edits)
}

/// The images by container; a container is absent where the only one is meant.
fn images(inputs: &Inputs, found: &mut Findings) -> Option<Vec<(Option<String>, ImageRef)>> {
    let several = inputs.images.clone().unwrap_or_default().0;
    let containers = inputs.container.clone().unwrap_or_default().0;
    let mut images = Vec::new();
    let mut usable = true;
    for (container, image) in &several {
        match found.check("images", image.parse::<ImageRef>()) {
            Some(image) => images.push((Some(container.clone()), image)),
            None => usable = false,
        }
    }
    let Some(image) = &inputs.image else {
        return usable.then_some(images);
    };
    if let Some((container, _)) = several.iter().find(|(container, _)| containers.contains(container)) {
        found.add(Finding::new(
            "images",
            format!("names container {container}, which has its image from 'image' already"),
        ));
    }
    let image = found.check("image", image.parse::<ImageRef>())?;
    match containers.as_slice() {
        [] => images.push((None, image)),
        named => images.extend(named.iter().map(|container| (Some(container.clone()), image.clone()))),
    }
    usable.then_some(images)
}
