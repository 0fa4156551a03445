//! Purpose: the checks that the inputs name: an address that must answer, a command that must succeed.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::plan::ONLY;
use super::reach::{Place, reachable};
use super::stack::Stack;
use super::watch::LOOK;
use crate::domain::container::Container;
use crate::runner::Failure;
use crate::services::engine::Exec;
use crate::services::http::{self, HttpError};

/// Time between two checks.
const BETWEEN: Duration = Duration::from_millis(500);
/// Longest time for one check.
const LONGEST: Duration = Duration::from_secs(10);

impl Stack<'_> {
    /// Until both checks succeed; a container that ends meanwhile ends the waiting at once.
    pub(super) async fn check(&mut self, deadline: Instant) -> Result<(), Failure> {
        if let Some(command) = self.plan.health_command.clone() {
            let what = format!("the command {} in it", command.first().map_or("", String::as_str));
            self.until(deadline, &what, async |stack: &Self| stack.run_command(&command).await).await?;
        }
        if let Some(url) = self.plan.health_url.clone() {
            let target = self.target(&url).await?;
            let shown = http::shown(&url);
            let from_here =
                if target == url { String::new() } else { format!(" ({} from here)", http::shown(&target)) };
            self.run.log.info(format!("asking {shown}{from_here}"));
            let client = http::client().map_err(|error| {
                Failure::new(crate::runner::Kind::Work, "internal", "Internal error", "no HTTP client").caused_by(error)
            })?;
            self.until(deadline, &shown, async |stack: &Self| stack.ask(&client, &target).await).await?;
        }
        Ok(())
    }

    async fn until(
        &mut self,
        deadline: Instant,
        what: &str,
        check: impl AsyncFn(&Self) -> Result<String, String>,
    ) -> Result<(), Failure> {
        let mut last = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).clamp(LOOK, LONGEST);
            let said = match tokio::time::timeout(left, check(self)).await {
                Ok(Ok(said)) => {
                    self.run.log.foreign(format!("{what}: {said}"));
                    return Ok(());
                }
                Ok(Err(said)) => said,
                Err(_) => format!("no answer within {:.1} s", left.as_secs_f64()),
            };
            if said != last {
                self.run.log.foreign(format!("{what}: {said}"));
                last = said;
            }
            // What ended or became unhealthy meanwhile will not answer any more.
            self.look().await?;
            if Instant::now() + BETWEEN >= deadline {
                return Err(self.too_late(&[format!("{what}: {last}")]));
            }
            tokio::time::sleep(BETWEEN).await;
        }
    }

    async fn run_command(&self, command: &[String]) -> Result<String, String> {
        let id = self.started.get(ONLY).map(|started| started.id.clone()).unwrap_or_default();
        let written = Mutex::new(Vec::new());
        let note = |_, bytes: &[u8]| {
            if let Ok(mut written) = written.lock() {
                let room = 400_usize.saturating_sub(written.len());
                written.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        };
        let exec = Exec { command: command.to_vec(), ..Exec::default() };
        let code = self.engine.exec(&id, &exec, note).await.map_err(|error| error.to_string())?;
        let written = written.into_inner().unwrap_or_default();
        let written = String::from_utf8_lossy(&written).split_whitespace().collect::<Vec<_>>().join(" ");
        match (code, written.is_empty()) {
            (0, _) => Ok("exit code 0".to_owned()),
            (code, true) => Err(format!("exit code {code}")),
            (code, false) => Err(format!("exit code {code}: {written}")),
        }
    }

    async fn ask(&self, client: &reqwest::Client, url: &Url) -> Result<String, String> {
        let status = match http::send(client.get(url.clone())).await {
            Ok(response) => response.status().as_u16(),
            Err(HttpError::Status { status, .. }) => status,
            Err(error) => return Err(explained(&error)),
        };
        let said = format!("it answered {status}");
        if self.plan.health_status.contains(status) { Ok(said) } else { Err(said) }
    }

    /// The address as it works from here; our own container joins a network for it when it must.
    async fn target(&mut self, url: &Url) -> Result<Url, Failure> {
        let mut containers: Vec<(String, Container)> = Vec::new();
        for name in self.plan.order.clone() {
            if let Some(container) = self.observe(&name).await? {
                containers.push((name, container));
            }
        }
        let host = url.host_str().unwrap_or_default();
        let meant = containers.iter().find(|(name, _)| name == host).or_else(|| {
            let port = url.port_or_known_default();
            containers.iter().find(|(_, container)| {
                container.published.iter().any(|found| found.host == port || Some(found.container) == port)
            })
        });
        let meant = meant.or_else(|| containers.last()).map(|(_, container)| container.clone());
        if let Some(container) = meant {
            self.reach(&container).await?;
        }
        let named: Vec<(&str, &Container)> = containers.iter().map(|(name, found)| (name.as_str(), found)).collect();
        let place = Place::of(self.own.as_ref(), self.shared_network(), self.engine.endpoint());
        Ok(reachable(url, &place, &named))
    }
}

fn explained(error: &HttpError) -> String {
    let mut said = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        said.push(error.to_string());
        cause = error.source();
    }
    // The innermost cause is what a person can do something about.
    said.pop().unwrap_or_else(|| error.to_string())
}
