//! Purpose: the binary under test in an image, as the runner would have pulled it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

/// Packs the binary once per build, and gives the image's name. Test processes run side by side: the first one packs,
/// the others wait for it.
pub(crate) fn packed() -> String {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_landfall"));
    // A build writes a new file; to read a debug build whole takes longer than to pack it.
    let file = fs::metadata(&binary).unwrap();
    let written = file.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let content = format!("{}-{written}", file.len());
    // One name per target directory, so that a new build replaces the image of the one before.
    let name = format!("landfall-test/rehearsal-{}:1", &hash(binary.as_os_str().as_encoded_bytes())[..12]);
    let lock = fs::File::create(binary.with_file_name("rehearsal.lock")).unwrap();
    lock.lock().unwrap();
    let label = docker(&["image", "inspect", "--format", "{{.Config.Labels.content}} {{.Id}}", &name]);
    let (known, id) = label.as_deref().ok().and_then(|text| text.trim().split_once(' ')).unwrap_or_default();
    if known != content {
        pack(&binary, &name, &content);
        if !id.is_empty() {
            let _ = docker(&["rmi", id]);
        }
    }
    name
}

fn hash(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the release image has: the binary under both its names, and certificates. A test's binary is not static, so that
/// its libraries come along.
fn pack(binary: &Path, name: &str, content: &str) {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path.trim_start_matches('/'));
    // Symbols make most of a debug build; a copy without them is packed in a tenth of the time.
    let stripped = Command::new("strip").arg("-o").arg(at("landfall")).arg(binary).status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(binary, at("landfall")).unwrap();
    }
    std::os::unix::fs::symlink("landfall", at("landfall-post")).unwrap();
    let certificates = "/etc/ssl/certs/ca-certificates.crt";
    for library in
        libraries(binary).iter().map(String::as_str).chain([certificates]).filter(|path| Path::new(path).exists())
    {
        fs::create_dir_all(at(library).parent().unwrap()).unwrap();
        fs::copy(library, at(library)).unwrap();
    }
    let mut tar = Command::new("tar")
        .args(["--create", "--directory"])
        .arg(root.path())
        .arg(".")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let changes = ["--change", "ENTRYPOINT [\"/landfall\"]", "--change", &format!("LABEL content={content}")];
    let import = Command::new("docker")
        .arg("import")
        .args(changes)
        .args(["-", name])
        .stdin(tar.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(tar.wait().unwrap().success() && import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
}

/// The shared libraries of a binary and the loader, as `ldd` lists them.
fn libraries(binary: &Path) -> BTreeSet<String> {
    let listed = Command::new("ldd").arg(binary).output().unwrap();
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned).collect()
}

/// Runs the Docker client; its standard output, or what it complains of.
pub(crate) fn docker(arguments: &[&str]) -> Result<String, String> {
    let done = Command::new("docker").args(arguments).output().expect("the Docker client: `make test` installs it");
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(format!("docker {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr)))
}

/// An image with a shell, from which the examples' own images are built here.
pub(crate) fn base() -> &'static str {
    wait(async { crate::engine::base(&crate::engine::engine().await).await })
}

/// An image whose program is this script: a stand-in for a tool that would be pulled.
pub(crate) fn tool(name: &str, script: &str) {
    wait(async {
        let engine = crate::engine::engine().await;
        let base = crate::engine::base(&engine).await;
        let dockerfile = format!("FROM {base}\nCOPY --chmod=755 tool /bin/tool\nENTRYPOINT [\"/bin/tool\"]\n");
        let context = crate::engine::context(&[("Dockerfile", &dockerfile), ("tool", script)]);
        let mut permissions = fs::metadata(context.path().join("tool")).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
        fs::set_permissions(context.path().join("tool"), permissions).unwrap();
        let mut request = crate::engine::request(context.path());
        request.tags = vec![name.to_owned()];
        let builder = landfall::services::buildkit::Builder::for_engine(&engine);
        let (built, events) =
            crate::engine::build(&builder, &request, &landfall::services::buildkit::Logins::none()).await;
        built.unwrap_or_else(|error| panic!("{error}: {events:?}"));
    });
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
