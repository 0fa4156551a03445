//! Purpose: the life of one tool container, from its creation to its removal.

use std::sync::Mutex;
use std::time::Duration;

use super::lines::Lines;
use super::{Finished, Need, Taken, Tool, ToolError, Unwanted, fetch, pack};
use crate::domain::build_event::LogStream;
use crate::services::engine::{Engine, EngineError};

/// Lines that are kept for whoever has to explain a failure.
const KEPT_LINES: usize = 40;
/// Time that the removal of a container gets when its tool is no longer wanted; the process may be killed soon.
const REMOVAL: Duration = Duration::from_secs(4);

/// What becomes of the container when whoever waits for it is dropped.
struct Guard<'a> {
    engine: &'a Engine,
    id: Option<String>,
    unwanted: Unwanted,
}

impl Guard<'_> {
    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    async fn remove(mut self) -> Result<(), EngineError> {
        match self.id.take() {
            Some(id) => self.engine.remove(&id).await,
            None => Ok(()),
        }
    }

    /// Nobody wants the tool any more: it is ended as it wishes.
    async fn give_up(mut self) -> ToolError {
        if let Unwanted::Interrupt(patience) = self.unwanted {
            // One that never started has nothing to put in order, and cannot be signalled.
            let is_ending = self.engine.signal(self.id(), "SIGINT").await.is_ok();
            let ended = tokio::time::timeout(patience, self.engine.wait(self.id()));
            if is_ending && ended.await.is_err() {
                self.id = None;
                return ToolError::StillEnding;
            }
        }
        let error = match self.unwanted {
            Unwanted::Remove => ToolError::Cancelled,
            Unwanted::Interrupt(_) => ToolError::Interrupted,
        };
        drop(tokio::time::timeout(REMOVAL, self.remove()).await);
        error
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let (engine, unwanted) = (self.engine.clone(), self.unwanted);
            // Nobody is left to be told.
            runtime.spawn(async move {
                match unwanted {
                    Unwanted::Remove => drop(engine.remove(&id).await),
                    Unwanted::Interrupt(_) => drop(engine.signal(&id, "SIGINT").await),
                }
            });
        }
    }
}

type LineTaker<'a> = &'a (dyn Fn(LogStream, &str) + Send + Sync + 'a);
type DataTaker<'a> = &'a (dyn Fn(&[u8]) + Send + Sync + 'a);

/// Who gets what a tool writes.
pub(super) struct Reader<'a> {
    /// Whole lines.
    pub(super) lines: LineTaker<'a>,
    /// Standard output as it is; then only the other stream comes as lines.
    pub(super) data: Option<DataTaker<'a>>,
}

pub(super) async fn run(
    engine: &Engine,
    tool: &Tool,
    cancelled: impl Future<Output = ()>,
    reader: &Reader<'_>,
) -> Result<Finished, ToolError> {
    let mut cancelled = std::pin::pin!(cancelled);
    let creation = async {
        let id = engine.create(&tool.spec()).await?;
        Ok::<_, ToolError>(Guard { engine, id: Some(id), unwanted: tool.unwanted })
    };
    let guard = tokio::select! {
        guard = creation => guard?,
        () = &mut cancelled => return Err(ToolError::Cancelled),
    };
    let worked = tokio::select! {
        worked = work(engine, tool, guard.id(), reader) => worked,
        () = &mut cancelled => return Err(guard.give_up().await),
    };
    let removed = tokio::time::timeout(REMOVAL, guard.remove()).await;
    let finished = worked?;
    match removed {
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(())) | Err(_) => Ok(finished),
    }
}

async fn work(engine: &Engine, tool: &Tool, id: &str, reader: &Reader<'_>) -> Result<Finished, ToolError> {
    for upload in &tool.uploads {
        pack::upload(engine, id, upload).await?;
    }
    let lines = Mutex::new(Lines::new(KEPT_LINES));
    let ended = command(engine, id, &lines, reader);
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
            Taken::Here => fetched.push(download.from.clone()),
            Taken::Missing if download.need == Need::Optional => {}
            Taken::Missing => {
                return Err(ToolError::Missing { from: download.from.clone(), code, tail: tail(&lines) });
            }
        }
    }
    let out_of_memory = state.is_some_and(|state| state.out_of_memory);
    Ok(Finished { code, out_of_memory, tail: tail(&lines), fetched })
}

/// Starts the command and follows it to its end; its exit code.
async fn command(engine: &Engine, id: &str, lines: &Mutex<Lines>, reader: &Reader<'_>) -> Result<i64, ToolError> {
    engine.start(id).await?;
    if reader.data.is_some() {
        let code = engine.wait(id).await?;
        follow(engine, id, lines, reader).await?;
        return Ok(code);
    }
    // The log ends with the container. An engine whose log driver cannot be read shows nothing, and works all the same.
    let followed = follow(engine, id, lines, reader).await;
    let code = engine.wait(id).await?;
    match followed {
        // A container that ends at the moment of the question may seem to have written nothing.
        Ok(Wrote::Nothing) => drop(follow(engine, id, lines, reader).await),
        Ok(Wrote::Something) => {}
        Err(error) => {
            if let Ok(mut lines) = lines.lock() {
                lines.add(LogStream::Error, format!("{error}\n").as_bytes(), reader.lines);
            }
        }
    }
    Ok(code)
}

/// Whether anything came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrote {
    Nothing,
    Something,
}

async fn follow(engine: &Engine, id: &str, lines: &Mutex<Lines>, reader: &Reader<'_>) -> Result<Wrote, EngineError> {
    let came = std::sync::atomic::AtomicBool::new(false);
    let hand_over = |stream, bytes: &[u8]| {
        came.store(true, std::sync::atomic::Ordering::Relaxed);
        match (stream, reader.data) {
            (LogStream::Output, Some(data)) => data(bytes),
            _ => {
                if let Ok(mut lines) = lines.lock() {
                    lines.add(stream, bytes, reader.lines);
                }
            }
        }
    };
    let followed = engine.follow_logs(id, hand_over).await;
    if let Ok(mut lines) = lines.lock() {
        lines.end(reader.lines);
    }
    followed.map(|()| if came.into_inner() { Wrote::Something } else { Wrote::Nothing })
}

fn tail(lines: &Mutex<Lines>) -> Vec<String> {
    lines.lock().map(|lines| lines.kept()).unwrap_or_default()
}
