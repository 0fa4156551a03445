//! Purpose: an SSH agent of our own, for private keys in files: it signs, and gives no key away.

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA512, RsaKeyPair,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::domain::ssh_key::{
    AgentRequest, Material, PrivateKey, agent_request, ecdsa_signature, identities, refused, signed,
};

/// The longest request: clients sign some hundred bytes (OpenSSH's own agent takes 256 KiB).
const LONGEST: u32 = 256 * 1024;
/// Hashes that a client may ask RSA for (`draft-miller-ssh-agent`, "signature flags").
const RSA_SHA256: u32 = 2;
const RSA_SHA512: u32 = 4;

/// Answers a client until it ends.
pub(super) async fn serve(keys: &[PrivateKey], mut client: impl AsyncRead + AsyncWrite + Unpin) {
    while let Ok(length) = client.read_u32().await {
        if length > LONGEST {
            return;
        }
        let mut message = Vec::new();
        let read = (&mut client).take(length.into()).read_to_end(&mut message).await;
        if read.ok() != usize::try_from(length).ok() {
            return;
        }
        if client.write_all(&answer(keys, &message)).await.is_err() {
            return;
        }
    }
}

fn answer(keys: &[PrivateKey], message: &[u8]) -> Vec<u8> {
    match agent_request(message) {
        AgentRequest::Identities => identities(&keys.iter().collect::<Vec<_>>()),
        AgentRequest::Sign { public, data, flags } => {
            let key = keys.iter().find(|key| key.public == public);
            key.and_then(|key| sign(&key.material, &data, flags)).unwrap_or_else(refused)
        }
        AgentRequest::Other => refused(),
    }
}

/// `None` when the library refuses the key, or the client wants a hash that nobody should trust (SHA-1).
fn sign(material: &Material, data: &[u8], flags: u32) -> Option<Vec<u8>> {
    match material {
        Material::Ed25519 { seed, public } => {
            let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?;
            Some(signed("ssh-ed25519", pair.sign(data).as_ref()))
        }
        Material::Rsa(structure) => {
            let pair = RsaKeyPair::from_der(structure).ok()?;
            let (algorithm, name) = match flags {
                flags if flags & RSA_SHA512 != 0 => (&RSA_PKCS1_SHA512, "rsa-sha2-512"),
                flags if flags & RSA_SHA256 != 0 => (&RSA_PKCS1_SHA256, "rsa-sha2-256"),
                _ => return None,
            };
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(algorithm, &SystemRandom::new(), data, &mut signature).ok()?;
            Some(signed(name, &signature))
        }
        Material::Ecdsa { curve, scalar, public } => {
            let algorithm = match curve.as_str() {
                "nistp256" => &ECDSA_P256_SHA256_FIXED_SIGNING,
                "nistp384" => &ECDSA_P384_SHA384_FIXED_SIGNING,
                _ => return None,
            };
            let random = SystemRandom::new();
            let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar, public, &random).ok()?;
            let both = pair.sign(&random, data).ok()?;
            Some(signed(&format!("ecdsa-sha2-{curve}"), &ecdsa_signature(both.as_ref())))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// OpenSSH makes the keys, asks for signatures and judges them.
    #[tokio::test]
    async fn openssh_accepts_the_signatures_of_every_kind_of_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut keys = Vec::new();
        let kinds = [("ed25519", "256"), ("rsa", "2048"), ("rsa", "3072"), ("ecdsa", "256"), ("ecdsa", "384")];
        for (kind, bits) in kinds {
            let path = folder.path().join(format!("{kind}{bits}"));
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", kind, "-b", bits, "-N", "", "-C", "of the test", "-f"])
                .arg(&path)
                .status()
                .unwrap();
            assert!(made.success());
            keys.push(std::fs::read_to_string(&path).unwrap().parse::<PrivateKey>().unwrap());
        }
        assert!(keys.iter().all(|key| key.comment == "of the test"));
        let socket = folder.path().join("agent");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                serve(&keys, client).await;
            }
        });
        let asking = tokio::task::spawn_blocking(move || {
            let signed = folder.path().join("signed");
            for (kind, bits) in kinds {
                std::fs::write(&signed, format!("by {kind}")).unwrap();
                let signature = folder.path().join("signed.sig");
                let _ = std::fs::remove_file(&signature);
                let public = folder.path().join(format!("{kind}{bits}.pub"));
                // The private half is out of reach: the agent alone can sign.
                std::fs::remove_file(folder.path().join(format!("{kind}{bits}"))).unwrap();
                let run = |arguments: &[&std::ffi::OsStr]| {
                    let mut tool = Command::new("ssh-keygen");
                    let tool = tool.env("SSH_AUTH_SOCK", &socket).arg("-Y").args(arguments);
                    let ran = tool.stdin(std::fs::File::open(&signed).unwrap()).output().unwrap();
                    assert!(ran.status.success(), "{kind} {bits}: {}", String::from_utf8_lossy(&ran.stderr));
                };
                run(&[
                    "sign".as_ref(),
                    "-n".as_ref(),
                    "file".as_ref(),
                    "-f".as_ref(),
                    public.as_ref(),
                    signed.as_ref(),
                ]);
                run(&["check-novalidate".as_ref(), "-n".as_ref(), "file".as_ref(), "-s".as_ref(), signature.as_ref()]);
            }
            let listed = Command::new("ssh-add").env("SSH_AUTH_SOCK", &socket).arg("-l").output().unwrap();
            assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), kinds.len());
        });
        asking.await.unwrap();
    }

    #[test]
    fn who_asks_for_something_else_is_refused() {
        for message in [&[][..], &[5], &[17, 0, 0], &[13, 0, 0, 0, 9]] {
            assert_eq!(answer(&[], message), refused());
        }
    }
}
