//! Purpose: several services of one cluster, looked at in one call for all who watch them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::AwsError;
use super::Ecs;
use crate::domain::ecs::Service;

/// Most services of one DescribeServices (Amazon ECS API reference).
const MOST: usize = 10;
/// How old a look may be that somebody else took. A watch must be right within five seconds.
const FRESH: Duration = Duration::from_secs(1);

/// By ARN, each with the time of the look.
type Seen = BTreeMap<String, (Instant, Option<Service>)>;

/// Several services. Whoever asks about one is told about all of them; the others find theirs when they ask soon after.
#[derive(Clone)]
pub struct Together {
    ecs: Ecs,
    services: Arc<Vec<String>>,
    /// What was seen of a service and is not told yet.
    seen: Arc<Mutex<Seen>>,
}

impl Together {
    /// Services by their ARNs.
    #[must_use]
    pub fn new(ecs: &Ecs, services: Vec<String>) -> Self {
        Self { ecs: ecs.clone(), services: Arc::new(services), seen: Arc::default() }
    }

    /// One of them as it is now; nothing when it does not exist. Nobody is told the same look twice.
    ///
    /// # Errors
    /// Those of [`Ecs::services`].
    pub async fn service(&self, arn: &str) -> Result<Option<Service>, AwsError> {
        // Held while ECS is asked: who comes meanwhile finds the answer.
        let mut seen = self.seen.lock().await;
        if let Some((_, service)) = seen.remove(arn).filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(service);
        }
        let group = self.services.chunks(MOST).find(|group| group.iter().any(|name| name == arn));
        let alone = [arn.to_owned()];
        let group = group.unwrap_or(&alone);
        let found = self.ecs.services(group).await?;
        let at = Instant::now();
        for name in group {
            let service = found.iter().find(|found| found.service.arn == *name).map(|found| found.service.clone());
            seen.insert(name.clone(), (at, service));
        }
        Ok(seen.remove(arn).and_then(|(_, service)| service))
    }
}
