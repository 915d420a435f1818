use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::access::Secret;
use crate::sigv4::key::derive;

const SIGNED: Kind = Kind {
    is_signed: true,
    has_trailer: false,
};
const SIGNED_TRAILER: Kind = Kind {
    is_signed: true,
    has_trailer: true,
};
const UNSIGNED_TRAILER: Kind = Kind {
    is_signed: false,
    has_trailer: true,
};

/// The key and time of the published examples.  [S3 API: example of chunked upload]
fn seal(previous: &str) -> Seal {
    let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    Seal {
        key: derive(&secret, "20130524", "us-east-1", "s3"),
        stamp: "20130524T000000Z".to_owned(),
        scope: "20130524/us-east-1/s3/aws4_request".to_owned(),
        previous: signature(previous).unwrap(),
    }
}

/// 65 KiB of `a` in the pieces of the examples, each with its signature.
fn body(signatures: [&str; 3], end: &str) -> Vec<u8> {
    let [first, second, last] = signatures;
    let (big, small) = ("a".repeat(65_536), "a".repeat(1024));
    format!(
        "10000;chunk-signature={first}\r\n{big}\r\n400;chunk-signature={second}\r\n{small}\r\n\
         0;chunk-signature={last}\r\n{end}"
    )
    .into_bytes()
}

/// Decodes a body that comes in pieces of `step` bytes.
fn decode(kind: Kind, seal: Option<Seal>, body: &[u8], step: usize) -> Result<Vec<u8>, Broken> {
    let mut decoder = Decoder::new(kind, seal);
    let mut out = BytesMut::new();
    for piece in body.chunks(step) {
        decoder.push(Bytes::copy_from_slice(piece), &mut out)?;
    }
    decoder.finish()?;
    Ok(out.to_vec())
}

const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const PIECES: [&str; 3] = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
];

const TRAILER_SEED: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
const TRAILER_PIECES: [&str; 3] = [
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
];
const TRAILER_END: &str = "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:\
    d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n";

#[test]
fn the_published_examples_decode_whatever_their_pieces() {
    let payload = vec![b'a'; 66_560];
    for step in [1, 7, 1000, 100_000] {
        let plain = body(PIECES, "\r\n");
        assert_eq!(
            decode(SIGNED, Some(seal(SEED)), &plain, step).as_ref(),
            Ok(&payload)
        );
        let trailed = body(TRAILER_PIECES, TRAILER_END);
        assert_eq!(
            decode(SIGNED_TRAILER, Some(seal(TRAILER_SEED)), &trailed, step).as_ref(),
            Ok(&payload)
        );
    }
}

#[test]
fn a_changed_body_is_refused() {
    let plain = body(PIECES, "\r\n");
    let broken = Err(Broken::Signature);
    let seal_of = |seed| Some(seal(seed));
    for at in [100, 65_700, 66_700] {
        let mut changed = plain.clone();
        changed[at] = b'b';
        assert_eq!(
            decode(SIGNED, seal_of(SEED), &changed, 1000),
            broken,
            "{at}"
        );
    }
    // Pieces in another order, under another seed, or without the last one.
    let [a, b, c] = PIECES;
    assert_eq!(
        decode(SIGNED, seal_of(SEED), &body([b, a, c], "\r\n"), 1000),
        broken
    );
    assert_eq!(decode(SIGNED, seal_of(TRAILER_SEED), &plain, 1000), broken);
    let cut = plain.len() - 90;
    assert_eq!(
        decode(SIGNED, seal_of(SEED), &plain[..cut], 1000),
        Err(Broken::Framing)
    );
    // Trailers that are changed, unsigned, or added after the signature over them.
    for (end, expected) in [
        (TRAILER_END.replace("sOO8", "sOO9"), Broken::Signature),
        (
            "x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n".to_owned(),
            Broken::Signature,
        ),
        ("\r\n".to_owned(), Broken::Signature),
        (String::new(), Broken::Signature),
        (
            TRAILER_END.replace("\r\n\r\n", "\r\nx:y\r\n\r\n"),
            Broken::Framing,
        ),
        (format!("{TRAILER_END}x"), Broken::Framing),
    ] {
        let body = body(TRAILER_PIECES, &end);
        let decoded = decode(SIGNED_TRAILER, seal_of(TRAILER_SEED), &body, 1000);
        assert_eq!(decoded, Err(expected), "{end}");
    }
}

#[test]
fn without_a_seal_only_the_framing_counts() {
    for (body, expected) in [
        ("3\r\nabc\r\n0\r\n\r\n", Some("abc")),
        (
            "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n",
            Some("abc"),
        ),
        (
            "3;chunk-signature=00\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            Some("abcde"),
        ),
        ("0\r\n\r\n", Some("")),
        ("0\r\n", Some("")),
        ("", None),
        ("3\r\nab", None),
        ("3\r\nabc", None),
        ("3\r\nabcd\r\n0\r\n\r\n", None),
        ("g\r\n", None),
        ("-1\r\n", None),
        ("+1\r\na\r\n0\r\n\r\n", None),
        ("10000000000000000\r\n", None),
        ("ffffffffffffffff\r\nabc", None),
        ("0\r\nno colon\r\n\r\n", None),
        ("0\r\n\r\nmore", None),
    ] {
        let decoded = decode(UNSIGNED_TRAILER, None, body.as_bytes(), 2).ok();
        let decoded = decoded.map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(decoded.as_deref(), expected, "{body:?}");
    }
    let long = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(LINE_BYTES_MAX));
    assert!(decode(UNSIGNED_TRAILER, None, long.as_bytes(), 100).is_err());
    let many = format!("0\r\n{}\r\n", "a:b\r\n".repeat(TRAILERS_MAX + 1));
    assert!(decode(UNSIGNED_TRAILER, None, many.as_bytes(), 100).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    /// Whatever comes, decoding ends, never gives more than came, and does not depend on how the
    /// bytes were cut.
    #[test]
    fn any_bytes_are_decoded_or_refused(
        pieces in vec(prop_oneof![
            vec(any::<u8>(), 0..8),
            Just(b"\r\n".to_vec()),
            Just(b"3\r\nabc\r\n".to_vec()),
            Just(b"0\r\n".to_vec()),
            Just(b"a:b\r\n".to_vec()),
            Just(b"x-amz-trailer-signature:00\r\n".to_vec()),
            Just(b"5;chunk-signature=00".to_vec()),
        ], 0..12),
        step in 1_usize..9,
        is_sealed in any::<bool>(),
    ) {
        let body = pieces.concat();
        let seal = || is_sealed.then(|| seal(SEED));
        for kind in [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER] {
            let whole = decode(kind, seal(), &body, body.len().max(1));
            let cut = decode(kind, seal(), &body, step);
            prop_assert_eq!(&whole, &cut);
            if let Ok(payload) = whole {
                prop_assert!(payload.len() <= body.len());
                prop_assert!(!is_sealed || !kind.is_signed);
            }
        }
    }

    #[test]
    fn what_is_encoded_comes_back(payload in vec(vec(any::<u8>(), 1..40), 0..6), step in 1_usize..50) {
        let mut body = Vec::new();
        for piece in &payload {
            body.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            body.extend_from_slice(piece);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n");
        prop_assert_eq!(decode(UNSIGNED_TRAILER, None, &body, step), Ok(payload.concat()));
    }
}
