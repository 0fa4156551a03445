//! Purpose: a commit's files as the `.tar.gz` that codeload answers.

use std::collections::BTreeMap;
use std::io::Write as _;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::github::File;

/// One top-level directory, a global header naming the commit, entries in order: as `git archive` writes it.
pub fn tar_gz(top: &str, commit: &str, files: &BTreeMap<String, File>) -> Bytes {
    let mut tar = Vec::new();
    let comment = pax_record("comment", commit);
    entry(&mut tar, &Entry { name: "pax_global_header", kind: b'g', mode: 0o666, link: "", data: comment.as_bytes() });
    let mut made = std::collections::BTreeSet::new();
    directory(&mut tar, &format!("{top}/"));
    for (path, file) in files {
        for (at, _) in path.match_indices('/') {
            if made.insert(path[..at].to_owned()) {
                directory(&mut tar, &format!("{top}/{}/", &path[..at]));
            }
        }
        file_entry(&mut tar, &format!("{top}/{path}"), file);
    }
    tar.resize(tar.len() + 1024, 0);
    gzip(&tar)
}

struct Entry<'a> {
    name: &'a str,
    kind: u8,
    mode: u32,
    link: &'a str,
    data: &'a [u8],
}

fn directory(tar: &mut Vec<u8>, name: &str) {
    named(tar, &Entry { name, kind: b'5', mode: 0o775, link: "", data: &[] });
}

fn file_entry(tar: &mut Vec<u8>, name: &str, file: &File) {
    let data = file.bytes();
    match file.mode.as_str() {
        "120000" => {
            let link = String::from_utf8_lossy(&data).into_owned();
            named(tar, &Entry { name, kind: b'2', mode: 0o777, link: &link, data: &[] });
        }
        "100755" => named(tar, &Entry { name, kind: b'0', mode: 0o775, link: "", data: &data }),
        _ => named(tar, &Entry { name, kind: b'0', mode: 0o664, link: "", data: &data }),
    }
}

/// An entry; names and link targets beyond 100 bytes go into a pax header before it.
fn named(tar: &mut Vec<u8>, file: &Entry<'_>) {
    let mut records = String::new();
    for (key, value) in [("path", file.name), ("linkpath", file.link)] {
        if value.len() > 100 {
            records += &pax_record(key, value);
        }
    }
    if !records.is_empty() {
        let name = "pax_header";
        entry(tar, &Entry { name, kind: b'x', mode: 0o666, link: "", data: records.as_bytes() });
    }
    entry(tar, file);
}

fn entry(tar: &mut Vec<u8>, file: &Entry<'_>) {
    let mut header = [0u8; 512];
    let mut put = |at: usize, width: usize, text: &[u8]| {
        let text = &text[..text.len().min(width)];
        header[at..at + text.len()].copy_from_slice(text);
    };
    put(0, 100, file.name.as_bytes());
    put(100, 8, format!("{:07o}", file.mode).as_bytes());
    put(108, 8, b"0000000");
    put(116, 8, b"0000000");
    put(124, 12, format!("{:011o}", file.data.len()).as_bytes());
    put(136, 12, format!("{:011o}", 1_700_000_000).as_bytes());
    put(148, 8, b"        ");
    put(156, 1, &[file.kind]);
    put(157, 100, file.link.as_bytes());
    put(257, 8, b"ustar\x0000");
    put(265, 32, b"root");
    put(297, 32, b"root");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(file.data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// `<length> <key>=<value>\n`, the length counting itself.
fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() != length {
        length = length.to_string().len() + rest.len();
    }
    format!("{length}{rest}")
}

fn gzip(data: &[u8]) -> Bytes {
    // Stored blocks: valid gzip without a compressor.
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut chunks = data.chunks(0xffff).peekable();
    while let Some(chunk) = chunks.next() {
        let length = u16::try_from(chunk.len()).expect("a chunk of at most 65535 bytes");
        out.push(u8::from(chunks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.write_all(chunk).expect("memory takes all");
    }
    out.extend_from_slice(&crc32(data).to_le_bytes());
    #[allow(clippy::cast_possible_truncation, reason = "gzip stores the length modulo 2^32")]
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    Bytes::from(out)
}

fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    };
    !data.iter().fold(!0, step)
}

/// Forty hexadecimal digits derived from some bytes: a stand-in for git's object ids.
pub fn object_id(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())[..40].to_owned()
}

/// `sha256:<hex>` of some bytes.
pub fn digest(data: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(data)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
