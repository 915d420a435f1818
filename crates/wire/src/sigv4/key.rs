use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

use super::Presented;
use crate::access::Secret;

/// Most signing keys in one generation of the cache. A key is good for one day, region and service.
const KEYS_MAX: usize = 512;

/// Derives the key with which one day's requests to one service are signed.
pub(crate) fn derive(secret: &Secret, date: &str, region: &str, service: &str) -> Key {
    let first = format!("AWS4{}", secret.reveal());
    let mut key = Key::new(HMAC_SHA256, first.as_bytes());
    for part in [date, region, service, "aws4_request"] {
        key = Key::new(HMAC_SHA256, sign(&key, part.as_bytes()).as_ref());
    }
    key
}

/// Signing keys that were used lately. Two generations: when the young one is full it becomes the
/// old one, and what nobody asked for since is forgotten.
#[derive(Default)]
pub(crate) struct Keys(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<String, Entry>,
    old: HashMap<String, Entry>,
}

#[derive(Clone)]
struct Entry {
    /// The secret it was derived from: an access key may be given another one.
    secret: Secret,
    key: Key,
}

impl Keys {
    pub(crate) fn get(&self, presented: &Presented, secret: &Secret) -> Key {
        let name = format!("{}\n{}", presented.access_key, presented.scope());
        let is_same = |entry: &&Entry| {
            let (known, given) = (entry.secret.reveal(), secret.reveal());
            verify_slices_are_equal(known.as_bytes(), given.as_bytes()).is_ok()
        };
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = generations.young.get(&name).filter(is_same) {
            return entry.key.clone();
        }
        let known = generations.old.get(&name).filter(is_same).cloned();
        let entry = known.unwrap_or_else(|| Entry {
            secret: secret.clone(),
            key: derive(
                secret,
                &presented.date,
                &presented.region,
                &presented.service,
            ),
        });
        let key = entry.key.clone();
        if generations.young.len() >= KEYS_MAX {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(name, entry);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigv4::{Form, Stamp, hex};

    /// [Create a signed AWS API request: example of a derived signing key]
    #[test]
    fn the_published_example_derives() {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let key = derive(&secret, "20150830", "us-east-1", "iam");
        let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
                    f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        assert_eq!(
            hex(sign(&key, text.as_bytes()).as_ref()),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    fn presented(access_key: &str) -> Presented {
        Presented {
            form: Form::Header,
            access_key: access_key.to_owned(),
            date: "20150830".to_owned(),
            region: "us-east-1".to_owned(),
            service: "lambda".to_owned(),
            signed_headers: Vec::new(),
            signature: [0; 32],
            stamp: Stamp::at(0),
            session_token: None,
        }
    }

    #[test]
    fn the_cache_is_bounded_and_follows_a_changed_secret() {
        let keys = Keys::default();
        let (a, b) = (Secret::new("a"), Secret::new("b"));
        for n in 0..KEYS_MAX * 3 {
            keys.get(&presented(&n.to_string()), &a);
        }
        let held = keys.0.lock().unwrap();
        assert!(held.young.len() <= KEYS_MAX && held.old.len() <= KEYS_MAX);
        drop(held);
        let tag = |secret| hex(sign(&keys.get(&presented("7"), secret), b"x").as_ref());
        let first = tag(&a);
        assert_ne!(first, tag(&b));
        assert_eq!(first, tag(&a));
    }
}
