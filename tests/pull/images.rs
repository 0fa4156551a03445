//! Image tars made by hand, and what the engine has.

use bytes::Bytes;
use landfall::services::engine::Engine;
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// `sha256` in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One ustar header.
pub(crate) fn header(name: &str, size: u64) -> [u8; 512] {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000644");
    header[108..115].copy_from_slice(b"0000000");
    header[116..123].copy_from_slice(b"0000000");
    header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    header[136..147].copy_from_slice(b"00000000000");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

fn entry(tar: &mut Vec<u8>, name: &str, content: &[u8]) {
    tar.extend(header(name, content.len() as u64));
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// Bytes that no codec makes small.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ length as u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(next).collect()
}

/// The configuration of an image with one layer.
pub(crate) fn config(layer: &str, revision: Option<&str>) -> String {
    let labels = revision.map(|sha| json!({ "org.opencontainers.image.revision": sha }));
    json!({
        "architecture": "amd64", "os": "linux",
        "config": { "Labels": labels, "Cmd": ["/none"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
        "history": [{ "created_by": "test" }],
    })
    .to_string()
}

/// What `docker save` would write for an image with one layer that holds one file.
pub(crate) fn image_tar(names: &[&str], revision: Option<&str>, size: usize) -> Vec<u8> {
    let mut layer = Vec::new();
    entry(&mut layer, "content", &noise(size));
    layer.resize(layer.len() + 1024, 0);
    let config = config(&sha256(&layer), revision);
    let config_name = format!("{}.json", sha256(config.as_bytes()));
    // By content, as the engine names them: those with the containerd store take a path for the name of what it holds.
    let path = format!("{}/layer.tar", sha256(&layer));
    let manifest = json!([{ "Config": config_name, "RepoTags": names, "Layers": [path] }]).to_string();
    let mut tar = Vec::new();
    entry(&mut tar, &config_name, config.as_bytes());
    entry(&mut tar, &path, &layer);
    entry(&mut tar, "manifest.json", manifest.as_bytes());
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// Puts an image into the open registry and takes it out of the engine again; its digest and id.
pub(crate) async fn in_registry(reference: &str, revision: Option<&str>) -> (String, String) {
    let engine = engine().await;
    let tar = image_tar(&[reference], revision, 5000);
    engine.load(futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(tar))])).await.unwrap();
    let id = engine.image(reference).await.unwrap().unwrap().id;
    let digest = engine.push(reference, None, |_| ()).await.unwrap();
    engine.untag(reference).await.unwrap();
    (digest.to_string(), id)
}

async fn engine() -> Engine {
    crate::engine::engine().await
}

/// Whether the engine has an image.
pub(crate) async fn present(reference: &str) -> bool {
    engine().await.image(reference).await.unwrap().is_some()
}

/// Takes names out of the engine.
pub(crate) async fn remove(references: &[&str]) {
    let engine = engine().await;
    for reference in references {
        engine.untag(reference).await.unwrap();
    }
}
