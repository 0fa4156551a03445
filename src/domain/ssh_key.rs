//! Purpose: private SSH keys as OpenSSH writes them, and the words that an agent and its clients exchange.
//!
//! Formats: OpenSSH's `PROTOCOL.key` for the file, `draft-miller-ssh-agent` for the messages, RFC 8017 appendix A.1.2 for the
//! RSA key that libraries take.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Why a text is no usable key. The messages quote nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not OpenSSH's form.
    #[error("it is no private key in the form of OpenSSH (`ssh-keygen -p -f <file>` rewrites older forms)")]
    Form,
    /// Encrypted.
    #[error("it has a passphrase, and nobody can be asked for it; make a key without one, or use an agent")]
    Encrypted,
    /// An algorithm that is not supported.
    #[error("its algorithm is not supported; ed25519, RSA and ECDSA (P-256, P-384) are")]
    Algorithm,
    /// It breaks off or contradicts itself.
    #[error("it is damaged")]
    Damaged,
}

/// What a signature is made with.
#[derive(Clone, PartialEq, Eq)]
pub enum Material {
    /// Ed25519: seed and public key.
    Ed25519 {
        /// 32 bytes.
        seed: Vec<u8>,
        /// 32 bytes.
        public: Vec<u8>,
    },
    /// RSA, as a PKCS#1 structure.
    Rsa(Vec<u8>),
    /// ECDSA: private number and public point.
    Ecdsa {
        /// `nistp256` or `nistp384`.
        curve: String,
        /// Big-endian, as long as the curve's numbers.
        scalar: Vec<u8>,
        /// Uncompressed.
        public: Vec<u8>,
    },
}

/// A private key.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey {
    /// Its public half, as SSH writes it.
    pub public: Vec<u8>,
    /// Its comment.
    pub comment: String,
    /// What signs.
    pub material: Material,
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

/// Whether a text is meant to be a private key of whatever form.
#[must_use]
pub fn is_key(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN ") && text.contains("PRIVATE KEY-----")
}

impl std::str::FromStr for PrivateKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let body = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.split_once(END)).ok_or(KeyError::Form)?.0;
        let body: String = body.split_whitespace().collect();
        let bytes = BASE64_STANDARD.decode(body).map_err(|_| KeyError::Damaged)?;
        let mut reader = Reader(bytes.strip_prefix(MAGIC).ok_or(KeyError::Form)?);
        if reader.string()? != b"none" {
            return Err(KeyError::Encrypted);
        }
        let (_kdf, _options) = (reader.string()?, reader.string()?);
        if reader.number()? != 1 {
            return Err(KeyError::Form);
        }
        let public = reader.string()?.to_vec();
        let mut reader = Reader(reader.string()?);
        if reader.number()? != reader.number()? {
            return Err(KeyError::Damaged);
        }
        let material = material(&mut reader)?;
        let comment = String::from_utf8_lossy(reader.string()?).into_owned();
        Ok(Self { public, comment, material })
    }
}

fn material(reader: &mut Reader<'_>) -> Result<Material, KeyError> {
    match reader.string()? {
        b"ssh-ed25519" => {
            let public = reader.string()?.to_vec();
            let both = reader.string()?;
            let seed = both.get(..32).filter(|_| both.len() == 64 && public.len() == 32).ok_or(KeyError::Damaged)?;
            Ok(Material::Ed25519 { seed: seed.to_vec(), public })
        }
        b"ssh-rsa" => {
            let mut next = || reader.string();
            let (n, e, d, inverse, p, q) = (next()?, next()?, next()?, next()?, next()?, next()?);
            let (dp, dq) = (reduced(d, p)?, reduced(d, q)?);
            let numbers = [&[0][..], n, e, d, p, q, &dp, &dq, inverse].map(|number| der(0x02, number)).concat();
            Ok(Material::Rsa(der(0x30, &numbers)))
        }
        b"ecdsa-sha2-nistp256" => ecdsa(reader, 32),
        b"ecdsa-sha2-nistp384" => ecdsa(reader, 48),
        _ => Err(KeyError::Algorithm),
    }
}

