//! The signature of notifications: RSA over a canonical text, and the certificate to check it with.
//! [SNS guide: verifying the signatures of Amazon SNS messages]

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs8::DecodePrivateKey;
use sha1::{Digest, Sha1};

use crate::record::SigningKey;

/// How a topic's notifications are signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    /// RSA with SHA-1; the default of topics.
    One,
    /// RSA with SHA-256.
    Two,
}

impl Version {
    pub(crate) fn of(text: Option<&str>) -> Version {
        match text {
            Some("2") => Version::Two,
            _ => Version::One,
        }
    }

    pub(crate) fn number(self) -> &'static str {
        match self {
            Version::One => "1",
            Version::Two => "2",
        }
    }
}

/// Signs; made from what is stored.
pub(crate) struct Signer {
    /// For SHA-256.
    pair: KeyPair,
    /// The same key for SHA-1, which aws-lc-rs checks but does not sign with.
    legacy: rsa::RsaPrivateKey,
    pub(crate) certificate_pem: String,
}

/// What may be wrong with a key: it was not made here, or the machine gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the signing key of notifications: {0}")]
pub(crate) struct BadKey(String);

fn bad(why: impl std::fmt::Display) -> BadKey {
    BadKey(why.to_string())
}

/// A new key with a certificate of its own. Takes up to a second of processor time.
pub(crate) fn generate(name: String) -> Result<SigningKey, BadKey> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(bad)?;
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(bad)?;
    let key = rcgen::KeyPair::try_from(der.as_ref()).map_err(bad)?;
    let mut parameters =
        rcgen::CertificateParams::new(vec!["sns.amazonaws.com".to_owned()]).map_err(bad)?;
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "sns.amazonaws.com");
    let certificate = parameters.self_signed(&key).map_err(bad)?;
    Ok(SigningKey {
        key: STANDARD.encode(der.as_ref()),
        certificate_pem: certificate.pem(),
        name,
    })
}

impl Signer {
    pub(crate) fn new(stored: SigningKey) -> Result<Signer, BadKey> {
        let der = STANDARD.decode(&stored.key).map_err(bad)?;
        Ok(Signer {
            pair: KeyPair::from_pkcs8(&der).map_err(bad)?,
            legacy: rsa::RsaPrivateKey::from_pkcs8_der(&der).map_err(bad)?,
            certificate_pem: stored.certificate_pem,
        })
    }

    /// The signature in base64. A millisecond of processor time.
    pub(crate) fn sign(&self, version: Version, text: &str) -> Result<String, BadKey> {
        let signature = match version {
            Version::One => {
                let digest = Sha1::digest(text.as_bytes());
                let padding = rsa::Pkcs1v15Sign::new::<Sha1>();
                self.legacy.sign(padding, &digest).map_err(bad)?
            }
            Version::Two => {
                let mut signature = vec![0; self.pair.public_modulus_len()];
                self.pair
                    .sign(
                        &RSA_PKCS1_SHA256,
                        &SystemRandom::new(),
                        text.as_bytes(),
                        &mut signature,
                    )
                    .map_err(bad)?;
                signature
            }
        };
        Ok(STANDARD.encode(signature))
    }
}

/// The text that is signed: names and values of the members that are there, a line each.
pub(crate) fn canonical(members: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in members {
        text.push_str(name);
        text.push('\n');
        text.push_str(value);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::KeyPair as _;
    use aws_lc_rs::signature::{
        RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
        UnparsedPublicKey,
    };

    use super::*;

    #[test]
    fn both_versions_are_checked_by_the_public_key() {
        let stored = generate("n".to_owned()).unwrap();
        assert!(
            stored
                .certificate_pem
                .starts_with("-----BEGIN CERTIFICATE-----")
        );
        let signer = Signer::new(stored).unwrap();
        let text = canonical(&[("Message", "m"), ("Type", "Notification")]);
        assert_eq!(text, "Message\nm\nType\nNotification\n");
        let check = |version, algorithm: &'static RsaParameters| {
            let signature = STANDARD
                .decode(signer.sign(version, &text).unwrap())
                .unwrap();
            let key = UnparsedPublicKey::new(algorithm, signer.pair.public_key());
            assert!(key.verify(text.as_bytes(), &signature).is_ok());
            assert!(key.verify(b"other", &signature).is_err());
        };
        check(Version::One, &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY);
        check(Version::Two, &RSA_PKCS1_2048_8192_SHA256);
    }
}
