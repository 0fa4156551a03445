//! Purpose: what a deployment sets in a task definition: images, environment, secrets, labels.

use serde_json::{Map, Value, json};

use super::{TaskDefinition, TaskDefinitionError, wrong};

/// Whether what was to be removed was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It was.
    Present,
    /// It was not.
    Absent,
}

impl TaskDefinition {
    /// The containers that settings without a container of their own are for: the named ones, else the only one.
    ///
    /// # Errors
    /// An unknown name; no name although there are several containers.
    pub fn select(&self, named: &[String]) -> Result<Vec<String>, TaskDefinitionError> {
        let known = self.container_names();
        if let Some(name) = named.iter().find(|name| !known.contains(name)) {
            return Err(TaskDefinitionError::UnknownContainer { name: name.clone(), known });
        }
        match (named.is_empty(), known.len()) {
            (false, _) => Ok(named.to_vec()),
            (true, 1) => Ok(known),
            (true, _) => Err(TaskDefinitionError::AmbiguousContainer { known }),
        }
    }

    /// Sets the image of a container.
    ///
    /// # Errors
    /// An unknown container.
    pub fn set_image(&mut self, container: &str, image: &str) -> Result<(), TaskDefinitionError> {
        self.container(container)?.insert("image".to_owned(), image.into());
        Ok(())
    }

    /// Sets an environment variable. A secret of the same name goes: ECS refuses a name that is both.
    ///
    /// # Errors
    /// An unknown container; a document whose lists are no lists.
    pub fn set_environment(&mut self, container: &str, name: &str, value: &str) -> Result<(), TaskDefinitionError> {
        let definition = self.container(container)?;
        remove_entry(definition, container, "secrets", name)?;
        set_entry(definition, container, "environment", json!({ "name": name, "value": value }))
    }

    /// Sets a secret. An environment variable of the same name goes.
    ///
    /// # Errors
    /// As [`Self::set_environment`].
    pub fn set_secret(&mut self, container: &str, name: &str, value_from: &str) -> Result<(), TaskDefinitionError> {
        let definition = self.container(container)?;
        remove_entry(definition, container, "environment", name)?;
        set_entry(definition, container, "secrets", json!({ "name": name, "valueFrom": value_from }))
    }

    /// Removes a variable, whether it is plain or a secret.
    ///
    /// # Errors
    /// As [`Self::set_environment`].
    pub fn unset_environment(&mut self, container: &str, name: &str) -> Result<Presence, TaskDefinitionError> {
        let definition = self.container(container)?;
        let plain = remove_entry(definition, container, "environment", name)?;
        let secret = remove_entry(definition, container, "secrets", name)?;
        Ok(if plain || secret { Presence::Present } else { Presence::Absent })
    }

    /// Sets a Docker label.
    ///
    /// # Errors
    /// As [`Self::set_environment`].
    pub fn set_label(&mut self, container: &str, key: &str, value: &str) -> Result<(), TaskDefinitionError> {
        let labels = self.container(container)?.entry("dockerLabels").or_insert(Value::Null);
        if labels.is_null() {
            *labels = json!({});
        }
        let labels = labels.as_object_mut();
        let labels =
            labels.ok_or_else(|| wrong(&format!("containerDefinitions[{container}].dockerLabels"), "an object"))?;
        labels.insert(key.to_owned(), value.into());
        Ok(())
    }

    fn container(&mut self, name: &str) -> Result<&mut Map<String, Value>, TaskDefinitionError> {
        let known = self.container_names();
        let containers = self.0.get_mut("containerDefinitions").and_then(Value::as_array_mut);
        let found = containers.into_iter().flatten().filter_map(Value::as_object_mut);
        let mut found = found.filter(|container| container.get("name").and_then(Value::as_str) == Some(name));
        found.next().ok_or_else(|| TaskDefinitionError::UnknownContainer { name: name.to_owned(), known })
    }
}

/// The list `key` of a container, if it is there.
fn entries<'a>(
    definition: &'a mut Map<String, Value>,
    container: &str,
    key: &str,
) -> Result<Option<&'a mut Vec<Value>>, TaskDefinitionError> {
    match definition.get_mut(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(entries)) => Ok(Some(entries)),
        Some(_) => Err(wrong(&format!("containerDefinitions[{container}].{key}"), "a list of name and value")),
    }
}

fn is_named(entry: &Value, name: &str) -> bool {
    entry.get("name").and_then(Value::as_str) == Some(name)
}

/// Replaces the first entry of the same name in its place, drops further ones, else appends.
fn set_entry(
    definition: &mut Map<String, Value>,
    container: &str,
    key: &str,
    entry: Value,
) -> Result<(), TaskDefinitionError> {
    let name = entry.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(list) = entries(definition, container, key)? else {
        definition.insert(key.to_owned(), Value::Array(vec![entry]));
        return Ok(());
    };
    match list.iter().position(|known| is_named(known, &name)) {
        Some(place) => {
            list[place] = entry;
            let mut index = 0;
            list.retain(|known| {
                index += 1;
                index - 1 <= place || !is_named(known, &name)
            });
        }
        None => list.push(entry),
    }
    Ok(())
}

fn remove_entry(
    definition: &mut Map<String, Value>,
    container: &str,
    key: &str,
    name: &str,
) -> Result<bool, TaskDefinitionError> {
    let Some(list) = entries(definition, container, key)? else {
        return Ok(false);
    };
    let before = list.len();
    list.retain(|known| !is_named(known, name));
    Ok(list.len() < before)
}
