//! Purpose: the services' own health pages: they answer as the running revision does.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::faults::matches;
use super::http::{Reply, Request};
use super::state::State;

/// How revisions answer.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// The first rule that fits an image of the running revision gives the status; 200 without.
    pub rules: Vec<HealthRule>,
}

/// How the revisions of some images answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HealthRule {
    /// Glob over images.
    pub image: String,
    pub status: u16,
}

impl Health {
    /// Revisions of images that match answer with this status.
    pub fn answer(&mut self, image: &str, status: u16) {
        self.rules.insert(0, HealthRule { image: image.to_owned(), status });
    }
}

/// `GET /<service>[/…]`: 503 when nothing of it runs.
pub fn handle(state: &mut State, request: &Request) -> Reply {
    let name = request.segments().first().cloned().unwrap_or_default();
    let service = state.ecs.clusters.values().find_map(|cluster| cluster.services.get(&name));
    let Some(service) = service else {
        return Reply::unknown(request);
    };
    let Some(serving) = service.serving() else {
        return Reply::json(503, &json!({ "message": "nothing runs" }));
    };
    let images = state.ecs.images(&serving.task_definition);
    let fits = |rule: &&HealthRule| images.iter().any(|(_, image)| matches(&rule.image, image));
    let status = state.health.rules.iter().find(fits).map_or(200, |rule| rule.status);
    let image = images.first().map(|(_, image)| image.clone());
    Reply::json(status, &json!({ "image": image, "task_definition": serving.task_definition }))
}
