//! Purpose: the list of files at the end of a zip archive, zip64 included (PKWARE APPNOTE 6.3.10, sections 4.3.6 to 4.5.3).

use serde::Serialize;

/// The most of an archive's end that is read to find its list, in bytes.
pub const LARGEST_LIST: u64 = 16 * 1024 * 1024;
/// How much of the end is enough for nearly every archive: the record with its longest comment, and zip64's.
pub const USUAL_TAIL: u64 = 128 * 1024;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// As it is.
    Stored,
    /// Deflate.
    Deflated,
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ZipEntry {
    /// Its path, with `/`.
    pub name: String,
    /// How it is packed.
    pub method: Method,
    /// Packed bytes.
    pub packed: u64,
    /// Unpacked bytes.
    pub size: u64,
    /// CRC-32 of the unpacked bytes.
    pub crc: u32,
    /// Where its local header begins.
    pub offset: u64,
}

/// What the end of an archive says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// The files; folders left out.
    Files(Vec<ZipEntry>),
    /// The list begins before the tail that was given: read from here on.
    From(u64),
}

/// Why a zip archive cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZipError {
    /// No list at its end: cut off, or no zip at all.
    #[error("it does not end as a zip archive does")]
    NoEnd,
    /// The list contradicts itself.
    #[error("its list of files is damaged")]
    Damaged,
    /// The list is too long to be looked at.
    #[error("its list of files is longer than {LARGEST_LIST} bytes")]
    TooLong,
    /// A path that leaves the archive.
    #[error("it holds the path '{0}', which leads out of it")]
    Escape(String),
    /// Encrypted, or packed in a way that no artifact is.
    #[error("it holds '{0}', which is encrypted or packed in an unknown way")]
    Unknown(String),
}

const END: u32 = 0x0605_4b50;
const END64_LOCATOR: u32 = 0x0706_4b50;
const END64: u32 = 0x0606_4b50;
const ENTRY: u32 = 0x0201_4b50;

/// Reads the list out of the last bytes of an archive of `size` bytes.
///
/// # Errors
/// [`ZipError`].
pub fn read_tail(tail: &[u8], size: u64) -> Result<Tail, ZipError> {
    let start = size.checked_sub(tail.len() as u64).ok_or(ZipError::Damaged)?;
    let end = find_end(tail).ok_or(ZipError::NoEnd)?;
    let (mut length, mut offset) = (u64::from(u32_at(tail, end + 12)?), u64::from(u32_at(tail, end + 16)?));
    let mut count = u64::from(u16_at(tail, end + 10)?);
    let locator = end.checked_sub(20).filter(|at| u32_at(tail, *at) == Ok(END64_LOCATOR));
    if let Some(locator) = locator {
        let record = u64_at(tail, locator + 8)?;
        if record < start {
            return if size - record > LARGEST_LIST { Err(ZipError::TooLong) } else { Ok(Tail::From(record)) };
        }
        let at = usize::try_from(record - start).map_err(|_| ZipError::Damaged)?;
        if u32_at(tail, at)? != END64 {
            return Err(ZipError::Damaged);
        }
        (count, length, offset) = (u64_at(tail, at + 32)?, u64_at(tail, at + 40)?, u64_at(tail, at + 48)?);
    }
    if length > LARGEST_LIST {
        return Err(ZipError::TooLong);
    }
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(ZipError::Damaged);
    }
    if offset < start {
        return if size - offset > 2 * LARGEST_LIST { Err(ZipError::TooLong) } else { Ok(Tail::From(offset)) };
    }
    let at = usize::try_from(offset - start).map_err(|_| ZipError::Damaged)?;
    let list = tail.get(at..).ok_or(ZipError::Damaged)?;
    entries(list, count, offset).map(Tail::Files)
}

/// The end record; it is the last thing but for its comment, whose length it states.
fn find_end(tail: &[u8]) -> Option<usize> {
    let last = tail.len().checked_sub(22)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    (first..=last).rev().find(|&at| {
        u32_at(tail, at) == Ok(END)
            && u16_at(tail, at + 20).is_ok_and(|comment| at + 22 + usize::from(comment) == tail.len())
    })
}

fn entries(list: &[u8], count: u64, before: u64) -> Result<Vec<ZipEntry>, ZipError> {
    let mut found = Vec::new();
    let mut at = 0;
    for _ in 0..count {
        if u32_at(list, at)? != ENTRY {
            return Err(ZipError::Damaged);
        }
        let lengths = [u16_at(list, at + 28)?, u16_at(list, at + 30)?, u16_at(list, at + 32)?].map(usize::from);
        let name = list.get(at + 46..at + 46 + lengths[0]).ok_or(ZipError::Damaged)?;
        let name = String::from_utf8_lossy(name).into_owned();
        let extra = list.get(at + 46 + lengths[0]..at + 46 + lengths[0] + lengths[1]).ok_or(ZipError::Damaged)?;
        if let Some(entry) = entry(&list[at..], name, extra)? {
            if entry.offset >= before {
                return Err(ZipError::Damaged);
            }
            found.push(entry);
        }
        at += 46 + lengths[0] + lengths[1] + lengths[2];
    }
    Ok(found)
}

