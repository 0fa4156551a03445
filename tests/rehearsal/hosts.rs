//! Purpose: stand-ins for what runs on the runner itself: checkouts, artifacts, caches, the project's own scripts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::event::REPOSITORY;
use crate::stage::{Files, Stage};

/// A step of the runner's own, as its stand-in sees it.
pub(crate) struct Host<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) workspace: PathBuf,
    /// Of `with:`, evaluated.
    pub(crate) with: BTreeMap<String, String>,
    pub(crate) env: BTreeMap<String, String>,
    /// The commit that the run is about.
    pub(crate) sha: String,
    /// For later steps.
    pub(crate) outputs: BTreeMap<String, String>,
    /// A line for whoever reads the walk.
    pub(crate) says: String,
}

impl Host<'_> {
    pub(crate) fn with(&self, name: &str) -> &str {
        self.with.get(name).map_or("", String::as_str)
    }

    pub(crate) fn env(&self, name: &str) -> &str {
        self.env.get(name).map_or("", String::as_str)
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.workspace.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// How a step of the runner's own ends; the reason when it fails.
pub(crate) type Done = Result<(), String>;

/// `actions/checkout`: the files of the commit, names changed.
pub(crate) fn checkout(host: &mut Host<'_>) -> Done {
    let reference = if host.with("ref").is_empty() { host.sha.clone() } else { host.with("ref").to_owned() };
    let files = {
        let state = host.stage.world.state();
        let repository = &state.github.repositories[REPOSITORY];
        let sha = repository.resolve(&reference).ok_or_else(|| format!("no commit {reference}"))?;
        repository.commits[&sha].files.clone()
    };
    for (path, file) in &files {
        let content = match &file.base64 {
            Some(_) => file.bytes(),
            None => host.stage.renamed(&file.text).into_bytes(),
        };
        host.write(path, content);
        let mode = u32::from_str_radix(&file.mode[file.mode.len() - 3..], 8).unwrap();
        fs::set_permissions(host.workspace.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    host.says = format!("{} files of {reference}", files.len());
    Ok(())
}

/// `actions/upload-artifact`.
pub(crate) fn upload_artifact(host: &mut Host<'_>) -> Done {
    let (name, path) = (host.with("name").to_owned(), host.with("path").to_owned());
    let files = collected(&host.workspace, &path);
    if files.is_empty() && host.with("if-no-files-found") != "ignore" {
        return Err(format!("no files at {path}"));
    }
    host.says = format!("{name}: {}", names(&files));
    if !files.is_empty() {
        host.stage.kept.borrow_mut().insert(format!("artifact {name}"), files);
    }
    Ok(())
}

/// `actions/download-artifact`: one by name, or all, each in a folder of its name.
pub(crate) fn download_artifact(host: &mut Host<'_>) -> Done {
    let (wanted, path) = (host.with("name").to_owned(), host.with("path").to_owned());
    let kept = host.stage.kept.borrow();
    let artifacts = kept.iter().filter_map(|(name, files)| Some((name.strip_prefix("artifact ")?, files)));
    let mut found = 0;
    for (name, files) in artifacts.filter(|(name, _)| wanted.is_empty() || *name == wanted) {
        found += 1;
        for (file, content) in files {
            let folder = if wanted.is_empty() {
                format!("{path}/{name}/")
            } else if path.is_empty() {
                String::new()
            } else {
                format!("{path}/")
            };
            host.write(&format!("{folder}{file}"), content);
        }
    }
    if found == 0 { Err(format!("no artifact '{wanted}'")) } else { Ok(()) }
}

/// `actions/cache/restore`: the newest whose key begins so.
pub(crate) fn restore_cache(host: &mut Host<'_>) -> Done {
    let prefix = format!("cache {}", host.with("restore-keys").trim());
    let kept = host.stage.kept.borrow();
    let found = kept.iter().rev().find(|(key, _)| key.starts_with(&prefix));
    for (path, content) in found.into_iter().flat_map(|(_, files)| files) {
        host.write(path, content);
    }
    let said = found.map_or("nothing yet", |_| "found");
    host.says = said.to_owned();
    Ok(())
}

/// `actions/cache/save`.
pub(crate) fn save_cache(host: &mut Host<'_>) -> Done {
    let files = collected(&host.workspace, host.with("path"));
    host.says = names(&files);
    host.stage.kept.borrow_mut().insert(format!("cache {}", host.with("key")), files);
    Ok(())
}

/// Something that goes well and leaves nothing: the project's own tests.
pub(crate) fn passes(_: &mut Host<'_>) -> Done {
    Ok(())
}

/// Something that fails.
pub(crate) fn fails(_: &mut Host<'_>) -> Done {
    Err("exit code 1".to_owned())
}

/// A file, or the files of a folder, by their paths below it.
fn collected(workspace: &Path, path: &str) -> Files {
    let whole = workspace.join(path);
    let mut files = Files::new();
    if whole.is_file() {
        files.insert(path.rsplit('/').next().unwrap().to_owned(), fs::read(&whole).unwrap());
    }
    let mut open = vec![whole.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(&whole).unwrap().to_string_lossy().into_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

fn names(files: &Files) -> String {
    files.keys().cloned().collect::<Vec<_>>().join(", ")
}
