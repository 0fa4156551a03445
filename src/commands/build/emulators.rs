//! Purpose: programs of foreign platforms, made to run by the kernel through emulators.

use super::options::Qemu;
use super::plan::Plan;
use crate::commands::run::Run;
use crate::domain::builder::{Choice, runs};
use crate::runner::Failure;
use crate::services::buildkit::Builder;
use crate::services::engine::{ContainerSpec, Engine, EngineError, Privilege};

/// The image that hands emulators to the kernel, unless another one is asked for.
const EMULATORS: &str =
    "tonistiigi/binfmt:qemu-v10.2.3@sha256:400a4873b838d1b89194d982c45e5fb3cda4593fbfd7e08a02e76b03b21166f0";

/// Provides emulators for the platforms that the builder does not run by itself. A Dockerfile without `RUN` for them needs
/// none, so that only an image that was asked for must succeed.
pub(super) async fn provide(builder: &Builder, plan: &Plan, run: &Run) -> Result<(), Failure> {
    let settings = &plan.settings;
    if settings.platforms.is_empty() || settings.qemu == Qemu::Never || matches!(plan.choice, Choice::At(_)) {
        return Ok(());
    }
    let known = builder.platforms().await?;
    let foreign: Vec<&str> =
        settings.platforms.iter().map(String::as_str).filter(|platform| !runs(&known, platform)).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let image = match &settings.qemu {
        Qemu::Image(image) => image,
        Qemu::Auto | Qemu::Never => EMULATORS,
    };
    let group = run.log.group(format!("Emulators for {}", foreign.join(", ")));
    let installed = Box::pin(install(plan.engine()?, image, &foreign)).await;
    drop(group);
    match installed {
        Ok(()) => {
            // Asking has the builder look again.
            let known = builder.platforms().await?;
            let missing: Vec<&str> = foreign.into_iter().filter(|platform| !runs(&known, platform)).collect();
            if !missing.is_empty() {
                run.log.info(format!("Still without an emulator: {}", missing.join(", ")));
            }
            Ok(())
        }
        Err(error) if settings.qemu == Qemu::Auto => {
            run.log.info(format!(
                "No emulators for {}: {error}. Steps that run programs of that platform will fail.",
                foreign.join(", ")
            ));
            Ok(())
        }
        Err(error) => {
            Err(Failure::from(error)
                .hint("Give `qemu` the image of an installer such as tonistiigi/binfmt, or `never`."))
        }
    }
}

/// Runs the installer, which registers its emulators with the kernel for everybody on it.
async fn install(engine: &Engine, image: &str, platforms: &[&str]) -> Result<(), EngineError> {
    if engine.image(image).await?.is_none() {
        engine.pull(image, None, None, |_| ()).await?;
    }
    let architectures: Vec<&str> =
        platforms.iter().map(|platform| platform.split('/').nth(1).unwrap_or_default()).collect();
    let spec = ContainerSpec {
        command: Some(vec!["--install".to_owned(), architectures.join(",")]),
        privilege: Privilege::Privileged,
        ..ContainerSpec::new(image)
    };
    let id = engine.create(&spec).await?;
    let ran = async {
        engine.start(&id).await?;
        let code = engine.wait(&id).await?;
        if code == 0 {
            return Ok(());
        }
        let lines = engine.last_logs(&id, 3).await.unwrap_or_default();
        let message = lines.last().map_or_else(|| format!("exit code {code}"), |line| line.text.clone());
        Err(EngineError::Failed {
            action: "installing emulators".to_owned(),
            class: crate::services::ErrorClass::Failed,
            message,
        })
    };
    let ran = ran.await;
    engine.remove(&id).await?;
    ran
}
