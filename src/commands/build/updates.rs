//! Purpose: changes of the source that need more than an edit: another repository's files, or a toolchain.

use std::path::Path;

use super::plan::{Origin, Plan};
use super::source::{LARGEST_SOURCE, Tree, not_updated, unusable};
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::names::RepositoryName;
use crate::domain::update::{repository_of_address, submodule_address};
use crate::runner::Failure;
use crate::services::toolbox::{Download, Tool, ToolError, Toolbox, Upload};

/// Where the source lies in a tool container.
const SOURCE: &str = "/source";

impl Tree {
    /// Puts a commit of the submodule's repository in the place where `.gitmodules` has the submodule.
    pub(super) async fn place_submodule(
        &self,
        path: &str,
        commit: &str,
        plan: &Plan,
        run: &Run,
    ) -> Result<(), Failure> {
        let listed = self.read(Path::new(".gitmodules"))?;
        let address = submodule_address(&listed, path).ok_or_else(|| {
            not_updated(format!(".gitmodules has no submodule at {path}"))
                .hint("Give the path as `path =` has it there.")
        })?;
        let server =
            run.github.server_url.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
        let own = match &plan.origin {
            Origin::Commit { repository, .. } => repository.as_str().to_owned(),
            Origin::Workspace { .. } => run.github.repository.clone().unwrap_or_default(),
        };
        let name: Option<RepositoryName> =
            repository_of_address(&address, server, &own).and_then(|name| name.parse().ok());
        let name = name.ok_or_else(|| {
            not_updated(format!("the submodule {path} comes from {address}, which is not on {server}"))
                .hint("Check it out before this step, and leave this update out.")
        })?;
        let group = run.log.group(format!("Submodule {path}"));
        let github = Clients::new(run).github_with(plan.settings.source_token.clone())?;
        let repository = github.repository(&name).await?;
        let found = github.commit(&repository, commit).await?;
        let parent = Path::new(path).parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(self.root().join(parent))
            .map_err(|source| unusable(&format!("{path} cannot be made"), source))?;
        let folder = self.within(parent)?.join(Path::new(path).file_name().unwrap_or_default());
        match std::fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(unusable(&format!("{path} cannot be replaced"), source));
            }
            _ => {}
        }
        let unpacked = github.unpack_source(&repository, &found.sha, &folder, LARGEST_SOURCE).await?;
        run.log.info(format!("{path} is {name} at {}: {} files", found.sha.short(), unpacked.files));
        drop(group);
        Ok(())
    }

    /// Runs a command on the whole source, and takes the source as the command left it.
    pub(super) async fn in_tool(
        &self,
        words: &[String],
        image: &str,
        folder: &Path,
        plan: &Plan,
        run: &Run,
    ) -> Result<(), Failure> {
        let engine = Clients::new(run).engine().await?;
        let after = run.temporary_path("changed");
        let mut tool = Tool::new(image, words.iter().skip(1).cloned());
        tool.entrypoint = words.first().map(|program| vec![program.clone()]);
        tool.working_directory =
            Some(Path::new(SOURCE).join(folder.strip_prefix(".").unwrap_or(folder)).display().to_string());
        if let Ok(reference) = image.parse::<crate::domain::reference::ImageRef>() {
            tool.login = Box::pin(plan.existence.login(reference.registry())).await?;
        }
        tool.uploads.push(Upload::path(SOURCE, self.root()));
        tool.downloads.push(Download::required(SOURCE, &after, LARGEST_SOURCE));
        let group = run.log.group(format!("Update: {}", words.join(" ")));
        let toolbox = Toolbox::new(&engine);
        toolbox.provide(&tool, |line| run.log.info(line)).await.map_err(failed)?;
        let ran = toolbox.run(&tool, run.cancel.cancelled(), |_, line| run.log.foreign(line)).await;
        drop(group);
        let finished = ran.map_err(failed)?;
        if finished.code != 0 {
            let _ = std::fs::remove_dir_all(&after);
            let why = if finished.out_of_memory { " (out of memory)" } else { "" };
            return Err(not_updated(format!(
                "`{}` ended with exit code {}{why} in {image}",
                words.join(" "),
                finished.code
            ))
            .hint("Its output is in the log above."));
        }
        self.replace_by(&after).map_err(|source| unusable("the changed source cannot be taken over", source))
    }
}

fn failed(error: ToolError) -> Failure {
    not_updated("the tool that updates the source could not run".to_owned())
        .hint("Check `tool_image`: it is pulled when the engine does not have it.")
        .caused_by(error)
}

/// A word of a shell script that means itself.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
