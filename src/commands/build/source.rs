//! Purpose: the private copy of the source, and the changes made in it before the build.

use std::path::{Path, PathBuf};

use super::plan::{Origin, Plan, ResolvedUpdate};
use super::updates::quoted;
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::go_module::{self, ModulePath};
use crate::domain::names::CommitSha;
use crate::domain::update::replaced;
use crate::runner::{Failure, Kind};

/// The most that a source may unpack to; GitHub refuses to serve archives of repositories beyond a few gigabytes.
pub(super) const LARGEST_SOURCE: u64 = 20 * 1024 * 1024 * 1024;

/// Where the build reads its files. A private copy is removed with this value.
pub(super) struct Tree {
    root: PathBuf,
    private: bool,
}

impl Drop for Tree {
    fn drop(&mut self) {
        if self.private {
            // What cannot be removed lies below the runner's temporary folder, which the runner empties.
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

impl Tree {
    /// The folder that paths are relative to.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The plan's source: the workspace itself, or a private copy when it is another repository or will be changed.
    pub(super) async fn prepare(plan: &Plan, run: &Run) -> Result<Self, Failure> {
        let tree = match &plan.origin {
            Origin::Workspace { .. } if plan.updates.is_empty() => Self { root: run.workspace(), private: false },
            Origin::Workspace { .. } => {
                let tree = Self::private(run)?;
                let from = run.workspace();
                copy_tree(&from, &tree.root, &tree.root)
                    .map_err(|source| unusable("the workspace cannot be copied", source))?;
                tree
            }
            Origin::Commit { repository, commit } => {
                let group = run.log.group(format!("Check out {repository}@{}", commit.short()));
                let github = Clients::new(run).github_with(plan.settings.source_token.clone())?;
                let repository = github.repository(repository).await?;
                let tree = Self { root: run.temporary_path("source"), private: true };
                let unpacked = github.unpack_source(&repository, commit, &tree.root, LARGEST_SOURCE).await?;
                run.log.info(format!("{} files, {} bytes", unpacked.files, unpacked.bytes));
                drop(group);
                tree
            }
        };
        for update in &plan.updates {
            tree.apply(update, plan, run).await?;
        }
        Ok(tree)
    }

    /// Puts a changed tree in the place of this one, which is private.
    pub(super) fn replace_by(&self, changed: &Path) -> std::io::Result<()> {
        std::fs::remove_dir_all(&self.root)?;
        std::fs::rename(changed, &self.root)
    }

    fn private(run: &Run) -> Result<Self, Failure> {
        let root = run.temporary_path("source");
        std::fs::create_dir_all(&root)
            .map_err(|source| unusable("no private copy of the source can be made", source))?;
        Ok(Self { root, private: true })
    }

    async fn apply(&self, update: &ResolvedUpdate, plan: &Plan, run: &Run) -> Result<(), Failure> {
        match update {
            ResolvedUpdate::Submodule { path, commit } => self.place_submodule(path, commit, plan, run).await,
            ResolvedUpdate::GoTool { module, commit, image } => {
                let folder = plan.settings.folder();
                let script = format!("go get {}@{} && go mod tidy", quoted(module), quoted(commit));
                let words = ["sh", "-c", &script].map(str::to_owned);
                self.in_tool(&words, image, folder, plan, run).await
            }
            ResolvedUpdate::Command { words, image } => self.in_tool(words, image, Path::new("."), plan, run).await,
            ResolvedUpdate::GoModule { module, commit, committed_at } => {
                self.point_go_mod(plan.settings.folder(), module, commit, *committed_at, run)
            }
            ResolvedUpdate::Replace { file, pattern, text } => {
                let before = self.read(Path::new(file))?;
                let (after, count) = replaced(&before, pattern, text).map_err(|error| {
                    Failure::input("update_reference cannot be applied", "Check its expression.").caused_by(error)
                })?;
                if count == 0 {
                    return Err(not_updated(format!("/{pattern}/ matches nothing in {file}"))
                        .hint("`^` and `$` match at line ends; the expression sees the file as it is in the source."));
                }
                self.write(Path::new(file), &after)?;
                run.log.info(format!("{file}: replaced {count} times"));
                Ok(())
            }
        }
    }

    fn point_go_mod(
        &self,
        context: &Path,
        module: &ModulePath,
        commit: &CommitSha,
        committed_at: jiff::Timestamp,
        run: &Run,
    ) -> Result<(), Failure> {
        let file = context.join("go.mod");
        let edited = go_module::point_at(&self.read(&file)?, module, commit, committed_at).map_err(|error| {
            not_updated(format!("{} cannot be pointed at {module}@{}", file.display(), commit.short()))
                .hint("go.mod must require the module already, and no replace directive may put a folder in its place.")
                .caused_by(error)
        })?;
        self.write(&file, &edited.text)?;
        let shown = file.strip_prefix(".").unwrap_or(&file).display();
        for change in &edited.changes {
            run.log.info(format!("{shown}:{}: {} → {}", change.line, change.from, change.to));
        }
        if self.root.join(context).join("go.sum").exists() {
            run.log.info("go.sum stays as it is: let the Dockerfile run `go mod tidy`, or build with `-mod=mod`");
        }
        Ok(())
    }

    pub(super) fn read(&self, file: &Path) -> Result<String, Failure> {
        let path = self.within(file)?;
        std::fs::read_to_string(&path).map_err(|source| unusable(&format!("{} cannot be read", file.display()), source))
    }

    fn write(&self, file: &Path, text: &str) -> Result<(), Failure> {
        let path = self.within(file)?;
        std::fs::write(&path, text).map_err(|source| unusable(&format!("{} cannot be written", file.display()), source))
    }

    /// The file's real path, which a link in the source must not lead out of the copy.
    pub(super) fn within(&self, file: &Path) -> Result<PathBuf, Failure> {
        let shown = |source| unusable(&format!("{} is not in the source", file.display()), source);
        let root = self.root.canonicalize().map_err(shown)?;
        let path = root.join(file).canonicalize().map_err(shown)?;
        if path.starts_with(&root) {
            return Ok(path);
        }
        Err(shown(std::io::Error::other("a link leads out of it")))
    }
}

pub(super) fn not_updated(message: String) -> Failure {
    Failure::new(Kind::Work, "reference-not-updated", "Reference not updated", message)
}

pub(super) fn unusable(message: &str, source: std::io::Error) -> Failure {
    Failure::new(Kind::Work, "source-unusable", "Source unusable", message.to_owned()).caused_by(source)
}

/// Copies files, folders and links; links are copied as links. `copy` is left out: it may lie inside what is copied.
fn copy_tree(from: &Path, to: &Path, copy: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source == copy {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            std::fs::create_dir(&target)?;
            copy_tree(&source, &target, copy)?;
            std::fs::set_permissions(&target, entry.metadata()?.permissions())?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&source)?, &target)?;
        } else if kind.is_file() {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
