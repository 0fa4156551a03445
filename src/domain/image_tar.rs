//! Purpose: watching an image tar go by: is it one, does it stay inside, which images does it hold.
//!
//! The formats are those of ustar with GNU's and pax's long names (POSIX.1-2017, pax; GNU tar manual, "Basic Tar Format"),
//! and of `docker save`: a `manifest.json` (moby, `image/tarexport`), or an OCI layout's `index.json`.

use serde::Deserialize;

use super::zip::leads_out;

const BLOCK: usize = 512;
/// The most bytes of a list of images, and of one long name, that are kept.
const LARGEST_LIST: u64 = 4 * 1024 * 1024;
/// The most entries of a tar: images have some hundreds.
const MOST_ENTRIES: u64 = 100_000;

/// Why a tar is no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TarError {
    /// The first block is no header.
    #[error("it is no tar archive")]
    NotATar,
    /// A later block is no header.
    #[error("its tar archive is damaged at byte {0}")]
    Damaged(u64),
    /// It ends within an entry, or without its end mark.
    #[error("its tar archive is cut off")]
    Cut,
    /// A path that leaves the archive.
    #[error("its tar archive holds the path '{0}', which leads out of it")]
    Escape(String),
    /// More entries than any image.
    #[error("its tar archive has more than {MOST_ENTRIES} entries")]
    TooMany,
    /// Neither of the two lists of images.
    #[error("its tar archive is no image: it has neither manifest.json nor index.json")]
    NoImage,
}

/// A tar of which some has been seen.
#[derive(Debug)]
pub struct ImageTar {
    state: Reading,
    at: u64,
    entries: u64,
    zeros: u32,
    block: Vec<u8>,
    kept: Vec<u8>,
    long_name: Option<String>,
    manifest: Option<Vec<u8>>,
    is_layout: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Header,
    /// Content and padding left; whether and as what the content is kept.
    Content(u64, u64, Keep),
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    Manifest,
    GnuName,
    Pax,
}

impl Default for ImageTar {
    fn default() -> Self {
        Self::new()
    }
}

impl ImageTar {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Reading::Header,
            at: 0,
            entries: 0,
            zeros: 0,
            block: Vec::with_capacity(BLOCK),
            kept: Vec::new(),
            long_name: None,
            manifest: None,
            is_layout: false,
        }
    }

    /// Looks at the next bytes.
    ///
    /// # Errors
    /// [`TarError`].
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), TarError> {
        while !bytes.is_empty() {
            let taken = match self.state {
                // What stands behind the end mark is padding.
                Reading::Ended => bytes.len(),
                Reading::Header => self.take_header(bytes)?,
                Reading::Content(content, padding, keep) => self.take_content(bytes, content, padding, keep)?,
            };
            self.at += taken as u64;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// The names of the images; images without a name have none.
    ///
    /// # Errors
    /// [`TarError::Cut`], [`TarError::NoImage`].
    pub fn finish(self) -> Result<Vec<String>, TarError> {
        if self.entries == 0 {
            return Err(TarError::NotATar);
        }
        // Some writers leave the end mark out.
        let whole = matches!(self.state, Reading::Ended) || (self.state == Reading::Header && self.block.is_empty());
        if !whole {
            return Err(TarError::Cut);
        }
        match self.manifest {
            Some(manifest) => Ok(names_in(&manifest)),
            None if self.is_layout => Ok(Vec::new()),
            None => Err(TarError::NoImage),
        }
    }

    fn take_header(&mut self, bytes: &[u8]) -> Result<usize, TarError> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            let block = std::mem::take(&mut self.block);
            self.header(&block)?;
            self.block = block;
            self.block.clear();
        }
        Ok(taken)
    }

    fn header(&mut self, block: &[u8]) -> Result<(), TarError> {
        if block.iter().all(|byte| *byte == 0) {
            if self.entries == 0 {
                return Err(TarError::NotATar);
            }
            self.zeros += 1;
            if self.zeros == 2 {
                self.state = Reading::Ended;
            }
            return Ok(());
        }
        self.zeros = 0;
        let wrong = || if self.entries == 0 { TarError::NotATar } else { TarError::Damaged(self.at) };
        if !is_header(block) {
            return Err(wrong());
        }
        let size = number(&block[124..136]).ok_or_else(wrong)?;
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            return Err(TarError::TooMany);
        }
        let keep = self.entry(block, size)?;
        let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
        // Links and folders have no content, whatever their size says; links do in some old pax archives.
        let content = if matches!(block[156], b'1'..=b'6') { 0 } else { size };
        self.state = if content == 0 { Reading::Header } else { Reading::Content(content, padding, keep) };
        Ok(())
    }

    fn entry(&mut self, block: &[u8], size: u64) -> Result<Keep, TarError> {
        let small = size <= LARGEST_LIST;
        match block[156] {
            b'L' | b'K' if small => return Ok(if block[156] == b'L' { Keep::GnuName } else { Keep::Nothing }),
            b'x' if small => return Ok(Keep::Pax),
            b'L' | b'K' | b'x' => return Err(TarError::Damaged(self.at)),
            b'g' => return Ok(Keep::Nothing),
            _ => {}
        }
        let name = self.long_name.take().unwrap_or_else(|| short_name(block));
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        if leads_out(&name) {
            return Err(TarError::Escape(name));
        }
        self.is_layout |= name == "index.json";
        Ok(if name == "manifest.json" && small { Keep::Manifest } else { Keep::Nothing })
    }

    fn take_content(&mut self, bytes: &[u8], content: u64, padding: u64, keep: Keep) -> Result<usize, TarError> {
        let wanted = usize::try_from(content + padding).unwrap_or(usize::MAX);
        let taken = bytes.len().min(wanted);
        let of_content = usize::try_from(content).unwrap_or(usize::MAX).min(taken);
        if keep != Keep::Nothing {
            self.kept.extend_from_slice(&bytes[..of_content]);
        }
        let (content, padding) = (content - of_content as u64, padding - (taken - of_content) as u64);
        if content + padding > 0 {
            self.state = Reading::Content(content, padding, keep);
            return Ok(taken);
        }
        self.state = Reading::Header;
        let kept = std::mem::take(&mut self.kept);
        match keep {
            Keep::Nothing => {}
            Keep::Manifest => self.manifest = Some(kept),
            Keep::GnuName => self.long_name = Some(text(&kept)),
            Keep::Pax => self.long_name = pax_path(&kept).or_else(|| self.long_name.take()),
        }
        Ok(taken)
    }
}

