//! Purpose: the life of one tool container, from its creation to its removal.

use std::sync::Mutex;
use std::time::Duration;

use super::lines::Lines;
use super::{Finished, Need, Tool, ToolError, fetch, pack};
use crate::domain::build_event::LogStream;
use crate::services::engine::{Engine, EngineError};

/// Lines that are kept for whoever has to explain a failure.
const KEPT_LINES: usize = 40;
/// Time that the removal of a container gets when its tool is no longer wanted; the process may be killed soon.
const REMOVAL: Duration = Duration::from_secs(4);

/// Removes the container even when whoever waits for it is dropped.
struct Removal {
    engine: Engine,
    id: Option<String>,
}

impl Removal {
    async fn now(mut self) -> Result<(), EngineError> {
        match self.id.take() {
            Some(id) => self.engine.remove(&id).await,
            None => Ok(()),
        }
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let engine = self.engine.clone();
            // Nobody is left to be told.
            runtime.spawn(async move { drop(engine.remove(&id).await) });
        }
    }
}

type Output<'a> = &'a (dyn Fn(LogStream, &str) + Send + Sync);

pub(super) async fn run(
    engine: &Engine,
    tool: &Tool,
    cancelled: impl Future<Output = ()>,
    output: Output<'_>,
) -> Result<Finished, ToolError> {
    let mut cancelled = std::pin::pin!(cancelled);
    let creation = async {
        let id = engine.create(&tool.spec()).await?;
        Ok::<_, ToolError>(Removal { engine: engine.clone(), id: Some(id) })
    };
    let removal = tokio::select! {
        removal = creation => removal?,
        () = &mut cancelled => return Err(ToolError::Cancelled),
    };
    let id = removal.id.clone().unwrap_or_default();
    let result = tokio::select! {
        result = work(engine, tool, &id, output) => result,
        () = &mut cancelled => Err(ToolError::Cancelled),
    };
    let removed = tokio::time::timeout(REMOVAL, removal.now()).await;
    match (result, removed) {
        (Ok(finished), Ok(Ok(()))) => Ok(finished),
        (Ok(_), Ok(Err(error))) => Err(error.into()),
        (Ok(finished), Err(_)) => Ok(finished),
        (Err(error), _) => Err(error),
    }
}

async fn work(engine: &Engine, tool: &Tool, id: &str, output: Output<'_>) -> Result<Finished, ToolError> {
    for upload in &tool.uploads {
        pack::upload(engine, id, upload).await?;
    }
    let lines = Mutex::new(Lines::new(KEPT_LINES));
    let ended = command(engine, id, &lines, output);
    let code = match tool.limit {
        None => ended.await?,
        Some(limit) => match tokio::time::timeout(limit, ended).await {
            Ok(code) => code?,
            Err(_) => return Err(ToolError::TimedOut { image: tool.image.clone(), limit, tail: tail(&lines) }),
        },
    };
    let state = engine.container(id).await?.map(|container| container.state);
    let mut fetched = Vec::new();
    for download in &tool.downloads {
        match fetch::download(engine, id, download).await? {
            fetch::Fetched::Here => fetched.push(download.from.clone()),
            fetch::Fetched::Missing if download.need == Need::Optional => {}
            fetch::Fetched::Missing => {
                return Err(ToolError::Missing { from: download.from.clone(), code, tail: tail(&lines) });
            }
        }
    }
    let out_of_memory = state.is_some_and(|state| state.out_of_memory);
    Ok(Finished { code, out_of_memory, tail: tail(&lines), fetched })
}

/// Starts the command and follows it to its end; its exit code.
async fn command(engine: &Engine, id: &str, lines: &Mutex<Lines>, output: Output<'_>) -> Result<i64, ToolError> {
    engine.start(id).await?;
    let hand_over = |stream, data: &[u8]| {
        if let Ok(mut lines) = lines.lock() {
            lines.add(stream, data, output);
        }
    };
    // The log ends with the container. An engine whose log driver cannot be read shows nothing, and works all the same.
    let followed = engine.follow_logs(id, hand_over).await;
    if let Ok(mut lines) = lines.lock() {
        lines.end(output);
        if let Err(error) = followed {
            lines.add(LogStream::Error, format!("{error}\n").as_bytes(), output);
        }
    }
    Ok(engine.wait(id).await?)
}

fn tail(lines: &Mutex<Lines>) -> Vec<String> {
    lines.lock().map(|lines| lines.kept()).unwrap_or_default()
}