fn ecdsa(reader: &mut Reader<'_>, length: usize) -> Result<Material, KeyError> {
    let curve = String::from_utf8_lossy(reader.string()?).into_owned();
    let public = reader.string()?.to_vec();
    let number = reader.string()?;
    let number = number.strip_prefix(&[0]).unwrap_or(number);
    let missing = length.checked_sub(number.len()).ok_or(KeyError::Damaged)?;
    let scalar = [&vec![0; missing], number].concat();
    Ok(Material::Ecdsa { curve, scalar, public })
}

/// `d mod (prime - 1)`, which OpenSSH leaves out and PKCS#1 wants.
fn reduced(d: &[u8], prime: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut modulus = prime.strip_prefix(&[0]).unwrap_or(prime).to_vec();
    match modulus.last_mut() {
        // Primes are odd; 1 is none.
        Some(last) if *last % 2 == 1 => *last -= 1,
        _ => return Err(KeyError::Damaged),
    }
    if modulus.iter().all(|byte| *byte == 0) || modulus.len() > 1024 || d.len() > 2048 {
        return Err(KeyError::Damaged);
    }
    // One byte more, so that doubling does not run over.
    modulus.insert(0, 0);
    let mut rest = vec![0_u8; modulus.len()];
    for bit in d.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)) {
        let mut carry = bit;
        for byte in rest.iter_mut().rev() {
            (*byte, carry) = (*byte << 1 | carry, *byte >> 7);
        }
        if rest >= modulus {
            let mut borrow = false;
            for (byte, other) in rest.iter_mut().zip(&modulus).rev() {
                let (less, first) = byte.overflowing_sub(*other);
                let (less, second) = less.overflowing_sub(u8::from(borrow));
                (*byte, borrow) = (less, first || second);
            }
        }
    }
    Ok(integer(&rest))
}

/// A positive number in as few bytes as a signed one has.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let mut number = bytes[start..].to_vec();
    if number.first().is_none_or(|first| first & 0x80 != 0) {
        number.insert(0, 0);
    }
    number
}

/// Tag, length, content.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let start = length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1);
    let length = &length[start..];
    let mut bytes = vec![tag];
    if content.len() > 0x7f {
        bytes.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
    }
    bytes.extend(length);
    bytes.extend(content);
    bytes
}

/// Reads SSH's numbers and strings.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Result<u32, KeyError> {
        let (bytes, rest) = self.0.split_first_chunk::<4>().ok_or(KeyError::Damaged)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    fn string(&mut self) -> Result<&'a [u8], KeyError> {
        let length = usize::try_from(self.number()?).map_err(|_| KeyError::Damaged)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(KeyError::Damaged)?;
        self.0 = rest;
        Ok(bytes)
    }
}

/// SSH's form of a string.
#[must_use]
pub fn string(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), content].concat()
}

/// SSH's form of the two numbers of an ECDSA signature, given as one after the other.
#[must_use]
pub fn ecdsa_signature(both: &[u8]) -> Vec<u8> {
    let (r, s) = both.split_at(both.len() / 2);
    [string(&integer(r)), string(&integer(s))].concat()
}

/// What a client asks of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentRequest {
    /// Which keys there are.
    Identities,
    /// A signature.
    Sign {
        /// The public half of the key.
        public: Vec<u8>,
        /// What is signed.
        data: Vec<u8>,
        /// Which hash RSA uses: 2 is SHA-256, 4 is SHA-512.
        flags: u32,
    },
    /// Anything else, which is refused.
    Other,
}