/// Whether a block's sum is right; the sum's own field counts as blanks.
fn is_header(block: &[u8]) -> bool {
    let sum: u64 =
        block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) }).sum();
    number(&block[148..156]) == Some(sum)
}

/// Octal digits, or GNU's binary form for large values.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let bytes = field.get(field.len().checked_sub(8)?..)?;
        return bytes.try_into().ok().map(u64::from_be_bytes).filter(|value| *value < 1 << 62);
    }
    let digits = text(field);
    let digits = digits.trim();
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

fn short_name(block: &[u8]) -> String {
    let prefix = if &block[257..262] == b"ustar" && block[262] == 0 { text(&block[345..500]) } else { String::new() };
    let name = text(&block[..100]);
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// `path` among records of the form `<length> <key>=<value>\n`.
fn pax_path(mut records: &[u8]) -> Option<String> {
    let mut path = None;
    while let Some(space) = records.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
        let record = records.get(space + 1..length.checked_sub(1)?)?;
        if let Some(value) = record.strip_prefix(b"path=") {
            path = Some(String::from_utf8_lossy(value).into_owned());
        }
        records = records.get(length..)?;
    }
    path
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestEntry {
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
}

fn names_in(manifest: &[u8]) -> Vec<String> {
    let entries: Vec<ManifestEntry> = serde_json::from_slice(manifest).unwrap_or_default();
    entries.into_iter().flat_map(|entry| entry.repo_tags.unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tar of these files, with the end mark.
    fn tar(files: &[(&str, u8, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, kind, content) in files {
            let mut header = [0_u8; BLOCK];
            header[..name.len().min(100)].copy_from_slice(&name.as_bytes()[..name.len().min(100)]);
            header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
            header[156] = *kind;
            header[257..263].copy_from_slice(b"ustar\0");
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            bytes.extend(header);
            bytes.extend(*content);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.resize(bytes.len() + 2 * BLOCK, 0);
        bytes
    }

    fn watched(bytes: &[u8], piece: usize) -> Result<Vec<String>, TarError> {
        let mut tar = ImageTar::new();
        for piece in bytes.chunks(piece.max(1)) {
            tar.feed(piece)?;
        }
        tar.finish()
    }

    const MANIFEST: &[u8] =
        br#"[{"Config":"a.json","RepoTags":["acme/app:v1","acme/app:v2"],"Layers":[]},{"RepoTags":null}]"#;

    #[test]
    fn tells_which_images_go_by() {
        let bytes = tar(&[("layer.tar", b'0', &[7; 2000]), ("./manifest.json", b'0', MANIFEST)]);
        assert_eq!(watched(&bytes, 100).unwrap(), ["acme/app:v1", "acme/app:v2"]);
        assert_eq!(watched(&tar(&[("index.json", b'0', b"{}")]), 7).unwrap(), [""; 0]);
    }

    #[test]
    fn refuses_what_is_no_image() {
        assert_eq!(watched(&[b'x'; 600], 512), Err(TarError::NotATar));
        assert_eq!(watched(&[0; 1024], 512), Err(TarError::NotATar));
        assert_eq!(watched(b"", 1), Err(TarError::NotATar));
        assert_eq!(watched(&tar(&[("a", b'0', b"b")]), 512), Err(TarError::NoImage));
        let bytes = tar(&[("manifest.json", b'0', MANIFEST)]);
        assert_eq!(watched(&bytes[..530], 512), Err(TarError::Cut));
        let mut broken = tar(&[("a", b'0', b""), ("b", b'0', b"")]);
        broken[600] = b'x';
        assert_eq!(watched(&broken, 512), Err(TarError::Damaged(512)));
    }

    #[test]
    fn refuses_what_leads_out_however_it_is_named() {
        for files in [
            vec![("../evil", b'0', &b""[..])],
            vec![("/etc/passwd", b'0', b"")],
            vec![("@LongLink", b'L', b"../evil\0"), ("short", b'0', b"")],
            vec![("pax", b'x', b"16 path=../evil\n"), ("short", b'0', b"")],
        ] {
            assert!(matches!(watched(&tar(&files), 512), Err(TarError::Escape(_))), "{files:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn pieces_make_no_difference_and_damage_is_an_error(piece in 1..1500_usize, at in 0..3000_usize, value in 0..=u8::MAX) {
            let mut bytes = tar(&[("layer.tar", b'0', &[7; 900]), ("manifest.json", b'0', MANIFEST)]);
            proptest::prop_assert_eq!(watched(&bytes, piece), watched(&bytes, bytes.len()));
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = watched(&bytes, piece);
        }
    }
}