fn entry(record: &[u8], name: String, extra: &[u8]) -> Result<Option<ZipEntry>, ZipError> {
    if leads_out(&name) {
        return Err(ZipError::Escape(name));
    }
    if name.ends_with('/') {
        return Ok(None);
    }
    let encrypted = u16_at(record, 8)? & 1 != 0;
    let method = match u16_at(record, 10)? {
        0 if !encrypted => Method::Stored,
        8 if !encrypted => Method::Deflated,
        _ => return Err(ZipError::Unknown(name)),
    };
    let mut wide = wide_fields(extra);
    let mut field = |at: usize| -> Result<u64, ZipError> {
        match u32_at(record, at)? {
            u32::MAX => wide.next().ok_or(ZipError::Damaged),
            small => Ok(u64::from(small)),
        }
    };
    // The order of the wide fields is fixed: unpacked, packed, offset.
    let (size, packed, offset) = (field(24)?, field(20)?, field(42)?);
    Ok(Some(ZipEntry { name, method, packed, size, crc: u32_at(record, 16)?, offset }))
}

/// The 64-bit values of the extra field that holds them.
fn wide_fields(extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut at = 0;
    let mut body: &[u8] = &[];
    while let (Ok(id), Ok(length)) = (u16_at(extra, at), u16_at(extra, at + 2)) {
        let end = at + 4 + usize::from(length);
        if id == 1 {
            body = extra.get(at + 4..end).unwrap_or_default();
            break;
        }
        at = end;
    }
    body.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok().map(u64::from_le_bytes))
}

/// Whether a path leaves the folder that it is meant for.
#[must_use]
pub fn leads_out(path: &str) -> bool {
    path.starts_with('/')
        || path.contains('\0')
        || path.contains('\\')
        || path.split('/').any(|part| part == "..")
        || path.as_bytes().get(1) == Some(&b':')
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], ZipError> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(ZipError::Damaged)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, ZipError> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, ZipError> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, ZipError> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}

/// The length of a local header, from its first 30 bytes: the file's packed bytes follow it.
///
/// # Errors
/// [`ZipError::Damaged`].
pub fn local_header_length(header: &[u8; 30]) -> Result<u64, ZipError> {
    if header[..4] != *b"PK\x03\x04" {
        return Err(ZipError::Damaged);
    }
    Ok(30 + u64::from(u16_at(header, 26)?) + u64::from(u16_at(header, 28)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of stored files as Python's `zipfile` writes it.
    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut bytes, mut list) = (Vec::new(), Vec::new());
        for (name, content) in files {
            let offset = u32::try_from(bytes.len()).unwrap();
            let common = |out: &mut Vec<u8>| {
                out.extend([20, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                out.extend(crc32fast::hash(content).to_le_bytes());
                out.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
                out.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
                out.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
                out.extend([0, 0]);
            };
            bytes.extend(*b"PK\x03\x04");
            common(&mut bytes);
            bytes.extend(name.as_bytes());
            bytes.extend(*content);
            list.extend(*b"PK\x01\x02\x14\x00");
            common(&mut list);
            list.extend([0; 10]);
            list.extend(offset.to_le_bytes());
            list.extend(name.as_bytes());
        }
        let (offset, length) = (u32::try_from(bytes.len()).unwrap(), u32::try_from(list.len()).unwrap());
        let count = u16::try_from(files.len()).unwrap().to_le_bytes();
        bytes.extend(list);
        bytes.extend(*b"PK\x05\x06\0\0\0\0");
        bytes.extend([count, count].concat());
        bytes.extend([length.to_le_bytes(), offset.to_le_bytes()].concat());
        bytes.extend([0, 0]);
        bytes
    }

    fn names(bytes: &[u8]) -> Result<Vec<String>, ZipError> {
        match read_tail(bytes, bytes.len() as u64)? {
            Tail::Files(files) => Ok(files.into_iter().map(|file| file.name).collect()),
            Tail::From(_) => panic!("the tail is the whole"),
        }
    }

    #[test]
    fn reads_the_list() {
        let bytes = archive(&[("a.txt", b"one"), ("dir/", b""), ("dir/b.tar", b"twotwo")]);
        let Tail::Files(files) = read_tail(&bytes, bytes.len() as u64).unwrap() else { panic!() };
        assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["a.txt", "dir/b.tar"]);
        assert_eq!((files[1].size, files[1].crc), (6, crc32fast::hash(b"twotwo")));
        let header = bytes[usize::try_from(files[1].offset).unwrap()..].first_chunk::<30>().unwrap();
        assert_eq!(local_header_length(header).unwrap(), 39);
        let short = &bytes[bytes.len() - 30..];
        assert!(matches!(read_tail(short, bytes.len() as u64), Ok(Tail::From(_))));
    }

    #[test]
    fn refuses_what_leads_out_and_what_is_cut() {
        for name in ["../a", "/etc/passwd", "a/../../b", "C:\\x", "a\\..\\b"] {
            assert_eq!(names(&archive(&[(name, b"")])), Err(ZipError::Escape(name.to_owned())));
        }
        let bytes = archive(&[("a", b"one")]);
        assert_eq!(names(&bytes[..bytes.len() - 1]), Err(ZipError::NoEnd));
        assert_eq!(names(b"no zip at all, and long enough"), Err(ZipError::NoEnd));
    }

    proptest::proptest! {
        #[test]
        fn damage_is_an_error_and_never_worse(at in 0..200_usize, value in 0..=u8::MAX, size in 0..400_u64) {
            let mut bytes = archive(&[("a.txt", b"one"), ("dir/b.tar", b"twotwo")]);
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = read_tail(&bytes, bytes.len() as u64);
            let _ = read_tail(&bytes, size);
            let _ = read_tail(&bytes[at..], bytes.len() as u64);
        }

        #[test]
        fn every_name_comes_back(given in proptest::collection::vec("[a-z]{1,9}(/[a-z.]{0,1}[a-z]{1,9})?", 0..9)) {
            let files: Vec<(&str, &[u8])> = given.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
            proptest::prop_assert_eq!(names(&archive(&files)).unwrap(), given);
        }
    }
}