/// Reads a request without its length.
#[must_use]
pub fn agent_request(message: &[u8]) -> AgentRequest {
    let sign = |rest: &[u8]| -> Result<AgentRequest, KeyError> {
        let mut reader = Reader(rest);
        let (public, data) = (reader.string()?.to_vec(), reader.string()?.to_vec());
        Ok(AgentRequest::Sign { public, data, flags: reader.number()? })
    };
    match message.split_first() {
        Some((11, _)) => AgentRequest::Identities,
        Some((13, rest)) => sign(rest).unwrap_or(AgentRequest::Other),
        _ => AgentRequest::Other,
    }
}

/// The answer that names the keys, with its length.
#[must_use]
pub fn identities(keys: &[&PrivateKey]) -> Vec<u8> {
    let count = u32::try_from(keys.len()).unwrap_or_default();
    let mut message = [&[12][..], &count.to_be_bytes()].concat();
    for key in keys {
        message.extend(string(&key.public));
        message.extend(string(key.comment.as_bytes()));
    }
    string(&message)
}

/// The answer that holds a signature by an algorithm, with its length.
#[must_use]
pub fn signed(algorithm: &str, signature: &[u8]) -> Vec<u8> {
    let both = [string(algorithm.as_bytes()), string(signature)].concat();
    string(&[&[14][..], &string(&both)].concat())
}

/// The answer that refuses, with its length.
#[must_use]
pub fn refused() -> Vec<u8> {
    string(&[5])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_reduced_as_pkcs_1_wants_it() {
        // 1000 mod (97 - 1) = 40; 96 mod 96 = 0; the result is signed.
        assert_eq!(reduced(&[0x03, 0xe8], &[97]), Ok(vec![40]));
        assert_eq!(reduced(&[96], &[97]), Ok(vec![0]));
        assert_eq!(reduced(&[200], &[0, 211]), Ok(vec![0, 200]));
        assert_eq!(reduced(&[1], &[1]), Err(KeyError::Damaged));
        assert_eq!(reduced(&[1], &[]), Err(KeyError::Damaged));
    }

    #[test]
    fn lengths_are_written_short_and_long() {
        assert_eq!(der(2, &[5]), [2, 1, 5]);
        assert_eq!(der(2, &[0; 0x80])[..3], [2, 0x81, 0x80]);
        assert_eq!(der(2, &[0; 0x100])[..4], [2, 0x82, 1, 0]);
    }

    #[test]
    fn what_is_no_key_says_so() {
        assert_eq!("ssh-ed25519 AAAA".parse::<PrivateKey>().unwrap_err(), KeyError::Form);
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----";
        assert!(is_key(pem) && !is_key("/home/me/.ssh/id_ed25519"));
        assert_eq!(pem.parse::<PrivateKey>().unwrap_err(), KeyError::Form);
        let with = |bytes: &[u8]| format!("{BEGIN}\n{}\n{END}", BASE64_STANDARD.encode([MAGIC, bytes].concat()));
        assert_eq!(with(&string(b"aes256-ctr")).parse::<PrivateKey>().unwrap_err(), KeyError::Encrypted);
        assert_eq!(with(&string(b"none")).parse::<PrivateKey>().unwrap_err(), KeyError::Damaged);
    }

    proptest::proptest! {
        #[test]
        fn damage_is_an_error_and_no_panic(bytes in proptest::collection::vec(0..=u8::MAX, 0..200)) {
            let text = format!("{BEGIN}\n{}\n{END}", BASE64_STANDARD.encode([MAGIC, &string(b"none"), &bytes].concat()));
            let _ = text.parse::<PrivateKey>();
            let _ = agent_request(&bytes);
        }

        #[test]
        fn reduction_is_that_of_numbers(d in 1..u64::MAX, prime in (3_u64..1 << 40).prop_map(|n| n | 1)) {
            let found = reduced(&d.to_be_bytes(), &integer(&prime.to_be_bytes())).unwrap();
            proptest::prop_assert_eq!(found, integer(&(d % (prime - 1)).to_be_bytes()));
        }
    }

    use proptest::prelude::Strategy as _;
}
